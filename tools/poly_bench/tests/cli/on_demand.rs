//! What is not built yet is built in a checkout, by its Makefile, and by nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use driver_testkit::functions::write_program;
use driver_testkit::{Ended, Started, alive, eventually};
use measure_core::base::process_tree::processes_below;
use nix::sys::signal::Signal;

use crate::bench::{BOTH, Bench, OUTPUTS};

/// A home that is `build` of a checkout, whose Makefile writes down what it is asked for and then does `recipe`; the native
/// poly_gemm-small lies in `away`.
fn checkout(recipe: &str) -> Option<Bench> {
    if Command::new("make").arg("--version").output().is_err() {
        eprintln!("SKIPPED: building on demand: no `make`: apt-get install make");
        return None;
    }
    let bench = Bench::new()?;
    fs::create_dir(bench.path("build")).expect("a directory");
    for part in ["polybench_native", "store"] {
        let to = bench.path("build").join(part);
        fs::rename(bench.path(part), to).expect("moved");
    }
    let program = bench.path("build/polybench_native/bin/poly_gemm-small");
    fs::rename(program, bench.path("away")).expect("moved");
    fs::create_dir(bench.path("polybench-src")).expect("a directory");
    fs::write(bench.path("polybench-src/build.mk"), "").expect("written");
    let programs = bench.path("target/release");
    for tool in ["wasm-post-link", "faasm-driver"] {
        write_program(b"", &programs.join(tool));
    }
    let asked = "$(POLYBENCH_KERNELS)/$(POLYBENCH_DATASETS)/$(POLYBENCH_TYPES)/$(POLYBENCH_BUILDS)";
    let makefile = format!("polybench-on-demand:\n\t@echo '{asked}' >>asked\n\t@{recipe}\n");
    fs::write(bench.path("Makefile"), makefile).expect("written");
    Some(bench)
}

fn command(bench: &Bench) -> Command {
    let line = format!("gemm 1 1 --dataset mini,small {BOTH} {OUTPUTS}");
    let mut command = bench.command(&line);
    command
        .env("FAASM_BENCH_HOME", bench.path("build"))
        .env_remove("CARGO_TARGET_DIR");
    command
}

fn measure(bench: &Bench) -> Ended {
    driver_testkit::run(command(bench))
}

fn asked(bench: &Bench) -> String {
    fs::read_to_string(bench.path("asked")).unwrap_or_default()
}

#[test]
fn what_is_missing_is_built_and_measured() {
    let Some(bench) = checkout("mv away build/polybench_native/bin/poly_gemm-small") else {
        return;
    };
    let ran = measure(&bench);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told = "not built yet or stale: 1 (first poly_gemm-small, native)";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert_eq!(asked(&bench), "gemm/small/default/native\n");
    assert_eq!(bench.rows().len(), 4);
    // All is there: nothing is built.
    fs::remove_dir_all(bench.path("run")).expect("removed");
    assert_eq!(measure(&bench).code, Some(0));
    assert_eq!(asked(&bench), "gemm/small/default/native\n");
}

#[test]
fn while_it_builds_it_says_how_far_it_is() {
    let Some(bench) = checkout("sleep 1; mv away build/polybench_native/bin/poly_gemm-small")
    else {
        return;
    };
    let mut command = command(&bench);
    command.env("FAASM_BENCH_PROGRESS_SECONDS", "0");
    let ran = driver_testkit::run(command);
    ran.expect(0).says("building   0 %, about ");
    ran.says(" s left: 0 of 1 files");
}

#[test]
fn a_signal_ends_the_build_with_all_that_it_started() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        // A shell that is told right before it starts a program heeds its trap only when that has ended.
        let recipe = "trap 'rm half; exit 1' INT TERM; echo >half; while :; do sleep 1; done";
        let Some(bench) = checkout(recipe) else {
            return;
        };
        let mut command = command(&bench);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut running = Started(child.expect("poly_bench"));
        let half = bench.path("half");
        eventually("it builds", || half.exists());
        let mut started = Vec::new();
        eventually("make, its shell and what that waits for", || {
            started = processes_below(&[running.pid()]);
            started.len() > 2
        });
        // To it alone, as by `kill`; on a terminal all of its group get one.
        running.signal(signal);
        assert_eq!(running.end().code(), Some(code));
        assert!(!half.exists(), "the recipe cleaned up");
        eventually("all of it has ended", || {
            !started.iter().any(|&pid| alive(pid))
        });
        assert!(!bench.path("run").exists(), "nothing was measured");
    }
}

#[test]
fn a_build_that_fails_is_told() {
    let Some(bench) = checkout("echo no such compiler >&2; exit 7") else {
        return;
    };
    let words = ["no such compiler", "polybench-on-demand", "make setup"];
    measure(&bench).assert_failed(3, &words);
    assert!(!bench.path("run").exists(), "nothing was made");
}

#[test]
fn a_build_that_leaves_something_out_is_told() {
    let Some(bench) = checkout("true") else {
        return;
    };
    let words = ["poly_gemm-small is missing", "`make polybench-native`"];
    measure(&bench).assert_failed(3, &words);
}

#[test]
fn without_the_tools_that_build_nothing_is_built() {
    let Some(bench) = checkout("true") else {
        return;
    };
    fs::remove_file(bench.path("target/release/wasm-post-link")).expect("removed");
    measure(&bench).assert_failed(3, &["poly_gemm-small is missing"]);
    assert_eq!(asked(&bench), "");
}

#[test]
fn what_is_missing_where_the_tools_are_installed_is_built_in_their_checkout() {
    let Some(bench) = checkout("touch built") else {
        return;
    };
    let home = bench.path("prefix/share/faasm-bench");
    fs::create_dir_all(home.parent().expect("a directory")).expect("made");
    fs::rename(bench.path("build"), &home).expect("moved");
    fs::create_dir(bench.path("build")).expect("a directory");
    let makefile = fs::read_to_string(bench.path("Makefile")).expect("there");
    let install = "install-polybench:\n\t@mv away $(PREFIX)/share/faasm-bench/polybench_native/bin/poly_gemm-small\n";
    fs::write(bench.path("Makefile"), makefile + install).expect("written");
    let measure = || {
        let mut command = command(&bench);
        command
            .env("FAASM_BENCH_HOME", &home)
            .env("DESTDIR", "/no/such/place");
        driver_testkit::run(command)
    };
    // It does not say where it was installed from.
    measure().assert_failed(3, &["poly_gemm-small is missing"]);
    let top = bench
        .path("Makefile")
        .parent()
        .expect("a directory")
        .to_owned();
    fs::write(home.join("checkout"), format!("{}\n", top.display())).expect("written");
    // Others could have written what would run as us.
    let mode = |mode| fs::set_permissions(bench.path("Makefile"), fs::Permissions::from_mode(mode));
    mode(0o666).expect("changed");
    measure().assert_failed(3, &["poly_gemm-small is missing"]);
    assert_eq!(asked(&bench), "");
    mode(0o644).expect("changed");
    let ran = measure();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(asked(&bench), "gemm/small/default/native\n");
    assert!(bench.path("built").exists());
}
