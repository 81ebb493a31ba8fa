//! For whom it is asked: a function, and what that is granted of the network.

use std::fs;

use isolation::home::Home;
use isolation::{IsolationError, plant::Plant};
use measure_core::base::ids::{FunctionId, FunctionIdError};
use measure_core::base::{home, trust};
use measure_core::contract::network_grant::{NetworkGrant, network_of_manifest};

use crate::error::BenchError;
use crate::functions;

/// Whose isolation is asked for: nobody's in particular by default, and then nothing is granted.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// The function that is the victim.
    pub(super) function: Option<FunctionId>,
    /// What all probes are granted.
    pub(super) network: Vec<NetworkGrant>,
}

impl Asked {
    /// For the function that the user names.
    ///
    /// # Errors
    /// There is none, or what it is granted cannot be read.
    pub(super) fn parse(name: Option<&str>) -> Result<Self, BenchError> {
        let Some(name) = name else {
            return Ok(Self::default());
        };
        let id: FunctionId = name
            .parse()
            .map_err(|e: FunctionIdError| BenchError::Usage(e.to_string()))?;
        let place = functions::place_of(&id);
        if fs::metadata(&place).is_err() {
            return Err(BenchError::Usage(format!(
                "there is no function {id} in {}; `runtime_bench list` says which were brought",
                home::store().display()
            )));
        }
        let unfit = |why: String| BenchError::Usage(format!("what {id} is granted: {why}"));
        let network = match functions::stored_file(&id)? {
            Some(file) => file.network_grants().map_err(|e| unfit(e.to_string()))?,
            None => match trust::read(&place.join("grants.json")) {
                // As `faasm-driver grant` writes it.
                Ok(text) => network_of_manifest(&text).map_err(|e| unfit(e.to_string()))?,
                Err(error) if error.is_not_found() => Vec::new(),
                Err(error) => return Err(unfit(error.to_string())),
            },
        };
        Ok(Self {
            function: Some(id),
            network,
        })
    }

    /// A home of probes below `plant`'s place, aimed at it.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn home(&self, plant: &Plant) -> Result<Home, IsolationError> {
        let mut own = Home::make(plant.place().join("home"), &home::root())?;
        if !self.network.is_empty() {
            own.grant_network(&self.network)?;
        }
        if let Some(function) = &self.function {
            own.take_over(function)?;
        }
        plant.arm(&own)?;
        Ok(own)
    }
}
