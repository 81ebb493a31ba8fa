//! What a group may use of the CPUs, in v1's units on either version.

use std::path::Path;

use super::CgroupError;
use super::group::Group;
use super::hierarchies::Controller;
use super::tasks::write;

impl Group {
    /// Sets its weight against its siblings, in v1's units (1024 is a fair share, 2 to 262144).
    ///
    /// # Errors
    /// It was made without [`Controller::Cpu`], or the kernel refuses the value.
    pub fn set_cpu_shares(&self, shares: u64) -> Result<(), CgroupError> {
        let dir = self.made_for(Controller::Cpu)?;
        let v1 = dir.join("cpu.shares");
        if v1.exists() {
            return write(&v1, &shares.to_string());
        }
        write(&dir.join("cpu.weight"), &weight(shares).to_string())
    }

    /// Lets it run for `quota_us` of every `period_us`, over all CPUs; `None` lifts the limit.
    ///
    /// # Errors
    /// It was made without [`Controller::Cpu`], or the kernel refuses the values (1 ms to 1 s).
    pub fn set_cpu_quota(&self, quota_us: Option<u64>, period_us: u64) -> Result<(), CgroupError> {
        let dir = self.made_for(Controller::Cpu)?;
        let v1 = dir.join("cpu.cfs_quota_us");
        if v1.exists() {
            write(&dir.join("cpu.cfs_period_us"), &period_us.to_string())?;
            let quota = quota_us.map_or_else(|| "-1".to_owned(), |us| us.to_string());
            return write(&v1, &quota);
        }
        let quota = quota_us.map_or_else(|| "max".to_owned(), |us| us.to_string());
        write(&dir.join("cpu.max"), &format!("{quota} {period_us}"))
    }

    fn made_for(&self, controller: Controller) -> Result<&Path, CgroupError> {
        self.dir(controller)
            .ok_or(CgroupError::NotMounted { controller })
    }
}

/// v2's weight (1 to 10000) of v1's shares (2 to 262144), by the linear map that container runtimes
/// use.
pub(super) fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}
