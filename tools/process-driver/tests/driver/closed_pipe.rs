//! A reader that goes away ends the driver quietly, with nothing of it left.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use driver_testkit::{PATIENCE, closed_pipe};
use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use crate::common::DRIVER;

fn driver(arguments: &[&str]) -> Command {
    let mut command = Command::new(DRIVER);
    command.args(arguments);
    command
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    for arguments in [
        &["info"][..],
        &["info", "--json"],
        &["time", "1000000", "--rung", "thread"],
        &["hold", "3", "--rung", "thread"],
        &["--help"],
    ] {
        closed_pipe::ends_quietly(&mut driver(arguments));
    }
}

/// `| head`, in mid-run: processes are under way.
#[test]
fn a_reader_that_has_seen_enough_ends_the_run_and_all_its_processes() {
    let store = tempfile::tempdir().expect("a directory");
    let directory = store.path().join("demo/true");
    std::fs::create_dir_all(&directory).expect("made");
    std::fs::write(directory.join("command"), "/bin/true\n").expect("written");
    let mut child = driver(&["--store", store.path().to_str().expect("plain")])
        .args(["time", "1000000", "--rung", "process", "--function"])
        .args(["demo/true", "--workers", "2"])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the driver starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let sample = lines.find(|line| {
        let line = line.as_ref().expect("text");
        line.contains(r#""msg":"sample""#)
    });
    assert!(sample.is_some(), "it starts processes");
    drop(lines);
    let closed = Instant::now();
    let status = child.wait().expect("a child");
    assert!(closed.elapsed() < PATIENCE, "not at its own end");
    let mut said = String::new();
    let mut errors = child.stderr.take().expect("piped");
    errors.read_to_string(&mut said).expect("text");
    assert!(status.success() && said.is_empty(), "{status}: {said}");
    let group = Pid::from_raw(child.id().cast_signed());
    assert_eq!(killpg(group, None), Err(Errno::ESRCH), "nothing is left");
}
