//! A short round of each target, the same in every run; and what the tool makes of cases that go wrong.

use assert_cmd::Command;

fn fuzz(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .args(arguments)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    eprint!("{said}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

/// Cases of a round: fewer where our crates and the engine are not optimised.
fn round(target: &str, optimised: u32, else_: u32, more: &[&str]) -> String {
    let count = if cfg!(debug_assertions) {
        else_
    } else {
        optimised
    };
    let count = count.to_string();
    let mut arguments = vec![target, "--count", &count];
    arguments.extend(more);
    let (code, text) = fuzz(&arguments);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&format!("cases: {count}\n")), "{text}");
    text
}

/// How often `what` happened.
fn counted(text: &str, what: &str) -> u64 {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.trim().strip_prefix(what)?.strip_prefix(": "));
    line.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn all_engines_agree_on_random_modules() {
    let every = if cfg!(debug_assertions) { "0" } else { "25" };
    let text = round("modules", 100, 20, &["--second-engine-every", every]);
    for what in [
        "compared: ended well",
        "compared: trapped",
        "ended by a deadline",
        "changed by wasm-post-link",
    ] {
        assert!(counted(&text, what) > 0, "{what}: {text}");
    }
}

#[test]
fn random_calls_are_answered_as_by_the_other_implementation_and_leave_the_host_as_it_was() {
    let text = round("calls", 600, 60, &[]);
    for what in ["programs compared", "wild programs", "trees changed"] {
        assert!(counted(&text, what) > 0, "{what}: {text}");
    }
}

#[test]
fn damaged_files_are_read_or_refused() {
    let text = round("files", 6000, 1000, &[]);
    for what in [
        "run.json: read",
        "run.json: refused",
        "a module: refused",
        "grants.json: refused",
    ] {
        assert!(counted(&text, what) > 0, "{what}: {text}");
    }
}

#[test]
fn damaged_requests_are_answered_and_the_server_lives() {
    let text = round("requests", 1500, 300, &[]);
    if counted(&text, "not tried") > 0 {
        return;
    }
    for status in [200, 400, 401, 404] {
        let what = format!("answered {status}");
        assert!(counted(&text, &what) > 0, "{what}: {text}");
    }
}

#[test]
fn whatever_goes_wrong_is_found_and_the_round_goes_on() {
    let (code, text) = fuzz(&["broken", "--count", "8", "--hang", "1", "--jobs", "2"]);
    assert_eq!(code, Some(1), "{text}");
    for (seed, what) in [
        (1, "a difference"),
        (2, "panicked: a panic"),
        (3, "SIGABRT"),
        (4, "hangs"),
        (5, "memory allocation"),
        (6, "ended with 7"),
    ] {
        let wrong = format!("WRONG broken {seed}: ");
        let line = text
            .lines()
            .find(|line| line.starts_with(&wrong))
            .unwrap_or_default();
        assert!(line.contains(what), "{seed}: {text}");
        assert!(
            line.contains(&format!("fuzz broken --seed {seed}")),
            "{line}"
        );
        assert!(!line.contains('\x1b'), "{line}");
    }
    assert_eq!(counted(&text, "wrong"), 6, "{text}");
    assert_eq!(counted(&text, "cases"), 8, "{text}");
    let row = "| broken | 0 to 7 | 8 cases, in 0 min | 6 |\n";
    assert!(text.contains(row), "{text}");
    assert!(text.ends_with("go on: fuzz broken --first 8\n"), "{text}");
    // What fails alone fails again, and nothing else does.
    assert_eq!(fuzz(&["broken", "--seed", "1"]).0, Some(1));
    assert_eq!(fuzz(&["broken", "--seed", "0"]).0, Some(0));
}

#[test]
fn wrong_lines_are_told() {
    let (code, _) = fuzz(&["modlues"]);
    assert_eq!(code, Some(2));
    assert_eq!(fuzz(&["files", "--jobs", "0"]).0, Some(2));
    assert_eq!(fuzz(&["files", "--seed", "1", "--count", "2"]).0, Some(2));
}
