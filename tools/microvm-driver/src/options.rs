//! The options of every command, which decide what a rung starts and how long that may take.

use std::path::PathBuf;
use std::time::Duration;

use structopt::StructOpt;

use crate::guest::linux;

// Options of every command.
// Not a doc comment: that of what is flattened would be the tool's own in --help.
#[derive(Debug, Clone, StructOpt)]
pub struct Options {
    /// The firecracker executable [default: $FIRECRACKER, else the one on PATH]
    #[structopt(long, global = true, name = "PATH", parse(from_os_str))]
    pub firecracker: Option<PathBuf>,
    /// The jailer, for the rung firecracker-jailed [default: $FIRECRACKER_JAILER, else the one beside firecracker,
    /// else the one on PATH]
    #[structopt(long, global = true, name = "JAILER", parse(from_os_str))]
    pub jailer: Option<PathBuf>,
    /// Boot this uncompressed Linux kernel (vmlinux) instead of the flat guest [qemu-tcg, firecracker-linux:
    /// microvm/vmlinux below $FAASM_BENCH_HOME]
    #[structopt(long, global = true, name = "VMLINUX", parse(from_os_str))]
    pub kernel: Option<PathBuf>,
    /// With a Linux kernel: this initial RAM disk (see `initrd`) [default: made anew for the function]
    #[structopt(long, global = true, name = "INITRD", parse(from_os_str))]
    pub initrd: Option<PathBuf>,
    /// With a Linux kernel and Firecracker: this root file system, in place of an initrd
    #[structopt(long, global = true, name = "IMAGE", parse(from_os_str))]
    pub rootfs: Option<PathBuf>,
    /// Memory of a Firecracker or QEMU guest
    #[structopt(long, global = true, default_value = "128", name = "MIB")]
    pub memory_mib: u32,
    /// How long one start may take before it is killed and counted as failed [default: 10, Linux 60, QEMU 120]
    #[structopt(long, global = true, name = "SECONDS")]
    pub timeout: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        // A command line on which none is given.
        Self::from_iter([env!("CARGO_PKG_NAME")])
    }
}

impl Options {
    /// Where a Linux guest's files were asked to come from.
    pub(crate) fn files(&self) -> linux::Files {
        linux::Files {
            kernel: self.kernel.clone(),
            initrd: self.initrd.clone(),
            rootfs: self.rootfs.clone(),
        }
    }

    /// The limit of a start: as asked for, else `seconds`.
    pub(crate) fn timeout_or(&self, seconds: u32) -> Duration {
        Duration::from_secs(self.timeout.unwrap_or(seconds).into())
    }
}
