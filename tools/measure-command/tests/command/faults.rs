//! Bad input, failing commands and signals.

use super::*;

#[test]
fn a_failing_command_is_reported_with_its_code_and_what_was_measured_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let (count, file) = (dir.path().join("count"), dir.path().join("out.json"));
    // Fails from the fourth start on.
    let script = format!(
        "echo >> {0}; [ $(wc -l < {0}) -lt 4 ] || exit 3",
        text(&count)
    );
    let arguments = [
        "--passes",
        "wall",
        "--json",
        text(&file),
        "--",
        "sh",
        "-c",
        &script,
    ];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        stderr(&output).contains("exit status: 3"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("--ignore-failure"),
        "{}",
        stderr(&output)
    );
    let kept: Value = serde_json::from_slice(&fs::read(&file).expect("kept")).expect("JSON");
    assert_eq!(metric(&kept, "wall_ns")["summary"]["n"], 2);
    assert_eq!(kept["failures"][0]["how"], "exit status: 3");
    let output = run(&[
        "--ignore-failure",
        "--passes",
        "wall",
        "-n",
        "5",
        "--",
        "sh",
        "-c",
        "kill -9 $$",
    ]);
    assert!(output.status.success());
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(
        table.contains("6 run(s) failed") && table.contains("SIGKILL"),
        "{table}"
    );
}

#[test]
fn wrong_command_lines_say_what_is_right() {
    for (arguments, code, says) in [
        (&["--", "no-such-command-here"][..], 2, "command not found"),
        (&["--", "/etc/passwd"], 2, "chmod +x"),
        (&["--", "/"], 2, "directory"),
        (&["-n", "0", "--", "true"], 2, "1 to 1000000"),
        (&["-n", "5000000", "--", "true"], 2, "1 to 1000000"),
        (&["-n", "many", "--", "true"], 2, "many"),
        (
            &["--passes", "wal", "--", "true"],
            2,
            "did you mean `wall`?",
        ),
        (&["--jsn", "x", "--", "true"], 2, "Did you mean"),
        (&[], 2, "CMD"),
        (
            &["--input", "/no/such/file", "--", "true"],
            2,
            "/no/such/file",
        ),
    ] {
        let output = run(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(says),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn an_output_that_cannot_be_written_is_found_out_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = dir.path().join("ran");
    for bad in [
        "/no/such/directory/out.json",
        text(dir.path()),
        "/proc/out.json",
    ] {
        let output = run(&["--json", bad, "--", "touch", text(&ran)]);
        assert_eq!(output.status.code(), Some(5), "{bad}: {}", stderr(&output));
        assert!(stderr(&output).contains(bad), "{}", stderr(&output));
        assert!(!ran.exists(), "{bad}");
    }
    // A full disk shows only when it is written to.
    let output = run(&[
        "-n",
        "1",
        "--passes",
        "wall",
        "--json",
        "/dev/full",
        "--",
        "true",
    ]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
}

#[test]
fn what_outlives_the_command_is_reported_and_left_to_its_end() {
    for pass in ["wall", "memory"] {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("mark");
        let script = format!("(sleep 1; echo > {}) & exit 0", text(&mark));
        let output = run(&[
            "-n", "1", "--warmup", "0", "--passes", pass, "--", "sh", "-c", &script,
        ]);
        assert!(output.status.success(), "{}", stderr(&output));
        let table = String::from_utf8_lossy(&output.stdout);
        assert!(table.contains("outlive"), "{pass}: {table}");
        wait_for("the daemon's end", || mark.exists());
    }
}

#[test]
fn a_signal_ends_the_whole_tree_and_keeps_what_was_measured() {
    for (number, (signal, code, pass)) in [
        (libc::SIGINT, 130, "wall"),
        (libc::SIGTERM, 143, "wall"),
        (libc::SIGINT, 130, "memory"),
        (libc::SIGTERM, 143, "counters"),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = tempfile::tempdir().expect("a directory");
        let (count, file) = (dir.path().join("count"), dir.path().join("out.json"));
        let mark = format!("1{:06}{number}", std::process::id() % 1_000_000);
        // The fourth start leaves one process that flees its session and one that stays.
        let script = format!(
            "echo >> {0}; [ $(wc -l < {0}) -lt 4 ] || {{ setsid sleep {mark} & sleep {mark}; }}",
            text(&count)
        );
        let child = measure_core(&[
            "--passes",
            pass,
            "--json",
            text(&file),
            "--",
            "sh",
            "-c",
            &script,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        if pass == "counters" && !counters_count() {
            eprintln!("SKIPPED: a signal in the counters pass: no hardware counters here");
            end(child);
            continue;
        }
        let sleeping = format!("sleep\0{mark}");
        wait_for("both sleepers", || marked(&sleeping) == 2);
        nix::sys::signal::kill(
            pid,
            nix::sys::signal::Signal::try_from(signal).expect("known"),
        )
        .expect("it lives");
        let (status, table) = end(child);
        assert_eq!(
            status.code(),
            Some(code),
            "{pass}, signal {:?}",
            status.signal()
        );
        assert_eq!(marked(&sleeping), 0, "{pass}: processes are left");
        assert!(table.contains("ended early"), "{table}");
        let kept: Value = serde_json::from_slice(&fs::read(&file).expect("kept")).expect("JSON");
        assert_eq!(kept["interrupted"], true);
        let name = if pass == "wall" {
            "wall_ns"
        } else {
            "peak_pss_bytes"
        };
        assert_eq!(metric(&kept, name)["summary"]["n"], 2, "{pass}");
    }
}

#[test]
fn a_killed_run_keeps_the_passes_that_were_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let (count, file) = (dir.path().join("count"), dir.path().join("out.json"));
    let mark = format!("2{:07}", std::process::id() % 1_000_000);
    let script = format!(
        "echo >> {0}; [ $(wc -l < {0}) -lt 4 ] || sleep {mark}",
        text(&count)
    );
    let mut child = measure_core(&[
        "-n",
        "2",
        "--passes",
        "wall,memory",
        "--json",
        text(&file),
        "--",
        "sh",
        "-c",
        &script,
    ])
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .spawn()
    .expect("it starts");
    let sleeping = format!("sleep\0{mark}");
    wait_for("the sleeper", || marked(&sleeping) == 1);
    child.kill().expect("it lives");
    child.wait().expect("a child");
    // Traced processes die with their tracer.
    wait_for("the sleeper's end", || marked(&sleeping) == 0);
    let kept: Value = serde_json::from_slice(&fs::read(&file).expect("kept")).expect("JSON");
    assert_eq!(metric(&kept, "wall_ns")["summary"]["n"], 2);
}

#[test]
fn a_tracer_lets_go_of_a_shell_that_is_starting_something() {
    // The subshell starts its first program just when the command ends: any moment must do.
    for _ in 0..5 {
        let script = "(for i in 1 2 3 4 5; do true; sleep 0.001; done) & (sleep 0.01) & exit 0";
        let output = run(&[
            "-n", "20", "--warmup", "0", "--passes", "memory", "--", "sh", "-c", script,
        ]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}
