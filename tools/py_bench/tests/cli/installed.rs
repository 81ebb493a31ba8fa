//! As `make install` lays it out: the tool in `bin`, the rest below `share`.

use std::fs;
use std::process::Command;

use driver_testkit::functions;

use crate::common::{Home, checkout};

#[test]
fn an_installed_tool_finds_interpreters_scripts_and_store_beside_itself() {
    let Some(built) = Home::built() else { return };
    let prefix = tempfile::tempdir().expect("a directory");
    let (bin, share) = (prefix.path().join("bin"), prefix.path().join("share"));
    fs::create_dir_all(&bin).expect("made");
    fs::create_dir_all(&share).expect("made");
    let tool = bin.join("py_bench");
    functions::copy_program(env!("CARGO_BIN_EXE_py_bench"), &tool);
    fs::rename(built.dir.path(), share.join("faasm-bench")).expect("moved");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let run = |args: &str| {
        let mut command = Command::new(&tool);
        command
            .args(args.split_whitespace())
            .env_remove("FAASM_BENCH_HOME")
            .current_dir(elsewhere.path());
        let ended = driver_testkit::run(command);
        ended.assert_ended(0, &[]).said()
    };
    run("version 1 1 --output rows.csv");
    let rows = fs::read_to_string(elsewhere.path().join("rows.csv")).expect("rows");
    assert_eq!(rows.matches("bench_version").count(), 2, "{rows}");
    assert!(elsewhere.path().join("results").is_dir());
    let list = run("list");
    assert!(!list.contains(&checkout().display().to_string()), "{list}");
}
