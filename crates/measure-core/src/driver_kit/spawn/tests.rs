use std::io::{Read, Seek, SeekFrom};
use std::process::Command;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn null() -> File {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .expect("/dev/null")
}

const NO_PROGRAMS: [(&str, c_int); 3] = [
    ("/nonexistent", libc::ENOENT),
    ("/etc/passwd", libc::EACCES),
    ("/", libc::EACCES),
];

fn start(path: &str, arguments: &[&str]) -> io::Result<Child> {
    let null = null();
    let arguments = arguments.iter().map(OsStr::new);
    let program = Program::new(Path::new(path), arguments, [("GREETING", "hello")])?;
    program.spawn([null.as_fd(); 3])
}

#[test]
fn exit_codes_come_back() {
    for (program, code) in [("/bin/true", 0), ("/bin/false", 1)] {
        let mut child = start(program, &[]).expect("started");
        assert!(child.ended(LONG).expect("waited"));
        let pid = child.pid;
        assert_eq!(child.reap().expect("reaped"), WaitStatus::Exited(pid, code));
    }
}

#[test]
fn what_cannot_be_executed_is_told() {
    for (program, error) in NO_PROGRAMS {
        let outcome = start(program, &[]).expect_err("no program");
        assert_eq!(outcome.raw_os_error(), Some(error), "{program}");
    }
    let nul = start("/bin/true", &["a\0b"]).expect_err("a NUL byte");
    assert_eq!(nul.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn arguments_environment_and_streams_arrive() {
    let mut out = tempfile::tempfile().expect("a file");
    let program = Program::new(
        Path::new("/bin/sh"),
        [
            "-c",
            "printf '%s|' \"$1\" \"$GREETING\"; env | wc -l",
            "sh",
            "one two",
        ]
        .map(OsStr::new),
        [("GREETING", "hello")],
    )
    .expect("a program");
    let null = null();
    let mut child = program
        .spawn([null.as_fd(), out.as_fd(), null.as_fd()])
        .expect("started");
    child.reap().expect("reaped");
    let mut text = String::new();
    out.seek(SeekFrom::Start(0)).expect("a file");
    out.read_to_string(&mut text).expect("text");
    // The shell adds PWD, `_` and the like, nothing of ours.
    let (said, count) = text.rsplit_once('|').expect("two parts");
    assert_eq!(said, "one two|hello");
    assert!(
        count.trim().parse::<u32>().expect("a number") <= 5,
        "{count}"
    );
}

#[test]
fn one_that_never_ends_is_given_up_on_and_killed() {
    let mut child = start("/bin/sleep", &["1000"]).expect("started");
    assert!(!child.ended(Duration::from_millis(20)).expect("waited"));
    child.kill();
    assert!(child.ended(LONG).expect("waited"));
    let pid = child.pid;
    assert_eq!(
        child.reap().expect("reaped"),
        WaitStatus::Signaled(pid, Signal::SIGKILL, false)
    );
}

#[test]
fn a_dropped_child_leaves_no_process() {
    let pid = start("/bin/sleep", &["1000"]).expect("started").pid;
    assert_eq!(kill(pid, None), Err(Errno::ESRCH));
}

#[test]
fn the_callers_signal_mask_is_put_back() {
    let before = SigSet::thread_get_mask().expect("a mask");
    let mut child = start("/bin/true", &[]).expect("started");
    child.reap().expect("reaped");
    assert_eq!(SigSet::thread_get_mask().expect("a mask"), before);
    let pid = start_bare(&["/bin/true"]).expect("started");
    waitpid(pid, None).expect("ended");
    assert_eq!(SigSet::thread_get_mask().expect("a mask"), before);
}

fn start_bare(words: &[&str]) -> io::Result<Pid> {
    let null = null();
    let words = words.iter().map(|word| CString::new(*word));
    let program = Program::from_words(words.collect::<Result<_, _>>()?)?;
    program.spawn_bare(null.as_fd(), null.as_fd())
}

#[test]
fn exit_codes_of_a_bare_start_come_back() {
    for (program, code) in [("/bin/true", 0), ("/bin/false", 1)] {
        let pid = start_bare(&[program]).expect("started");
        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, code)));
    }
}

#[test]
fn what_cannot_be_executed_bare_is_told_and_leaves_no_child() {
    for (program, error) in NO_PROGRAMS {
        let outcome = start_bare(&[program]).expect_err("no program");
        assert_eq!(outcome.raw_os_error(), Some(error), "{program}");
    }
    let nothing = start_bare(&[]).expect_err("no word");
    assert_eq!(nothing.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn an_open_file_is_executed_whatever_its_name_has_become() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("program");
    // By another process: what this one has open for writing any of its threads that starts a process passes on, and it cannot
    // be executed meanwhile.
    let copy = |program: &str| {
        let copied = Command::new("cp").arg(program).arg(&path).status();
        assert!(copied.is_ok_and(|status| status.success()));
    };
    copy("/bin/true");
    let executable = File::open(&path).expect("there");
    std::fs::remove_file(&path).expect("removed");
    copy("/bin/false");
    let words = vec![CString::new(path.as_os_str().as_bytes()).expect("a path")];
    let program = Program::from_words(words).expect("a word");
    let null = null();
    let pid = program
        .executing(executable)
        .spawn_bare(null.as_fd(), null.as_fd())
        .expect("started");
    assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 0)));
}

#[test]
fn a_bare_start_stays_in_the_group_and_any_other_leads_one() {
    let group = |pid: Pid| nix::unistd::getpgid(Some(pid)).expect("a group");
    let child = start("/bin/sleep", &["1000"]).expect("started");
    assert_eq!(group(child.pid), child.pid);
    let pid = start_bare(&["/bin/sleep", "1000"]).expect("started");
    assert_eq!(group(pid), group(getpid()));
    kill(pid, Signal::SIGKILL).expect("killed");
    waitpid(pid, None).expect("ended");
}

#[test]
fn many_threads_start_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let pid = start_bare(&["/bin/true"]).expect("started");
                    assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 0)));
                }
            });
        }
    });
}
