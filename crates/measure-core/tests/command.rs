//! The real executable on real commands.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

fn measure_core(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure-core"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    let child = measure_core(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let (send, receive) = std::sync::mpsc::channel();
    thread::spawn(move || send.send(child.wait_with_output()));
    match receive.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("its output"),
        Err(_) => {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            panic!("{arguments:?} does not end");
        }
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs with JSON on standard output.
fn json(arguments: &[&str]) -> Value {
    let output = run(&[&["--json", "-"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn metric<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["metrics"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|metric| metric["name"] == name)
        .unwrap_or_else(|| panic!("{name} is missing"))
}

fn median(report: &Value, name: &str) -> f64 {
    let metric = metric(report, name);
    metric["summary"]["median"]
        .as_f64()
        .unwrap_or_else(|| panic!("{metric}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn every_metric_has_its_spread_or_a_reason() {
    let report = json(&["-n", "6", "--", "sh", "-c", "sleep 0.02"]);
    let names = [
        "wall_ns",
        "cpu_ns",
        "user_ns",
        "system_ns",
        "read_bytes",
        "write_bytes",
        "minor_faults",
        "major_faults",
        "voluntary_switches",
        "involuntary_switches",
        "cpu_cycles",
        "instructions",
        "peak_pss_bytes",
        "peak_rss_bytes",
        "largest_process_rss_bytes",
    ];
    for name in names {
        let metric = metric(&report, name);
        if let Some(why) = metric["unavailable"].as_str() {
            assert!(why.len() > 20, "{name}: {why}");
            eprintln!("SKIPPED: {name}: {why}");
            continue;
        }
        assert_eq!(metric["values"].as_array().map(Vec::len), Some(6), "{name}");
        let summary = &metric["summary"];
        assert_eq!(summary["n"], 6, "{name}");
        for value in ["min", "median", "mad", "max", "mean"] {
            assert!(summary[value].is_number(), "{name} {value}");
        }
        assert!(summary["interval"]["lo"].is_number(), "{name}");
    }
    assert!(median(&report, "wall_ns") >= 20e6);
    assert!(median(&report, "minor_faults") > 10.0);
    assert!(median(&report, "voluntary_switches") >= 1.0);
    assert!(report["environment"]["system"]["kernel"]["value"].is_string());
    assert_eq!(report["interrupted"], false);
}

#[test]
fn the_table_names_everything_and_is_quiet_where_no_one_watches() {
    let output = run(&["-n", "5", "--", "true"]);
    assert!(output.status.success());
    let table = String::from_utf8_lossy(&output.stdout);
    for row in [
        "wall time",
        "CPU time",
        "CPU cycles",
        "peak PSS",
        "peak RSS",
        "page faults",
        "switches",
    ] {
        assert!(table.contains(row), "{row} in {table}");
    }
    assert!(!stderr(&output).contains('\r'), "{}", stderr(&output));
}

#[test]
fn progress_is_shown_on_a_terminal() {
    let exe = env!("CARGO_BIN_EXE_measure-core");
    let line = format!("{exe} -n 2 --warmup 0 --passes wall -- sleep 0.3");
    match Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .output()
    {
        Ok(output) => {
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(
                shown.contains("wall 1/2") && shown.contains("wall 2/2"),
                "{shown}"
            );
        }
        Err(error) => eprintln!("SKIPPED: progress_is_shown_on_a_terminal: no `script`: {error}"),
    }
}

#[test]
fn arguments_are_the_commands_whatever_they_look_like() {
    for separator in [&["--"][..], &[]] {
        let words = [
            "sh",
            "-c",
            "[ \"$1\" = --json ] && [ \"$2\" = -n ] && [ $# = 2 ]",
            "name",
            "--json",
            "-n",
        ];
        let output = run(&[&["-n", "1", "--passes", "wall"], separator, &words].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

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
fn an_existing_file_is_replaced_whole_and_nothing_lies_beside_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("out.json");
    fs::write(&file, "old").expect("written");
    let output = run(&["-n", "1", "--json", text(&file), "--", "true"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let _: Value = serde_json::from_slice(&fs::read(&file).expect("there")).expect("JSON");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
}

#[test]
fn output_is_shown_only_on_demand_and_input_is_given() {
    let dir = tempfile::tempdir().expect("a directory");
    let input = dir.path().join("input");
    fs::write(&input, "from the file").expect("written");
    let common = ["-n", "1", "--passes", "wall", "--input", text(&input)];
    let quiet = run(&[&common[..], &["--", "cat"]].concat());
    assert!(!String::from_utf8_lossy(&quiet.stdout).contains("from the file"));
    let loud = run(&[&common[..], &["--show-output", "--", "cat"]].concat());
    // The second start finds the shared offset at the end, as a shell's loop would.
    assert!(String::from_utf8_lossy(&loud.stdout).contains("from the file"));
}

#[test]
fn grandchildren_count_in_cpu_time_and_memory() {
    let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; head -c 60000000 /dev/zero | tail";
    let report = json(&["-n", "2", "--warmup", "0", "--", "sh", "-c", script]);
    assert!(median(&report, "cpu_ns") > 20e6);
    for name in [
        "peak_pss_bytes",
        "peak_rss_bytes",
        "largest_process_rss_bytes",
    ] {
        let bytes = median(&report, name);
        assert!((60e6..240e6).contains(&bytes), "{name}: {bytes}");
    }
    let (pss, rss) = (
        median(&report, "peak_pss_bytes"),
        median(&report, "peak_rss_bytes"),
    );
    assert!(pss <= rss, "PSS {pss}, RSS {rss}");
}

#[test]
fn a_process_too_short_to_sample_is_weighed_at_its_exit() {
    let report = json(&["-n", "5", "--passes", "memory", "--", "true"]);
    let pss = metric(&report, "peak_pss_bytes");
    if let Some(why) = pss["unavailable"].as_str() {
        return eprintln!("SKIPPED: a_process_too_short_to_sample_is_weighed_at_its_exit: {why}");
    }
    // A page at least, and less than this program, whose memory it borrowed before its exec.
    assert!(
        (4096.0..2e6).contains(&median(&report, "peak_pss_bytes")),
        "{pss}"
    );
    assert!((4096.0..4e6).contains(&median(&report, "largest_process_rss_bytes")));
}

#[test]
fn what_is_written_to_storage_counts() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory");
    let file = dir.path().join("file");
    let output = format!("of={}", text(&file));
    let report = json(&[
        "-n",
        "2",
        "--passes",
        "wall",
        "--",
        "dd",
        "if=/dev/zero",
        &output,
        "bs=1M",
        "count=4",
        "conv=fsync",
    ]);
    let bytes = median(&report, "write_bytes");
    if bytes == 0.0 {
        return eprintln!(
            "SKIPPED: what_is_written_to_storage_counts: no block device below the checkout"
        );
    }
    assert!(bytes >= 4.0 * 1024.0 * 1024.0, "{bytes}");
}

#[test]
fn a_traced_command_behaves_as_it_would_alone() {
    for script in [
        // Signals arrive, ordinary and real-time.
        "trap 'exit 0' USR1; kill -USR1 $$; sleep 5; exit 1",
        // Stopped by someone and continued by someone.
        "(sleep 0.1; kill -CONT $$) & kill -STOP $$; wait; exit 0",
        // Many short children, threads of a pipeline at once.
        "for i in 1 2 3 4 5 6 7 8 9 10; do true | cat | cat; (exit 3) || true; done",
        // An exec that fails, and one that replaces the shell.
        "/no/such/program 2> /dev/null; exec true",
        // A child that dies of a signal.
        "sh -c 'kill -SEGV $$' 2> /dev/null; [ $? = 139 ]",
    ] {
        let output = run(&["-n", "3", "--passes", "memory", "--", "sh", "-c", script]);
        assert!(output.status.success(), "{script}: {}", stderr(&output));
    }
    let output = run(&[
        "-n",
        "1",
        "--passes",
        "memory",
        "--",
        "sh",
        "-c",
        "kill -40 $$",
    ]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        stderr(&output).contains("signal: 40"),
        "{}",
        stderr(&output)
    );
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

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Processes whose command line holds `mark`.
fn marked(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).contains(mark))
        })
        .filter(|&found| found)
        .count()
}

fn end(mut child: Child) -> (std::process::ExitStatus, String) {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            let mut text = String::new();
            let output = child.stdout.as_mut().expect("piped");
            output.read_to_string(&mut text).expect("text");
            return (status, text);
        }
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(20));
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

fn counters_count() -> bool {
    use measure_core::perf::{Counters, Event};
    Counters::of_next_child(&[Event::Cycles]).take()[0]
        .value
        .is_ok()
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

#[test]
fn help_teaches() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout);
    for part in [
        "EXAMPLES",
        "PASSES",
        "EXIT CODES",
        "--ignore-failure",
        "measure-core [OPTIONS] -- CMD",
    ] {
        assert!(help.contains(part), "{part} in {help}");
    }
}
