//! What goes wrong, and what is said of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::common::Home;

#[test]
fn exceptions_and_syntax_errors_are_shown_and_earlier_rows_kept() {
    let Some(home) = Home::built() else { return };
    home.script("bench_wrong.py", "\"\"\"Fails.\"\"\"\nfrom pybench import own\ndef inner():\n    raise ValueError('the reason')\nown('wrong', inner)\n");
    home.script("bench_zyntax.py", "\"\"\"Fails.\"\"\"\ndef f(:\n");
    home.run("all 1 1")
        .assert_ended(4, &["ValueError: the reason", "SyntaxError"]);
    assert!(home.rows().iter().all(|row| row.0 == "bench_version"));
    assert_eq!(home.rows().len(), 2);
    for side in ["native", "wasm"] {
        home.run(&format!("dump wrong {side}"))
            .assert_ended(4, &["ValueError"]);
    }
}

#[test]
fn limits_of_time_and_memory_end_a_benchmark() {
    let Some(home) = Home::built() else { return };
    home.script("bench_endless.py", "\"\"\"Never ends.\"\"\"\nfrom pybench import own\ndef f():\n    while True: pass\nown('endless', f)\n");
    home.script("bench_greedy.py", "\"\"\"Wants much.\"\"\"\nfrom pybench import own\nown('greedy', lambda: len(bytearray(900 << 20)))\n");
    for runs in ["1 0", "0 1"] {
        home.run(&format!("endless {runs} --timeout 2"))
            .assert_ended(4, &["--timeout"]);
        home.run(&format!("greedy {runs} --memory-limit 300"))
            .assert_ended(4, &["MemoryError"]);
    }
}

#[test]
fn names_and_versions_are_checked_before_anything_runs() {
    let home = Home::new();
    for (args, code, says) in [
        ("versoin 1 1", 2, "did you mean `version`?"),
        ("tornado_http 1 1", 3, "WASI has no listening sockets"),
        ("version one 1", 2, "no number"),
        ("version 0 0", 2, "nothing to do"),
        ("version 1 1", 3, "make python"),
        ("version", 2, "it takes a benchmark"),
    ] {
        home.run(args).assert_ended(code, &[says]);
    }
    home.versions("3.13.5\n", "3.11.2\n");
    home.run("version 1 1")
        .assert_ended(3, &["CPython 3.13.5, the Wasm one 3.11.2"]);
    home.versions("3.13.5\n", "3.13.5\n");
    let library = home.dir.path().join("python/native/lib");
    fs::remove_dir(&library).expect("removed");
    home.run("version 1 1")
        .assert_ended(3, &["the standard library is missing"]);
    fs::create_dir(&library).expect("made");
    home.run("version 1 1 --also wasm-obt").assert_ended(2, &[]);
    home.run("version 1 1").assert_ended(3, &["is missing"]);
}

#[test]
fn a_failure_of_either_side_is_shown_with_its_name() {
    let Some(home) = Home::built() else { return };
    for (side, condition) in [("native", ">"), ("wasm", "<")] {
        let text = format!(
            "\"\"\"Fails on one side.\"\"\"\nimport sys\nfrom pybench import own\ndef inner():\n    if sys.maxsize {condition} 1 << 32:\n        raise KeyError('only here')\n    return 7\nown('half', inner)\n"
        );
        home.script("bench_half.py", &text);
        let text = home.run("half 1 1").assert_ended(4, &[]).said();
        let line = text.lines().find(|line| line.contains("only here"));
        let line = line.unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains(&format!("{side}: ")), "{line}");
        assert!(line.contains("KeyError: 'only here'"), "{line}");
        assert!(line.contains("bench_half.py:6 in inner"), "{line}");
    }
    // What could be measured was: there is nothing to compare it with.
    let rows = home.rows();
    assert_eq!(rows, [("bench_half".to_owned(), "native".to_owned())]);
}

#[test]
fn a_result_that_tells_nothing_is_no_agreement() {
    let Some(home) = Home::built() else { return };
    home.script(
        "bench_mute.py",
        "\"\"\"Mute.\"\"\"\nfrom pybench import own\nown('mute', lambda: None)\n",
    );
    home.run("mute 1 1")
        .assert_ended(4, &["nothing that it computed"]);
}

#[test]
fn what_is_missing_is_named_with_the_command_that_makes_it() {
    let Some(built) = Home::built() else { return };
    // No store: no Wasm interpreter.
    let home = Home::new();
    home.link("python", &built.dir.path().join("python"));
    home.run("version 1 1")
        .assert_ended(3, &["python/py_func is not in the store", "make python"]);
    // No suite, and a script of it.
    let home = Home::new();
    home.link("store", &built.dir.path().join("store"));
    fs::create_dir(home.dir.path().join("python")).expect("made");
    for side in ["native", "wasi"] {
        home.link(
            &format!("python/{side}"),
            &built.dir.path().join("python").join(side),
        );
    }
    home.script(
        "bench_suite.py",
        "\"\"\"Of the suite.\"\"\"\nfrom pybench import benchmark\nbenchmark('bm_nbody')\n",
    );
    home.run("suite 1 1")
        .assert_ended(4, &["the suite is not installed: make python"]);
    // Something else in the place of the native interpreter.
    let home = Home::new();
    home.link("store", &built.dir.path().join("store"));
    home.versions("3.13.5\n", "3.13.5\n");
    let bin = home.dir.path().join("python/native/bin");
    fs::create_dir(&bin).expect("made");
    let interpreter = bin.join("python3.13");
    fs::write(&interpreter, "#!/bin/sh\necho digest 1 of 1 values\n").expect("written");
    fs::set_permissions(&interpreter, Permissions::from_mode(0o755)).expect("changed");
    home.run("version 1 1").assert_ended(3, &["no ELF header"]);
}
