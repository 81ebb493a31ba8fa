//! Columns and programs that are made up.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::rc::Rc;

use measure_core::base::clock::Phases;
use measure_core::base::exit::Exit;
use native_vs_wasm::layout::Layout;
use native_vs_wasm::{
    About, Benchmark, Column, CommonOptions, CompareError, Disagreement, Entry, NotReady, Program,
    Run, RunError, Suite, Task, run,
};
use structopt::StructOpt;
use tempfile::TempDir;

/// What was run: column, benchmark, task.
pub type Log = Rc<RefCell<Vec<(String, String, Task)>>>;

/// Says what a run does, given the benchmark, the task and how many runs of it there were before.
pub type Script = fn(&str, Task, usize) -> Result<String, RunError>;

pub struct MadeUp {
    about: About,
    script: Script,
    log: Log,
}

struct MadeUpProgram<'a> {
    column: &'a MadeUp,
    benchmark: String,
}

impl Column for MadeUp {
    fn about(&self) -> &About {
        &self.about
    }

    fn check(&self, benchmark: &Benchmark) -> Result<(), NotReady> {
        if benchmark.name == "absent" || self.name() == "native-absent" {
            return Err(NotReady {
                why: "it is absent".to_owned(),
                mend: "make it".to_owned(),
            });
        }
        Ok(())
    }

    fn prepare<'a>(&'a self, benchmark: &Benchmark) -> Result<Box<dyn Program + 'a>, NotReady> {
        Ok(Box::new(MadeUpProgram {
            column: self,
            benchmark: benchmark.name.clone(),
        }))
    }

    fn hash(&self, _: &Benchmark) -> io::Result<String> {
        Ok("0".to_owned())
    }
}

impl Program for MadeUpProgram<'_> {
    fn run(&mut self, task: Task, _: Layout) -> Result<Run, RunError> {
        let entry = (self.column.name().to_owned(), self.benchmark.clone(), task);
        let mut log = self.column.log.borrow_mut();
        let before = log.iter().filter(|logged| **logged == entry).count();
        log.push(entry);
        let output = (self.column.script)(&self.benchmark, task, before)?;
        let whole = Phases {
            start_ns: 0,
            total_ns: 40_000_000,
            phases: vec![("spawn", 10_000_000), ("run", 30_000_000)],
        };
        Ok(Run {
            process_ns: whole.total_ns,
            whole,
            output: output.into_bytes(),
        })
    }
}

/// A kernel of so many nanoseconds that computes 42.
pub fn sound(task: Task, ns: u64) -> String {
    match task {
        Task::Curve { iterations } => (0..iterations)
            .map(|i| format!("{}\n", ns / (u64::from(i) + 1).min(4)))
            .collect(),
        Task::Time { repeats } => format!("{ns}\n").repeat(usize::try_from(repeats).expect("few")),
        Task::Output | Task::Dump => "42".to_owned(),
    }
}

pub fn twenty_ms(_: &str, task: Task, _: usize) -> Result<String, RunError> {
    Ok(sound(task, 20_000_000))
}

pub struct Setting {
    pub dir: TempDir,
    pub log: Log,
    pub builds: &'static [&'static str],
    pub best_build_only: bool,
}

impl Setting {
    pub fn new() -> Self {
        Self {
            dir: TempDir::new().expect("a temporary directory"),
            log: Log::default(),
            builds: &[],
            best_build_only: false,
        }
    }

    pub fn run(
        &self,
        benchmarks: &[&str],
        columns: &[(&'static str, u32, Script)],
        more: &[&str],
    ) -> Result<Exit, CompareError> {
        let entry = |&(name, iterations, script): &(&'static str, u32, Script)| Entry {
            column: Box::new(MadeUp {
                about: About {
                    name: name.to_owned(),
                    summary: "made up".to_owned(),
                    curve: name.ends_with("-reuse").then_some(12),
                    ..About::default()
                },
                script,
                log: self.log.clone(),
            }) as Box<dyn Column>,
            iterations,
        };
        let suite = Suite {
            name: "made-up",
            user: "tests",
            title: "Made up",
            benchmarks: benchmarks
                .iter()
                .map(|&name| Benchmark {
                    name: name.to_owned(),
                    group: String::new(),
                })
                .collect(),
            columns: columns.iter().map(entry).collect(),
            compare: |_, a, b| {
                if a == b {
                    Ok("agrees".to_owned())
                } else {
                    Err(Disagreement("computes something else".to_owned()))
                }
            },
            builds: self.builds,
            best_build_only: self.best_build_only,
            own_clock: true,
            aa: false,
            notes: Vec::new(),
        };
        let (csv, run_dir) = (self.path("rows.csv"), self.path("run"));
        let paths = [
            "tests",
            "--output",
            &csv,
            "--run-dir",
            &run_dir,
            "--seed",
            "1",
        ];
        let options = CommonOptions::from_iter(paths.iter().chain(more));
        run(&suite, &options)
    }

    pub fn path(&self, name: &str) -> String {
        self.dir
            .path()
            .join(name)
            .to_str()
            .expect("a plain path")
            .to_owned()
    }

    pub fn rows(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("rows.csv")).expect("rows");
        text.lines().skip(1).map(str::to_owned).collect()
    }

    /// The timed runs of `benchmark`, by column, in order.
    pub fn timed(&self, benchmark: &str) -> Vec<String> {
        let log = self.log.borrow();
        let timed = log
            .iter()
            .filter(|(_, b, task)| b == benchmark && matches!(task, Task::Time { .. }));
        timed.map(|(column, ..)| column.clone()).collect()
    }
}
