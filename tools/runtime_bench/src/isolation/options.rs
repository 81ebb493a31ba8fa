//! Options of `isolation`.

use std::path::PathBuf;
use std::time::Duration;

use isolation::catalogue::{PROBES, Probe, probe_named};
use measure_core::base::ids;
use measure_core::base::range::in_range;
use structopt::StructOpt;

use crate::engines::Engines;
use crate::error::BenchError;

/// Runs probes inside every rung, each a small C program that tries one thing (read the host's /etc/shadow, signal its
/// processes, reach its loopback, mount, ...), and says for each what was contained, and how, and what was reached. What an entry
/// states of itself stands beside what was found. Then a victim, the no-op started every millisecond, runs beside noisy
/// neighbours of the same rung. docs/isolation.md says what each probe does and what it cannot show.
///
/// EXAMPLES:
///     runtime_bench isolation                              all rungs at hand, within ten minutes (root)
///     runtime_bench isolation --rungs runc,faaslet         only these
///     runtime_bench isolation --probes mount,bpf --no-neighbours
///     runtime_bench isolation --rungs faaslet,docker-bridge --function demo/fetch   what its network grant lets out
///     runtime_bench report results/latest                  the tables again
#[derive(Debug, StructOpt)]
#[structopt(verbatim_doc_comment)]
pub struct IsolationOptions {
    /// Directory for the results, made if need be [default: results/<time>-<host>, and results/latest points there]
    #[structopt(long, name = "DIR", parse(from_os_str))]
    pub(super) output: Option<PathBuf>,
    /// Only these rungs, separated by commas [default: of every driver each that states something else]
    #[structopt(long, name = "RUNG,...", require_delimiter = true)]
    pub(super) rungs: Option<Vec<String>>,
    /// For this function, user/function: the victim is it instead of the no-op, and all probes are granted what it is granted of the network
    #[structopt(long, name = "USER/FUNC")]
    pub(super) function: Option<String>,
    /// Those too whose entries state what another of the same driver and engine does: they take longer than ten minutes
    #[structopt(long, conflicts_with = "RUNG,...")]
    pub(super) all: bool,
    /// Only these probes, separated by commas [default: all]
    #[structopt(long, name = "PROBE,...", require_delimiter = true)]
    probes: Option<Vec<String>>,
    /// No victim beside noisy neighbours
    #[structopt(long = "no-neighbours", parse(from_flag = std::ops::Not::not))]
    pub(super) neighbours: bool,
    /// Seconds that a driver may be silent, longer than a probe takes that ends itself (20), before it is ended
    #[structopt(long, name = "PATIENCE", default_value = "30")]
    patience: u64,
    #[structopt(flatten)]
    pub(super) engines: Engines,
}

impl IsolationOptions {
    /// The probes asked for, in the order of the tables.
    ///
    /// # Errors
    /// One does not exist, or the patience makes no sense.
    pub(super) fn probes(&self) -> Result<Vec<&'static Probe>, BenchError> {
        in_range("--patience", self.patience, 1..=86_400)?;
        let Some(wanted) = &self.probes else {
            return Ok(PROBES.iter().collect());
        };
        let known: Vec<String> = PROBES.iter().map(|p| p.id.to_owned()).collect();
        if let Some(unknown) = wanted.iter().find(|id| probe_named(id).is_none()) {
            return Err(BenchError::Usage(ids::unknown("probe", unknown, &known)));
        }
        let chosen = |probe: &&Probe| wanted.iter().any(|id| id == probe.id);
        Ok(PROBES.iter().filter(chosen).collect())
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}
