//! Several commands in one run: their order, what is run around them, how they compare.

use nix::sys::signal::Signal;

use super::*;

/// Runs with `options` and then `lines`, a word each.
fn run_lines(options: &str, lines: &[&str]) -> Output {
    let mut command = measure(options);
    command.args(lines);
    to_its_end(command)
}

fn json_of(options: &str, lines: &[&str]) -> Value {
    let output = run_lines(&format!("--json - {options}"), lines);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A log that commands write to, and lines that write to it.
struct Log(Place);

impl Log {
    fn new() -> Self {
        Self(Place::new())
    }

    fn line(&self, word: &str) -> String {
        let log = self.0.path("log");
        format!("sh -c 'echo {word} >> {}'", text(&log))
    }

    fn words(&self) -> Vec<String> {
        let log = fs::read_to_string(self.0.path("log")).expect("written");
        log.lines().map(str::to_owned).collect()
    }
}

#[test]
fn commands_take_turns_and_are_compared_with_the_first() {
    let report = json_of(
        "-n 8 -w 0 --passes wall,memory",
        &["sleep 0.01", "sleep 0.03"],
    );
    assert_eq!(report["schema"], 2);
    let commands = report["commands"].as_array().expect("a list");
    let names: Vec<&str> = commands.iter().filter_map(|c| c["name"].as_str()).collect();
    assert_eq!(names, ["sleep 0.01", "sleep 0.03"]);
    assert!(commands[0].get("ratios").is_none());
    assert_eq!(commands[1]["command"], serde_json::json!(["sleep", "0.03"]));
    for command in commands {
        assert_eq!(metric(command, "wall_ns")["summary"]["n"], 8);
        assert_eq!(metric(command, "peak_pss_bytes")["summary"]["n"], 8);
    }
    let ratio = &commands[1]["ratios"][0];
    assert_eq!(ratio["name"], "wall_ns");
    let value = ratio["ratio"].as_f64().expect("a number");
    let end = |which: &str| ratio["interval"][which].as_f64().expect("an interval");
    assert!(
        value > 0.0 && end("lo") <= value && value <= end("hi"),
        "{ratio}"
    );
}

#[test]
fn turns_are_drawn_by_the_seed_and_each_round_has_each_command_once() {
    let order = |options: &str| {
        let log = Log::new();
        let lines: Vec<String> = ["a", "b", "c"].iter().map(|word| log.line(word)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let output = run_lines(&format!("-n 6 -w 0 --passes wall {options}"), &lines);
        assert!(output.status.success(), "{}", stderr(&output));
        log.words()
    };
    let first = order("--seed 7");
    assert_eq!(first, order("--seed 7"));
    assert_ne!(first, order("--seed 8"));
    for round in first.chunks(3) {
        let mut sorted = round.to_vec();
        sorted.sort();
        assert_eq!(sorted, ["a", "b", "c"]);
    }
    let in_a_row = order("--one-after-another");
    assert_eq!(in_a_row.concat(), "aaaaaabbbbbbcccccc");
}

#[test]
fn what_goes_around_a_command_is_run_when_it_should_be() {
    let log = Log::new();
    let [setup, prepare, cleanup] = ["S", "p", "C"].map(|word| log.line(word));
    let mut command = measure("-n 2 -w 1 --passes wall,memory");
    command.args([
        "--setup",
        &setup,
        "--prepare",
        &prepare,
        "--cleanup",
        &cleanup,
    ]);
    command.args(["--command", &log.line("a")]);
    let output = to_its_end(command);
    assert!(output.status.success(), "{}", stderr(&output));
    // A warm-up, two runs, two runs in the other pass.
    assert_eq!(log.words().concat(), "Spapapapapa".to_owned() + "C");

    let log = Log::new();
    let [one, other] = ["1", "2"].map(|word| log.line(word));
    let mut command = measure("-n 1 -w 0 --passes wall --one-after-another");
    command.args(["--prepare", &one, "--prepare", &other]);
    command.args(["--cleanup", &log.line("{x}"), "-L", "x", "X,Y"]);
    command.args([
        "--command",
        &log.line("a{x}"),
        "--command",
        &log.line("b{x}"),
    ]);
    let output = to_its_end(command);
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = "1 aX X 2 bX X 1 aY Y 2 bY Y";
    assert_eq!(log.words().join(" "), expected);
}

#[test]
fn what_was_set_up_is_cleaned_up_after_a_failure_and_a_signal() {
    let place = Place::new();
    let made = place.path("made");
    let around = |options: &str, script: &str| {
        let mut command = measure(options);
        command.args(["--setup", &format!("touch {}", text(&made))]);
        command.args(["--cleanup", &format!("rm {}", text(&made))]);
        command.args(["--", "sh", "-c", script]);
        command
    };
    let output = to_its_end(around("--passes wall", "exit 3"));
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(!made.exists());
    let mut command = around("--passes wall -w 0", "sleep 60");
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    driver_testkit::eventually("the setup", || made.exists());
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, Signal::SIGTERM).expect("it lives");
    let (status, _) = end(child);
    assert_eq!(status.code(), Some(143));
    assert!(!made.exists());
}

#[test]
fn a_setup_that_fails_says_so_and_nothing_is_measured() {
    let place = Place::new();
    let ran = place.path("ran");
    for option in ["--setup", "--prepare"] {
        let mut command = measure("-n 1");
        command.args([option, "sh -c 'exit 7'", "--", "touch", text(&ran)]);
        let output = to_its_end(command);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(4), "{option}: {said}");
        assert!(
            said.contains(option) && said.contains("exit status: 7"),
            "{said}"
        );
        assert!(!ran.exists(), "{option}");
    }
}

#[test]
fn parameters_are_filled_in_and_told() {
    let mut command = measure("-n 1 -w 0 --passes wall --json -");
    command.args(["-L", "a", "1,2", "-L", "flag", "-x,-y"]);
    command.args(["--command", "true {a} {flag}", "--command", "true {a}"]);
    let output = to_its_end(command);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let commands = report["commands"].as_array().expect("a list");
    let names: Vec<&str> = commands.iter().filter_map(|c| c["name"].as_str()).collect();
    let expected = "true 1 -x|true 1|true 2 -x|true 2|true 1 -y|true 1|true 2 -y|true 2";
    assert_eq!(names.join("|"), expected);
    assert_eq!(commands[7]["parameters"]["flag"], "-y");
    // Of one command, word by word, too; and a name of the user's own.
    let mut command = measure("-n 1 -w 0 --passes wall -L n 3,4 --command-name exit-{n}");
    command.args(["--ignore-failure", "--", "sh", "-c", "exit {n}"]);
    let table = stdout(&to_its_end(command));
    for part in ["1  exit-3", "2  exit-4", "exit status: 4"] {
        assert!(table.contains(part), "{part} in {table}");
    }
}

#[test]
fn a_shell_reads_lines_on_demand_and_its_own_time_is_told() {
    let output = run_lines("-n 2 --passes wall --shell sh", &["true | cat && exit 0"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    assert!(
        table.contains("`sh -c ''`, started and waited for"),
        "{table}"
    );
    // A command given word by word keeps its words.
    let mut command = measure("-n 1 --passes wall -S default");
    command.args(["--", "test", "a  b", "=", "a  b"]);
    let output = to_its_end(command);
    assert!(output.status.success(), "{}", stderr(&output));
    // Without a shell an operator is a word.
    let output = run_lines("-n 1 --passes wall", &["echo a | cat"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("--shell sh"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_empty_program_tells_what_is_in_every_wall_time() {
    let report = json("-n 1 --passes wall", "true");
    let baseline = &report["baselines"][0];
    assert_eq!(baseline["of"], "an empty program");
    match baseline["unavailable"].as_str() {
        Some(why) => eprintln!("SKIPPED: the empty program: {why}"),
        None => assert_eq!(baseline["summary"]["n"], 50),
    }
}

#[test]
fn a_failing_run_counts_where_failures_are_ignored() {
    let report = json_of("-n 6 -i --passes wall", &["sh -c 'exit 1'", "true"]);
    let failing = &report["commands"][0];
    assert_eq!(metric(failing, "wall_ns")["summary"]["n"], 6);
    assert_eq!(failing["failures"].as_array().map(Vec::len), Some(7));
    assert_eq!(report["commands"][1]["failures"], serde_json::json!([]));
}

#[test]
fn each_run_reads_its_input_from_the_beginning() {
    let place = Place::new();
    let input = place.path("input");
    fs::write(&input, "from the file\n").expect("written");
    for pass in ["wall", "memory"] {
        let options = format!(
            "-n 3 -w 1 --passes {pass} --input {} --prepare true",
            text(&input)
        );
        let script = "read line && [ \"$line\" = 'from the file' ]";
        let output = run_script(&options, script);
        assert!(output.status.success(), "{pass}: {}", stderr(&output));
    }
}

#[test]
fn units_stand_beside_every_number_of_the_table() {
    let output = run_lines("-n 6 --passes wall,memory", &["sleep 0.01", "sleep 0.011"]);
    let table = stdout(&output);
    let is_time = |line: &&str| line.starts_with("wall time  ");
    for line in table.lines().filter(is_time) {
        // Least, median, MAD, interval.
        let units = line
            .split_whitespace()
            .filter(|word| ["s", "ms", "us", "ns"].contains(word));
        assert_eq!(units.count(), 4, "{line}");
    }
    assert_eq!(table.lines().filter(is_time).count(), 2, "{table}");
    assert!(table.contains("ratio to 1"), "{table}");
}

#[test]
fn command_lines_that_make_no_sense_say_why() {
    for (arguments, says) in [
        (&["--command", "sh -c 'open"][..], "quote"),
        (&["--command", " "], "empty"),
        (&["-L", "a", "", "true {a}"], "no values"),
        (&["-L", "a b", "1", "true"], "not a name"),
        (&["-L", "a", "1", "-L", "a", "2", "true {a}"], "given twice"),
        (
            &["--prepare", "true", "--prepare", "true", "true x"],
            "once for each",
        ),
        (
            &["--command-name", "x", "true 1", "true 2"],
            "once for each",
        ),
        (
            &["--export-csv", "x.csv", "--passes", "memory", "true"],
            "--passes",
        ),
        (
            &["--json", "-", "--export-csv", "-", "true"],
            "standard output",
        ),
        (
            &["--setup", "no-such-command-here", "true"],
            "command not found",
        ),
        (&["-N", "--shell", "sh", "true"], "cannot be used with"),
        (&["--shell", "no-such-shell", "true"], "command not found"),
    ] {
        let mut command = measure("");
        command.args(arguments);
        let output = to_its_end(command);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    let values: Vec<String> = (0..1001).map(|value| value.to_string()).collect();
    let output = run_lines(&format!("-L a {}", values.join(",")), &["true {a}"]);
    assert!(
        stderr(&output).contains("at most 1000"),
        "{}",
        stderr(&output)
    );
}
