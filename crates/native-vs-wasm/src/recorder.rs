//! Everything that a comparison writes.

use std::path::Path;

use crate::comparison::{
    BenchmarkInfo, COMPARISON, Comparison, ComparisonInfo, csv_rows, csv_whole_runs, render,
};
use measure_core::base::files::OutputFile;
use measure_core::contract::environment::{ENVIRONMENT, Environment};
use measure_core::contract::run_dir::{RESULTS, RunDir};
use measure_core::contract::sample::{SCHEMA, Sample, Value};
use measure_core::contract::vocabulary::phase::{ITERATION, KERNEL, PROCESS, REPEATED, TOTAL};
use measure_core::contract::vocabulary::{Measure, Metric};
use probes::host_watch::HostBlock;
use probes::wall_clock::WallClock;
use report::Records;

use crate::column::{Run, Task};
use crate::error::CompareError;
use crate::options::CsvTime;
use crate::output::refused;
use crate::times::{self, TimesError};

/// What a sample is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) benchmark: usize,
    pub(crate) column: &'a str,
    pub(crate) measure: &'a Measure,
    /// Position of the run among those of its column.
    pub(crate) order: u64,
    /// The replicate, from 1; 0 of a run that is not timed.
    pub(crate) process: u32,
    pub(crate) warmup: bool,
}

/// What a run said of its kernel's times, in nanoseconds.
#[derive(Debug)]
pub(crate) enum Kernel {
    /// It was to compute, not to tell.
    Untold,
    Sum {
        ns: u64,
        repeats: u64,
    },
    /// Of each iteration of a process that lives on.
    Curve(Vec<u64>),
}

impl Kernel {
    /// What `output` tells of `task`.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn parse(task: Task, output: &[u8]) -> Result<Self, TimesError> {
        match task {
            Task::Output | Task::Dump => Ok(Self::Untold),
            Task::Time { repeats } => {
                times::parse(output, repeats).map(|ns| Self::Sum { ns, repeats })
            }
            Task::Curve { iterations } => {
                times::parse_each(output, iterations.into()).map(Self::Curve)
            }
        }
    }
}

pub(crate) struct Recorder {
    dir: RunDir,
    csv: OutputFile,
    csv_time: CsvTime,
    comparison: Comparison,
    /// Position of the next run among all.
    block: u32,
    begun: WallClock,
}

impl Recorder {
    /// Makes the run directory, which must not hold samples yet.
    pub(crate) fn open(
        dir: Option<&Path>,
        (csv, csv_time): (OutputFile, CsvTime),
        environment: Environment,
        mut info: ComparisonInfo,
    ) -> Result<Self, CompareError> {
        let dir = match dir {
            Some(dir) => RunDir::open(dir)?,
            None => RunDir::create(Path::new(RESULTS))?,
        };
        if !dir.is_empty()? {
            return Err(CompareError::Usage(format!(
                "{} holds the samples of another run; choose another directory with --run-dir",
                dir.path().display()
            )));
        }
        info.schema = SCHEMA;
        info.run = dir.name();
        info.ended = Some("it was killed before its end".to_owned());
        let recorder = Self {
            dir,
            csv,
            csv_time,
            comparison: Comparison {
                records: Records {
                    environment: Some(environment),
                    ..Records::default()
                },
                info,
            },
            block: 0,
            begun: WallClock::start(),
        };
        recorder.save()?;
        Ok(recorder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn csv_path(&self) -> &Path {
        self.csv.path()
    }

    pub(crate) fn comparison(&self) -> &Comparison {
        &self.comparison
    }

    pub(crate) fn benchmark(&mut self, index: usize) -> &mut BenchmarkInfo {
        &mut self.comparison.info.benchmarks[index]
    }

    pub(crate) fn trouble(&mut self, index: usize, what: String) {
        self.benchmark(index).trouble.push(what);
    }

    /// Writes what a run took.
    pub(crate) fn run(
        &mut self,
        about: &About<'_>,
        run: &Run,
        kernel: &Kernel,
    ) -> Result<(), CompareError> {
        match kernel {
            Kernel::Untold => {}
            &Kernel::Sum { ns, repeats } => {
                let sample = self.sample(about, KERNEL, Metric::KernelNs, ns.into());
                self.append(Sample {
                    n: repeats,
                    ..sample
                })?;
            }
            Kernel::Curve(times) => {
                for (order, &ns) in (0..).zip(times) {
                    let sample = self.sample(about, ITERATION, Metric::KernelNs, ns.into());
                    self.append(Sample { order, ..sample })?;
                }
            }
        }
        let whole = (TOTAL, run.whole.total_ns);
        // Natively the program is the process.
        let process = Some((PROCESS, run.process_ns)).filter(|p| p.1 != whole.1);
        for (phase, ns) in run
            .whole
            .phases
            .iter()
            .copied()
            .chain([whole])
            .chain(process)
        {
            let sample = self.sample(about, phase, Metric::WallNs, ns.into());
            self.append(sample)?;
        }
        self.block += 1;
        Ok(())
    }

    /// Writes that a run failed.
    pub(crate) fn failed(&mut self, about: &About<'_>, why: &str) -> Result<(), CompareError> {
        let value = Value::Unavailable(why.to_owned());
        let sample = self.sample(about, TOTAL, Metric::WallNs, value);
        self.append(Sample {
            error: Some(why.to_owned()),
            ..sample
        })?;
        self.block += 1;
        Ok(())
    }

    /// Position of the next run among all.
    pub(crate) fn block(&self) -> u32 {
        self.block
    }

    /// Writes down what the host did, for each of `benchmarks`, under the first block of those that were watched together; and if
    /// these are made again, which they were: they do not count.
    pub(crate) fn host(
        &mut self,
        benchmarks: &[usize],
        first_block: u32,
        host: &HostBlock,
        is_repeated: bool,
    ) -> Result<(), CompareError> {
        for &benchmark in benchmarks {
            let about = About {
                benchmark,
                // Of all columns: their runs take turns.
                column: "",
                measure: &Measure::Host,
                process: 0,
                order: 0,
                warmup: false,
            };
            let marks = if is_repeated {
                first_block..self.block
            } else {
                0..0
            };
            let values = host.values().into_iter();
            let values = values.map(|(phase, metric, value)| (first_block, phase, metric, value));
            let marks = marks.map(|block| (block, REPEATED, Metric::Disturbed, 1.into()));
            for (block, phase, metric, value) in values.chain(marks) {
                let sample = self.sample(&about, phase, metric, value);
                self.append(Sample { block, ..sample })?;
            }
        }
        if is_repeated {
            self.comparison.records.leave_out_repeated();
        }
        Ok(())
    }

    fn sample(&self, about: &About<'_>, phase: &str, metric: Metric, value: Value) -> Sample {
        let info = &self.comparison.info;
        Sample {
            schema: SCHEMA,
            run: info.run.clone(),
            rung: about.column.to_owned(),
            function: info.benchmarks[about.benchmark].function.clone(),
            measure: about.measure.clone(),
            phase: phase.to_owned(),
            metric,
            value,
            n: 1,
            workers: 1,
            process: about.process,
            block: self.block,
            order: about.order,
            seed: info.seed,
            warmup: about.warmup,
            error: None,
        }
    }

    fn append(&mut self, sample: Sample) -> Result<(), CompareError> {
        self.dir.append(&sample)?;
        self.comparison.records.samples.push(sample);
        Ok(())
    }

    /// Writes what is known so far, the CSV included.
    pub(crate) fn keep(&self) -> Result<(), CompareError> {
        self.save()?;
        self.csv
            .write(self.rows().as_bytes())
            .map_err(refused(self.csv.path()))?;
        let rows = csv_rows(&self.comparison);
        let name = format!("{}.csv", self.comparison.info.suite);
        Ok(self.dir.write(&name, rows.as_bytes())?)
    }

    /// The file of `--output`.
    fn rows(&self) -> String {
        match self.csv_time {
            CsvTime::Kernel => csv_rows(&self.comparison),
            CsvTime::WholeRun => csv_whole_runs(&self.comparison),
        }
    }

    fn save(&self) -> Result<(), CompareError> {
        let info = serde_json::to_string_pretty(&self.comparison.info).unwrap_or_default() + "\n";
        self.dir.write(COMPARISON, info.as_bytes())?;
        if let Some(environment) = &self.comparison.records.environment {
            self.dir
                .write(ENVIRONMENT, environment.to_json().as_bytes())?;
        }
        Ok(())
    }

    /// Writes the tables and gives everything back for printing. `ended` says what ended the run early.
    pub(crate) fn finish(mut self, ended: Option<String>) -> Result<Comparison, CompareError> {
        self.comparison.info.ended = ended;
        if let Some(stepped) = self.begun.stepped() {
            eprintln!("warning: {stepped}");
            self.comparison.info.notes.push(stepped);
        }
        if let Some(environment) = &mut self.comparison.records.environment {
            probes::environment::finish(environment);
        }
        self.save()?;
        write_tables(&self.dir, &self.comparison)?;
        self.csv
            .finish(self.rows().as_bytes())
            .map_err(refused(self.csv.path()))?;
        Ok(self.comparison)
    }
}

/// Writes every file that is made from records.
pub(crate) fn write_tables(dir: &RunDir, comparison: &Comparison) -> Result<(), CompareError> {
    for (name, content) in render(comparison) {
        dir.write(&name, content.as_bytes())?;
    }
    Ok(())
}
