//! What a Firecracker guest is made of.

use std::path::PathBuf;

use super::requests::Boot;
use crate::guest::linux::{Guest, Root};

/// A guest's files.
#[derive(Debug)]
pub(super) enum Image {
    /// The flat guest, as an ELF file.
    Flat(PathBuf),
    /// A kernel, and what it mounts.
    Linux(Guest),
}

impl Image {
    /// A boot of it.
    pub(super) fn boot(&self, memory_mib: u32) -> Boot {
        match self {
            Self::Flat(path) => Boot::flat(path, memory_mib),
            Self::Linux(guest) => Boot::linux(guest, memory_mib),
        }
    }

    /// Its files, each with a name that no other has.
    pub(super) fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        match self {
            Self::Flat(path) => vec![("flat", path)],
            Self::Linux(guest) => {
                let root = match &mut guest.root {
                    Root::Initrd(path) => ("initrd", path),
                    Root::Disk(path) => ("rootfs", path),
                };
                vec![("vmlinux", &mut guest.kernel), root]
            }
        }
    }
}
