//! As `make install` lays it out: the tool in `bin`, the rest below `share`.

use std::fs;
use std::process::Command;

use crate::common::{Home, checkout, said};

#[test]
fn an_installed_tool_finds_interpreters_scripts_and_store_beside_itself() {
    let Some(built) = Home::built() else { return };
    let prefix = tempfile::tempdir().expect("a directory");
    let (bin, share) = (prefix.path().join("bin"), prefix.path().join("share"));
    fs::create_dir_all(&bin).expect("made");
    fs::create_dir_all(&share).expect("made");
    let tool = bin.join("py_bench");
    fs::copy(env!("CARGO_BIN_EXE_py_bench"), &tool).expect("copied");
    fs::rename(built.dir.path(), share.join("faasm-bench")).expect("moved");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let run = |args: &[&str]| {
        Command::new(&tool)
            .args(args)
            .env_remove("FAASM_BENCH_HOME")
            .current_dir(elsewhere.path())
            .output()
            .expect("it runs")
    };
    let output = run(&["version", "1", "1", "--output", "rows.csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let rows = fs::read_to_string(elsewhere.path().join("rows.csv")).expect("rows");
    assert_eq!(rows.matches("bench_version").count(), 2, "{rows}");
    assert!(elsewhere.path().join("results").is_dir());
    let list = run(&["list"]);
    let checkout = checkout().display().to_string();
    assert!(!said(&list).contains(&checkout), "{}", said(&list));
}
