//! Made-up records whose numbers are known, and what is rendered of them.

use measure_core::contract::run_info::{Part, RunInfo, RungInfo};
use measure_core::contract::sample::{SCHEMA, Sample, Value};
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use measure_core::contract::{Description, Isolation, Probe};
use report::{MemoryRow, Records, RunSummary, TimeRow};

/// Samples of one run, built up.
#[derive(Default)]
pub struct Made {
    pub samples: Vec<Sample>,
    pub block: u32,
    pub process: u32,
}

impl Made {
    pub fn add(
        &mut self,
        rung: &str,
        measure: Measure,
        phase: &str,
        metric: Metric,
        value: Value,
        n: u64,
    ) -> &mut Sample {
        self.samples.push(Sample {
            schema: SCHEMA,
            run: "r".into(),
            rung: rung.into(),
            function: "demo/noop".into(),
            measure,
            phase: phase.into(),
            metric,
            value,
            n,
            workers: 1,
            process: self.process,
            block: self.block,
            order: 0,
            seed: 7,
            warmup: false,
            error: None,
        });
        self.samples.last_mut().expect("just pushed")
    }

    /// A start of `measure` with its two phases.
    pub fn start(&mut self, rung: &str, measure: &Measure, ns: i64) {
        for (phase, ns) in [(phase::TOTAL, ns), ("create", ns / 4), ("run", ns - ns / 4)] {
            let value = Value::Value(ns);
            self.add(rung, measure.clone(), phase, Metric::WallNs, value, 1);
        }
    }

    /// A batch of `totals`, each start of `measure`, and the batch itself.
    pub fn batch(&mut self, rung: &str, measure: &Measure, totals: &[i64]) {
        self.block += 1;
        for &ns in totals {
            self.start(rung, measure, ns);
        }
        let n = totals.len() as u64;
        let sum = Value::Value(totals.iter().sum());
        self.add(rung, Measure::Batch, phase::TOTAL, Metric::WallNs, sum, n);
    }

    /// As schema 1 had it: one process, and designs not told apart.
    pub fn pooled(&mut self, rung: &str, totals: &[i64]) {
        self.batch(rung, &Measure::Start, totals);
    }

    /// `processes` processes; the first makes starts of 1000 `unit_ns` alone and of 500 in a loop, each next one 1 % slower ones.
    pub fn designs(&mut self, rung: &str, processes: u32, unit_ns: i64) {
        for process in 1..=processes {
            self.process = process;
            let slower = |per_mille: i64| unit_ns * per_mille * i64::from(99 + process) / 100;
            self.block += 1;
            for (turn, per_mille) in [990, 1000, 1010].into_iter().enumerate() {
                let from = self.samples.len();
                self.start(rung, &Measure::Isolated, slower(per_mille));
                for sample in &mut self.samples[from..] {
                    sample.order = turn as u64;
                }
            }
            for _ in 0..2 {
                let totals = [490, 495, 500, 505, 510].map(slower);
                self.batch(rung, &Measure::BackToBack, &totals);
            }
            let cpu = Value::Value(4 * slower(300));
            self.add(rung, Measure::Cpu, phase::TOTAL, Metric::CpuNs, cpu, 4);
        }
        self.process = 0;
    }

    pub fn records(self, info: RunInfo) -> Records {
        Records {
            samples: self.samples,
            torn: false,
            info,
            environment: None,
            loads: Vec::new(),
        }
    }
}

pub fn render(records: &Records) -> Vec<report::Rendered> {
    report::render(&RunSummary::from_records(records))
}

pub fn terminal(records: &Records) -> String {
    report::terminal(&RunSummary::from_records(records), None)
}

pub fn time_rows(records: &Records) -> Vec<TimeRow> {
    let summary = RunSummary::from_records(records);
    summary.times().cloned().collect()
}

pub fn memory_rows(records: &Records) -> Vec<MemoryRow> {
    let summary = RunSummary::from_records(records);
    summary.memories().cloned().collect()
}

pub fn content(records: &Records, name: &str) -> String {
    let files = render(records);
    let file = files.iter().find(|f| f.name == name);
    file.unwrap_or_else(|| panic!("no {name}")).content.clone()
}

pub fn rung_info(rung: &str, probe: Probe) -> RungInfo {
    RungInfo {
        driver: "some-driver".into(),
        description: Description {
            rung: rung.into(),
            summary: "what starts".into(),
            engine: "engine 1".into(),
            cold: "nothing is ready".into(),
            isolation: Isolation {
                memory: "SFI".into(),
                network: "none: that of the host".into(),
                ..Isolation::default()
            },
            settings: Vec::new(),
            max_workers: 4,
            warm: "engine".into(),
            default_function: "demo/noop".into(),
        },
        probe,
        function: None,
        scope: None,
        plan: None,
        failure: None,
        processes: Vec::new(),
    }
}

pub fn info(rungs: Vec<RungInfo>) -> RunInfo {
    RunInfo {
        schema: SCHEMA,
        run: "r".into(),
        parts: vec![Part {
            name: "time".into(),
            rungs,
            ..Part::default()
        }],
    }
}
