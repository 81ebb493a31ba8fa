//! Bad input, failing commands and signals.

use driver_testkit::{eventually, marked};
use nix::sys::signal::Signal;

use super::*;

#[test]
fn a_failing_command_is_reported_with_its_code_and_what_was_measured_is_kept() {
    let place = Place::new();
    let script = place.past_three_starts("exit 3");
    let output = run_script(&format!("--passes wall --json {}", place.file()), &script);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(4));
    assert!(said.contains("exit status: 3"), "{said}");
    assert!(said.contains("--ignore-failure"), "{said}");
    let kept = place.kept();
    assert_eq!(metric(&kept, "wall_ns")["summary"]["n"], 2);
    assert_eq!(kept["failures"][0]["how"], "exit status: 3");
    let output = run_script("--ignore-failure --passes wall -n 5", "kill -9 $$");
    assert!(output.status.success());
    let table = stdout(&output);
    assert!(
        table.contains("6 run(s) failed") && table.contains("SIGKILL"),
        "{table}"
    );
}

#[test]
fn wrong_command_lines_say_what_is_right() {
    for (arguments, says) in [
        ("-- no-such-command-here", "command not found"),
        ("-- /etc/passwd", "chmod +x"),
        ("-- /", "directory"),
        ("-n 0 -- true", "1 to 1000000"),
        ("-n 5000000 -- true", "1 to 1000000"),
        ("-n many -- true", "many"),
        ("--passes wal -- true", "did you mean `wall`?"),
        ("--jsn x -- true", "Did you mean"),
        ("", "CMD"),
        ("--input /no/such/file -- true", "/no/such/file"),
    ] {
        let output = run(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(said.contains(says), "{arguments}: {said}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_found_out_before_anything_runs() {
    let place = Place::new();
    let ran = place.path("ran");
    for bad in [
        "/no/such/directory/out.json",
        text(place.dir.path()),
        "/proc/out.json",
    ] {
        let output = run(&format!("--json {bad} -- touch {}", text(&ran)));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(5), "{bad}: {said}");
        assert!(said.contains(bad), "{said}");
        assert!(!ran.exists(), "{bad}");
    }
    // A full disk shows only when it is written to.
    let output = run("-n 1 --passes wall --json /dev/full -- true");
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
}

#[test]
fn what_outlives_the_command_is_reported_and_left_to_its_end() {
    for pass in ["wall", "memory"] {
        let place = Place::new();
        let mark = place.path("mark");
        let script = format!("(sleep 1; echo > {}) & exit 0", text(&mark));
        let output = run_script(&format!("-n 1 --warmup 0 --passes {pass}"), &script);
        assert!(output.status.success(), "{}", stderr(&output));
        let table = stdout(&output);
        assert!(table.contains("outlive"), "{pass}: {table}");
        eventually("the daemon's end", || mark.exists());
    }
}

#[test]
fn a_signal_ends_the_whole_tree_and_keeps_what_was_measured() {
    for (number, (signal, code, pass)) in [
        (Signal::SIGINT, 130, "wall"),
        (Signal::SIGTERM, 143, "wall"),
        (Signal::SIGINT, 130, "memory"),
        (Signal::SIGTERM, 143, "counters"),
    ]
    .into_iter()
    .enumerate()
    {
        let place = Place::new();
        let mark = format!("1{:06}{number}", std::process::id() % 1_000_000);
        // The fourth start leaves one process that flees its session and one that stays.
        let sleepers = format!("setsid sleep {mark} & sleep {mark}");
        let options = format!("--passes {pass} --json {}", place.file());
        let child = measure_script(&options, &place.past_three_starts(&sleepers))
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
        eventually("both sleepers", || marked(&sleeping) == 2);
        nix::sys::signal::kill(pid, signal).expect("it lives");
        let (status, table) = end(child);
        assert_eq!(status.code(), Some(code), "{pass}: {status}");
        assert_eq!(marked(&sleeping), 0, "{pass}: processes are left");
        assert!(table.contains("ended early"), "{table}");
        let kept = place.kept();
        assert_eq!(kept["interrupted"], true);
        let name = match pass {
            "wall" => "wall_ns",
            _ => "peak_pss_bytes",
        };
        assert_eq!(metric(&kept, name)["summary"]["n"], 2, "{pass}");
    }
}

#[test]
fn a_killed_run_keeps_the_passes_that_were_over() {
    let place = Place::new();
    let mark = format!("2{:07}", std::process::id() % 1_000_000);
    let options = format!("-n 2 --passes wall,memory --json {}", place.file());
    let script = place.past_three_starts(&format!("sleep {mark}"));
    let mut child = measure_script(&options, &script)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let sleeping = format!("sleep\0{mark}");
    eventually("the sleeper", || marked(&sleeping) == 1);
    child.kill().expect("it lives");
    child.wait().expect("a child");
    // Traced processes die with their tracer.
    eventually("the sleeper's end", || marked(&sleeping) == 0);
    assert_eq!(metric(&place.kept(), "wall_ns")["summary"]["n"], 2);
}

#[test]
fn a_tracer_lets_go_of_a_shell_that_is_starting_something() {
    // The subshell starts its first program just when the command ends: any moment must do.
    for _ in 0..5 {
        let script = "(for i in 1 2 3 4 5; do true; sleep 0.001; done) & (sleep 0.01) & exit 0";
        let output = run_script("-n 20 --warmup 0 --passes memory", script);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}
