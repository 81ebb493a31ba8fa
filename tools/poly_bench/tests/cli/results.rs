//! What a run that goes well leaves.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;

use measure_core::contract::vocabulary::phase::{PROCESS, TOTAL};

use crate::bench::{BOTH, Bench, OUTPUTS};

#[test]
fn both_sides_are_verified_timed_and_kept() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.measure("poly_gemm 5 6 --dataset mini");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rows = bench.rows();
    let of = |column: &str| rows.iter().filter(|row| row[1] == column).count();
    assert_eq!((rows.len(), of("native"), of("wasm")), (11, 5, 6));
    for row in &rows {
        assert_eq!(row[0], "poly_gemm-mini");
        assert!(row[2].parse::<f64>().expect("a number") > 0.0, "{row:?}");
    }
    assert!(
        ran.stdout.contains("wasm/native geometric mean over 1"),
        "{ran:?}"
    );
    let report = fs::read_to_string(bench.path("run/report.md")).expect("a report");
    assert!(
        report.contains("wasm agrees in all 500 elements"),
        "{report}"
    );
    let svg = fs::read_to_string(bench.path("run/ratios-mini.svg")).expect("a plot");
    assert!(svg.starts_with("<svg") && svg.contains("poly_gemm-mini"));
    assert_eq!(
        fs::read(bench.path("run/polybench.csv")).expect("rows"),
        fs::read(bench.path("rows.csv")).expect("rows")
    );
}

#[test]
fn samples_say_what_was_measured() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.measure("gemm 3 3 --dataset mini --seed 7");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let samples = bench.samples();
    let mut runs: BTreeMap<u32, (i64, i64, i64)> = BTreeMap::new();
    for sample in samples.iter().filter(|s| s.measure.as_str() == "run") {
        assert_eq!(
            (sample.seed, &*sample.function),
            (7, "polybench/poly_gemm-mini")
        );
        let value = sample.value.number().expect("a value");
        let run = runs.entry(sample.block).or_default();
        match &*sample.phase {
            TOTAL => run.0 = value,
            PROCESS => assert_eq!(sample.rung, "wasm", "natively it is the whole run"),
            "kernel" => {
                run.2 = value;
                // The kernel takes microseconds: it is repeated.
                assert!(sample.n > 1, "{sample:?}");
            }
            _ => run.1 += value,
        }
    }
    assert_eq!(runs.len(), 6);
    // Each run is a process of its own, laid out as its twin in the other column.
    for column in ["native", "wasm"] {
        let kernels = samples.iter().filter(|s| s.rung == column);
        let processes: BTreeSet<u32> = kernels.map(|s| s.process).collect();
        assert_eq!(processes, BTreeSet::from([0, 1, 2, 3]), "{column}");
    }
    let info = fs::read_to_string(bench.path("run/comparison.json")).expect("there");
    assert_eq!(info.matches("padding_bytes").count(), 3, "{info}");
    for (total, phases, kernel) in runs.values() {
        assert_eq!(total, phases, "phases sum to the total");
        assert!(kernel <= total, "the kernel is a part of the whole");
    }
    for measure in ["verify", "calibrate"] {
        let found: HashSet<&str> = samples
            .iter()
            .filter(|s| s.measure.as_str() == measure && s.warmup)
            .map(|s| &*s.rung)
            .collect();
        assert_eq!(found, HashSet::from(["native", "wasm"]), "{measure}");
    }
}

#[test]
fn a_seed_repeats_the_order() {
    if Bench::new().is_none() {
        return;
    }
    let order = |seed: &str| {
        let bench = Bench::new().expect("as just now");
        let ran = bench.measure(&format!("gemm 8 8 --dataset mini --seed {seed}"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let samples = bench.samples();
        let runs = samples
            .iter()
            .filter(|s| s.measure.as_str() == "run" && s.phase == TOTAL);
        runs.map(|s| s.rung.clone()).collect::<Vec<_>>()
    };
    let (first, again, other) = (order("1"), order("1"), order("2"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    // Interleaved: after two of a side comes one of the other.
    assert!(
        first.windows(3).all(|w| w[0] != w[1] || w[1] != w[2]),
        "{first:?}"
    );
}

#[test]
fn tables_are_made_again_from_the_records() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.measure("gemm 5 5 --dataset mini,small");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let made = [
        "polybench.csv",
        "polybench-ratios.csv",
        "report.md",
        "report.html",
        "ratios-mini.svg",
        "ratios-small.svg",
    ];
    let content = || made.map(|name| fs::read(bench.path("run").join(name)).expect(name));
    let before = content();
    for name in made {
        fs::remove_file(bench.path("run").join(name)).expect(name);
    }
    let ran = bench.run("report run");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(content(), before);
    assert!(
        ran.stdout.contains("SMALL: wasm/native geometric mean"),
        "{ran:?}"
    );
}

#[test]
fn without_native_runs_wasm_is_verified_and_alone_timed() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.measure("gemm 0 3 --dataset mini");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(bench.rows().iter().all(|row| row[1] == "wasm"));
    assert_eq!(bench.rows().len(), 3);
    let verified = |rung: &str| {
        let samples = bench.samples();
        samples
            .iter()
            .any(|s| s.measure.as_str() == "verify" && s.rung == rung)
    };
    assert!(verified("native") && verified("wasm"));

    // With nothing to hold it against it is timed, and said to be unverified.
    fs::remove_dir_all(bench.native_dir()).expect("no native programs");
    fs::remove_dir_all(bench.path("run")).expect("removed");
    let ran = bench.measure("gemm 0 3 --dataset mini");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("poly_gemm-mini is not verified"),
        "{ran:?}"
    );
    assert_eq!(bench.rows().len(), 3);
    assert!(!verified("native"));
}

/// How many rows each column has.
fn rows_by_column(bench: &Bench) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for [_, column, _] in bench.rows() {
        *found.entry(column).or_default() += 1;
    }
    found
}

#[test]
fn further_columns_have_the_iterations_of_their_side() {
    let Some(bench) = Bench::new() else { return };
    bench.put_all_columns("poly_gemm-mini");
    let ran = bench.measure("gemm 5 6 --dataset mini --also native-o3");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = [("native", 5), ("native-o3", 5), ("wasm", 6)];
    assert_eq!(
        rows_by_column(&bench),
        expected.map(|(c, n)| (c.to_owned(), n)).into()
    );
}

#[test]
fn every_build_and_the_module_as_linked_is_a_column() {
    let Some(bench) = Bench::new() else { return };
    bench.put_all_columns("poly_gemm-mini");
    let ran = bench.run(&format!("gemm 2 2 --dataset mini {OUTPUTS}"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let builds = [
        "native",
        "native-o3",
        "native-no-fma",
        "native-gcc",
        "native-polly",
    ];
    let found = rows_by_column(&bench);
    assert_eq!(found.len(), 7, "{found:?}");
    for column in builds.iter().chain(&["wasm", "wasm-linked"]) {
        assert_eq!(found[*column], 2, "{found:?}");
    }
    for told in [
        "wasm/best native geometric mean",
        "wasm-linked/best native geometric mean",
    ] {
        assert!(ran.stdout.contains(told), "no `{told}`: {ran:?}");
    }
    // Which of them was the fastest is told by runs of each, and it alone may be timed.
    fs::remove_dir_all(bench.path("run")).expect("removed");
    let ran = bench.run(&format!("gemm 2 2 --dataset mini --best-build {OUTPUTS}"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = rows_by_column(&bench);
    assert_eq!(found.values().sum::<usize>(), 6, "{found:?}");
    assert_eq!(
        found
            .keys()
            .filter(|c| builds.contains(&c.as_str()))
            .count(),
        1
    );
    let report = fs::read_to_string(bench.path("run/report.md")).expect("a report");
    assert!(
        report.contains("native-no-fma | native-gcc | native-polly | fastest"),
        "{report}"
    );
}

#[test]
fn a_singular_input_and_integers_are_verified_too() {
    let Some(bench) = Bench::new() else { return };
    for (kernel, says) in [
        ("gramschmidt", "columns that the singular input determines"),
        ("nussinov", "elements exactly"),
    ] {
        let run = format!("run-{kernel}");
        let ran = bench.run(&format!(
            "{kernel} 1 1 --dataset mini {BOTH} --output x.csv --run-dir {run}"
        ));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let report = fs::read_to_string(bench.path(&run).join("report.md")).expect("a report");
        assert!(report.contains(says), "{report}");
    }
}

#[test]
fn a_budget_leaves_enough_for_an_interval() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.measure("gemm 1000 1000 --dataset mini --budget 0");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(bench.rows().len(), 12);
    assert!(ran.stdout.contains('['), "{ran:?}");
}

#[test]
fn dumps_of_both_sides_are_the_same_and_polybenchs() {
    let Some(bench) = Bench::new() else { return };
    for kernel in ["gemm", "poly_nussinov"] {
        let dump = |column: &str| {
            let ran = bench.run(&format!("dump {kernel} {column} --dataset mini"));
            assert_eq!(ran.code, Some(0), "{ran:?}");
            ran.stdout
        };
        let native = dump("native");
        assert_eq!(native, dump("wasm"));
        assert!(
            native.starts_with("==BEGIN DUMP_ARRAYS==\nbegin dump: "),
            "{native}"
        );
        assert!(native.ends_with("==END   DUMP_ARRAYS==\n"), "{native}");
    }
}

#[test]
fn the_list_says_what_is_there() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.run("list");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let line = |name: &str| {
        let found = ran.stdout.lines().find(|line| line.starts_with(name));
        found.expect("a line").to_owned()
    };
    assert_eq!(line("gemm ").matches("mini small").count(), 2, "{ran:?}");
    assert_eq!(line("trmm ").matches("not built").count(), 2, "{ran:?}");
    // The heading, a line a kernel, the columns; then the engines.
    let lines = ran.stdout.lines();
    let kernels = lines.take_while(|line| !line.starts_with("engines "));
    assert_eq!(kernels.count(), 32);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let Some(bench) = Bench::new() else { return };
    let mut child = bench
        .command("list")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("poly_bench");
    drop(child.stdout.take());
    assert!(child.wait().expect("ended").success());
}
