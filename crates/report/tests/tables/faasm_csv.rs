//! The CSVs in the meaning of Faasm's own scripts.

use measure_core::contract::Probe;
use measure_core::contract::run_info::ProcessInfo;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use report::{Records, RunSummary, faasm_csv_files};

use crate::made::{Made, info, rung_info};

/// What is there of each rung: a batch of two starts in 1.5 s, 800 cycles over four, and weights of one and two workers.
fn records(rungs: &[&str]) -> Records {
    let mut made = Made::default();
    for rung in rungs {
        made.process = 3;
        let mut add = |measure, metric, value, n| {
            made.add(rung, measure, phase::TOTAL, metric, value, n);
        };
        let walls = Value::Value(1_500_000_000);
        add(Measure::Batch, Metric::WallNs, walls, 2);
        add(Measure::Cpu, Metric::CpuCycles, Value::Value(800), 4);
        add(Measure::Cpu, Metric::CpuNs, Value::Value(7), 4);
        made.process = 0;
        for workers in [1, 2] {
            made.block += 1;
            for (metric, bytes) in [
                (Metric::UssBytes, 100),
                (Metric::PssBytes, 200),
                (Metric::RssBytes, 300),
                (Metric::PeakPssBytes, 900),
            ] {
                let value = Value::Value(bytes * i64::from(workers));
                let sample = made.add(rung, Measure::Hold, phase::PARKED, metric, value, 1);
                (sample.n, sample.workers) = (u64::from(workers), workers);
            }
        }
    }
    let mut first = rung_info(rungs[0], Probe::Ready);
    first.processes.push(ProcessInfo {
        process: 3,
        opened_ns: 500_000_000,
        ..ProcessInfo::default()
    });
    made.records(info(vec![first]))
}

fn content(records: &Records, name: &str) -> String {
    let files = faasm_csv_files(&RunSummary::from_records(records));
    let file = files.into_iter().find(|file| file.name == name);
    file.unwrap_or_else(|| panic!("no {name}")).content
}

#[test]
fn times_hold_the_process_and_cycles_are_divided_twice() {
    let records = records(&["faaslet", "wasm"]);
    assert_eq!(
        content(&records, "runtime-bench-time.csv"),
        "Runtime,Measure,Value,Iterations,ValuePerIteration\n\
         faasm,cpu_cycles,200,4,50\n\
         faasm,elapsed_seconds,2,2,1\n\
         wasm,cpu_cycles,200,4,50\n\
         wasm,elapsed_seconds,,2,\n",
        "of no process of wasm is it known how long it took to open"
    );
}

#[test]
fn weights_are_those_of_psutil() {
    let records = records(&["docker-none"]);
    assert_eq!(
        content(&records, "runtime-bench-mem.csv"),
        "Runtime,Measure,Value,Workers,ValuePerWorker\n\
         docker,USS,100,1,100\n\
         docker,USS,200,2,100\n\
         docker,PSS,200,1,200\n\
         docker,PSS,400,2,200\n\
         docker,RSS,300,1,300\n\
         docker,RSS,600,2,300\n"
    );
}
