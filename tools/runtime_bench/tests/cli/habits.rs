//! What all tools have: completions, `--quiet`, `--verbose`, and no colours.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use measure_core::base::exit::Exit;

/// Those of the Makefile that are built beside this one.
fn tools() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_BIN_EXE_runtime_bench"));
    let names = "measure-core pss-walker faasm-driver docker-driver process-driver microvm-driver \
        runtime_bench poly_bench py_bench function_bench func_sym";
    let tools = names
        .split_whitespace()
        .map(|name| own.with_file_name(name));
    let (built, missing): (Vec<PathBuf>, Vec<PathBuf>) = tools.partition(|tool| is_built(tool));
    for tool in missing {
        eprintln!(
            "SKIPPED: {}: not built, or before its sources changed (make build)",
            tool.display()
        );
    }
    built
}

/// Whether it is there and no older than its sources: what builds this test need not build all tools.
fn is_built(tool: &Path) -> bool {
    let modified = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|data| data.modified())
            .ok()
    };
    let name = tool.file_name().expect("a name").to_string_lossy();
    let package = if name == "measure-core" {
        "measure-command"
    } else {
        &name
    };
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name(package)
        .join("src");
    let entries = std::fs::read_dir(&sources).expect("sources").flatten();
    let newest = entries.filter_map(|entry| modified(&entry.path())).max();
    modified(tool) >= newest
}

/// Whether `shell` takes `script` for one of its own; `None` where it is not installed.
fn is_script(shell: &str, script: &[u8]) -> Option<bool> {
    let mut child = Command::new(shell)
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(script).ok()?;
    Some(child.wait().ok()?.success())
}

#[test]
fn every_tool_completes_its_command_lines_in_three_shells() {
    for tool in tools() {
        let name = tool
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        for shell in ["bash", "zsh", "fish"] {
            let output = Command::new(&tool)
                .args(["--completions", shell])
                .output()
                .expect("it starts");
            assert!(output.status.success(), "{name} {shell}");
            let script = String::from_utf8_lossy(&output.stdout);
            assert!(
                script.contains(&name) && script.contains("quiet"),
                "{name} {shell}"
            );
            match is_script(shell, &output.stdout) {
                Some(is_one) => assert!(is_one, "{name}: {shell} does not take it: {script}"),
                None => {
                    eprintln!("SKIPPED: {name}'s completions: no {shell} (apt install {shell})")
                }
            }
        }
        let wrong = Command::new(&tool)
            .args(["--completions", "csh"])
            .output()
            .expect("it starts");
        assert_eq!(wrong.status.code(), Some(Exit::Usage as i32), "{name}");
    }
}

fn help_of(tool: &Path) -> String {
    let output = Command::new(tool).arg("--help").output();
    let help = output.expect("it starts").stdout;
    String::from_utf8_lossy(&help).into_owned()
}

#[test]
fn help_names_what_all_tools_have() {
    for tool in tools() {
        let help = help_of(&tool);
        for option in ["--quiet", "--verbose", "--completions"] {
            assert!(help.contains(option), "{}: {option}", tool.display());
        }
        assert!(!help.contains('\x1b'), "{}: colours", tool.display());
    }
}

#[test]
fn each_tool_says_first_what_it_is_for() {
    let mut all = BTreeSet::new();
    for tool in tools() {
        let help = help_of(&tool);
        // Man pages have it as their name.
        let what = help.lines().nth(1).expect("a second line").to_owned();
        let is_verb = what
            .split(' ')
            .next()
            .is_some_and(|word| word.ends_with('s'));
        let is_of_options = what.to_lowercase().contains("options");
        assert!(is_verb && !is_of_options, "{}: {what}", tool.display());
        assert!(all.insert(what), "{}: another's", tool.display());
    }
}

#[test]
fn a_number_below_zero_is_told_its_range() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
    let ended = driver_testkit::run(command.args(["load", "--rungs", "thread", "--rates", "-5"]));
    assert_eq!(ended.code, Some(Exit::Usage as i32));
    assert!(
        ended.stderr.contains("--rates is -5, it must be"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_log_is_written_on_demand_alone() {
    let said = |words: &[&str], level: Option<&str>| {
        let dir = tempfile::tempdir().expect("a directory");
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/run");
        for entry in std::fs::read_dir(seeds).expect("seeds") {
            let from = entry.expect("seeds").path();
            let to = dir.path().join(from.file_name().expect("a name"));
            std::fs::copy(&from, to).expect("copied");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
        command.args(words).arg(dir.path());
        if let Some(level) = level {
            command.env("FAASM_BENCH_LOG", level);
        }
        let output = command.output().expect("it starts");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let wrote = "debug: measure_core::base::files: wrote ";
    assert!(!said(&["report"], None).contains(wrote));
    assert!(!said(&["report", "--quiet"], None).contains(wrote));
    for verbose in [&["report", "--verbose"][..], &["--verbose", "report"]] {
        let said = said(verbose, None);
        assert!(said.contains(wrote), "{said}");
    }
    assert!(said(&["report"], Some("debug")).contains(wrote));
}
