//! Command-line runtimes, on the real ones of this host and on some that misbehave.

#[path = "../common/mod.rs"]
mod common;
mod faults;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{compile_wasm, run, start, store};
use driver_testkit::{functions, left, samples, skipped};
use measure_core::base::exit::Exit;
use measure_core::contract::Probe;
use measure_core::contract::protocol::Message;
use tempfile::TempDir;

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
        skipped("runtimes of Wasm", functions::NO_WASI);
    }
    let output = run(store.path(), &["info", "--json"]);
    let rungs = output.messages();
    let mut ran = 0;
    for message in rungs.iter().skip(3) {
        let Message::Rung { description, probe } = message else {
            panic!("{message:?}")
        };
        let rung = description.rung.as_str();
        if let Probe::Unavailable { why, mend } = probe {
            skipped(format!("runtime {rung}"), format!("{why}; {mend}"));
            continue;
        }
        ran += 1;
        let mut timed = start(
            store.path(),
            &["time", "3", "--workers", "2", "--rung", rung],
        );
        let pid = timed.pid();
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
        assert_eq!(left::behind(pid), [""; 0], "{rung}");
        let mut held = start(store.path(), &["hold", "2", "--gated", "--rung", rung]);
        let pid = held.pid();
        held.until(|m| *m == Message::Ready);
        held.say("");
        held.until(|m| matches!(m, Message::Parked { workers: 2 }));
        held.input = None;
        assert_eq!(held.code(), Some(0), "{rung}");
        assert_eq!(left::behind(pid), [""; 0], "{rung}");
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
        assert_eq!(output.code, Some(Exit::Usage as i32), "{text}");
        assert!(output.stderr.contains(words), "{}", output.stderr);
        assert!(output.stderr.contains("runtimes.toml"), "{}", output.stderr);
    }
    let (_directory, file) = runtimes("");
    let output = run(
        Path::new("/nonexistent"),
        &arguments(&file, &["time", "1", "--rung", "runk"]),
    );
    assert!(
        output.stderr.contains("did you mean `runc`?"),
        "{}",
        output.stderr
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
            let mut driver = Command::new(env!("CARGO_BIN_EXE_process-driver"));
            driver.arg("--store").arg(store.path()).args(arguments);
            driver.env(variable, value);
            driver_testkit::run(driver)
        };
        let info = driver(&["info", "--rung", id]);
        let text = info.stdout;
        if text.contains("unavailable") {
            skipped("the page's own runtime", text);
            continue;
        }
        let output = driver(&["time", "2", "--rung", id]);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert_eq!(output.samples().len(), 2);
        assert_eq!(output.batch().failed, 0);
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
