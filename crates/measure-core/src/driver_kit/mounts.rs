//! What is mounted, as this process sees it.

use std::io;
use std::path::{Path, PathBuf};

use procfs::process::Process;

/// Mount points at or below `path`, outer ones first.
///
/// # Errors
/// `/proc` cannot be read.
pub fn mounts_below(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mounts = Process::myself().and_then(|me| me.mountinfo());
    let points = mounts.map_err(io::Error::other)?.into_iter();
    let points = points.map(|mount| mount.mount_point);
    Ok(points.filter(|point| point.starts_with(path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_at_a_path_is_below_it_and_its_neighbours_are_not() {
        let all = mounts_below(Path::new("/")).expect("mounts");
        assert!(all.iter().any(|at| at == Path::new("/proc")), "{all:?}");
        let proc = mounts_below(Path::new("/proc")).expect("mounts");
        assert_eq!(proc[0], Path::new("/proc"));
        assert_eq!(mounts_below(Path::new("/pro")).expect("mounts").len(), 0);
    }
}
