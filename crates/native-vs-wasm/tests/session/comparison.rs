//! Comparisons from made-up records.

use measure_core::contract::run_dir::RunDirError;
use measure_core::contract::sample::{SCHEMA, Sample, Value};
use measure_core::contract::vocabulary::phase::{KERNEL, TOTAL};
use measure_core::contract::vocabulary::{Measure, Metric};
use native_vs_wasm::comparison::{
    BenchmarkInfo, COMPARISON, ColumnInfo, Comparison, ComparisonInfo, csv_rows, csv_whole_runs,
    means, pyperf, render, rows, terminal,
};
use report::Records;

fn sample(benchmark: &str, column: &str, phase: &str, ns: i64, n: u64) -> Sample {
    Sample {
        schema: SCHEMA,
        run: "r".into(),
        rung: column.into(),
        function: format!("polybench/{benchmark}"),
        measure: Measure::Run,
        phase: phase.into(),
        metric: if phase == KERNEL {
            Metric::KernelNs
        } else {
            Metric::WallNs
        },
        value: Value::Value(ns),
        n,
        workers: 1,
        process: 0,
        block: 0,
        order: 0,
        seed: 1,
        warmup: false,
        error: None,
    }
}

/// Benchmarks with their group, and for each column a factor on the kernel's 10 us.
fn comparison(benchmarks: &[(&str, &str)], columns: &[(&str, i64)], runs: i64) -> Comparison {
    let mut samples = Vec::new();
    for (benchmark, _) in benchmarks {
        for (column, factor) in columns {
            for run in 0..runs {
                let repeats = 4;
                let ns = factor * (10_000 + 10 * run) * 4;
                for (phase, ns, n) in [(KERNEL, ns, repeats), (TOTAL, ns + 1_000_000, 1)] {
                    samples.push(Sample {
                        process: u32::try_from(run).expect("few") + 1,
                        order: run.unsigned_abs(),
                        ..sample(benchmark, column, phase, ns, n)
                    });
                }
            }
        }
    }
    let info = ComparisonInfo {
        schema: SCHEMA,
        run: "r".into(),
        suite: "polybench".into(),
        title: "PolyBench/C".into(),
        seed: 1,
        reference: (columns.len() > 1).then(|| columns[0].0.to_owned()),
        columns: columns
            .iter()
            .map(|(name, _)| ColumnInfo {
                name: (*name).into(),
                ..ColumnInfo::default()
            })
            .collect(),
        benchmarks: benchmarks
            .iter()
            .map(|(name, group)| BenchmarkInfo {
                name: (*name).into(),
                group: (*group).into(),
                function: format!("polybench/{name}"),
                repeats: 4,
                ..BenchmarkInfo::default()
            })
            .collect(),
        ..ComparisonInfo::default()
    };
    Comparison {
        records: Records {
            samples,
            ..Records::default()
        },
        info,
    }
}

const TWO: [(&str, &str); 2] = [("poly_gemm", "LARGE"), ("poly_lu", "LARGE")];

#[test]
fn ratios_are_of_processes_and_divided_by_repeats_once() {
    let comparison = comparison(&TWO, &[("native", 1), ("wasm", 2)], 6);
    let rows = rows(&comparison);
    let wasm = rows[0].cell("wasm").expect("a column");
    assert_eq!(wasm.kernel.median.expect("runs").value, 20_050.0);
    let ratio = wasm.kernel.ratio.expect("a ratio");
    assert!((ratio.value - 2.0).abs() < 1e-12);
    assert!(ratio.interval.is_ok_and(|i| i.contains(2.0)));
    assert!(
        rows[0]
            .cell("native")
            .expect("a column")
            .kernel
            .ratio
            .is_none()
    );
    let means = means(&comparison, &rows);
    assert_eq!(means.len(), 1);
    assert!((means[0].kernel.mean - 2.0).abs() < 1e-12);
    let again = means[0].kernel.these_again;
    assert!(again.is_ok_and(|i| i.contains(means[0].kernel.mean)));
    let text = terminal(&comparison, None);
    for told in [
        "LARGE: wasm/native geometric mean over 2: 2.00 ([2.00, 2.00] these benchmarks again",
        "benchmarks drawn like these",
    ] {
        assert!(text.contains(told), "no `{told}`: {text}");
    }
}

#[test]
fn whole_runs_are_rows_of_the_same_form() {
    let comparison = comparison(&TWO[..1], &[("native", 1), ("wasm", 2)], 2);
    assert_eq!(
        csv_whole_runs(&comparison),
        "benchmark,type,microseconds\n\
         poly_gemm,native,1040\npoly_gemm,native,1040\n\
         poly_gemm,wasm,1080\npoly_gemm,wasm,1080\n"
    );
}

#[test]
fn the_form_of_pyperf_has_a_run_for_each_process_in_seconds() {
    let comparison = comparison(&TWO, &[("native", 1), ("wasm", 2)], 2);
    let text = pyperf::of_column(&comparison, "wasm").expect("a column");
    let suite: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(suite["version"], "1.0");
    let benchmark = &suite["benchmarks"][1];
    assert_eq!(benchmark["metadata"]["name"], "poly_lu");
    assert_eq!(benchmark["metadata"]["loops"], 4);
    let value = |run: usize| benchmark["runs"][run]["values"][0].as_f64();
    assert!((value(0).expect("a value") - 20e-6).abs() < 1e-12, "{text}");
    assert!(
        (value(1).expect("a value") - 20.02e-6).abs() < 1e-12,
        "{text}"
    );
    assert!(pyperf::of_column(&comparison, "firefox").is_none());
    let all = pyperf::of_all_columns(&comparison);
    let suite: serde_json::Value = serde_json::from_str(&all).expect("JSON");
    assert_eq!(suite["benchmarks"].as_array().map(Vec::len), Some(4));
    assert_eq!(suite["benchmarks"][3]["metadata"]["name"], "poly_lu wasm");
}

#[test]
fn the_csv_has_a_row_a_run_in_microseconds() {
    let mut comparison = comparison(&TWO, &[("native", 1), ("wasm", 2)], 2);
    // Neither an unmeasured run nor one that failed is a row.
    let mut more = sample("poly_gemm", "native", KERNEL, 5, 1);
    more.warmup = true;
    comparison.records.samples.push(more.clone());
    more.warmup = false;
    more.error = Some("it failed".into());
    comparison.records.samples.push(more);
    assert_eq!(
        csv_rows(&comparison),
        "benchmark,type,microseconds\n\
         poly_gemm,native,10.000\npoly_gemm,native,10.010\n\
         poly_gemm,wasm,20.000\npoly_gemm,wasm,20.020\n\
         poly_lu,native,10.000\npoly_lu,native,10.010\n\
         poly_lu,wasm,20.000\npoly_lu,wasm,20.020\n"
    );
}

#[test]
fn every_group_has_a_plot_and_every_file_the_same_bytes_again() {
    let benchmarks = [("poly_gemm", "LARGE"), ("poly_gemm-small", "SMALL")];
    let columns = [("native", 1), ("wasm", 2), ("wasm-other", 3)];
    let comparison = comparison(&benchmarks, &columns, 5);
    let files = render(&comparison);
    assert_eq!(files, render(&comparison));
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "polybench.csv",
            "polybench-ratios.csv",
            "report.md",
            "report.html",
            "summary.json",
            "ratios-large.svg",
            "ratios-small.svg"
        ]
    );
    let summary: table::summary::Summary = serde_json::from_str(&files[4].1).expect("a summary");
    let names: Vec<&str> = summary.tables.keys().map(String::as_str).collect();
    assert!(
        names.contains(&"small") && names.contains(&"small-means"),
        "{names:?}"
    );
    let svg = &files[6].1;
    assert!(
        svg.contains("poly_gemm-small") && svg.contains("wasm-other"),
        "{svg}"
    );
    assert!(!svg.contains("poly_gemm<"), "{svg}");
    assert_eq!(files[1].1.lines().count(), 1 + 2 * 3);
}

#[test]
fn the_page_has_each_benchmark_with_bars_of_every_column_and_names_do_nothing() {
    let benchmarks = [("poly_gemm", "LARGE"), ("<script>alert(1)", "LARGE")];
    let columns = [("native", 1), ("wasm", 2), ("wasm-other", 3)];
    let files = render(&comparison(&benchmarks, &columns, 6));
    let (_, page) = files
        .iter()
        .find(|(name, _)| name == "report.html")
        .expect("a page");
    for words in [
        "id=\"benchmark-poly-gemm\"",
        "Ratios of kernel times, LARGE, from 1",
        "wasm-other/native",
        "Kernel times: share of runs that took no longer",
        "2.00 [2.00, 2.00]",
        ">Means, LARGE<",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(page.matches("<script").count(), 2, "ours, and the samples");
    assert!(!page.contains("NaN"));
}

/// Until then one process made all runs of a Wasm column.
#[test]
fn runs_of_schema_1_have_ratios_but_no_interval() {
    let mut comparison = comparison(&TWO, &[("native", 1), ("wasm", 2)], 9);
    for sample in &mut comparison.records.samples {
        sample.process = 0;
    }
    let rows = rows(&comparison);
    let cell = |column| &rows[0].cell(column).expect("a column").kernel;
    assert!(cell("native").median.expect("runs").interval.is_ok());
    assert!(cell("wasm").median.expect("runs").interval.is_err());
    assert!(cell("wasm").ratio.expect("a ratio").interval.is_err());
    assert_eq!(csv_rows(&comparison).lines().count(), 1 + 2 * 2 * 9);
}

#[test]
fn a_column_is_held_against_its_twin_or_the_best_native_build() {
    let columns = [
        ("native", 4),
        ("native-o3", 2),
        ("native-pgo", 1),
        ("wasm", 8),
        ("wasm-pgo", 6),
    ];
    let mut comparison = comparison(&TWO, &columns, 6);
    comparison.info.columns[4].twin = Some("native-pgo".into());
    comparison.info.benchmarks[0].best_native = Some("native-o3".into());
    let found = rows(&comparison);
    let ratio = |row: usize, column| {
        let cell = found[row].cell(column).expect("a column");
        (cell.against, cell.kernel.ratio.map(|r| r.value.round()))
    };
    assert_eq!(ratio(0, "wasm"), (Some("native-o3"), Some(4.0)));
    assert_eq!(ratio(0, "native"), (Some("native-o3"), Some(2.0)));
    assert_eq!(ratio(0, "native-o3"), (None, None));
    assert_eq!(ratio(1, "wasm"), (Some("native"), Some(2.0)));
    assert_eq!(ratio(1, "wasm-pgo"), (Some("native-pgo"), Some(6.0)));
    let text = terminal(&comparison, None);
    // Of several builds none is divided by another.
    comparison.info.builds = vec!["native".into(), "native-o3".into()];
    let found = rows(&comparison);
    assert_eq!(found[0].cell("native").expect("a column").against, None);
    assert_eq!(
        found[0].cell("wasm").expect("a column").against,
        Some("native-o3")
    );
    for told in ["wasm/best native", "wasm-pgo/native-pgo"] {
        assert!(text.contains(told), "no `{told}`: {text}");
    }
}

#[test]
fn aa_says_how_often_a_column_differs_from_itself() {
    let names: Vec<String> = (0..100).map(|i| format!("poly_{i}")).collect();
    let benchmarks: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let columns = [
        ("native", 1),
        ("native-again", 1),
        ("native-2", 1),
        ("native-2-again", 1),
    ];
    let mut comparison = comparison(&benchmarks, &columns, 6);
    comparison.info.aa = true;
    for (column, twin) in [(1, "native"), (3, "native-2")] {
        comparison.info.columns[column].twin = Some(twin.into());
    }
    let text = terminal(&comparison, None);
    assert!(
        text.contains("of 200 comparisons of a column with itself 0 (0.0 %) differ"),
        "{text}"
    );
    assert!(text.contains("the intervals hold"), "{text}");
    // Nineteen that differ are too many.
    for sample in &mut comparison.records.samples {
        let benchmark = sample
            .function
            .rsplit('_')
            .next()
            .and_then(|i| i.parse::<u32>().ok());
        if sample.rung == "native-again" && benchmark.is_some_and(|i| i < 19) {
            sample.value = Value::Value(sample.value.number().expect("a number") * 2);
        }
    }
    let text = terminal(&comparison, None);
    assert!(
        text.contains("19 (9.5 %) differ") && text.contains("too narrow"),
        "{text}"
    );
    comparison.info.benchmarks.truncate(10);
    assert!(terminal(&comparison, None).contains("too few for a verdict, 200 are needed"));
}

#[test]
fn one_column_has_times_and_no_ratios() {
    let comparison = comparison(&TWO, &[("wasm", 2)], 5);
    let files = render(&comparison);
    assert!(files.iter().all(|(name, _)| !name.ends_with(".svg")));
    let text = terminal(&comparison, None);
    assert!(
        text.contains("20.0 us") && !text.contains("geometric"),
        "{text}"
    );
}

#[test]
fn too_few_runs_have_no_interval_and_none_has_no_ratio() {
    let mut comparison = comparison(&TWO, &[("native", 1), ("wasm", 2)], 3);
    let is_lu = |s: &Sample| s.function.ends_with("poly_lu") && s.rung == "wasm";
    comparison.records.samples.retain(|s| !is_lu(s));
    comparison.info.benchmarks[1]
        .trouble
        .push("wasm: trap".into());
    let text = terminal(&comparison, None);
    assert!(text.contains("3 processes, 6 are needed"), "{text}");
    assert!(text.contains("geometric mean over 1 of 2: 2.00"), "{text}");
    assert!(text.contains("poly_lu: wasm: trap"), "{text}");
    let report = &render(&comparison)[2].1;
    assert!(report.contains("## Not measured"), "{report}");
}

#[test]
fn records_without_a_plan_or_of_a_later_version_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("samples.jsonl"), "").expect("written");
    assert!(matches!(
        Comparison::read(dir.path()),
        Err(RunDirError::Read { .. })
    ));
    let later = ComparisonInfo {
        schema: SCHEMA + 1,
        ..ComparisonInfo::default()
    };
    let text = serde_json::to_string(&later).expect("JSON");
    std::fs::write(dir.path().join(COMPARISON), text).expect("written");
    assert!(matches!(
        Comparison::read(dir.path()),
        Err(RunDirError::Newer { .. })
    ));
}
