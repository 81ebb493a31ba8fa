//! Command-line runtimes, on the real ones of this host and on some that misbehave.

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod leftovers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Running, compile_wasm, messages, run, store};
use leftovers::things_of;
use measure_core::base::exit::Exit;
use measure_core::contract::Probe;
use measure_core::contract::protocol::{BatchEnd, Message, StartSample};
use tempfile::TempDir;

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn samples(messages: &[Message]) -> Vec<&StartSample> {
    messages
        .iter()
        .filter_map(|message| match message {
            Message::Sample(sample) => Some(sample),
            _ => None,
        })
        .collect()
}

/// A user's file with `entries`, `{{` and `}}` not needed.
fn runtimes(entries: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("runtimes.toml");
    fs::write(&path, entries).expect("written");
    (directory, path)
}

fn arguments<'a>(file: &'a Path, rest: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--runtimes", file.to_str().expect("a path")];
    all.extend(rest);
    all
}

#[test]
fn every_shipped_runtime_starts_and_parks_and_leaves_nothing() {
    let Some(store) = store("shipped runtimes") else {
        return;
    };
    if !compile_wasm(store.path()) {
        eprintln!(
            "SKIPPED: runtimes of Wasm: no clang-19 for wasm32-wasi; install clang-19 lld-19 wasi-libc"
        );
    }
    let output = run(store.path(), &["info", "--json"]);
    let rungs = messages(&output);
    let mut ran = 0;
    for message in rungs.iter().skip(3) {
        let Message::Rung { description, probe } = message else {
            panic!("{message:?}")
        };
        let rung = description.rung.as_str();
        if let Probe::Unavailable { why, mend } = probe {
            eprintln!("SKIPPED: runtime {rung}: {why}; {mend}");
            continue;
        }
        ran += 1;
        let mut timed = Running::start(
            store.path(),
            &["time", "3", "--workers", "2", "--rung", rung],
        );
        let pid = timed.pid().as_raw();
        let mut said = Vec::new();
        while let Some(message) = timed.next() {
            said.push(message);
        }
        assert_eq!(timed.code(), Some(0), "{rung}: {said:?}");
        let samples = samples(&said);
        assert_eq!(samples.len(), 3, "{rung}");
        for sample in samples {
            assert_eq!(sample.error, None, "{rung}");
            let names: Vec<_> = sample.phases.iter().map(|p| p.0.as_str()).collect();
            assert_eq!(names, ["spawn", "run", "reap"], "{rung}");
            assert_eq!(
                sample.phases.iter().map(|p| p.1).sum::<u64>(),
                sample.total_ns
            );
        }
        assert_eq!(things_of(pid), [""; 0], "{rung}");
        let mut held = Running::start(store.path(), &["hold", "2", "--gated", "--rung", rung]);
        let pid = held.pid().as_raw();
        held.until(|m| *m == Message::Ready);
        held.say("");
        held.until(|m| matches!(m, Message::Parked { workers: 2 }));
        held.input = None;
        assert_eq!(held.code(), Some(0), "{rung}");
        assert_eq!(things_of(pid), [""; 0], "{rung}");
    }
    assert!(ran >= 1, "not even `native` runs");
}

#[test]
fn a_wrong_file_is_a_usage_error_that_names_entry_and_field() {
    for (text, words) in [
        (
            "[[runtime]]\nid = 'x'\nisolation = {}\ncommand = ['x', '{bundel}']",
            "did you mean `bundle`?",
        ),
        (
            "[[runtime]]\nid = 'x'\nisolation = {}\ncommand = ['runc', 'run']",
            "runtime `x`: command has no placeholder",
        ),
        (
            "[[runtime]]\nid = 'thread'\nisolation = {}\ncommand = ['{function}']",
            "a rung of its own",
        ),
        ("[[runtimes]]\n", "unknown field `runtimes`"),
        ("no toml", "line 1"),
    ] {
        let (_directory, file) = runtimes(text);
        let output = run(Path::new("/nonexistent"), &arguments(&file, &["info"]));
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{text}");
        assert!(errors(&output).contains(words), "{}", errors(&output));
        assert!(
            errors(&output).contains("runtimes.toml"),
            "{}",
            errors(&output)
        );
    }
    let (_directory, file) = runtimes("");
    let output = run(
        Path::new("/nonexistent"),
        &arguments(&file, &["time", "1", "--rung", "runk"]),
    );
    assert!(
        errors(&output).contains("did you mean `runc`?"),
        "{}",
        errors(&output)
    );
}

#[test]
fn the_page_on_adding_a_runtime_is_true() {
    let Some(store) = store("docs/adding-a-runtime.md") else {
        return;
    };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/adding-a-runtime.md");
    let page = fs::read_to_string(page).expect("the page");
    let block = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a block of TOML on the page");
    assert!(block.lines().count() <= 10, "the page promises ten lines");
    let id = block
        .lines()
        .find_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"'))
        .expect("an id");
    let (directory, file) = runtimes(block);
    // As the page says: in the configuration directory, and then by the variable.
    let configured = directory.path().join("faasm-bench");
    fs::create_dir(&configured).expect("made");
    fs::copy(&file, configured.join("runtimes.toml")).expect("copied");
    for (variable, value) in [
        ("XDG_CONFIG_HOME", directory.path()),
        ("FAASM_BENCH_RUNTIMES", file.as_path()),
    ] {
        let driver = |arguments: &[&str]| {
            Command::new(env!("CARGO_BIN_EXE_process-driver"))
                .arg("--store")
                .arg(store.path())
                .args(arguments)
                .env(variable, value)
                .output()
                .expect("the driver")
        };
        let info = driver(&["info", "--rung", id]);
        let text = String::from_utf8_lossy(&info.stdout).into_owned();
        if text.contains("unavailable") {
            eprintln!("SKIPPED: the page's own runtime: {text}");
            continue;
        }
        let output = driver(&["time", "2", "--rung", id]);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        assert_eq!(samples(&messages(&output)).len(), 2);
        let batch = messages(&output).into_iter().find_map(|m| match m {
            Message::Batch(BatchEnd { failed, .. }) => Some(failed),
            _ => None,
        });
        assert_eq!(batch, Some(0));
    }
    // Every field and placeholder that exists is explained.
    for word in [
        "{function}",
        "{wasm}",
        "{root}",
        "{program}",
        "{bundle}",
        "{name}",
        "{state}",
        "{run}",
        "{cgroup}",
        "setup",
        "cleanup",
        "version",
        "files",
        "environment",
        "hide_mounts",
        "counts",
        "parked_when",
        "timeout_s",
        "max_workers",
        "cold",
        "settings",
        "install",
        "mend",
        "summary",
    ] {
        assert!(
            page.contains(&format!("`{word}`")),
            "{word} is not on the page"
        );
    }
}
