//! Moving processes and threads into a group of our own, and threads back.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::CgroupError;
use super::group::Group;
use super::read::text;
use super::tasks::{threads_file, write};

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

    /// Opens what a thread needs to join with one write per hierarchy.
    ///
    /// # Errors
    /// No permission; on v2, memory and I/O do not know threads.
    pub fn thread_joiner(&self) -> Result<ThreadJoiner, CgroupError> {
        let files = self
            .distinct()
            .map(|dir| {
                make_valid(dir)?;
                let kind = dir.join("cgroup.type");
                if text(&kind)?.is_some_and(|kind| kind.trim() == "domain") {
                    write(&kind, "threaded")?;
                }
                open_for_joining(threads_file(dir))
            })
            .collect::<Result<_, _>>()?;
        Ok(ThreadJoiner { files })
    }

    /// Moves the calling thread back to the group in which the maker of this one was.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn leave_current_thread(&self) -> Result<(), CgroupError> {
        self.origins
            .values()
            .try_for_each(|origin| write(&threads_file(origin), "0"))
    }
}

/// Joins threads to a group through open files: the measured path of a start.
#[derive(Debug)]
pub struct ThreadJoiner {
    files: Vec<(File, PathBuf)>,
}

impl ThreadJoiner {
    /// Moves the calling thread into the group: one `write` per hierarchy, no allocation unless it
    /// fails.
    ///
    /// # Errors
    /// The group is gone, or the kernel refuses.
    pub fn join(&self) -> Result<(), CgroupError> {
        for (file, path) in &self.files {
            let mut file = file;
            // Control files take no notice of the offset.
            file.write_all(b"0")
                .map_err(|e| CgroupError::io("write 0 to", path, e))?;
        }
        Ok(())
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

fn open_for_joining(path: PathBuf) -> Result<(File, PathBuf), CgroupError> {
    match OpenOptions::new().write(true).open(&path) {
        Ok(file) => Ok((file, path)),
        Err(error) => Err(CgroupError::io("open", &path, error)),
    }
}
