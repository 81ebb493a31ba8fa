//! Which rungs there are, and what each is.

use std::fmt;

use faaslet::seat::Found;
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
    /// The same with cgroup and namespace made for this start.
    New,
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

/// What a rung is called and what is said of it.
struct Words {
    id: &'static str,
    summary: &'static str,
    cold: &'static str,
    warm: &'static str,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Wasm,
        Self::Faaslet,
        Self::New,
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
        self.words().id
    }

    /// What of its seat a timed start finds made; nothing if it has none.
    pub(crate) fn found(self) -> Option<Found> {
        match self {
            Self::Wasm => None,
            Self::NetnsNew => Some(Found::Cgroup),
            Self::New => Some(Found::Nothing),
            _ => Some(Found::Seat),
        }
    }

    fn words(self) -> Words {
        match self {
            Self::Wasm => Words {
                id: "wasm",
                summary: "a fresh Wasm instance on the calling thread",
                cold: "code mapped, slot reserved; the instance and its memory are new, every dirty page of the slot's last use was reset",
                warm: "engine, code, slot",
            },
            Self::Faaslet => Words {
                id: "faaslet",
                summary: "a new thread that joins a CPU cgroup and a network namespace and runs a fresh Wasm instance",
                cold: "code mapped, slot reserved, cgroup and namespace made; thread, instance and memory are new",
                warm: "engine, code, slot, seat (cgroup, namespace)",
            },
            Self::New => Words {
                id: "faaslet-new",
                summary: "a new CPU cgroup, a new thread that joins it, makes and enters a network namespace with veth and shaping, and runs a fresh Wasm instance; all of it is removed again",
                cold: "code mapped, slot reserved; cgroup, namespace, thread, instance and memory are new",
                warm: "engine, code, slot",
            },
            Self::NetnsNew => Words {
                id: "faaslet-netns-new",
                summary: "a new thread that joins a CPU cgroup, makes and enters a network namespace with veth and shaping, and runs a fresh Wasm instance",
                cold: "code mapped, slot reserved, cgroup made; thread, namespace, instance and memory are new",
                warm: "engine, code, slot, cgroup",
            },
            Self::Pooled => Words {
                id: "faaslet-pooled",
                summary: "a fresh Wasm instance on a thread that waits in its CPU cgroup and network namespace",
                cold: "code mapped, slot reserved, thread waiting in cgroup and namespace; instance and memory are new",
                warm: "engine, code, slot, seat, thread in it",
            },
            Self::Proto => Words {
                id: "proto-faaslet",
                summary: "a new thread that joins a CPU cgroup and a network namespace and runs a fresh instance of a snapshot taken after the program's initialisation",
                cold: "snapshot taken, code and memory image mapped, slot reserved, cgroup and namespace made; thread, instance and its copy-on-write memory are new",
                warm: "engine, snapshot, slot, seat (cgroup, namespace)",
            },
            Self::ProtoPooled => Words {
                id: "proto-faaslet-pooled",
                summary: "a fresh instance of a snapshot taken after the program's initialisation, on a thread that waits in its CPU cgroup and network namespace",
                cold: "snapshot taken, code and memory image mapped, slot reserved, thread waiting in cgroup and namespace; instance and its copy-on-write memory are new",
                warm: "engine, snapshot, slot, seat, thread in it",
            },
        }
    }

    fn isolation(self) -> Isolation {
        let seat = |what: &str| match self.found() {
            Some(_) => what.to_owned(),
            None => String::new(),
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
        if self == Self::New || self == Self::NetnsNew {
            in_force.push(
                "the veth pair is gone when the start ends; the kernel frees the rest of its namespace on a thread of its own"
                    .to_owned(),
            );
        }
        let words = self.words();
        Description {
            rung: words.id.to_owned(),
            summary: words.summary.to_owned(),
            engine: ENGINE.to_owned(),
            cold: words.cold.to_owned(),
            warm: words.warm.to_owned(),
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
