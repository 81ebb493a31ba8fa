//! Which rungs there are, and what each is.

use std::fmt;

use faaslet::settings::ENGINE;
use measure_core::contract::{Description, Isolation};

use crate::settings::Settings;

/// What starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bare instance on the calling thread.
    Wasm,
    /// A Faaslet: new thread, pooled cgroup and namespace.
    Faaslet,
    /// The same with a namespace made for this start.
    NetnsNew,
    /// The same on a thread that waits in its seat.
    Pooled,
    /// A Faaslet from a snapshot of its initialised program.
    Proto,
    /// The same on a thread that waits in its seat.
    ProtoPooled,
}

/// Why Lucet, which the original named, has no row of its own.
const LUCET: &str = "stands for Lucet too, whose ideas live on in this engine: lucet-runtime 0.6.1 still builds (tried with Rust 1.95), but nothing \
     can be compiled for it: lucetc 0.6.1 needs wabt 0.9.2, which is withdrawn, and with that pinned its cranelift-codegen 0.51 no longer compiles \
     (E0271 and E0599 in isa/x86/abi.rs) without changes to its source";

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Wasm,
        Self::Faaslet,
        Self::NetnsNew,
        Self::Pooled,
        Self::Proto,
        Self::ProtoPooled,
    ];

    /// Whether a thread waits in its seat for the start.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Pooled | Self::ProtoPooled)
    }

    /// Whether a start is from a snapshot.
    pub(crate) fn is_proto(self) -> bool {
        matches!(self, Self::Proto | Self::ProtoPooled)
    }

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Faaslet => "faaslet",
            Self::NetnsNew => "faaslet-netns-new",
            Self::Pooled => "faaslet-pooled",
            Self::Proto => "proto-faaslet",
            Self::ProtoPooled => "proto-faaslet-pooled",
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Self::Wasm => "a fresh Wasm instance on the calling thread",
            Self::Faaslet => {
                "a new thread that joins a CPU cgroup and a network namespace and runs a fresh Wasm instance"
            }
            Self::NetnsNew => {
                "a new thread that joins a CPU cgroup, makes and enters a network namespace with veth and shaping, and runs a fresh Wasm instance"
            }
            Self::Pooled => {
                "a fresh Wasm instance on a thread that waits in its CPU cgroup and network namespace"
            }
            Self::Proto => {
                "a new thread that joins a CPU cgroup and a network namespace and runs a fresh instance of a snapshot taken after the program's initialisation"
            }
            Self::ProtoPooled => {
                "a fresh instance of a snapshot taken after the program's initialisation, on a thread that waits in its CPU cgroup and network namespace"
            }
        }
    }

    fn cold(self) -> &'static str {
        match self {
            Self::Wasm => {
                "code mapped, slot reserved; the instance and its memory are new, every dirty page of the slot's last use was reset"
            }
            Self::Faaslet => {
                "code mapped, slot reserved, cgroup and namespace made; thread, instance and memory are new"
            }
            Self::NetnsNew => {
                "code mapped, slot reserved, cgroup made; thread, namespace, instance and memory are new"
            }
            Self::Pooled => {
                "code mapped, slot reserved, thread waiting in cgroup and namespace; instance and memory are new"
            }
            Self::Proto => {
                "snapshot taken, code and memory image mapped, slot reserved, cgroup and namespace made; thread, instance and its copy-on-write memory are new"
            }
            Self::ProtoPooled => {
                "snapshot taken, code and memory image mapped, slot reserved, thread waiting in cgroup and namespace; instance and its copy-on-write memory are new"
            }
        }
    }

    fn warm(self) -> &'static str {
        match self {
            Self::Wasm => "engine, code, slot",
            Self::Faaslet => "engine, code, slot, seat (cgroup, namespace)",
            Self::NetnsNew => "engine, code, slot, cgroup",
            Self::Pooled => "engine, code, slot, seat, thread in it",
            Self::Proto => "engine, snapshot, slot, seat (cgroup, namespace)",
            Self::ProtoPooled => "engine, snapshot, slot, seat, thread in it",
        }
    }

    fn isolation(self) -> Isolation {
        let seated = self != Self::Wasm;
        let seat = |what: &str| {
            if seated {
                what.to_owned()
            } else {
                String::new()
            }
        };
        Isolation {
            memory: "SFI".to_owned(),
            cpu: seat("cgroup"),
            network: seat("network namespace"),
            files: "WASI capabilities".to_owned(),
            syscalls: "no system calls, WASI only".to_owned(),
            capabilities: "none reachable".to_owned(),
            hardware: String::new(),
        }
    }

    pub(crate) fn describe(self, settings: &Settings) -> Description {
        let mut in_force = settings.engine.describe();
        in_force.push(
            "stack overflow, traps and exit code checked; no file but of granted directories, no inherited environment"
                .to_owned(),
        );
        if self == Self::Wasm {
            in_force.push(LUCET.to_owned());
        }
        if self.is_proto() {
            in_force.push(
                "what the program drew at random while it was initialised is the same in each start from one snapshot"
                    .to_owned(),
            );
        }
        Description {
            rung: self.id().to_owned(),
            summary: self.summary().to_owned(),
            engine: ENGINE.to_owned(),
            cold: self.cold().to_owned(),
            warm: self.warm().to_owned(),
            isolation: self.isolation(),
            settings: in_force,
            max_workers: 4000,
            default_function: "demo/noop".to_owned(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
