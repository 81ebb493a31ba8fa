//! Rungs `kvm-flat` and `kvm-flat-pooled`: a virtual machine of this process's own, through /dev/kvm, with the flat
//! guest: the cheapest hardware isolation there is. Its monitor is the few lines of [`machine`].

pub mod machine;

mod park;
mod state;
mod watchdog;

use std::fs::OpenOptions;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kvm_ioctls::Kvm;
use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::contract::{Description, Isolation, Probe, Reach, Scope};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::{DriverError, Plan, Rung};
use procfs::{CpuInfo, Current};

use self::machine::{MEMORY_BYTES, Machine};
use self::park::Parked;
use self::state::Pristine;
use self::watchdog::Watchdog;
use crate::guest::flat::Function;
use crate::options::Options;
use crate::phase;
use crate::shared::{Lack, SCOPE, unprepared};

/// The rung's id in the ladder.
pub const ID: &str = "kvm-flat";
/// Ladder id of its pooled twin.
pub const POOLED_ID: &str = "kvm-flat-pooled";

const TIMEOUT_SECONDS: u32 = 10;
/// How long a probe's trial start may take.
const TRIAL_LIMIT: Duration = Duration::from_secs(5);
const DEVICE: &str = "/dev/kvm";

/// The rung `kvm-flat` or its pooled twin.
#[derive(Debug)]
pub struct FlatRung {
    pooled: bool,
    timeout: Duration,
    ready: Option<Ready>,
}

/// Dropped in this order: parked guests need the watchdog to their end.
#[derive(Debug)]
struct Ready {
    parked: Option<Parked>,
    /// Per worker, where machines are used again.
    shells: Vec<Mutex<Shell>>,
    watchdog: Arc<Watchdog>,
    kvm: Kvm,
    code: Vec<u8>,
    function: String,
    _scope: OwnScope,
}

/// A machine that is used again, and what it was like before any guest.
#[derive(Debug)]
struct Shell {
    machine: Machine,
    pristine: Pristine,
}

impl FlatRung {
    /// The rung, `pooled` or not.
    #[must_use]
    pub fn new(pooled: bool, options: &Options) -> Self {
        Self {
            pooled,
            timeout: options.timeout_or(TIMEOUT_SECONDS),
            ready: None,
        }
    }
}

/// What keeps this process from using KVM at all, and how to mend it.
#[must_use]
pub fn lacks() -> Option<Lack> {
    let error = OpenOptions::new()
        .read(true)
        .write(true)
        .open(DEVICE)
        .err()?;
    let mend = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "add this user to the group kvm, or run it as root",
        _ => {
            "load the module kvm_intel or kvm_amd; in a virtual machine enable nested virtualisation, in a container pass --device /dev/kvm"
        }
    };
    Some(Lack::new(format!("{DEVICE}: {error}"), mend))
}

/// Whether the processor shows VMX or SVM; without them KVM may still be there, in software.
#[must_use]
pub fn in_hardware() -> bool {
    let processors = CpuInfo::current();
    processors.is_ok_and(|all| {
        let flags = all.flags(0).unwrap_or_default();
        flags.contains(&"vmx") || flags.contains(&"svm")
    })
}

impl Shell {
    fn new(kvm: &Kvm) -> Result<Self, DriverError> {
        let machine = Machine::new(kvm)?;
        let pristine = Pristine::capture(kvm, &machine)?;
        Ok(Self { machine, pristine })
    }
}

/// What a start runs, under whose eyes and for how long.
struct Start<'a> {
    code: &'a [u8],
    watchdog: &'a Watchdog,
    worker: usize,
    timeout: Duration,
}

impl Start<'_> {
    /// In a machine of its own.
    fn cold(&self, kvm: &Kvm) -> Result<PhaseClock, DriverError> {
        let mut clock = PhaseClock::start();
        let mut machine = Machine::new(kvm)?;
        clock.lap(phase::CREATE);
        self.run(&mut machine, &mut clock)?;
        drop(machine);
        clock.lap(phase::TEARDOWN);
        Ok(clock)
    }

    /// In a machine that is used again, which is left as the guest left it.
    fn pooled(&self, shell: &mut Shell) -> Result<PhaseClock, DriverError> {
        let mut clock = PhaseClock::start();
        shell.machine.erase()?;
        shell.pristine.restore(&shell.machine)?;
        clock.lap(phase::ERASE);
        self.run(&mut shell.machine, &mut clock)?;
        Ok(clock)
    }

    fn run(&self, machine: &mut Machine, clock: &mut PhaseClock) -> Result<(), DriverError> {
        machine.load(self.code)?;
        clock.lap(phase::CONFIGURE);
        let armed = self.watchdog.arm(self.worker, self.timeout);
        machine.run_to_reset(&mut || clock.lap(phase::FIRST_OUTPUT))?;
        drop(armed);
        clock.lap(phase::EXIT);
        Ok(())
    }
}

fn trial(is_pooled: bool) -> Result<(), DriverError> {
    let kvm = Kvm::new().map_err(|e| DriverError::failed(DEVICE, e))?;
    let watchdog = Watchdog::start(1)?;
    let start = Start {
        code: &Function::Noop.code(false),
        watchdog: &watchdog,
        worker: 0,
        timeout: TRIAL_LIMIT,
    };
    if is_pooled {
        let mut shell = Shell::new(&kvm)?;
        // The second time is the one that is used again.
        start.pooled(&mut shell)?;
        return start.pooled(&mut shell).map(drop);
    }
    start.cold(&kvm).map(drop)
}

impl Rung for FlatRung {
    fn describe(&self) -> Description {
        let (rung, summary, cold) = if self.pooled {
            (
                POOLED_ID,
                "KVM virtual machine used again: memory erased, processor state put back",
                "not cold: one machine per worker exists beforehand; the pooled twin of `kvm-flat`",
            )
        } else {
            (
                ID,
                "KVM virtual machine made for the start",
                "a new machine, memory and processor each time; /dev/kvm is open",
            )
        };
        Description {
            rung: rung.into(),
            summary: format!(
                "{summary}; flat 64-bit guest without a kernel: says hello on the serial port and resets, the no-op's twin"
            ),
            engine: "KVM, a monitor in this process on the calling thread".into(),
            cold: cold.into(),
            warm: if self.pooled {
                "machine".into()
            } else {
                "monitor (this process)".into()
            },
            isolation: Isolation {
                memory: "own guest-physical memory".into(),
                network: "no device".into(),
                reach: Some(Reach::Nothing),
                files: "no device".into(),
                syscalls: "no system calls to the host; the monitor's own are not filtered".into(),
                capabilities: "a guest has none of the host; the monitor keeps the driver's".into(),
                hardware: "KVM".into(),
                ..Isolation::default()
            },
            settings: vec![
                format!(
                    "memory {} KiB, 1 processor, no interrupt controller",
                    MEMORY_BYTES >> 10
                ),
                "devices: serial port, reset".into(),
            ],
            max_workers: 1000,
            default_function: "demo/noop".into(),
        }
    }

    fn probe(&self) -> Probe {
        let trial = || {
            let error = trial(self.pooled).err()?;
            let why = format!("this KVM cannot run the flat guest: {error}");
            let mend =
                "use a host with VMX or SVM (in a virtual machine, enable nested virtualisation)";
            Some(Lack::new(why, mend))
        };
        lacks().or_else(trial).map_or(Probe::Ready, Probe::from)
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        let id = if self.pooled { POOLED_ID } else { ID };
        let function = Function::from_id(&plan.function, id)?;
        let kvm = Kvm::new().map_err(|e| DriverError::failed(DEVICE, e))?;
        let scope = OwnScope::enter(SCOPE);
        let said = scope.scope("this process: monitor and guests' memory are in it; KVM's own memory of a machine is the kernel's");
        let shells = if self.pooled { plan.workers } else { 0 };
        self.ready = Some(Ready {
            parked: None,
            shells: (0..shells)
                .map(|_| Shell::new(&kvm).map(Mutex::new))
                .collect::<Result<_, _>>()?,
            watchdog: Arc::new(Watchdog::start(plan.workers)?),
            kvm,
            code: function.code(false),
            function: plan.function.to_string(),
            _scope: scope,
        });
        Ok(said)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        let start = Start {
            code: &ready.code,
            watchdog: &ready.watchdog,
            worker,
            timeout: self.timeout,
        };
        let clock = if self.pooled {
            let shell = ready.shells.get(worker).ok_or_else(unprepared)?;
            start.pooled(&mut shell.lock().unwrap_or_else(PoisonError::into_inner))?
        } else {
            start.cold(&ready.kvm)?
        };
        Ok(clock.finish())
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        // A machine that is used again weighs what a new one does.
        let machines = if self.pooled {
            let shells = ready.shells.drain(..).take(count).map(Mutex::into_inner);
            shells
                .map(|shell| shell.unwrap_or_else(PoisonError::into_inner).machine)
                .collect()
        } else {
            (0..count)
                .map(|_| Machine::new(&ready.kvm))
                .collect::<Result<Vec<_>, _>>()?
        };
        let parked = ready.parked.insert(Parked::new()?);
        parked.start(
            machines,
            &ready.code,
            &ready.function,
            &ready.watchdog,
            self.timeout,
        )
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        ready.parked.take().map_or(Ok(()), Parked::release)
    }
}

#[cfg(test)]
mod tests;
