//! A/A: one column measured as if it were several, to see whether what is the same is found to differ.

use std::io;

use crate::column::{About, Benchmark, Column, MakeColumn, NotReady, Program};
use crate::error::CompareError;
use crate::suite::Entry;

/// Ending of a column that is held against the one of the same name without it.
pub(crate) const AGAIN: &str = "-again";

/// Another column under a name of its own.
struct Renamed {
    column: Box<dyn Column>,
    about: About,
}

impl Renamed {
    fn new(column: Box<dyn Column>, name: String, twin: Option<String>) -> Self {
        let about = column.about().clone();
        let summary = match &twin {
            Some(twin) => format!("the same as {twin}: {}", about.summary),
            None => about.summary,
        };
        let about = About {
            name,
            summary,
            twin,
            ..about
        };
        Self { column, about }
    }
}

impl Column for Renamed {
    fn about(&self) -> &About {
        &self.about
    }

    fn processes(&self, iterations: u32) -> u32 {
        self.column.processes(iterations)
    }

    fn check(&self, benchmark: &Benchmark) -> Result<(), NotReady> {
        self.column.check(benchmark)
    }

    fn prepare<'a>(&'a self, benchmark: &Benchmark) -> Result<Box<dyn Program + 'a>, NotReady> {
        self.column.prepare(benchmark)
    }

    fn hash(&self, benchmark: &Benchmark) -> io::Result<String> {
        self.column.hash(benchmark)
    }
}

/// The column `name` `pairs` times twice, `iterations` of each.
///
/// # Errors
/// It cannot be made.
pub(crate) fn entries(
    name: &str,
    iterations: u32,
    pairs: u32,
    make: &MakeColumn,
) -> Result<Vec<Entry>, CompareError> {
    let mut entries = Vec::new();
    for pair in 1..=pairs {
        let first = if pair == 1 {
            name.to_owned()
        } else {
            format!("{name}-{pair}")
        };
        for (name_of, twin) in [
            (first.clone(), None),
            (format!("{first}{AGAIN}"), Some(first)),
        ] {
            let column = Renamed::new(make(name, iterations)?, name_of, twin);
            entries.push(Entry {
                iterations: column.processes(iterations),
                column: Box::new(column),
            });
        }
    }
    Ok(entries)
}
