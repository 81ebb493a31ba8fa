//! A host that is a tree of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use measure_core::base::exit::Exit;
use tempfile::TempDir;

pub const CPU: &str = "sys/devices/system/cpu";
pub const HUGE_PAGES: &str = "sys/kernel/mm/transparent_hugepage/enabled";

/// A server: each of its files, what it says as it is found, and what when it is quiet.
const FILES: &str = "
sys/devices/system/cpu/online                            0-3        0-3
sys/devices/system/cpu/cpufreq/policy0/scaling_governor  schedutil  performance
sys/devices/system/cpu/cpufreq/policy2/scaling_governor  powersave  performance
sys/devices/system/cpu/cpufreq/boost                     1          0
sys/kernel/mm/transparent_hugepage/enabled               always     madvise
proc/irq/0/smp_affinity_list                             0-3        0
proc/irq/9/smp_affinity_list                             1          0
proc/irq/24/smp_affinity_list                            2,3        0
sys/devices/system/cpu/smt/control                       on         off
proc/sys/kernel/random/boot_id                           first      first
proc/sys/kernel/randomize_va_space                       2          2
proc/7/comm                                              sshd       sshd
";

/// The lines of [`FILES`]: file, as found, quiet.
pub fn files() -> impl Iterator<Item = [String; 3]> {
    let lines = FILES.lines().filter(|line| !line.is_empty());
    lines.map(|line| {
        let mut words = line.split_whitespace();
        let file = words.next().expect("a file").to_owned();
        let mut text = || format!("{}\n", words.next().expect("a value"));
        [file, text(), text()]
    })
}

/// A host of files.
pub struct Host(pub TempDir);

impl Host {
    pub fn new() -> Self {
        let host = Self(tempfile::tempdir().expect("a directory"));
        for [file, found, _] in files() {
            host.set(&file, &found);
        }
        host
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub fn set(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub fn get(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).expect("read")
    }

    pub fn state(&self) -> PathBuf {
        self.path("run/faasm-bench/tune.json")
    }

    /// All that the kernel of this host says.
    pub fn all(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        for top in ["sys", "proc"] {
            collect(&self.path(top), &mut all);
        }
        all
    }

    pub fn tune(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
        command.args(["tune", "--root"]).arg(self.0.path());
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `tune` and expects it to end with `exit`; returns all that it said.
    #[track_caller]
    pub fn expect(&self, arguments: &[&str], exit: Exit) -> String {
        let output = self.tune(arguments).output().expect("the tool");
        assert_eq!(
            output.status.code(),
            Some(exit as i32),
            "{arguments:?}: {output:?}"
        );
        said(&output)
    }

    /// Puts back, and checks that the host is as it was `before` and that nothing is left to be put back.
    #[track_caller]
    pub fn expect_restored(&self, before: &BTreeMap<PathBuf, Vec<u8>>) {
        self.expect(&["off"], Exit::Ok);
        assert_eq!(&self.all(), before);
        let left = fs::read_dir(self.path("run/faasm-bench")).expect("made");
        let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["tune.lock"]);
    }
}

fn collect(path: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory").flatten() {
            collect(&entry.path(), all);
        }
    } else {
        all.insert(path.to_owned(), fs::read(path).expect("read"));
    }
}

pub fn said(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}
