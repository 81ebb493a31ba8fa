//! What is killed, and what clears up after it.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use measure_core::contract::protocol::{ProtocolError, parse_line};
use measure_core::contract::run_dir::{RunDirError, read_samples};

use crate::error::{SoakError, Step};
use crate::room::SCRATCH;

/// Every driver: each clears up what it left itself.
pub const DRIVERS: [&str; 4] = [
    "process-driver",
    "faasm-driver",
    "microvm-driver",
    "docker-driver",
];

/// `runtime_bench`, its shortest run; `{}` are the rungs.
const BENCH: &str = "runtime_bench time --repetitions 1 --iterations 3 --isolated 1 --workers 1 --budget 1 --rungs ";

/// Command lines that need neither docker nor an emulator.
const QUICK: [&str; 18] = [
    "process-driver time 300 --rung process",
    "process-driver time 30 --rung runc",
    "process-driver time 30 --rung crun",
    "process-driver time 30 --rung bubblewrap",
    "process-driver hold 5 --rung process",
    "process-driver hold 3 --rung runc",
    "faasm-driver time 300 --rung wasm",
    "faasm-driver time 300 --rung faaslet",
    "faasm-driver time 30 --rung faaslet-new",
    "faasm-driver time 60 --rung faaslet-netns-new",
    "faasm-driver time 300 --rung faaslet-pooled --workers 4",
    "faasm-driver time 300 --rung proto-faaslet",
    "faasm-driver hold 10 --rung faaslet-netns",
    "faasm-driver hold 10 --rung faaslet",
    "microvm-driver time 100 --rung kvm-flat",
    "microvm-driver hold 3 --rung kvm-flat",
    "process,faaslet-netns-new",
    "runc,kvm-flat,faaslet",
];

/// Command lines that take seconds.
const SLOW: [&str; 9] = [
    "process-driver time 3 --rung podman",
    "process-driver time 10 --rung systemd-nspawn",
    "microvm-driver time 1 --rung qemu-tcg",
    "microvm-driver time 10 --rung firecracker-jailed",
    "docker-driver time 3 --rung docker-none",
    "docker-driver time 3 --rung docker-bridge",
    "docker-driver hold 2 --rung docker-bridge",
    "docker-driver time 3 --rung docker-precreated",
    "docker-none,docker-bridge",
];

/// Why what a victim wrote is not whole.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A driver's line.
    #[error(transparent)]
    Line(#[from] ProtocolError),
    /// The samples of `runtime_bench`.
    #[error(transparent)]
    Samples(#[from] RunDirError),
}

/// A command that can be killed.
#[derive(Debug, Clone)]
pub struct Victim {
    /// Its command line, without the directory.
    pub line: String,
}

/// All command lines, without what takes seconds if `quick`.
pub fn all(quick: bool) -> Vec<Victim> {
    let slow = if quick { &[][..] } else { &SLOW[..] };
    let line = |line: &&str| match line.contains(' ') {
        true => Victim {
            line: (*line).to_owned(),
        },
        false => Victim {
            line: format!("{BENCH}{line}"),
        },
    };
    QUICK.iter().chain(slow).map(line).collect()
}

/// A program of ours, beside this one.
pub fn program(name: &str) -> Result<PathBuf, SoakError> {
    let me = env::current_exe().step("find this program")?;
    Ok(me.with_file_name(name))
}

impl Victim {
    /// The program's name.
    pub fn name(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// Whether it runs until its standard input is closed.
    pub fn holds(&self) -> bool {
        self.line.contains(" hold ")
    }

    /// It, its files going to the scratch directory.
    ///
    /// # Errors
    /// These cannot be made.
    pub fn command(&self) -> Result<Command, SoakError> {
        let file = |name: &str| {
            let path = PathBuf::from(SCRATCH).join(name);
            fs::File::create(&path).step(format!("make {}", path.display()))
        };
        let mut command = Command::new(program(self.name())?);
        command
            .args(self.line.split(' ').skip(1))
            .current_dir(SCRATCH)
            .stdin(if self.holds() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(file("stdout")?)
            .stderr(file("stderr")?);
        if self.is_bench() {
            command.args(["--output", &results()]);
        }
        Ok(command)
    }

    /// Who removes what it left, by their names: it starts them all, or is one.
    pub fn cleaners(&self) -> Vec<&str> {
        if self.is_bench() {
            DRIVERS.to_vec()
        } else {
            vec![self.name()]
        }
    }

    /// Whether it is `runtime_bench`.
    fn is_bench(&self) -> bool {
        self.name() == "runtime_bench"
    }

    /// How many whole samples or lines it wrote.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn readable(&self) -> Result<usize, Unreadable> {
        if !self.is_bench() {
            let said = said("stdout");
            let whole = said
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let read = whole.map(|line| parse_line(line.trim_end()));
            return Ok(read.collect::<Result<Vec<_>, _>>()?.len());
        }
        let dir = PathBuf::from(results());
        if !dir.join("samples.jsonl").exists() {
            return Ok(0);
        }
        Ok(read_samples(&dir)?.samples.len())
    }
}

/// Where `runtime_bench` writes.
fn results() -> String {
    format!("{SCRATCH}/results")
}

/// Forgets what the last victim wrote.
pub fn forget() {
    // Where there was none there is nothing to remove.
    let _ = fs::remove_dir_all(results());
}

/// What the last victim wrote to `stream`.
pub fn said(stream: &str) -> String {
    let bytes = fs::read(PathBuf::from(SCRATCH).join(stream)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
