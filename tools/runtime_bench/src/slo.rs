//! How long a start may take unless `--slo` says it.

/// As many times what it takes on an unloaded host, and never less than [`LEAST_NS`].
const TIMES_UNLOADED: f64 = 10.0;
const LEAST_NS: f64 = 1e6;

/// The larger of ten times the unloaded median and a millisecond.
pub fn default_slo_ns(unloaded_ns: f64) -> f64 {
    (TIMES_UNLOADED * unloaded_ns).max(LEAST_NS)
}
