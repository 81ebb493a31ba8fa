//! A column of programs that have no clock of their own: the time of their run stands in place of a kernel's.

use std::io;

use super::phase;
use crate::column::{About, Benchmark, Column, NotReady, Program, Run, RunError, Task};
use crate::layout::Layout;

/// Another column, whose programs are told nothing and tell no times.
pub struct WholeRun(Box<dyn Column>);

impl WholeRun {
    /// `column`, its programs without a clock.
    #[must_use]
    pub fn new(column: Box<dyn Column>) -> Self {
        Self(column)
    }
}

impl Column for WholeRun {
    fn about(&self) -> &About {
        self.0.about()
    }

    fn check(&self, benchmark: &Benchmark) -> Result<(), NotReady> {
        self.0.check(benchmark)
    }

    fn prepare<'a>(&'a self, benchmark: &Benchmark) -> Result<Box<dyn Program + 'a>, NotReady> {
        Ok(Box::new(Whole(self.0.prepare(benchmark)?)))
    }

    fn hash(&self, benchmark: &Benchmark) -> io::Result<String> {
        self.0.hash(benchmark)
    }
}

struct Whole<'a>(Box<dyn Program + 'a>);

impl Program for Whole<'_> {
    fn run(&mut self, task: Task, layout: Layout) -> Result<Run, RunError> {
        let mut run = self.0.run(Task::Output, layout)?;
        if matches!(task, Task::Output | Task::Dump) {
            return Ok(run);
        }
        let phases = run.whole.phases.iter();
        let ran: u64 = phases
            .filter(|(name, _)| *name == phase::RUN)
            .map(|(_, ns)| ns)
            .sum();
        // A suite whose programs have no clock never asks for more than one.
        run.output = format!("{ran}\n").into_bytes();
        Ok(run)
    }
}
