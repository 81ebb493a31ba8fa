//! Arrivals as a file has them, in one of two forms of CSV, told by their first line.
//!
//! `seconds,function`: a line for each arrival, in rising order of time. Or the form of the Azure Functions data set of 2019 (Shahrad et al., "Serverless
//! in the Wild", USENIX ATC 2020): `HashOwner,HashApp,HashFunction,Trigger,1,2,...`, a line for each function, with its arrivals in each minute; when
//! within the minute is drawn.

use std::io;
use std::path::{Path, PathBuf};

use measure_core::base::files::read_given;
use measure_core::base::ids::FunctionId;
use measure_core::contract::open_loop::MAX_ARRIVALS;
use stats::schedule::SplitMix64;

const MINUTE_NS: u64 = 60_000_000_000;
/// Columns of the second form before those of the minutes, and which of them names the function.
const BEFORE_MINUTES: usize = 4;
const FUNCTION_COLUMN: usize = 2;
/// Later than any run: a year.
const MOST_SECONDS: f64 = 31_536_000.0;

/// Arrivals of one or several functions on one time line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Each function once.
    pub functions: Vec<FunctionId>,
    /// When an arrival is due, from the beginning, and for which of `functions`; in rising order.
    pub arrivals: Vec<(u64, usize)>,
    /// The end of the time line.
    pub duration_ns: u64,
}

/// What is wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read the trace {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The first line is of neither form.
    #[error("{}:1: `{found:.60}` is neither `seconds,function` nor `HashOwner,HashApp,HashFunction,Trigger,1,2,...`", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
    },
    /// A line that makes no sense where it stands.
    #[error("{}:{line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// All lines are good and there is nothing to play, or too much.
    #[error("{}: {why}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Nothing, or how much too much.
        why: String,
    },
}

/// Reads the trace at `path`. Where it names functions otherwise than user/function, as the data set does by hashes, all of these are `stand_in`;
/// `seed` draws when within a minute arrivals are due.
///
/// # Errors
/// It cannot be read, or a line makes no sense.
pub fn read(path: &Path, stand_in: Option<&FunctionId>, seed: u64) -> Result<Script, TraceError> {
    let text = read_given(path).map_err(|source| TraceError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut reader = Reader {
        path,
        stand_in,
        functions: Vec::new(),
        arrivals: Vec::new(),
    };
    let duration_ns = reader.take(&text, seed)?;
    let Reader {
        functions,
        mut arrivals,
        ..
    } = reader;
    let size = |why: String| TraceError::Size {
        path: path.to_owned(),
        why,
    };
    if arrivals.is_empty() {
        return Err(size("not one arrival".to_owned()));
    }
    if arrivals.len() > MAX_ARRIVALS {
        return Err(size(format!(
            "{} arrivals, at most {MAX_ARRIVALS} can be played: cut out a part",
            arrivals.len()
        )));
    }
    arrivals.sort_unstable();
    Ok(Script {
        functions,
        arrivals,
        duration_ns,
    })
}

struct Reader<'a> {
    path: &'a Path,
    stand_in: Option<&'a FunctionId>,
    functions: Vec<FunctionId>,
    arrivals: Vec<(u64, usize)>,
}

impl Reader<'_> {
    /// Takes in all of the file; the end of its time line.
    fn take(&mut self, text: &str, seed: u64) -> Result<u64, TraceError> {
        let head = text.lines().next().unwrap_or_default();
        let columns: Vec<&str> = head.split(',').map(str::trim).collect();
        let is_by_minute =
            columns.len() > BEFORE_MINUTES && columns[FUNCTION_COLUMN] == "HashFunction";
        if !is_by_minute && columns != ["seconds", "function"] {
            return Err(TraceError::Form {
                path: self.path.to_owned(),
                found: head.to_owned(),
            });
        }
        if is_by_minute {
            for (minute, column) in (1..).zip(&columns[BEFORE_MINUTES..]) {
                if column.parse() != Ok(minute) {
                    let why = format!("minute {minute} is missing, `{column}` stands in its place");
                    return Err(self.bad(1, why));
                }
            }
        }
        let lines = text.split_inclusive('\n').enumerate().skip(1);
        let mut random = SplitMix64::new(seed);
        let mut end_ns = 0;
        for (index, line) in lines {
            let number = index + 1;
            let Some(line) = line.strip_suffix('\n') else {
                let why = "the last line has no end: the file is torn".to_owned();
                return Err(self.bad(number, why));
            };
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            if cells.len() != columns.len() {
                let why = format!(
                    "{} columns, the first line has {}",
                    cells.len(),
                    columns.len()
                );
                return Err(self.bad(number, why));
            }
            if is_by_minute {
                self.minutes(number, &cells, &mut random)?;
            } else {
                end_ns = self.arrival(number, &cells, end_ns)?;
            }
        }
        if is_by_minute {
            let minutes = (columns.len() - BEFORE_MINUTES) as u64;
            return Ok(minutes * MINUTE_NS);
        }
        Ok(end_ns + 1)
    }

    fn bad(&self, line: usize, why: String) -> TraceError {
        TraceError::Line {
            path: self.path.to_owned(),
            line,
            why,
        }
    }

    /// A line of the first form; when its arrival is due, at `last_ns` at the earliest.
    fn arrival(&mut self, number: usize, cells: &[&str], last_ns: u64) -> Result<u64, TraceError> {
        let seconds: Option<f64> = cells[0].parse().ok();
        let Some(seconds) = seconds.filter(|s| (0.0..MOST_SECONDS).contains(s)) else {
            let why = format!("`{}` is no number of seconds from 0", cells[0]);
            return Err(self.bad(number, why));
        };
        let at_ns = (seconds * 1e9) as u64;
        if at_ns < last_ns {
            let why = format!("{seconds} s lies before the line above: sort the lines by time");
            return Err(self.bad(number, why));
        }
        let function = self.function(number, cells[1])?;
        self.arrivals.push((at_ns, function));
        Ok(at_ns)
    }

    /// A line of the second form.
    fn minutes(
        &mut self,
        number: usize,
        cells: &[&str],
        random: &mut SplitMix64,
    ) -> Result<(), TraceError> {
        let function = self.function(number, cells[FUNCTION_COLUMN])?;
        for (minute, cell) in (0..).zip(&cells[BEFORE_MINUTES..]) {
            let Ok(count) = cell.parse::<u32>() else {
                let why = format!("`{cell}` in minute {} is no count", minute + 1);
                return Err(self.bad(number, why));
            };
            // More is refused later, by its number; here it must only not fill the memory.
            let room = (2 * MAX_ARRIVALS).saturating_sub(self.arrivals.len());
            for _ in 0..(count as usize).min(room) {
                let at_ns = minute * MINUTE_NS + random.below(MINUTE_NS);
                self.arrivals.push((at_ns, function));
            }
        }
        Ok(())
    }

    /// The function of this name, by its place.
    fn function(&mut self, number: usize, name: &str) -> Result<usize, TraceError> {
        let named: Result<FunctionId, _> = name.parse();
        let function = match (named, self.stand_in) {
            (Ok(function), _) => function,
            (Err(_), Some(stand_in)) => stand_in.clone(),
            (Err(error), None) => {
                let why = format!(
                    "{error}; --function says what to run for names that are no user/function"
                );
                return Err(self.bad(number, why));
            }
        };
        let known = self.functions.iter().position(|known| *known == function);
        Ok(known.unwrap_or_else(|| {
            self.functions.push(function);
            self.functions.len() - 1
        }))
    }
}

impl Script {
    /// The arrivals of function `index` alone.
    #[must_use]
    pub fn offsets_ns(&self, index: usize) -> Vec<u64> {
        let own = self
            .arrivals
            .iter()
            .filter(|(_, function)| *function == index);
        own.map(|(at, _)| *at).collect()
    }

    /// Arrivals a second of each function, on average.
    #[must_use]
    pub fn per_s(&self) -> Vec<f64> {
        let seconds = self.duration_ns.max(1) as f64 / 1e9;
        let each = (0..self.functions.len()).map(|index| self.offsets_ns(index).len());
        each.map(|arrivals| arrivals as f64 / seconds).collect()
    }

    /// The same, so many times as fast.
    #[must_use]
    pub fn at_speed(mut self, times: f64) -> Self {
        let faster = |ns: u64| (ns as f64 / times) as u64;
        for (at_ns, _) in &mut self.arrivals {
            *at_ns = faster(*at_ns);
        }
        self.duration_ns = faster(self.duration_ns).max(1);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str, stand_in: Option<&str>) -> Result<Script, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("trace.csv");
        fs::write(&path, text).expect("written");
        let stand_in = stand_in.map(|name| name.parse().expect("a function"));
        read(&path, stand_in.as_ref(), 1).map_err(|e| e.to_string())
    }

    #[test]
    fn a_line_for_each_arrival() {
        let script = read_text("seconds,function\n0,a/b\n0.5,c/d\n2,a/b\n", None).expect("good");
        let names: Vec<String> = script.functions.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a/b", "c/d"]);
        assert_eq!(
            script.arrivals,
            [(0, 0), (500_000_000, 1), (2_000_000_000, 0)]
        );
        assert_eq!(script.offsets_ns(0), [0, 2_000_000_000]);
        let fast = script.at_speed(10.0);
        assert_eq!(fast.offsets_ns(1), [50_000_000]);
        assert_eq!(fast.duration_ns, 200_000_000);
    }

    #[test]
    fn counts_by_minute_fall_into_their_minutes() {
        let text = "HashOwner,HashApp,HashFunction,Trigger,1,2,3\no,p,a/b,http,2,0,1\no,p,5f3a,timer,0,4,0\n";
        let script = read_text(text, Some("demo/noop")).expect("good");
        assert_eq!(script.duration_ns, 3 * MINUTE_NS);
        let minutes = |index| -> Vec<u64> {
            let offsets = script.offsets_ns(index);
            offsets.iter().map(|at| at / MINUTE_NS).collect()
        };
        assert_eq!((minutes(0), minutes(1)), (vec![0, 0, 2], vec![1, 1, 1, 1]));
        assert!(script.arrivals.windows(2).all(|w| w[0] <= w[1]));
        let refused = read_text(text, None).expect_err("a hash");
        assert!(
            refused.contains(":3:") && refused.contains("--function"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let azure = "HashOwner,HashApp,HashFunction,Trigger";
        for (text, line, why) in [
            ("time,name\n", ":1:", "neither"),
            ("", ":1:", "neither"),
            (
                "seconds,function\n1,a/b\n0.5,a/b\n",
                ":3:",
                "sort the lines",
            ),
            ("seconds,function\n-1,a/b\n", ":2:", "no number of seconds"),
            ("seconds,function\nnan,a/b\n", ":2:", "no number of seconds"),
            ("seconds,function\n1,noop\n", ":2:", "user/function"),
            ("seconds,function\n1,a/b\n\n2,a/b\n", ":3:", "1 columns"),
            ("seconds,function\n1,a/b\n2,a/", ":3:", "torn"),
            ("seconds,function\n", "trace.csv:", "not one arrival"),
            (
                &format!("{azure},1,3\no,p,a/b,t,1,1\n"),
                ":1:",
                "minute 2 is missing",
            ),
            (&format!("{azure},1,2\no,p,a/b,t,1\n"), ":2:", "5 columns"),
            (&format!("{azure},1,2\no,p,a/b,t,1,x\n"), ":2:", "no count"),
            (
                &format!("{azure},1\no,p,a/b,t,4000000\n"),
                "trace.csv:",
                "at most",
            ),
        ] {
            let error = read_text(text, None).expect_err(text);
            assert!(
                error.contains(line) && error.contains(why),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_trace_panics(text in "(seconds,function|HashOwner,HashApp,HashFunction,Trigger,1,2)?\n([0-9a-z/,.-]{0,20}\n){0,6}[a-z0-9,]{0,4}") {
            let _ = read_text(&text, None);
        }
    }
}
