//! The pages of several runs: their history, and several hosts side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::browser::Browser;
use crate::checks::{SCREENS, expect_quiet, expect_told, expect_within};

/// When the first run of a history was made.
const BEGIN_S: u64 = 1_788_264_000;
const DAY_S: u64 = 86_400;
const RUNGS: [(&str, u64); 4] = [
    ("thread", 40_000),
    ("wasm", 75_000),
    ("faaslet", 170_000),
    ("docker-none", 184_000_000),
];

fn runtime_bench(arguments: &[&str], dir: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write_environment(dir: &Path, host: &str, commit: &str, unix_seconds: u64) {
    let environment = json!({
        "schema": 1,
        "cpu": { "cpu_model": { "value": "AMD EPYC 9555 64-Core Processor" }, "cpus_online": { "value": "0-1" } },
        "system": { "kernel": { "value": if unix_seconds < BEGIN_S + 20 * DAY_S { "6.1.0-40-amd64" } else { "6.12.9-amd64" } } },
        "run": { "host": { "value": host }, "git_revision": { "value": commit }, "git_modified": { "value": false } },
        "engines": {},
        "before": { "unix_seconds": unix_seconds, "average": { "unknown": "?" }, "cpu": null, "swapped_pages": null, "watched": null },
        "after": null,
    });
    fs::write(dir.join("environment.json"), environment.to_string()).expect("written");
}

/// Forty runs on each of two machines, one of which gets slower after the twentieth, and the page of them.
fn history() -> (TempDir, PathBuf) {
    let keep = tempfile::tempdir().expect("a directory");
    for number in 0..40 {
        for (host, slow_down) in [("epyc-1", 1.3), ("laptop", 1.0)] {
            let begun = BEGIN_S + number * DAY_S;
            let dir = keep.path().join(format!("run-{number:02}-{host}"));
            fs::create_dir(&dir).expect("made");
            fs::write(dir.join("samples.jsonl"), "").expect("written");
            write_environment(&dir, host, &format!("{number:040x}"), begun);
            let jitter = 1.0 + (number * 7 % 11) as f64 / 300.0;
            let factor = if number < 20 {
                jitter
            } else {
                slow_down * jitter
            };
            let row = |(rung, ns): (&str, u64)| {
                let ns = ns as f64 * factor;
                format!(
                    "{rung},demo/noop,isolated,{ns},{},{}\n",
                    ns * 0.97,
                    ns * 1.03
                )
            };
            let table = RUNGS.map(row).concat();
            let header = "Runtime,Function,Design,MedianNs,MedianLowNs,MedianHighNs\n";
            fs::write(
                dir.join("runtime-bench-starts.csv"),
                header.to_owned() + &table,
            )
            .expect("written");
        }
    }
    runtime_bench(&["history", "."], keep.path());
    let page = keep.path().join("history.html");
    (keep, page)
}

/// Three hosts, of which one has no docker, and the page of them.
fn hosts() -> (TempDir, PathBuf) {
    let keep = tempfile::tempdir().expect("a directory");
    for (at, host) in ["rack1", "rack2", "laptop"].iter().enumerate() {
        let dir = keep.path().join(host);
        fs::create_dir(&dir).expect("made");
        write_environment(&dir, host, "943cb03ef60a", BEGIN_S);
        let mut lines = String::new();
        for (rung, ns) in RUNGS {
            if *host == "laptop" && rung == "docker-none" {
                lines += r#"{"schema":2,"run":"r","rung":"docker-none","function":"demo/noop","measure":"probe","phase":"total","metric":"wall_ns","unavailable":"dockerd is not installed: apt-get install docker.io","n":0,"workers":0,"block":0,"order":0,"seed":7}"#;
                lines.push('\n');
                continue;
            }
            let ns = if rung == "faaslet" {
                ns * (1 + at as u64)
            } else {
                ns
            };
            for (process, order) in (1..=8).flat_map(|p| (0..3).map(move |o| (p, o))) {
                let value = ns + ns / 100 * ((process + order) % 7);
                lines += &format!(
                    r#"{{"schema":2,"run":"r","rung":"{rung}","function":"demo/noop","measure":"isolated","phase":"total","metric":"wall_ns","value":{value},"n":1,"workers":1,"process":{process},"block":{process},"order":{order},"seed":7}}"#
                );
                lines.push('\n');
            }
        }
        fs::write(dir.join("samples.jsonl"), lines).expect("written");
    }
    let joined = ["report", "rack1", "rack2", "laptop", "--output", "."];
    runtime_bench(&joined, keep.path());
    let page = keep.path().join("hosts.html");
    (keep, page)
}

/// The page holds on all screens, and a picture of each section is kept for who wants to look.
fn expect_shown(browser: &Browser, page: &Path, name: &str) {
    expect_quiet(browser, page);
    expect_told(browser);
    for (screen_name, screen) in SCREENS {
        browser.emulate(screen);
        browser.open(page);
        expect_within(browser, screen, screen_name);
        browser.picture(&format!("{name}-{screen_name}-0-head"));
        let ids = browser
            .value("return [...document.querySelectorAll('main > section')].map((s) => s.id)");
        let ids = ids.as_array().expect("ids");
        for (at, id) in ids.iter().enumerate() {
            let id = id.as_str().expect("an id");
            browser.value(&format!("document.getElementById('{id}').scrollIntoView()"));
            browser.picture(&format!("{name}-{screen_name}-{}-{id}", at + 1));
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_history_is_shown_and_a_change_leads_to_its_picture() {
    let Some(browser) = Browser::start("a page of the history") else {
        return;
    };
    let (_keep, page) = history();
    expect_shown(&browser, &page, "history");
    let rows = browser.value("return document.querySelectorAll('#changes tbody tr').length");
    assert_eq!(rows, RUNGS.len(), "of one machine");
    browser.click("#changes tbody tr:nth-child(2) th a");
    browser.awaited("const seen = document.querySelector(':target')?.getBoundingClientRect(); return seen?.top >= -2 && seen.top < 700");
    let marks = browser.value("return document.querySelectorAll(':target line.marked').length");
    assert_eq!(marks, 1);
    let overlapping = "return [...document.querySelectorAll('.plot svg')].filter((svg) => { const ends = [...svg.querySelectorAll('text')].map((t) => t.getBoundingClientRect());
        return ends.some((a, i) => ends.some((b, j) => i < j && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)); }).length";
    assert_eq!(
        browser.value(overlapping),
        0,
        "no word of a picture lies on another"
    );
}

#[test]
fn several_hosts_are_shown_side_by_side() {
    let Some(browser) = Browser::start("a page of several hosts") else {
        return;
    };
    let (_keep, page) = hosts();
    expect_shown(&browser, &page, "hosts");
    let text = browser.value("return document.querySelector('main').textContent");
    let text = text.as_str().expect("words");
    for words in [
        "differ (x2.00)",
        "dockerd is not installed",
        "no docker-none there",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let marks = browser.value("return document.querySelectorAll('figure.strips ul:not(.key) li')[2].querySelectorAll('svg.strip > g').length");
    assert_eq!(marks, 2, "a mark for each host with a ratio");
}
