//! What users of hyperfine type works here, or is told what to type instead.

use super::*;

/// Runs with all of `words`.
fn run_words(words: &[&str]) -> Output {
    let mut command = measure("");
    command.args(words);
    to_its_end(command)
}

/// What `--export-json` writes.
fn exported(words: &[&str]) -> Value {
    let output = run_words(&[&["--passes", "wall", "--export-json", "-"], words].concat());
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn all_of<'a>(report: &'a Value, field: &str) -> Vec<&'a Value> {
    let results = report["results"].as_array().expect("a list");
    results.iter().map(|result| &result[field]).collect()
}

#[test]
fn options_may_stand_behind_command_lines_but_not_behind_a_commands_words() {
    let place = Place::new();
    let file = place.path("x.json");
    let words = ["sleep 0.001", "-w", "0", "true x", "--runs", "2"];
    let more = ["--passes", "wall", "--export-json", text(&file)];
    let output = run_words(&[&words[..], &more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&fs::read(&file).expect("written")).expect("JSON");
    assert_eq!(all_of(&report, "command"), ["sleep 0.001", "true x"]);
    assert_eq!(
        report["results"][1]["times"].as_array().map(Vec::len),
        Some(2)
    );
    // Of words, and behind `--`, all belong to the command.
    let one = exported(&["-r", "1", "true", "--runs", "2"]);
    assert_eq!(all_of(&one, "command"), ["true --runs 2"]);
    let output = run_words(&["--", "true x", "-w", "3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`-w`"), "{}", stderr(&output));
}

#[test]
fn the_number_of_runs_goes_by_all_of_its_names() {
    for (options, runs) in [
        (&["-r", "2"][..], 2),
        (&["--runs", "3"], 3),
        (&["-m", "12"], 12),
        (&["-m", "3"], 10),
        (&["--max-runs", "4"], 4),
        (&["-m", "2", "-M", "5"], 5),
    ] {
        let report = exported(&[options, &["-w", "0", "true x"]].concat());
        let times = &report["results"][0]["times"];
        assert_eq!(times.as_array().map(Vec::len), Some(runs), "{options:?}");
    }
    let both = run_words(&["-r", "2", "-m", "3", "true x"]);
    assert_eq!(both.status.code(), Some(2));
    let name = run_words(&["-n", "mine", "true x"]);
    assert_eq!(name.status.code(), Some(2));
    assert!(
        stderr(&name).contains("--command-name"),
        "{}",
        stderr(&name)
    );
}

#[test]
fn a_scan_is_filled_in_as_by_hyperfine() {
    let place = Place::new();
    for scan in [
        &["-P", "d", "1", "3", "-D", "0.5"][..],
        &[
            "--parameter-scan",
            "d",
            "0.30",
            "0.75",
            "--parameter-step-size",
            "0.2",
        ],
        &["-P", "d", "8", "11"],
    ] {
        let words = [scan, &["-w", "0", "-r", "2", "true {d}"]].concat();
        let ours = exported(&words);
        assert!(all_of(&ours, "command").len() > 2, "{ours}");
        let file = place.path("theirs");
        let theirs = Command::new("hyperfine")
            .args(["-N", "--style", "none", "--export-json"])
            .arg(&file)
            .args(&words)
            .output();
        match theirs {
            Ok(output) => assert!(output.status.success(), "{}", stderr(&output)),
            Err(error) => {
                eprintln!("SKIPPED: hyperfine beside it: {error} (apt install hyperfine)");
                return;
            }
        }
        let theirs: Value =
            serde_json::from_slice(&fs::read(&file).expect("written")).expect("JSON");
        for field in ["command", "parameters"] {
            assert_eq!(all_of(&ours, field), all_of(&theirs, field), "{scan:?}");
        }
    }
}

#[test]
fn ratios_are_to_the_reference_in_which_nothing_is_filled_in() {
    let mut command = measure("-n 6 -w 0 --passes wall --json -");
    command.args(["--reference", "true {a}", "--reference-name", "before"]);
    command.args(["-L", "a", "1,2", "true x{a}"]);
    let output = to_its_end(command);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let commands = report["commands"].as_array().expect("a list");
    let names: Vec<&Value> = commands.iter().map(|command| &command["name"]).collect();
    assert_eq!(names, ["before", "true x1", "true x2"]);
    assert_eq!(commands[0]["command"], serde_json::json!(["true", "{a}"]));
    assert!(commands[0].get("ratios").is_none());
    assert!(commands[2]["ratios"][0]["ratio"].is_number());
}

#[test]
fn what_concludes_a_run_is_run_after_it_also_where_it_failed() {
    let place = Place::new();
    let log = place.path("log");
    let line = |word: &str| format!("sh -c 'echo {word} >> {}'", text(&log));
    let (prepare, conclude) = (line("p"), line("c"));
    let around = ["--prepare", &prepare, "--conclude", &conclude];
    let command = format!("sh -c 'echo a >> {}; exit 1'", text(&log));
    let words = ["-w", "1", "-r", "2", "-i", "--passes", "wall", &command];
    let output = run_words(&[&around[..], &words].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let written = fs::read_to_string(&log).expect("written");
    assert_eq!(written.replace('\n', ""), "pacpacpac");
    let output = run_words(&["--conclude", "false", "true x"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        stderr(&output).contains("--conclude"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn some_exit_codes_are_ignored_and_others_are_not() {
    let words = |codes: &'static str| [codes, "-r", "1", "--passes", "wall", "sh -c 'exit 3'"];
    let ignored = run_words(&words("--ignore-failure=1,3"));
    assert!(ignored.status.success(), "{}", stderr(&ignored));
    for (codes, exit) in [("--ignore-failure=1", 4), ("--ignore-failure=x", 2)] {
        let output = run_words(&words(codes));
        assert_eq!(output.status.code(), Some(exit), "{}", stderr(&output));
    }
}

#[test]
fn output_goes_where_it_is_sent_in_every_pass() {
    let place = Place::new();
    let file = place.path("out");
    for (whereto, test) in [("pipe", "-p"), ("null", "-c"), (text(&file), "-f")] {
        let script = format!("[ {test} /dev/stdout ] && [ -c /dev/stderr ] && echo one run");
        let words = ["-r", "2", "--passes", "wall,memory", "--output", whereto];
        let output = run_words(&[&words[..], &["--", "sh", "-c", &script]].concat());
        assert!(output.status.success(), "{whereto}: {}", stderr(&output));
    }
    assert_eq!(fs::read_to_string(&file).expect("written"), "one run\n");
    // More than a pipe holds.
    let words = ["--output", "pipe", "-r", "2", "--passes", "wall"];
    let output = run_words(&[&words[..], &["head -c 1000000 /dev/zero"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let words = ["--output=inherit", "-r", "1", "-w", "0", "--passes", "wall"];
    let output = run_words(&[&words[..], &["echo hello there"]].concat());
    assert!(
        stdout(&output).starts_with("hello there\n"),
        "{}",
        stdout(&output)
    );
    let refused = run_words(&["--output", "/no/such/place", "true x"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    // No file of that name is needed.
    let output = run_words(&["--input", "null", "-r", "1", "cat -"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn what_stands_elsewhere_is_told() {
    for (words, instead) in [
        (&["--sort", "mean-time"][..], "order"),
        (&["--style=basic"], "--quiet"),
        (&["-u", "millisecond"], "--json"),
        (&["--export-asciidoc", "x.adoc"], "--export-markdown"),
        (&["--export-orgmode", "x.org"], "--export-markdown"),
        (&["--show-elapsed"], "left"),
    ] {
        let output = run_words(&[words, &["true x"]].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains("is hyperfine's; here"), "{words:?}: {said}");
        assert!(said.contains(instead), "{words:?}: {said}");
    }
    // A chain of the shell's, around a command too.
    let output = run_words(&["-r", "1", "--prepare", "sync; true", "true x"]);
    assert!(
        stderr(&output).contains("--shell sh"),
        "{}",
        stderr(&output)
    );
    // Two commands of one word are one of two words.
    let said = |words: &[&str]| stderr(&run_words(&[&["-r", "1", "-i"], words].concat()));
    let asked = said(&["true", "false"]);
    assert!(asked.contains("--command true --command false"), "{asked}");
    for clear in [
        &["--", "true", "false"][..],
        &["true", "no-such-program"],
        &["true"],
    ] {
        let asked = said(clear);
        assert!(!asked.contains("is measured as one"), "{clear:?}: {asked}");
    }
}
