//! Wrong command lines and places that cannot be written: found out before anything is measured.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use measure_core::base::exit::Exit;

use crate::tool::{Place, code, ended, host, prints, run, says, stderr, stdout, tool};

#[test]
fn help_teaches() {
    let output = run(&["--help"]);
    ended(&output, Exit::Ok);
    for word in [
        "EXAMPLES",
        "EXIT CODES",
        "quick",
        "doctor",
        "results/latest",
    ] {
        prints(&output, word);
    }
}

#[test]
fn unknown_names_and_absurd_numbers_are_refused_with_advice() {
    let _host = host();
    let cases: [(&[&str], &str); 10] = [
        (&["time", "--rungs", "thraed"], "did you mean `thread`?"),
        (&["time", "--iterations", "0"], "must be 1 to"),
        (&["time", "--iterations", "99999999999"], "must be 1 to"),
        (&["time", "--workers", "0"], "must be 1 to"),
        (&["time", "--repetitions", "0"], "must be 1 to"),
        (&["mem", "--counts", "0"], "must be 1 to"),
        (&["mem", "--counts", "1000000"], "must be 1 to 100000"),
        (&["time", "--function", "noop"], "user/function"),
        (&["time", "--functoin", "demo/noop"], "--function"),
        (&["tmie"], "time"),
    ];
    for (arguments, advice) in cases {
        let output = run(arguments);
        ended(&output, Exit::Usage);
        says(&output, advice);
        assert!(
            !stderr(&output).contains('\x1b'),
            "no colours where there is no terminal"
        );
    }
}

#[test]
fn an_output_that_cannot_be_written_is_found_out_first() {
    let place = Place::new();
    let file = place.dir.path().join("file");
    fs::write(&file, "").expect("write");
    let below = file.join("run");
    for bad in [below.to_str().expect("a path"), "/proc/run"] {
        let output = run(&["time", "--rungs", "thread", "--output", bad]);
        ended(&output, Exit::Output);
        says(&output, "--output");
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn a_directory_belongs_to_one_run() {
    let place = Place::new();
    fs::write(place.dir.path().join("samples.jsonl"), "{}\n").expect("write");
    let output = run(&[
        "time",
        "--rungs",
        "thread",
        "--output",
        place.dir.path().to_str().expect("a path"),
    ]);
    ended(&output, Exit::Usage);
    says(&output, "another run");
    assert_eq!(
        fs::read_to_string(place.dir.path().join("samples.jsonl")).expect("kept"),
        "{}\n"
    );
}

#[test]
fn a_report_of_nothing_makes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = dir.path().join("missing");
    let output = run(&["report", missing.to_str().expect("a path")]);
    ended(&output, Exit::Failed);
    says(&output, "samples.jsonl");
    assert!(!missing.exists());
}

#[test]
fn without_drivers_it_says_where_they_should_be() {
    let place = Place::new();
    let alone = place.dir.path().join("runtime_bench");
    fs::copy(env!("CARGO_BIN_EXE_runtime_bench"), &alone).expect("copy");
    let doctor = Command::new(&alone)
        .arg("doctor")
        .env("PATH", place.dir.path())
        .output()
        .expect("it starts");
    ended(&doctor, Exit::Ok);
    prints(&doctor, "neither beside this program nor on PATH");
    let time = Command::new(&alone)
        .args(["time", "--output"])
        .arg(&place.out)
        .env("PATH", place.dir.path())
        .output();
    let time = time.expect("it starts");
    assert!(
        [Exit::Unavailable as i32, Exit::Busy as i32].contains(&code(&time)),
        "{}",
        stderr(&time)
    );
}

#[test]
fn mem_says_that_it_needs_root() {
    if !nix::unistd::geteuid().is_root() {
        let output = run(&["mem", "--rungs", "thread"]);
        ended(&output, Exit::Unavailable);
        says(&output, "needs root");
        return;
    }
    // As nobody, from a place that nobody can read.
    let dir = tempfile::Builder::new()
        .prefix("nobody")
        .tempdir()
        .expect("a directory");
    let copy = dir.path().join("runtime_bench");
    fs::copy(env!("CARGO_BIN_EXE_runtime_bench"), &copy).expect("copy");
    fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("chmod");
    let output = Command::new(&copy)
        .args(["mem", "--rungs", "thread"])
        .uid(65534)
        .gid(65534)
        .output()
        .expect("it starts");
    ended(&output, Exit::Unavailable);
    says(&output, "needs root");
}

#[test]
fn strict_refuses_a_busy_host_and_the_default_warns() {
    let place = Place::new();
    let cpus = std::thread::available_parallelism().map_or(2, usize::from);
    let burners: Vec<_> = (0..cpus)
        .map(|_| {
            crate::tool::Running(
                Command::new("sh")
                    .args(["-c", "while :; do :; done"])
                    .spawn()
                    .expect("sh"),
            )
        })
        .collect();
    let output = run(&[
        "time",
        "--strict",
        "--rungs",
        "thread",
        "--output",
        place.out_text(),
    ]);
    drop(burners);
    ended(&output, Exit::Unavailable);
    says(&output, "--strict");
    says(&output, "CPUs busy");
    assert!(!place.out.exists(), "nothing is measured");
    let _ = tool();
}
