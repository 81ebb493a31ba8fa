//! Points of open loops with their histograms.

use std::path::Path;

use measure_core::contract::load_point::{LOAD, LoadPoint, read_points};
use measure_core::contract::run_dir::RunDirError;

use super::hdr::{HdrError, Latencies};

/// A point with its histograms.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// As recorded.
    pub point: LoadPoint,
    /// From due to torn down.
    pub latency: Latencies,
    /// From due to begun.
    pub waited: Latencies,
    /// From due to let go by the generator, of those that a worker waited for.
    pub late: Latencies,
}

impl Measured {
    fn from_point(point: LoadPoint) -> Result<Self, HdrError> {
        Ok(Self {
            latency: Latencies::decode(&point.latency)?,
            waited: Latencies::decode(&point.waited)?,
            late: Latencies::decode(&point.generator.late)?,
            point,
        })
    }
}

/// The points of the run directory `dir`; none if it has none.
pub(crate) fn read(dir: &Path) -> Result<Vec<Measured>, RunDirError> {
    let points = read_points(dir)?.into_iter();
    let decoded = points.enumerate().map(|(index, point)| {
        Measured::from_point(point).map_err(|error| RunDirError::Malformed {
            path: dir.join(LOAD),
            line: index + 1,
            cause: error.to_string(),
        })
    });
    decoded.collect()
}
