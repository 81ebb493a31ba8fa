//! The real executable on pages and references in a directory of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use table::summary::{SCHEMA, SUMMARY, Summary};
use table::{Align, Table};

fn run(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doc-figures"))
        .current_dir(dir)
        .args(arguments)
        .output()
        .expect("it starts")
}

/// A run's directory in which `wasm` took `median`.
fn leave_run(dir: &Path, median: &str) {
    let mut table = Table::new(&[("runtime", Align::Left), ("median", Align::Right)]);
    table.row(["wasm", median]);
    let summary = Summary {
        schema: SCHEMA,
        run: "r".into(),
        commands: vec!["runtime_bench quick".into()],
        measured_on: "a CPU".into(),
        tables: BTreeMap::from([("ladder".to_owned(), table)]),
    };
    fs::create_dir_all(dir).expect("a directory");
    let text = serde_json::to_string(&summary).expect("plain data");
    fs::write(dir.join(SUMMARY), text).expect("write");
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

const PAGE: &str = "A start takes <!--= quick.ladder | wasm | median -->?<!--=-->.\n";

#[test]
fn a_page_follows_its_run_and_a_check_tells_when_it_does_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let page = dir.path().join("page.md");
    fs::write(&page, PAGE).expect("write");
    leave_run(&dir.path().join("run"), "5.1 us");
    let (code, text) = said(&run(dir.path(), &["--check", "page.md"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("page.md:1: there is no reference run `quick`"),
        "{text}"
    );

    let taken = run(dir.path(), &["--take", "quick=run", "page.md"]);
    assert_eq!(said(&taken), (Some(0), String::new()));
    let written = fs::read_to_string(&page).expect("the page");
    assert!(written.contains("-->5.1 us<!--"), "{written}");
    let checked = run(dir.path(), &["--check", "page.md"]);
    assert_eq!(said(&checked), (Some(0), String::new()));

    fs::write(&page, written.replace("5.1 us", "4.9 us")).expect("write");
    let (code, text) = said(&run(dir.path(), &["--check", "page.md"]));
    assert_eq!(code, Some(1));
    assert!(
        text.contains("page.md:1: ") && text.contains("make figures"),
        "{text}"
    );
    let kept = fs::read_to_string(&page).expect("the page");
    assert!(
        kept.contains("4.9 us"),
        "a check must change nothing: {kept}"
    );
}

#[test]
fn an_interval_without_a_run_fails_even_if_all_else_stands() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("page.md"), "It is 1.07 [1.04, 1.10].\n").expect("write");
    let (code, text) = said(&run(dir.path(), &["--check", "page.md"]));
    assert_eq!(code, Some(1));
    assert!(text.contains("page.md:1: [1.04, 1.10]"), "{text}");
}

#[test]
fn what_is_no_summary_is_refused_and_the_old_reference_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let run_dir = dir.path().join("run");
    leave_run(&run_dir, "5.1 us");
    let take = ["--take", "quick=run"];
    assert_eq!(said(&run(dir.path(), &take)).0, Some(0));
    let reference = dir.path().join("docs/reference/quick.json");
    let before = fs::read(&reference).expect("the reference");
    let newer = format!("{{\"schema\":{},\"form\":[]}}", SCHEMA + 1);
    for (text, word) in [("{", "not a summary"), (newer.as_str(), "schema")] {
        fs::write(run_dir.join(SUMMARY), text).expect("write");
        let (code, error) = said(&run(dir.path(), &take));
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(word), "{error}");
    }
    fs::remove_file(run_dir.join(SUMMARY)).expect("remove");
    assert_eq!(said(&run(dir.path(), &take)).0, Some(5));
    assert_eq!(fs::read(&reference).expect("the reference"), before);
    for bad in ["quick", "../quick=run", "=run"] {
        assert_eq!(said(&run(dir.path(), &["--take", bad])).0, Some(2), "{bad}");
    }
}
