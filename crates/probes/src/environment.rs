//! What a run was measured on, read from this machine into [`Environment`]. Nothing here changes the machine.

mod collector;
mod cpu;
mod kernel;
mod load;
mod run;

use std::collections::BTreeMap;

use measure_core::contract::environment::{Environment, Fact, Facts, SCHEMA};

use crate::host::{FactError, Host};

/// Reads everything now. Watches the machine for a quarter of a second to see whether it is idle, so
/// call it before anything of the run's own is at work.
#[must_use]
pub fn capture() -> Environment {
    let host = Host::real();
    Environment {
        schema: SCHEMA,
        cpu: cpu::facts(&host),
        system: kernel::facts(&host),
        run: run::facts(),
        engines: BTreeMap::new(),
        before: load::watch(&host),
        after: None,
    }
}

/// Records the load after the last measurement.
pub fn finish(environment: &mut Environment) {
    environment.after = Some(load::now(&Host::real()));
}

#[cfg(test)]
mod tests;
