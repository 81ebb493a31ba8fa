//! Signals at any moment, and the run after a kill.

use std::fs;
use std::process::Stdio;

use driver_testkit::{Started, eventually};
use nix::sys::signal::Signal;

use crate::bench::{BOTH, Bench, OUTPUTS, rows};
use crate::programs::processes_of;

fn start(bench: &Bench, line: &str) -> Started {
    let mut command = bench.command(&format!("{line} {BOTH} {OUTPUTS}"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Started(child.expect("poly_bench"))
}

/// MINI is done, SMALL under way.
fn until_mid_run(bench: &Bench) {
    eventually("a sample of the second benchmark's runs", || {
        let samples = fs::read_to_string(bench.path("run/samples.jsonl")).unwrap_or_default();
        let is_run =
            |line: &str| line.contains("poly_gemm-small") && line.contains(r#""measure":"run""#);
        samples.lines().any(is_run)
    });
}

/// Lets the native program of the second benchmark take a second for each timed run.
fn slow_down(bench: &Bench) {
    let dir = bench.native_dir();
    let program = dir.join("poly_gemm-small");
    let real = dir.join("real");
    fs::rename(&program, &real).expect("renamed");
    let source = format!(
        r#"
        #include <string.h>
        #include <unistd.h>
        int main(int argc, char **argv) {{
            if (!strcmp(argv[1], "--time")) sleep(1);
            return execv("{}", argv);
        }}"#,
        real.display()
    );
    bench.compile_native("poly_gemm-small", &source);
}

#[test]
fn a_signal_ends_a_run_with_all_its_rows_and_tables() {
    for (signal, code, name) in [
        (Signal::SIGINT, 130, "SIGINT"),
        (Signal::SIGTERM, 143, "SIGTERM"),
    ] {
        let Some(bench) = Bench::new() else { return };
        let mut running = start(&bench, "gemm 100000 100000 --dataset mini");
        eventually("a run", || {
            let samples = fs::read_to_string(bench.path("run/samples.jsonl")).unwrap_or_default();
            samples.contains(r#""measure":"run""#)
        });
        running.signal(signal);
        assert_eq!(running.end().code(), Some(code));
        let kernels = bench
            .samples()
            .iter()
            .filter(|s| s.measure.as_str() == "run" && s.phase == "kernel")
            .count();
        assert_eq!(bench.rows().len(), kernels);
        let report = fs::read_to_string(bench.path("run/report.md")).expect("a report");
        assert!(
            report.contains(&format!("ended early by {name}")),
            "{report}"
        );
        assert_eq!(processes_of(&bench), 0);
    }
}

#[test]
fn a_signal_ends_a_program_that_would_not_end() {
    let native = "#include <unistd.h>\nint main(void) { for (;;) pause(); }";
    let wasm =
        r#"(module (memory (export "memory") 1) (func (export "_start") (loop $on (br $on))))"#;
    for side in ["native", "wasm"] {
        let Some(bench) = Bench::new() else { return };
        bench.compile_native("poly_gemm-mini", native);
        bench.put_wat("poly_gemm-mini", wasm);
        let line = match side {
            "native" => "gemm 1 0 --dataset mini",
            _ => "gemm 0 1 --dataset mini",
        };
        let mut running = start(&bench, line);
        // Ready to run, and then at work for a while.
        eventually("the run directory", || {
            bench.path("run/comparison.json").exists()
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        running.signal(Signal::SIGINT);
        assert_eq!(running.end().code(), Some(130), "{side}");
        assert_eq!(processes_of(&bench), 0, "{side}");
    }
}

#[test]
fn a_killed_run_keeps_its_rows_and_leaves_nothing_running() {
    let Some(bench) = Bench::new() else { return };
    slow_down(&bench);
    let mut running = start(&bench, "gemm 20 20 --dataset mini,small");
    until_mid_run(&bench);
    running.signal(Signal::SIGKILL);
    assert_eq!(running.end().code(), None);
    // A native child dies with the one that started it, if not in the same instant.
    eventually("the children's end", || processes_of(&bench) == 0);
    let kept = bench.rows();
    assert!(
        !kept.is_empty() && kept.iter().all(|row| row[0] == "poly_gemm-mini"),
        "{kept:?}"
    );
    let info = fs::read_to_string(bench.path("run/comparison.json")).expect("there");
    assert!(info.contains("killed before its end"), "{info}");
    // The tables of what was measured can be made, with the rows of the second benchmark.
    let ran = bench.run("report run");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let all = rows(&fs::read_to_string(bench.path("run/polybench.csv")).expect("rows"));
    assert!(all.iter().any(|row| row[0] == "poly_gemm-small"), "{all:?}");
    // And nothing is in the next run's way.
    let line = format!("gemm 1 1 --dataset mini {BOTH} --output rows.csv --run-dir next");
    let ran = bench.run(&line);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
