//! Which rungs there are, and what each is.

use std::fmt;

use faaslet::seat::{Found, Network};
use faaslet::settings::ENGINE;
use measure_core::contract::{Description, Isolation, Reach};

use crate::settings::Settings;

/// What starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bare instance on the calling thread.
    Wasm,
    /// A Faaslet: new thread, pooled seat.
    Faaslet,
    /// The same with its seat made for this start.
    New,
    /// As [`Kind::Faaslet`], in a network namespace whatever is granted.
    Netns,
    /// As [`Kind::New`], in a network namespace whatever is granted.
    NetnsNew,
    /// As [`Kind::Faaslet`], on a thread that waits in its seat.
    Pooled,
    /// A Faaslet from a snapshot of its initialised program.
    Proto,
    /// The same on a thread that waits in its seat.
    ProtoPooled,
    /// As [`Kind::Faaslet`], by the second engine's code.
    Llvm,
    /// As [`Kind::Pooled`], by that code.
    LlvmPooled,
    /// As [`Kind::Proto`], by that code.
    ProtoLlvm,
    /// As [`Kind::ProtoPooled`], by that code.
    ProtoLlvmPooled,
}

/// Why Lucet, which the original named, has no row of its own.
const LUCET: &str = "stands for Lucet too, whose ideas live on in this engine: lucet-runtime 0.6.1 still builds (tried with Rust 1.95), but nothing \
     can be compiled for it: lucetc 0.6.1 needs wabt 0.9.2, which is withdrawn, and with that pinned its cranelift-codegen 0.51 no longer compiles \
     (E0271 and E0599 in isa/x86/abi.rs) without changes to its source";

/// A program may draw in what runs before a snapshot is taken.
const DRAWN_BEFORE: &str = "what the program drew at random while it was initialised is the same in each start from one snapshot";

/// Of a namespace made for the start.
const NAMESPACE_LEFT: &str = "the veth pair is gone when the start ends; the kernel frees the rest of its namespace on a thread of its own";

/// Of seats that have a namespace only where it is of use.
const WITH_GRANT: &str = "a function that was granted the network has a network namespace in its seat; any other is offered no socket, and needs none";

/// Of the second engine's code.
const BY_C: &str = "of the program only its code is a library's: memory and its image, host functions, limits and deadline are the engine's; \
     instance and tables are made at a worker's first start and reset at each; the stack is the thread's to its end";

/// Of a snapshot that the second engine's code is run on.
const TAKEN_BY: &str = "the snapshot was taken by the other engine's code";

/// In what is warm: of a seat whose namespace depends on what runs in it.
const NO_SOCKET: &str = "no socket is offered";
const NAMESPACE_IF_GRANTED: &str = "; namespace if granted";

/// What network the seats of a run are in.
pub(crate) enum OfRun {
    NotOffered,
    Namespace,
    /// With what is reached, in words.
    Granted(String),
}

impl From<&Network> for OfRun {
    fn from(network: &Network) -> Self {
        match network {
            Network::NotOffered => Self::NotOffered,
            Network::Namespace => Self::Namespace,
            Network::Granted(hub) => Self::Granted(hub.reach().to_string()),
        }
    }
}

/// What a rung is, and what is said of it.
#[derive(Default)]
struct Row {
    id: &'static str,
    /// What of its seat a timed start finds made; nothing if it has none.
    found: Option<Found>,
    /// Whether its seats have a network namespace though nothing of the network is granted.
    always_namespace: bool,
    /// Whether a thread waits in its seat for the start.
    waits: bool,
    /// Whether a start is from a snapshot.
    is_proto: bool,
    /// Whether the code is the second engine's.
    is_llvm: bool,
    summary: &'static str,
    cold: &'static str,
    warm: &'static str,
    /// What holds for it besides what holds for all.
    in_force: &'static [&'static str],
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Wasm,
        Self::Faaslet,
        Self::New,
        Self::Netns,
        Self::NetnsNew,
        Self::Pooled,
        Self::Proto,
        Self::ProtoPooled,
        Self::Llvm,
        Self::LlvmPooled,
        Self::ProtoLlvm,
        Self::ProtoLlvmPooled,
    ];

    pub(crate) fn id(self) -> &'static str {
        self.row().id
    }

    /// What of its seat a timed start finds made; nothing if it has none.
    pub(crate) fn found(self) -> Option<Found> {
        self.row().found
    }

    /// Whether its seats have a network namespace though nothing of the network is granted.
    pub(crate) fn always_namespace(self) -> bool {
        self.row().always_namespace
    }

    /// Whether a thread waits in its seat for the start.
    pub(crate) fn waits(self) -> bool {
        self.row().waits
    }

    /// Whether a start is from a snapshot.
    pub(crate) fn is_proto(self) -> bool {
        self.row().is_proto
    }

    /// Whether its code is the second engine's.
    pub(crate) fn is_llvm(self) -> bool {
        self.row().is_llvm
    }

    fn row(self) -> Row {
        match self {
            Self::Wasm => Row {
                id: "wasm",
                summary: "a fresh Wasm instance on the calling thread",
                cold: "code mapped, slot reserved; the instance and its memory are new, every dirty page of the slot's last use was reset",
                warm: "engine, code, slot",
                in_force: &[LUCET],
                ..Row::default()
            },
            Self::Faaslet => Row {
                id: "faaslet",
                found: Some(Found::Seat),
                summary: "a new thread that joins a CPU cgroup and runs a fresh Wasm instance",
                cold: "code mapped, slot reserved, seat made; thread, instance and memory are new",
                warm: "engine, code, slot, seat (cgroup; namespace if granted)",
                in_force: &[WITH_GRANT],
                ..Row::default()
            },
            Self::New => Row {
                id: "faaslet-new",
                found: Some(Found::Nothing),
                summary: "a new CPU cgroup and a new thread that joins it and runs a fresh Wasm instance; all of it is removed again",
                cold: "code mapped, slot reserved; seat, thread, instance and memory are new",
                warm: "engine, code, slot",
                in_force: &[WITH_GRANT, NAMESPACE_LEFT],
                ..Self::Faaslet.row()
            },
            Self::Netns => Row {
                id: "faaslet-netns",
                always_namespace: true,
                summary: "as faaslet, with a network namespace that the thread enters: a new thread that joins a CPU cgroup and a network namespace and runs a fresh Wasm instance",
                warm: "engine, code, slot, seat (cgroup, namespace)",
                in_force: &[],
                ..Self::Faaslet.row()
            },
            Self::NetnsNew => Row {
                id: "faaslet-netns-new",
                always_namespace: true,
                summary: "as faaslet-new, with a network namespace: a new CPU cgroup, a new thread that joins it, makes and enters a network namespace with veth and shaping, and runs a fresh Wasm instance; all of it is removed again",
                in_force: &[NAMESPACE_LEFT],
                ..Self::New.row()
            },
            Self::Pooled => Row {
                id: "faaslet-pooled",
                waits: true,
                summary: "a fresh Wasm instance on a thread that waits in its CPU cgroup",
                cold: "code mapped, slot reserved, thread waiting in its seat; instance and memory are new",
                warm: "engine, code, slot, seat, thread in it",
                ..Self::Faaslet.row()
            },
            Self::Proto | Self::ProtoPooled => self.row_of_snapshot(),
            Self::Llvm | Self::LlvmPooled | Self::ProtoLlvm | Self::ProtoLlvmPooled => {
                self.row_by_c()
            }
        }
    }

    /// [`Kind::row`] of what starts from a snapshot by the first engine's code.
    fn row_of_snapshot(self) -> Row {
        match self {
            Self::ProtoPooled => Row {
                id: "proto-faaslet-pooled",
                waits: true,
                summary: "a fresh instance of a snapshot taken after the program's initialisation, on a thread that waits in its CPU cgroup",
                cold: "snapshot taken, code and memory image mapped, slot reserved, thread waiting in its seat; instance and its copy-on-write memory are new",
                warm: "engine, snapshot, slot, seat, thread in it",
                ..Self::Proto.row()
            },
            _ => Row {
                id: "proto-faaslet",
                is_proto: true,
                summary: "a new thread that joins a CPU cgroup and runs a fresh instance of a snapshot taken after the program's initialisation",
                cold: "snapshot taken, code and memory image mapped, slot reserved, seat made; thread, instance and its copy-on-write memory are new",
                warm: "engine, snapshot, slot, seat (cgroup; namespace if granted)",
                in_force: &[WITH_GRANT, DRAWN_BEFORE],
                ..Self::Faaslet.row()
            },
        }
    }

    /// [`Kind::row`] of what runs the second engine's code.
    fn row_by_c(self) -> Row {
        match self {
            Self::Llvm => Row {
                id: "faaslet-llvm",
                is_llvm: true,
                summary: "as faaslet, by wasm2c's and clang's code: a new thread that joins a CPU cgroup and runs a fresh instance of the function's library",
                warm: "engine, library, slot, seat (cgroup; namespace if granted)",
                in_force: &[WITH_GRANT, BY_C],
                ..Self::Faaslet.row()
            },
            Self::LlvmPooled => Row {
                id: "faaslet-llvm-pooled",
                is_llvm: true,
                summary: "as faaslet-pooled, by wasm2c's and clang's code: a fresh instance of the function's library on a thread that waits in its CPU cgroup",
                warm: "engine, library, slot, seat, thread in it",
                in_force: &[WITH_GRANT, BY_C],
                ..Self::Pooled.row()
            },
            Self::ProtoLlvm => Row {
                id: "proto-faaslet-llvm",
                is_llvm: true,
                summary: "as proto-faaslet, by wasm2c's and clang's code: a new thread that joins a CPU cgroup and runs the function's library on a snapshot taken after the program's initialisation",
                warm: "engine, library, snapshot, slot, seat (cgroup; namespace if granted)",
                in_force: &[WITH_GRANT, DRAWN_BEFORE, BY_C, TAKEN_BY],
                ..Self::Proto.row()
            },
            _ => Row {
                id: "proto-faaslet-llvm-pooled",
                is_llvm: true,
                summary: "as proto-faaslet-pooled, by wasm2c's and clang's code: the function's library on a snapshot taken after the program's initialisation, on a thread that waits in its CPU cgroup",
                warm: "engine, library, snapshot, slot, seat, thread in it",
                in_force: &[WITH_GRANT, DRAWN_BEFORE, BY_C, TAKEN_BY],
                ..Self::ProtoPooled.row()
            },
        }
    }

    fn isolation(self) -> Isolation {
        let row = self.row();
        let (network, reach) = match (row.always_namespace, row.found) {
            (true, _) => ("network namespace, sockets if granted", Reach::Namespace),
            (false, None) => (NO_SOCKET, Reach::Nothing),
            (false, Some(_)) => (
                "no socket is offered; network namespace if granted",
                Reach::Namespace,
            ),
        };
        Isolation {
            memory: "SFI".to_owned(),
            cpu: row.found.map_or("", |_| "cgroup").to_owned(),
            network: network.to_owned(),
            files: "WASI capabilities".to_owned(),
            syscalls: "no system calls, WASI only".to_owned(),
            capabilities: "none reachable".to_owned(),
            hardware: String::new(),
            reach: Some(reach),
        }
    }

    /// What it is, and what is known of it once it is prepared: what network its seats are in.
    pub(crate) fn describe(self, settings: &Settings, prepared: Option<&OfRun>) -> Description {
        let mut in_force = settings.engine.describe();
        in_force.push(
            "stack overflow, traps and exit code checked; no file but of granted directories, no inherited environment"
                .to_owned(),
        );
        in_force.push(
            "an engine for each processor that workers start on, one for all that are parked"
                .to_owned(),
        );
        in_force.push(faaslet::compile::describe(&settings.compile));
        let row = self.row();
        let mut isolation = self.isolation();
        let mut warm = row.warm.to_owned();
        match prepared {
            None => {}
            Some(OfRun::NotOffered) => {
                warm = warm.replace(NAMESPACE_IF_GRANTED, "");
                isolation.network = NO_SOCKET.to_owned();
                isolation.reach = Some(Reach::Nothing);
            }
            Some(OfRun::Namespace) => isolation.network = "network namespace".to_owned(),
            Some(OfRun::Granted(what)) => {
                warm = warm.replace(NAMESPACE_IF_GRANTED, ", namespace");
                isolation.network = "network namespace".to_owned();
                in_force.push(format!("{}{what}", Description::NETWORK_GRANTED));
            }
        }
        let engine = if row.is_llvm {
            in_force.extend(settings.second_engine.describe());
            format!("wasm2c and clang, in {ENGINE}")
        } else {
            ENGINE.to_owned()
        };
        in_force.extend(row.in_force.iter().map(|&words| words.to_owned()));
        Description {
            rung: row.id.to_owned(),
            summary: row.summary.to_owned(),
            engine,
            cold: row.cold.to_owned(),
            warm,
            isolation,
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
