//! `environment.json`: what a run was measured on, and whether that is fit. Captured by `probes`, judged here
//! from the record alone.
//!
//! A fact is a value or the reason why it is unknown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::fitness::{Concern, Severity, Unfit};

/// The file's name.
pub const ENVIRONMENT: &str = "environment.json";
/// Version of the file's form.
pub const SCHEMA: u32 = 1;

/// A value, or why it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// Any JSON value.
    Value(Value),
    /// What kept it from being found out.
    Unknown(String),
}

impl Fact {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.value()?.as_str()
    }

    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        self.value()?.as_f64()
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn truth(&self) -> Option<bool> {
        self.value()?.as_bool()
    }
}

impl<V: Into<Value>, E: ToString> From<Result<V, E>> for Fact {
    fn from(result: Result<V, E>) -> Self {
        match result {
            Ok(value) => Self::Value(value.into()),
            Err(why) => Self::Unknown(why.to_string()),
        }
    }
}

/// Facts by name.
pub type Facts = BTreeMap<String, Fact>;

/// Everything about the machine and the run that a reader of the numbers needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The processor and its settings.
    pub cpu: Facts,
    /// Operating system, memory and kernel settings.
    pub system: Facts,
    /// This program, its command line, its revision, the seed.
    pub run: Facts,
    /// Versions and hashes of engines, images, tools and functions, by whoever knows them.
    pub engines: BTreeMap<String, Facts>,
    /// Load before the first measurement.
    pub before: Load,
    /// Load after the last one, once it is over.
    pub after: Option<Load>,
}

impl Environment {
    /// Adds a fact about the run, such as its seed.
    pub fn note_run(&mut self, name: &str, fact: impl Into<Fact>) {
        self.run.insert(name.to_owned(), fact.into());
    }

    /// Adds a fact about an engine, image, tool or function.
    pub fn note_engine(&mut self, engine: &str, name: &str, fact: impl Into<Fact>) {
        self.engines
            .entry(engine.to_owned())
            .or_default()
            .insert(name.to_owned(), fact.into());
    }

    /// The file's content.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A fact of any group, for tables.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        [&self.cpu, &self.system, &self.run]
            .into_iter()
            .find_map(|facts| facts.get(name))
    }
}

macro_rules! facts_from {
    ($($value:ty),+) => {$(
        impl From<$value> for Fact {
            fn from(value: $value) -> Self {
                Self::Value(value.into())
            }
        }
    )+};
}

facts_from!(&str, String, u64, bool);

/// Load at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Seconds since 1970.
    pub unix_seconds: u64,
    /// The kernel's 1, 5 and 15 minute load averages, which lag behind.
    pub average: Fact,
    /// CPU time of all CPUs since boot.
    pub cpu: Option<CpuTime>,
    /// Pages swapped in and out since boot.
    pub swapped_pages: Option<u64>,
    /// What all CPUs did while the machine was watched, if it was.
    pub watched: Option<Activity>,
}

/// CPU time in ticks, from the first line of /proc/stat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CpuTime {
    /// CPUs that were online.
    pub cpus: u64,
    /// At work, for anyone of this machine.
    pub busy: u64,
    /// Idle or waiting for I/O.
    pub idle: u64,
    /// Ready to run while the hypervisor ran something else.
    pub steal: u64,
}

/// Shares of the machine's CPU time between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// How many CPUs' worth of work was done.
    pub busy_cpus: f64,
    /// Share of the CPU time wanted that the hypervisor withheld, 0 to 1.
    pub steal_share: f64,
}

impl Load {
    /// What all CPUs did since `earlier`; `None` if no tick has passed.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Activity> {
        self.cpu?.activity_since(earlier.cpu?)
    }
}

impl CpuTime {
    /// Shares of what passed since `earlier`; `None` if no tick has.
    #[must_use]
    pub fn activity_since(self, earlier: Self) -> Option<Activity> {
        let busy = self.busy.saturating_sub(earlier.busy) as f64;
        let idle = self.idle.saturating_sub(earlier.idle) as f64;
        let steal = self.steal.saturating_sub(earlier.steal) as f64;
        let total = busy + idle + steal;
        if total <= 0.0 {
            return None;
        }
        Some(Activity {
            busy_cpus: self.cpus as f64 * busy / total,
            steal_share: if busy + steal > 0.0 {
                steal / (busy + steal)
            } else {
                0.0
            },
        })
    }
}
