//! What is measured and how it is shown.

use std::os::unix::fs::MetadataExt;

use super::*;

#[test]
fn every_metric_has_its_spread_or_a_reason() {
    let report = json("-n 6", "sleep 0.02");
    let names = "wall_ns cpu_ns user_ns system_ns read_bytes write_bytes minor_faults major_faults \
        voluntary_switches involuntary_switches cpu_cycles instructions peak_pss_bytes peak_rss_bytes \
        largest_process_rss_bytes";
    for name in names.split_whitespace() {
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
    let output = run("-n 5 -- true");
    assert!(output.status.success());
    let table = stdout(&output);
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
        .env("TERM", "xterm")
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
    for separator in ["--", ""] {
        let mut command = measure(&format!("-n 1 --passes wall {separator} sh -c"));
        let script = "[ \"$1\" = --json ] && [ \"$2\" = -n ] && [ $# = 2 ]";
        command.args([script, "name", "--json", "-n"]);
        let output = to_its_end(command);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn an_existing_file_is_replaced_whole_and_nothing_lies_beside_it() {
    let place = Place::new();
    fs::write(place.file(), "old").expect("written");
    let output = run(&format!("-n 1 --json {} -- true", place.file()));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(place.kept().is_object());
    assert_eq!(fs::read_dir(place.dir.path()).expect("readable").count(), 1);
}

#[test]
fn output_is_shown_only_on_demand_and_input_is_given() {
    let place = Place::new();
    let input = place.path("input");
    fs::write(&input, "from the file").expect("written");
    let common = format!("-n 1 --passes wall --input {}", text(&input));
    let quiet = run(&format!("{common} -- cat"));
    assert!(!stdout(&quiet).contains("from the file"));
    let loud = run(&format!("{common} --show-output -- cat"));
    assert!(stdout(&loud).contains("from the file"));
}

#[test]
fn grandchildren_count_in_cpu_time_and_memory() {
    let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; head -c 60000000 /dev/zero | tail";
    let report = json("-n 2 --warmup 0", script);
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
    let output = run("--json - -n 5 --passes memory -- true");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
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
    let script = format!(
        "dd if=/dev/zero of={} bs=1M count=4 conv=fsync",
        text(&file)
    );
    let report = json("-n 2 --passes wall", &script);
    let bytes = median(&report, "write_bytes");
    // Where the kernel knows a block device of this file system, bytes that are not counted are a fault.
    let device = fs::metadata(dir.path()).expect("a directory").dev();
    let device = format!("{}:{}", libc::major(device), libc::minor(device));
    let is_on_storage = Path::new("/sys/dev/block").join(&device).exists();
    if bytes == 0.0 && !is_on_storage {
        return eprintln!(
            "SKIPPED: what_is_written_to_storage_counts: no block device {device} below the checkout"
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
        let output = run_script("-n 3 --passes memory", script);
        assert!(output.status.success(), "{script}: {}", stderr(&output));
    }
    let output = run_script("-n 1 --passes memory", "kill -40 $$");
    assert_eq!(output.status.code(), Some(4));
    let said = stderr(&output);
    assert!(said.contains("signal: 40"), "{said}");
}

#[test]
fn help_teaches() {
    let output = run("--help");
    assert!(output.status.success());
    let help = stdout(&output);
    for part in [
        "EXAMPLES",
        "PASSES",
        "EXIT CODES",
        "--ignore-failure",
        "measure-core [OPTIONS] -- CMD",
        "--export-json",
        "COMMANDS",
    ] {
        assert!(help.contains(part), "{part} in {help}");
    }
}
