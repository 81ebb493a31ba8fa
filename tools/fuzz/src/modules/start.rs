//! Faaslets of an engine, and what comes of one.

use std::fs::File;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::{EngineSettings, FaasletEngine, FaasletError, Function};

use super::end::End;
use super::raw::{Outcome, written};
use crate::target::Finding;

/// Longer than any program that ends takes on a busy host.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Of engines whose programs end by themselves: each looks at the clock as often for as long as it is there.
pub(super) const PATIENT_TICK: Duration = Duration::from_millis(20);

pub(super) fn engine(deadline: Duration, tick: Duration) -> Result<FaasletEngine, FaasletError> {
    FaasletEngine::new(EngineSettings {
        instances: 2,
        deadline,
        tick,
        ..EngineSettings::default()
    })
}

pub(super) fn outcome_of(function: &Function, out: File) -> Result<Outcome, Finding> {
    let end = End::of_start(&function.start(&mut Untimed))?;
    Ok(Outcome {
        end,
        output: written(out)?,
        memory: None,
    })
}

pub(super) fn same_output(expected: &Outcome, found: &Outcome) -> Result<(), Finding> {
    let (a, b) = (&expected.output, &found.output);
    if a == b {
        return Ok(());
    }
    let at = a
        .iter()
        .zip(b)
        .position(|(a, b)| a != b)
        .unwrap_or(a.len().min(b.len()));
    Err(format!(
        "output differs, first at byte {at} of {} and {}",
        a.len(),
        b.len()
    ))
}
