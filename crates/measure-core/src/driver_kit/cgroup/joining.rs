//! Moving processes into a group of our own.

use std::path::Path;

use super::CgroupError;
use super::group::Group;
use super::read::text;
use super::tasks::write;

impl Group {
    /// Moves process `pid`, all its threads, into the group.
    ///
    /// # Errors
    /// It does not exist, or the kernel refuses.
    pub fn add_process(&self, pid: i32) -> Result<(), CgroupError> {
        self.distinct().try_for_each(|dir| {
            make_valid(dir)?;
            write(&dir.join("cgroup.procs"), &pid.to_string())
        })
    }

    /// Moves process `pid` into the group where the kernel lets it, gives up the hierarchies where
    /// not, and says why.
    pub(super) fn enter_where_possible(&mut self, pid: i32) -> Vec<String> {
        let mut refused = Vec::new();
        for dir in self.distinct().map(Path::to_path_buf).collect::<Vec<_>>() {
            if let Err(error) = write(&dir.join("cgroup.procs"), &pid.to_string()) {
                refused.push(error.to_string());
                self.dirs.retain(|_, of| *of != dir);
                self.forget(&dir);
            }
        }
        refused
    }
}

/// On v2 a group below one that has processes and hands on controllers takes nobody in until it, and
/// whatever lies between, is threaded. That can come after it was made, with a neighbour's controllers.
fn make_valid(dir: &Path) -> Result<(), CgroupError> {
    let kind = dir.join("cgroup.type");
    if text(&kind)?.is_some_and(|kind| kind.trim() == "domain invalid") {
        dir.parent().map_or(Ok(()), make_valid)?;
        write(&kind, "threaded")?;
    }
    Ok(())
}
