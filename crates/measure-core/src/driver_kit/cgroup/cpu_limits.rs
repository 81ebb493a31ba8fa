//! What a group may use of the CPUs, in v1's units on either version.

use std::path::Path;

use super::CgroupError;
use super::controller::Controller;
use super::group::Group;
use super::tasks::write;

impl Group {
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
