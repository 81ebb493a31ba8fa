//! Writes what is measured into the run directory, as it is measured.

mod samples;

use std::path::{Path, PathBuf};

use measure_core::contract::environment::{ENVIRONMENT, Environment};
use measure_core::contract::run_dir::{RESULTS, RunDir, RunDirError};
use measure_core::contract::run_info::{Part, ProcessInfo, RUN_INFO, RunInfo, RungInfo};
use measure_core::contract::sample::SCHEMA;
use measure_core::contract::vocabulary::Measure;
use probes::wall_clock::WallClock;
use report::{Records, RunSummary};

use crate::error::BenchError;

/// An open run: its directory and the words that go with its numbers.
#[derive(Debug)]
pub struct Recorder {
    dir: RunDir,
    run: String,
    info: RunInfo,
    environment: Environment,
    seed: u64,
    block: u32,
    begun: WallClock,
}

/// What a sample is about, within the present block.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Ladder id.
    pub rung: &'a str,
    /// `user/function`.
    pub function: &'a str,
    /// What was being done.
    pub measure: &'a Measure,
    /// How many starts or parked workers the value covers.
    pub n: u64,
    /// How many worked at once.
    pub workers: u32,
    /// Which driver process of its rung, from 1; 0 where that is not counted.
    pub process: u32,
    /// Position within the block.
    pub order: u64,
}

impl Recorder {
    /// Opens `output`, or a new directory under `results/`, and finds out that it can be written.
    ///
    /// # Errors
    /// It cannot be written, is in use, or holds the samples of another run.
    pub fn open(
        output: Option<&Path>,
        environment: Environment,
        seed: u64,
    ) -> Result<Self, BenchError> {
        let dir = match output {
            Some(path) => RunDir::open(path)?,
            None => RunDir::create(Path::new(RESULTS))?,
        };
        if !dir.is_empty()? {
            return Err(BenchError::Usage(format!(
                "{} holds the samples of another run already; choose another directory with --output",
                dir.path().display()
            )));
        }
        let run = dir.name();
        let info = RunInfo {
            schema: SCHEMA,
            run: run.clone(),
            parts: Vec::new(),
        };
        let recorder = Self {
            dir,
            run,
            info,
            environment,
            seed,
            block: 0,
            begun: WallClock::start(),
        };
        recorder.save()?;
        Ok(recorder)
    }

    /// Goes on with the run in `dir`, which was cut short in its part `part`.
    ///
    /// # Errors
    /// It cannot be read or written, is in use, or its last part is another one.
    pub fn resume(dir: &Path, part: &str) -> Result<Self, BenchError> {
        // Reading first: a directory that does not exist is not to be made.
        let records = Records::read(dir)?;
        let cannot = |why: &str| BenchError::Usage(format!("{}: {why}", dir.display()));
        let environment = records.environment;
        let environment = environment.ok_or_else(|| cannot("environment.json is missing"))?;
        let last = records.info.parts.last();
        let seed = match last {
            Some(last) if last.name == part => last.seed,
            Some(last) => {
                let why = format!(
                    "its last part is {}, which cannot be gone on with",
                    last.name
                );
                return Err(cannot(&why));
            }
            None => return Err(cannot("run.json is missing")),
        };
        Ok(Self {
            dir: RunDir::open(dir)?,
            run: records.info.run.clone(),
            info: records.info,
            environment,
            seed,
            block: records.samples.iter().map(|s| s.block).max().unwrap_or(0),
            begun: WallClock::start(),
        })
    }

    /// What the run was begun on.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Number of the last driver process of `rung` in the part at work; 0 if there was none.
    #[must_use]
    pub fn last_process(&self, rung: &str) -> u32 {
        let part = self.info.parts.last();
        let mut rungs = part.iter().flat_map(|part| &part.rungs);
        let found = rungs.find(|info| info.description.rung == rung);
        let processes = found.iter().flat_map(|info| &info.processes);
        processes.map(|info| info.process).max().unwrap_or(0)
    }

    /// Writes a file of the run's directory whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), RunDirError> {
        self.dir.write(name, text.as_bytes())
    }

    /// Removes one that is not needed any more.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), RunDirError> {
        let path = self.path().join(name);
        std::fs::remove_file(&path).map_err(|cause| RunDirError::Write { path, cause })
    }

    /// The run directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the standard error of driver process `number` of `rung` goes.
    #[must_use]
    pub fn log(&self, part: &str, rung: &str, number: u32) -> PathBuf {
        self.path().join(format!("{part}-{rung}-{number}.log"))
    }

    /// The schedule's seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The present block.
    #[must_use]
    pub fn block(&self) -> u32 {
        self.block
    }

    /// Begins the next block.
    pub fn next_block(&mut self) {
        self.block += 1;
    }

    /// Begins a part of the run.
    ///
    /// # Errors
    /// `run.json` cannot be written.
    pub fn begin(&mut self, part: Part) -> Result<(), RunDirError> {
        self.info.parts.push(part);
        self.save()
    }

    /// The part at work.
    pub fn part(&mut self) -> &mut Part {
        if self.info.parts.is_empty() {
            self.info.parts.push(Part::default());
        }
        let last = self.info.parts.len() - 1;
        &mut self.info.parts[last]
    }

    /// Adds to a rung's words in the part at work.
    pub fn about_rung(&mut self, rung: &str, change: impl FnOnce(&mut RungInfo)) {
        let mut rungs = self.part().rungs.iter_mut();
        if let Some(info) = rungs.find(|r| r.description.rung == rung) {
            change(info);
        }
    }

    /// Adds to what is known of a driver process of a rung in the part at work.
    pub fn about_process(
        &mut self,
        rung: &str,
        process: u32,
        change: impl FnOnce(&mut ProcessInfo),
    ) {
        self.about_rung(rung, |info| {
            let mut processes = info.processes.iter_mut();
            if let Some(info) = processes.find(|p| p.process == process) {
                change(info);
            }
        });
    }

    /// Writes `run.json` and `environment.json`.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn save(&self) -> Result<(), RunDirError> {
        // Plain data with string keys always serialises.
        let mut text = serde_json::to_string_pretty(&self.info).unwrap_or_default();
        text.push('\n');
        self.dir.write(RUN_INFO, text.as_bytes())?;
        self.dir
            .write(ENVIRONMENT, self.environment.to_json().as_bytes())
    }

    /// Notes the load after the run, reads the records back, writes every table that is made of them, and
    /// returns the one for a terminal.
    ///
    /// # Errors
    /// The tables cannot be written.
    pub fn finish(mut self) -> Result<String, RunDirError> {
        probes::environment::finish(&mut self.environment);
        if let Some(stepped) = self.begun.stepped() {
            eprintln!("warning: {stepped}");
            self.part().notes.push(stepped);
        }
        self.save()?;
        let records = Records::read(self.dir.path())?;
        write_tables(&self.dir, &RunSummary::from_records(&records))
    }
}

/// Writes every table of `summary` into `dir`, and returns the one for a terminal.
///
/// # Errors
/// One cannot be written.
pub fn write_tables(dir: &RunDir, summary: &RunSummary<'_>) -> Result<String, RunDirError> {
    for file in report::render(summary) {
        dir.write(file.name, file.content.as_bytes())?;
    }
    Ok(report::terminal(summary, table::terminal_width()))
}
