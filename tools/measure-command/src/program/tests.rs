//! Real programs, and what is none.

use super::*;

fn program(words: &[&str]) -> Result<Program, ProgramError> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    Program::find(&words, Streams::null().expect("/dev/null"))
}

#[test]
fn a_program_runs_and_its_end_is_known() {
    let three = program(&["sh", "-c", "exit 3"]).expect("a shell");
    let ended = three.run().expect("started");
    assert_eq!(ended.status.code(), Some(3));
    assert!(ended.wall_ns > 0);
    assert!(ended.usage.minor_faults > 0, "{:?}", ended.usage);
    let killed = program(&["sh", "-c", "kill -9 $$"]).expect("a shell");
    assert_eq!(killed.run().expect("started").status.signal(), Some(9));
}

#[test]
fn children_do_not_inherit_ignored_signals() {
    let broken = program(&["sh", "-c", "kill -PIPE $$; exit 0"]).expect("a shell");
    let ended = broken.run().expect("started");
    assert_eq!(ended.status.signal(), Some(libc::SIGPIPE));
}

#[test]
fn cpu_time_of_grandchildren_is_included() {
    let busy = program(&[
        "sh",
        "-c",
        "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'; true",
    ])
    .expect("a shell");
    let usage = busy.run().expect("started").usage;
    assert!(usage.user_ns + usage.system_ns > 10_000_000, "{usage:?}");
}

#[test]
fn what_is_no_program_is_refused_before_it_is_started() {
    let of = |words: &[&str]| program(words).expect_err("refused");
    for name in ["no-such-command-here", ""] {
        assert!(matches!(of(&[name]), ProgramError::NotInPath(_)));
    }
    assert!(matches!(of(&["/no/such/file"]), ProgramError::NoFile(_)));
    for (path, why) in [("/etc/passwd", Errno::EACCES), ("/tmp", Errno::EISDIR)] {
        let error = of(&[path]);
        assert!(matches!(error, ProgramError::NotExecutable { errno, .. } if errno == why));
    }
    assert!(matches!(of(&["sh", "a\0b"]), ProgramError::Nul));
}

#[test]
fn a_file_that_only_looks_like_a_program_says_so_when_started() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("script");
    let text = dir.path().join("text");
    std::fs::write(&text, "echo no interpreter line\n").expect("written");
    // By another process: a child that another test forks meanwhile would hold it open for writing, and it could not be started.
    let copied = Command::new("cp").args([&text, &path]).status();
    assert!(copied.expect("cp").success());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("set");
    let error = program(&[path.to_str().expect("text")])
        .expect("found")
        .run()
        .expect_err("not started");
    assert!(error.to_string().contains("#!/bin/sh"), "{error}");
}
