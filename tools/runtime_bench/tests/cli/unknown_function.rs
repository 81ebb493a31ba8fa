//! A function that the store does not have: said before a run's directory is made.

use std::fs;
use std::process::Command;

use measure_core::base::exit::Exit;

#[test]
fn it_is_refused_with_the_nearest_and_leaves_no_run() {
    let place = tempfile::tempdir().expect("a directory");
    for function in ["demo/noop", "demo/park"] {
        fs::create_dir_all(place.path().join("home/store").join(function)).expect("a directory");
    }
    for part in ["time", "mem", "load", "capacity", "scaling"] {
        let command = &mut Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
        let command = command.args([part, "--function", "demo/nop", "--rungs", "thread"]);
        let command = command.env("FAASM_BENCH_HOME", place.path().join("home"));
        let ended = driver_testkit::run(command.current_dir(place.path()));
        assert_eq!(
            ended.code,
            Some(Exit::Usage as i32),
            "{part}: {}",
            ended.stderr
        );
        for words in ["did you mean `demo/noop`?", "runtime_bench add"] {
            assert!(ended.stderr.contains(words), "{part}: {}", ended.stderr);
        }
        assert!(!place.path().join("results").exists(), "{part}");
    }
}
