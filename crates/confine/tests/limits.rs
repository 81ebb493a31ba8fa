//! Each limit, against a program that passes it.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use confine::{ConfineError, Files, Job, Limits, run};

/// Nothing here takes as long, however slow the host.
const PATIENCE: Duration = Duration::from_secs(120);

fn limits() -> Limits {
    Limits {
        cpu_time: Duration::from_secs(60),
        wall_time: PATIENCE,
        memory_bytes: 256 << 20,
        file_bytes: 1 << 20,
        open_files: 64,
    }
}

fn sh_with(
    script: &str,
    input: &[u8],
    limits: &Limits,
    files: Option<Files>,
    given_up: &dyn Fn() -> bool,
) -> Result<String, ConfineError> {
    let job = Job {
        program: Path::new("/bin/sh"),
        arguments: ["-c", script].map(OsString::from).to_vec(),
        environment: vec![("PATH", "/usr/bin:/bin".into())],
        input,
        limits,
        files,
    };
    let output = run(&job, given_up)?.read().expect("read");
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn sh(script: &str, limits: &Limits) -> Result<String, ConfineError> {
    sh_with(script, b"", limits, Some(Files::default()), &|| false)
}

#[test]
fn what_goes_in_comes_out() {
    let input = vec![b'x'; 500_000];
    let output = sh_with("cat; echo \"$HOME\"", &input, &limits(), None, &|| false);
    assert_eq!(output.expect("well").len(), 500_001);
}

#[test]
fn each_limit_ends_it_and_is_named() {
    let one = Limits {
        cpu_time: Duration::from_millis(900),
        ..limits()
    };
    let error = sh("while :; do :; done", &one).expect_err("endless");
    assert!(matches!(error, ConfineError::CpuTime(_)), "{error}");

    let short = Limits {
        wall_time: Duration::from_millis(300),
        ..limits()
    };
    let error = sh("sleep 1000", &short).expect_err("sleeps");
    assert!(matches!(error, ConfineError::WallTime(_)), "{error}");

    let error =
        sh("exec perl -e '$x = q(x) x 600_000_000; print 1'", &limits()).expect_err("takes memory");
    assert!(matches!(error, ConfineError::Memory(_)), "{error}");
    assert!(error.to_string().contains("256 MiB"), "{error}");

    let error = sh(
        "exec cat /bin/sh /bin/sh /bin/sh /bin/sh /bin/sh /bin/sh /bin/sh /bin/sh /bin/sh /bin/sh",
        &limits(),
    )
    .expect_err("writes");
    assert!(matches!(error, ConfineError::FileSize(_)), "{error}");

    let error = sh("echo no luck >&2; exit 3", &limits()).expect_err("fails");
    assert_eq!(error.to_string(), "exit code 3 (it said: no luck)");
}

#[test]
fn it_is_the_first_to_go_where_the_host_has_no_memory_left() {
    let script = "cat /proc/self/oom_score_adj";
    let own = sh_with(script, b"", &limits(), None, &|| false);
    assert_eq!(own.expect("readable"), "1000\n");
}

#[test]
fn what_is_given_up_is_killed_with_all_that_it_started() {
    let begun = Instant::now();
    let given_up = || begun.elapsed() > Duration::from_millis(200);
    let mark = format!("1000.{}", std::process::id());
    let script = format!("sleep {mark} & sleep {mark}");
    let error = sh_with(&script, b"", &limits(), None, &given_up).expect_err("given up");
    assert!(matches!(error, ConfineError::GivenUp), "{error}");
    let left = || {
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        processes
            .filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok())
            .filter(|line| line.starts_with("sleep\0") && line.contains(&mark))
            .count()
    };
    // What it started is collected by the system's first process, at its leisure.
    while left() > 0 {
        assert!(begun.elapsed() < PATIENCE, "it lives on");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn no_network_is_reached_and_no_other_process() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let victim = std::process::id();
    for (what, script) in [
        (
            "network",
            format!(
                "exec perl -e 'use Socket; socket(S, PF_INET, SOCK_STREAM, 0) or die $!; connect(S, sockaddr_in({port}, INADDR_LOOPBACK)) or die $!'"
            ),
        ),
        (
            "unix socket",
            "exec perl -e 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0) or die $!'".to_owned(),
        ),
        ("signal", format!("kill -0 {victim}")),
        ("limits", "ulimit -t unlimited".to_owned()),
        ("group", "exec perl -e 'setpgrp(0, 0) or die $!'".to_owned()),
    ] {
        // It does so where nothing keeps it from it.
        if what != "limits" {
            sh_with(&script, b"", &limits(), None, &|| false)
                .unwrap_or_else(|e| panic!("{what}: {e}"));
        }
        let error = sh(&script, &limits()).expect_err(what);
        assert!(
            error.to_string().contains("not permitted"),
            "{what}: {error}"
        );
    }
}

#[test]
fn only_the_directories_given_are_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let (open, closed) = (dir.path().join("open"), dir.path().join("closed"));
    for dir in [&open, &closed] {
        std::fs::create_dir(dir).expect("a directory");
        std::fs::write(dir.join("secret"), "secret").expect("written");
    }
    let files = Files {
        readable: vec![],
        writable: vec![open.clone()],
    };
    let read = |dir: &Path| {
        let script = format!("cd / && cat {}/secret && echo >{0}/new", dir.display());
        sh_with(&script, b"", &limits(), Some(files.clone()), &|| false)
    };
    assert_eq!(read(&open).expect("readable"), "secret");
    match read(&closed) {
        Err(error) => assert!(error.to_string().contains("denied"), "{error}"),
        Ok(_) => {
            println!("SKIPPED: only the directories given are seen: this kernel has no Landlock")
        }
    }
}
