//! What goes wrong, and what is said of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::common::{Home, said};

#[test]
fn exceptions_and_syntax_errors_are_shown_and_earlier_rows_kept() {
    let Some(home) = Home::built() else { return };
    home.script("bench_wrong.py", "\"\"\"Fails.\"\"\"\nfrom pybench import own\ndef inner():\n    raise ValueError('the reason')\nown('wrong', inner)\n");
    home.script("bench_zyntax.py", "\"\"\"Fails.\"\"\"\ndef f(:\n");
    let output = home.run(&["all", "1", "1"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("ValueError: the reason"), "{text}");
    assert!(text.contains("SyntaxError"), "{text}");
    assert!(home.rows().iter().all(|row| row.0 == "bench_version"));
    assert_eq!(home.rows().len(), 2);
    for side in ["native", "wasm"] {
        let output = home.run(&["dump", "wrong", side]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(
            said(&output).contains("ValueError"),
            "{side}: {}",
            said(&output)
        );
    }
}

#[test]
fn limits_of_time_and_memory_end_a_benchmark() {
    let Some(home) = Home::built() else { return };
    home.script("bench_endless.py", "\"\"\"Never ends.\"\"\"\nfrom pybench import own\ndef f():\n    while True: pass\nown('endless', f)\n");
    home.script("bench_greedy.py", "\"\"\"Wants much.\"\"\"\nfrom pybench import own\nown('greedy', lambda: len(bytearray(900 << 20)))\n");
    for (native, wasm) in [("1", "0"), ("0", "1")] {
        let output = home.run(&["endless", native, wasm, "--timeout", "2"]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains("--timeout"), "{}", said(&output));
        let output = home.run(&["greedy", native, wasm, "--memory-limit", "300"]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains("MemoryError"), "{}", said(&output));
    }
}

#[test]
fn names_and_versions_are_checked_before_anything_runs() {
    let home = Home::new();
    for (args, code, says) in [
        (&["versoin", "1", "1"][..], 2, "did you mean `version`?"),
        (
            &["tornado_http", "1", "1"],
            3,
            "WASI has no listening sockets",
        ),
        (&["version", "one", "1"], 2, "no number"),
        (&["version", "0", "0"], 2, "nothing to do"),
        (&["version", "1", "1"], 3, "make python"),
        (&["version"], 2, "it takes a benchmark"),
    ] {
        let output = home.run(args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            said(&output)
        );
        assert!(said(&output).contains(says), "{args:?}: {}", said(&output));
    }
    home.versions("3.13.5\n", "3.11.2\n");
    let output = home.run(&["version", "1", "1"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        said(&output).contains("CPython 3.13.5, the Wasm one 3.11.2"),
        "{}",
        said(&output)
    );
    home.versions("3.13.5\n", "3.13.5\n");
    let library = home.dir.path().join("python/native/lib");
    fs::remove_dir(&library).expect("removed");
    let output = home.run(&["version", "1", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("the standard library is missing"));
    fs::create_dir(&library).expect("made");
    let output = home.run(&["version", "1", "1", "--also", "wasm-obt"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let output = home.run(&["version", "1", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("is missing"), "{}", said(&output));
}

#[test]
fn a_failure_of_either_side_is_shown_with_its_name() {
    let Some(home) = Home::built() else { return };
    for (side, condition) in [("native", ">"), ("wasm", "<")] {
        let text = format!(
            "\"\"\"Fails on one side.\"\"\"\nimport sys\nfrom pybench import own\ndef inner():\n    if sys.maxsize {condition} 1 << 32:\n        raise KeyError('only here')\n    return 7\nown('half', inner)\n"
        );
        home.script("bench_half.py", &text);
        let output = home.run(&["half", "1", "1"]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        let text = said(&output);
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
    let output = home.run(&["mute", "1", "1"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(
        said(&output).contains("nothing that it computed"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_is_missing_is_named_with_the_command_that_makes_it() {
    let Some(built) = Home::built() else { return };
    // No store: no Wasm interpreter.
    let home = Home::new();
    home.link("python", &built.dir.path().join("python"));
    let output = home.run(&["version", "1", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("python/py_func is not in the store"),
        "{text}"
    );
    assert!(text.contains("make python"), "{text}");
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
    let output = home.run(&["suite", "1", "1"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(
        said(&output).contains("the suite is not installed: make python"),
        "{}",
        said(&output)
    );
    // Something else in the place of the native interpreter.
    let home = Home::new();
    home.link("store", &built.dir.path().join("store"));
    home.versions("3.13.5\n", "3.13.5\n");
    let bin = home.dir.path().join("python/native/bin");
    fs::create_dir(&bin).expect("made");
    let interpreter = bin.join("python3.13");
    fs::write(&interpreter, "#!/bin/sh\necho digest 1 of 1 values\n").expect("written");
    fs::set_permissions(&interpreter, Permissions::from_mode(0o755)).expect("changed");
    let output = home.run(&["version", "1", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("no ELF header"), "{}", said(&output));
}
