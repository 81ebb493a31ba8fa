//! The micro-VM rungs: `kvm-flat` and `kvm-flat-pooled` (a virtual machine of this process's own), `firecracker`,
//! `firecracker-linux`, `firecracker-jailed` and `firecracker-restore` (a monitor driven through its API), `qemu-tcg` (an emulated machine).
//!
//! A start ends when the machine is gone. Every wait within it has one limit (see [`limit`]), and what a
//! start has made (processes, sockets, files) is owned by values whose drop removes it.

pub mod firecracker;
pub mod guest;
pub mod kvm;
pub mod launcher;
pub mod limit;
pub mod options;
pub mod phase;
pub mod qemu;
pub mod scratch;
pub mod vmm;

mod programs;
mod shared;

use std::path::PathBuf;

use measure_core::base::exit::{Exit, after_help};
use measure_core::base::ids::FunctionId;
use measure_core::base::range::in_range;
use measure_core::driver_kit::cgroup;
use measure_core::driver_kit::{self, Cleaned, ContractCommand, Driver, DriverError, Rung};
use structopt::StructOpt;

use crate::firecracker::{Firecracker, Kind};
use crate::guest::linux;
use crate::kvm::FlatRung;
use crate::launcher::VmmRung;
pub use crate::options::Options;
use crate::qemu::Qemu;

const EXAMPLES: &str = "EXAMPLES:
    microvm-driver info                                    what can run here
    microvm-driver time 100 --rung kvm-flat                a hundred virtual machines, a JSON line each
    microvm-driver time 20 --rung firecracker --firecracker ~/bin/firecracker
    microvm-driver time 20 --rung firecracker-restore      restored from a snapshot made beforehand
    microvm-driver time 20 --rung firecracker-jailed       each in a jail of its own (root)
    microvm-driver time 5 --rung firecracker --kernel vmlinux --rootfs root.ext4
    microvm-driver time 3 --rung qemu-tcg --function polybench/poly_3mm
    microvm-driver hold 20 --rung firecracker              park 20 guests until standard input closes
    microvm-driver initrd noop.cpio --function demo/noop   write the initrd that Linux guests boot
    microvm-driver clean                                   remove what killed runs left

ENVIRONMENT:
    FIRECRACKER           the firecracker executable, unless --firecracker is given [default: the one on PATH]
    FIRECRACKER_JAILER    the jailer, unless --jailer is given [default: beside firecracker, else the one on PATH]
";

/// Starts functions in micro-VMs: bare KVM, Firecracker, QEMU without KVM
#[derive(Debug, StructOpt)]
#[structopt(name = "microvm-driver", after_help = after_help(EXAMPLES))]
pub struct Arguments {
    #[structopt(flatten)]
    options: Options,
    #[structopt(subcommand)]
    command: Command,
}

#[derive(Debug, StructOpt)]
enum Command {
    #[structopt(flatten)]
    Contract(ContractCommand),
    /// Writes an initial RAM disk with our /init and one function
    Initrd {
        /// The file to write
        #[structopt(name = "FILE", parse(from_os_str))]
        file: PathBuf,
        /// Which function of the store
        #[structopt(long, default_value = "demo/noop")]
        function: String,
    },
}

struct Microvms(Options);

impl Options {
    fn check(&self) -> Result<(), DriverError> {
        in_range("--memory-mib", self.memory_mib, 4..=65536)?;
        in_range("--timeout", self.timeout.unwrap_or(1), 1..=86400)?;
        if self.initrd.is_some() && self.rootfs.is_some() {
            return Err(DriverError::Usage(
                "--initrd and --rootfs are both given: one guest has one root".into(),
            ));
        }
        if self.kernel.is_none() && (self.initrd.is_some() || self.rootfs.is_some()) {
            return Err(DriverError::Usage(
                "--initrd and --rootfs need a --kernel that mounts them".into(),
            ));
        }
        Ok(())
    }
}

impl Driver for Microvms {
    fn name(&self) -> &'static str {
        env!("CARGO_PKG_NAME")
    }

    fn rungs(&self) -> Vec<String> {
        let firecracker = Kind::ALL.map(Kind::id);
        let ids = [&[kvm::ID, kvm::POOLED_ID], &firecracker[..], &[qemu::ID]];
        ids.concat().into_iter().map(str::to_owned).collect()
    }

    fn open(&self, id: &str) -> Result<Box<dyn Rung>, DriverError> {
        let options = self.0.clone();
        options.check()?;
        Ok(match id {
            kvm::ID => Box::new(FlatRung::new(false, &options)),
            kvm::POOLED_ID => Box::new(FlatRung::new(true, &options)),
            qemu::ID => Box::new(VmmRung::new(Qemu::new(options))),
            _ => {
                // One that is none of `rungs` is not asked for.
                let kind = Kind::ALL.into_iter().find(|kind| kind.id() == id);
                let kind = kind.unwrap_or(Kind::Boot);
                Box::new(VmmRung::new(Firecracker::new(kind, options)))
            }
        })
    }

    fn clean(&self) -> Result<Cleaned, DriverError> {
        let groups = cgroup::remove_orphans();
        let mut removed: Vec<_> = groups
            .into_iter()
            .map(|dir| format!("cgroup {dir}"))
            .collect();
        let directories = scratch::remove_orphans()?;
        removed.extend(
            directories
                .iter()
                .map(|dir| format!("directory {}", dir.display())),
        );
        Ok(Cleaned { removed })
    }
}

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run(arguments: Arguments) -> Result<Exit, DriverError> {
    match arguments.command {
        Command::Contract(command) => driver_kit::run(&Microvms(arguments.options), &command),
        Command::Initrd { file, function } => {
            let function: FunctionId =
                function
                    .parse()
                    .map_err(|e: measure_core::base::ids::FunctionIdError| {
                        DriverError::Usage(e.to_string())
                    })?;
            linux::write_initrd(&function, &file)?;
            Ok(Exit::Ok)
        }
    }
}
