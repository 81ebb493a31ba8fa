//! What the tests share: the servers that speak Firecracker's API, the driver's command lines, and what is expected
//! of a run.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use driver_testkit::{Ended, Running, assert_phases, left, skipped};
use measure_core::base::exit::Exit;
use measure_core::base::programs::{on_path, version_of};
use measure_core::contract::Probe;
use measure_core::contract::protocol::Message;
use nix::unistd::geteuid;
use tempfile::TempDir;

/// Each named function of one server as two tests on this rung, so that a test's name says who answered:
/// `on_the_double::NAME`, and `on_real_firecracker::NAME`, which is skipped where there is no Firecracker that
/// can run the rung.
macro_rules! on_both {
    ($rung:expr => $($test:ident),+ $(,)?) => {
        mod on_the_double {
            $(
                #[test]
                fn $test() {
                    let server = crate::common::Server::double_for($rung, stringify!($test));
                    server.iter().for_each(super::$test);
                }
            )+
        }
        mod on_real_firecracker {
            $(
                #[test]
                fn $test() {
                    let server = crate::common::Server::real_for($rung, stringify!($test));
                    server.iter().for_each(super::$test);
                }
            )+
        }
    };
}

/// Who answers.
pub struct Server {
    /// The executable.
    pub path: PathBuf,
    is_real: bool,
    directory: TempDir,
}

impl Server {
    /// The in-repo server, under a name of this test's own; says so and is none where the driver may not use KVM, which it asks
    /// for whoever serves.
    pub fn double() -> Option<Self> {
        let kvm = fs::File::options().read(true).write(true).open("/dev/kvm");
        if let Err(why) = kvm {
            let test = thread::current();
            skipped(
                format!("{} on the double", test.name().unwrap_or_default()),
                format!("/dev/kvm: {why}"),
            );
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["firecracker", "jailer"] {
            let double = env!("CARGO_BIN_EXE_firecracker-double");
            symlink(double, directory.path().join(name)).expect("a link");
        }
        Some(Self {
            path: directory.path().join("firecracker"),
            is_real: false,
            directory,
        })
    }

    /// The in-repo server, where `rung` needs no root or has it; else says that `test` goes without.
    pub fn double_for(rung: &str, test: &str) -> Option<Self> {
        if rung == "firecracker-jailed" && !geteuid().is_root() {
            skipped(format!("{test} on the double"), "the jailer needs root");
            return None;
        }
        let server = Self::double()?;
        eprintln!("CONFORMANCE: in-repo server");
        Some(server)
    }

    /// The real Firecracker, where `$FIRECRACKER` or PATH has one that can run `rung` here; else says why `test`
    /// goes without.
    pub fn real_for(rung: &str, test: &str) -> Option<Self> {
        let named = env::var_os("FIRECRACKER").filter(|value| !value.is_empty());
        let path = named.map(PathBuf::from).or_else(|| on_path("firecracker"));
        let server = path.map(|path| Self {
            path,
            is_real: true,
            directory: tempfile::tempdir().expect("a directory"),
        });
        let lacks = server.as_ref().map_or_else(
            || Some("none in $FIRECRACKER or on PATH, see ansible/firecracker.yml".to_owned()),
            |server| lacks(rung, server.driver("")),
        );
        if let Some(why) = lacks {
            skipped(format!("{test} on real Firecracker"), why);
            return None;
        }
        let version = server.as_ref().and_then(|server| server.path.to_str());
        let version = version.map(|path| version_of(path).unwrap_or_else(|e| e.to_string()));
        eprintln!("CONFORMANCE: real {}", version.unwrap_or_default());
        server
    }

    /// A directory of this server's own.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Makes the in-repo server misbehave from its next start on.
    pub fn misbehave(&self, how: &str) {
        assert!(!self.is_real);
        fs::write(self.directory().join("behaviour"), how).expect("written");
    }

    /// The driver with `words` for its arguments and this server for its Firecracker.
    pub fn driver(&self, words: &str) -> Command {
        let mut command = driver(&format!("--firecracker {} {words}", self.path.display()));
        if !self.is_real {
            command.env_remove("FIRECRACKER_JAILER");
        }
        command
    }

    /// [`Self::driver`], run to its end.
    pub fn run(&self, words: &str) -> Ended {
        driver_testkit::run(self.driver(words))
    }

    /// [`Self::driver`], running.
    pub fn start(&self, words: &str) -> Running {
        Running::start(self.driver(words))
    }

    /// [`Self::driver`] with `count` guests parked on `rung`.
    pub fn hold(&self, count: usize, rung: &str) -> Running {
        hold(self.driver(&format!("--memory-mib 16 hold {count} --rung {rung}")))
    }
}

/// The driver with `words`, separated by blanks, for its arguments.
pub fn driver(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_microvm-driver"));
    let words = words.split_whitespace();
    command.args(words).env_remove("FIRECRACKER");
    command
}

/// [`driver`], run to its end.
pub fn run(words: &str) -> Ended {
    driver_testkit::run(driver(words))
}

/// The running `driver`, once it has parked its guests.
pub fn hold(driver: Command) -> Running {
    let mut running = Running::start(driver);
    running.until(|message| matches!(message, Message::Parked { .. }));
    running
}

/// Why `driver` cannot run `rung` here; `None` if it can.
pub fn lacks(rung: &str, mut driver: Command) -> Option<String> {
    let ended = driver_testkit::run(driver.args(["info", "--json", "--rung", rung]));
    match ended.expect(0).messages().as_slice() {
        [Message::Rung { probe, .. }] => match probe {
            Probe::Ready => None,
            Probe::Unavailable { why, mend } => Some(format!("{why}, {mend}")),
        },
        other => panic!("{other:?}"),
    }
}

/// Checks that all `starts` went well, with these phases, which sum to the total.
pub fn assert_starts(ended: &Ended, starts: usize, phases: &str) {
    let messages = ended.expect(0).messages();
    assert_eq!(messages.last(), Some(&Message::Ended));
    let samples = ended.samples();
    assert_eq!(samples.len(), starts);
    for sample in &samples {
        assert_phases(sample, phases.split(' '));
    }
}

/// Checks that it ended with `exit` and said `words` of it.
pub fn assert_failed(ended: &Ended, exit: Exit, words: &str) {
    ended.expect(exit as i32);
    assert!(ended.stderr.contains(words), "{words}: {ended:?}");
}

/// Checks that `text` has all of `words`.
pub fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// Checks that nothing of the driver `pid` is left.
pub fn assert_nothing_left(pid: i32) {
    assert_eq!(left::behind(pid), [""; 0]);
}
