//! `fleet.json`: what `ansible/fleet.yml` writes beside a host's run, or in place of one.

use schemars::JsonSchema;
use serde::Deserialize;

/// The file's name.
pub(crate) const FLEET_RECORD: &str = "fleet.json";
/// Version of its form.
pub(crate) const SCHEMA: u32 = 1;

/// One host of a fleet, and how it went there. Of a host on which nothing was begun only the first five are known.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(
    dead_code,
    reason = "the whole form is stated, for readers elsewhere and to find what is not of it"
)]
pub(crate) struct FleetRecord {
    /// Version of this form. Absent in records of before it was numbered, which are of version 1.
    #[serde(default = "first")]
    pub(crate) schema: u32,
    /// Its name in the inventory.
    pub(crate) host: String,
    /// What it is, in a word (`fleet_kind`).
    pub(crate) kind: String,
    /// A digest of plan, seed and tools: records that have it in common are of one call, or of its repetition.
    pub(crate) key: String,
    /// Why its run is not whole; empty if it is.
    pub(crate) trouble: String,
    /// Groups of the inventory that it is in.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Its kernel's release, as `uname -r` says it.
    pub(crate) kernel: Option<String>,
    /// Its architecture, as `uname -m` says it.
    pub(crate) machine: Option<String>,
    /// The words after `runtime_bench`.
    pub(crate) plan: Option<String>,
    /// The seed of its schedule.
    pub(crate) seed: Option<u64>,
    /// Of the archive of tools that was sent there.
    pub(crate) tools_sha256: Option<String>,
    /// How long the plan ran there, with `tune`; 0 if that is not known.
    pub(crate) seconds: Option<u64>,
    /// Packages that were installed for it, and stay.
    #[serde(default)]
    pub(crate) packages_installed: Vec<String>,
    /// What went otherwise than it should, and spoils no figure.
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
}

fn first() -> u32 {
    SCHEMA
}
