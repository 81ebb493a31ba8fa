//! How made-up rates grow with workers.

use measure_core::contract::Probe;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use report::scalability;

use crate::made::{Made, content, info, rung_info, time_rows};

/// Ten processes; by 1, 2, 4 and 8 workers each does what the law says of contention 0.1 and no coherence, the next process 1 % less.
pub fn batches(made: &mut Made) {
    for process in 1..=10_u32 {
        made.process = process;
        made.start("wasm", &Measure::BackToBack, 1000);
        for workers in [1_u32, 2, 4, 8] {
            for _ in 0..3 {
                made.block += 1;
                let n = f64::from(workers);
                let rate = 100_000.0 * n / (1.0 + 0.1 * (n - 1.0));
                let slower = 1.0 + 0.01 * f64::from(process);
                let starts = 1000 * u64::from(workers);
                let ns = (starts as f64 * 1e9 / rate * slower) as i64;
                let value = Value::Value(ns);
                let batch = made.add(
                    "wasm",
                    Measure::Batch,
                    phase::TOTAL,
                    Metric::WallNs,
                    value,
                    starts,
                );
                batch.workers = workers;
            }
        }
    }
}

#[test]
fn the_law_is_fitted_and_ratios_are_those_of_each_process() {
    let mut made = Made::default();
    batches(&mut made);
    let mut run = info(vec![rung_info("wasm", Probe::Ready)]);
    run.parts[0].profile = "scaling".into();
    let records = made.records(run);
    let row = &time_rows(&records)[0];
    let fit = scalability(&row.throughput).expect("four numbers of workers");
    assert!((fit.contention - 0.1).abs() < 1e-3, "{fit:?}");
    assert!(fit.coherence < 1e-4, "{fit:?}");
    let two = &row.throughput[1];
    assert_eq!((two.workers, two.batches, two.rate.processes), (2, 30, 10));
    let over_one = two.over_one.expect("both numbers in each process");
    assert!((over_one.value - 2.0 / 1.1).abs() < 1e-3, "{over_one:?}");
    let interval = over_one.interval.expect("ten processes");
    assert!(
        interval.hi - interval.lo < 1e-3,
        "processes differ, their ratios do not"
    );
    assert!(row.throughput[0].over_one.is_none());
    let markdown = content(&records, "report.md");
    assert!(markdown.contains("### Scaling"), "{markdown}");
    assert!(markdown.contains("By 8, over one"), "{markdown}");
    assert!(markdown.contains("10.0 %"), "{markdown}");
    assert!(content(&records, "scaling.svg").contains("wasm"));
}

#[test]
fn other_runs_have_no_such_table() {
    let mut made = Made::default();
    batches(&mut made);
    let records = made.records(info(vec![rung_info("wasm", Probe::Ready)]));
    let markdown = content(&records, "report.md");
    assert!(!markdown.contains("### Scaling"), "{markdown}");
    assert!(markdown.contains("### Starts per second"), "{markdown}");
}
