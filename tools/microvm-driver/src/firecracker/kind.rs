//! Which Firecracker rungs there are, and what each is in words.

use measure_core::contract::{Description, Isolation, Reach};

/// What a start does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Boots the flat guest, or Linux where a kernel is given.
    Boot,
    /// Boots Linux, whatever the options.
    Linux,
    /// Boots what [`Kind::Boot`] boots, in a jail.
    Jailed,
    /// Restores what [`Kind::Boot`] boots.
    Restore,
}

impl Kind {
    /// All of them, in the ladder's order.
    pub const ALL: [Self; 4] = [Self::Boot, Self::Linux, Self::Jailed, Self::Restore];

    /// Its id in the ladder.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Boot => "firecracker",
            Self::Linux => "firecracker-linux",
            Self::Jailed => "firecracker-jailed",
            Self::Restore => "firecracker-restore",
        }
    }

    /// What it is in words, with the monitor's version `engine`.
    pub(super) fn description(
        self,
        is_linux: bool,
        memory_mib: u32,
        engine: String,
    ) -> Description {
        let guest = if is_linux {
            "Linux guest, the function is a process of it"
        } else {
            "flat 64-bit guest without a kernel: says hello on the serial port and resets, the no-op's twin"
        };
        let (what, cold) = match self {
            Self::Restore => (
                "restored from a snapshot taken before the function's first word",
                "a new Firecracker process and virtual machine each time; the snapshot is made beforehand and in the page cache, its memory mapped copy-on-write",
            ),
            Self::Jailed => (
                "booted by the jailer, in a root directory and as a user of its own",
                "a new jail with a copy of Firecracker in it, a new process and virtual machine each time; Firecracker and the guest's image are in the page cache",
            ),
            Self::Boot | Self::Linux => (
                "booted",
                "a new Firecracker process and virtual machine each time; Firecracker and the guest's image are in the page cache",
            ),
        };
        let (files, capabilities, jailer) = if self == Self::Jailed {
            (
                "no device, or one read-only image; Firecracker in a root directory of its own (chroot in a mount namespace)",
                "a guest has none of the host; Firecracker has none either, and a user id of its own",
                "jailer: no cgroup, network or process id namespace of its own asked for",
            )
        } else {
            (
                "no device, or one read-only image",
                "a guest has none of the host; Firecracker keeps the driver's, no jailer",
                "no jailer",
            )
        };
        Description {
            rung: self.id().into(),
            engine,
            summary: format!("Firecracker micro-VM, {what}; {guest}"),
            cold: cold.into(),
            warm: if self == Self::Restore {
                "snapshot of the booted guest".into()
            } else {
                "nothing".into()
            },
            isolation: Isolation {
                memory: "own guest-physical memory".into(),
                network: "no device".into(),
                reach: Some(Reach::Nothing),
                files: files.into(),
                syscalls: "no system calls to the host; Firecracker's own filtered by its seccomp profile, where it was built with one".into(),
                capabilities: capabilities.into(),
                hardware: "KVM".into(),
                ..Isolation::default()
            },
            settings: vec![
                format!("memory {} MiB, 1 processor", memory_mib),
                format!("{jailer}; default seccomp, log level Error"),
                "configured through the API socket, one connection".into(),
            ],
            max_workers: 1000,
            default_function: "demo/noop".into(),
        }
    }

    /// What helps where a trial start failed although nothing is missing.
    pub(super) fn mend(self, is_linux: bool) -> &'static str {
        if is_linux {
            "a Linux guest needs KVM on VMX or SVM (bare metal, or nested virtualisation enabled in the hypervisor) and a kernel built for Firecracker; rung `firecracker` without --kernel runs without both"
        } else if self == Self::Jailed {
            "in a jail Firecracker needs to be linked statically, as its releases are, and /var/lib to be mounted without nodev and noexec"
        } else {
            "try this Firecracker by hand with the steps of its getting-started page"
        }
    }
}
