//! A process tree that does nothing, for tests and benchmarks of whatever walks trees: by `#[path]`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A shell and its sleeping children, in a process group of their own; killed when dropped.
pub struct Sleepers {
    shell: Child,
    /// The shell's id, then its children's.
    pub pids: Vec<i32>,
}

impl Sleepers {
    /// Returns when every child is past its exec.
    pub fn start(children: usize) -> Self {
        let script = "for i in $(seq $0); do sleep 600 & echo $!; done; echo; wait";
        let mut shell = Command::new("sh")
            .args(["-c", script, &children.to_string()])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let out = BufReader::new(shell.stdout.take().expect("piped"));
        let lines = out.lines().map_while(Result::ok);
        let mut pids = vec![shell.id().cast_signed()];
        pids.extend(lines.map_while(|line| line.parse::<i32>().ok()));
        // Until its exec a child is a copy of the shell, name and all.
        for pid in &pids[1..] {
            let comm = format!("/proc/{pid}/comm");
            while fs::read_to_string(&comm).is_ok_and(|name| name.trim() != "sleep") {
                std::thread::yield_now();
            }
        }
        Self { shell, pids }
    }

    /// The shell.
    pub fn root(&self) -> i32 {
        self.pids[0]
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.root()), Signal::SIGKILL);
        let _ = self.shell.wait();
    }
}
