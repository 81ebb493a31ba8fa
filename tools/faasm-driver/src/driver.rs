//! The driver: its rungs by name, and what killed runs left.

use measure_core::driver_kit::cgroup;
use measure_core::driver_kit::{Cleaned, Driver, DriverError, Rung};

use crate::rung::FaasletRung;
use crate::rungs::Kind;
use crate::settings::Settings;

/// The driver.
pub(crate) struct Faaslets {
    settings: Settings,
}

impl Faaslets {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Driver for Faaslets {
    fn name(&self) -> &'static str {
        "faasm-driver"
    }

    fn rungs(&self) -> Vec<String> {
        Kind::ALL.iter().map(ToString::to_string).collect()
    }

    fn open(&self, id: &str) -> Result<Box<dyn Rung>, DriverError> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.id() == id)
            .map(|kind| Box::new(FaasletRung::new(kind, self.settings.clone())) as Box<dyn Rung>)
            .ok_or_else(|| DriverError::Usage(format!("no rung `{id}`")))
    }

    fn clean(&self) -> Result<Cleaned, DriverError> {
        // Namespaces of a killed run are gone with it: they have no name but a descriptor. The named
        // pool is `netns-clean`'s.
        Ok(Cleaned {
            removed: cgroup::remove_orphans(),
        })
    }
}
