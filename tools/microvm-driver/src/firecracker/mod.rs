//! The Firecracker rungs: a boot, bare or jailed, or a restore from a snapshot that was taken before the function's first
//! word.
//!
//! A start is a new Firecracker process, driven through its API socket as its documentation has it.

pub mod api;
pub mod requests;

mod find;
mod image;
pub(crate) mod jail;
mod seat;

use std::time::Duration;

use measure_core::base::clock::PhaseClock;
use measure_core::contract::{Description, Isolation, Probe};
use measure_core::driver_kit::cli::PARK_FUNCTION;
use measure_core::driver_kit::{DriverError, Plan};

use self::api::{ApiError, Connection, Request};
use self::image::Image;
use self::requests::Boot;
use self::seat::Seat;
use crate::guest::{self, elf, flat, linux};
use crate::launcher::{Launcher, Running, ended, trial};
use crate::limit::Limit;
use crate::scratch::Scratch;
use crate::vmm::Input;
use crate::{Options, kvm, phase, unprepared};

/// Ladder id of a boot.
pub const ID: &str = "firecracker";
/// Ladder id of a boot of Linux, whatever the options.
pub const LINUX_ID: &str = "firecracker-linux";
/// Ladder id of a boot through the jailer.
pub const JAILED_ID: &str = "firecracker-jailed";
/// Ladder id of a restore.
pub const RESTORE_ID: &str = "firecracker-restore";

const NAME: &str = "firecracker";
const FLAT_TIMEOUT_SECONDS: u32 = 10;
const LINUX_TIMEOUT_SECONDS: u32 = 60;
/// How long a probe's trial start may take.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);
/// The same, of a Linux guest on a processor that shows neither VMX nor SVM: it hardly ever gets there.
const SHORT_TRIAL_LIMIT: Duration = Duration::from_secs(3);

/// What a start does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Boots the flat guest, or Linux where a kernel is given.
    Boot,
    /// Boots Linux.
    Linux,
    /// Boots what [`Kind::Boot`] boots, in a jail.
    Jailed,
    /// Restores what [`Kind::Boot`] boots.
    Restore,
}

/// See the module.
#[derive(Debug)]
pub struct Firecracker {
    kind: Kind,
    options: Options,
    ready: Option<Ready>,
}

/// What a start finds ready. The directories go last.
#[derive(Debug)]
struct Ready {
    /// Per worker.
    seats: Vec<Seat>,
    plan: Starting,
    pause: Request,
    resume: Request,
    function: String,
    /// Unless it is known that the function does not.
    blocks: bool,
    _sockets: Scratch,
    files: Scratch,
}

/// The requests that start a guest.
#[derive(Debug)]
enum Starting {
    Boot(Boot),
    Restore(Request),
}

impl Firecracker {
    /// The launcher.
    #[must_use]
    pub fn new(kind: Kind, options: Options) -> Self {
        Self {
            kind,
            options,
            ready: None,
        }
    }

    fn id(&self) -> &'static str {
        match self.kind {
            Kind::Boot => ID,
            Kind::Linux => LINUX_ID,
            Kind::Jailed => JAILED_ID,
            Kind::Restore => RESTORE_ID,
        }
    }

    fn is_linux(&self) -> bool {
        self.kind == Kind::Linux || self.options.kernel.is_some()
    }

    fn image(&self, plan: &Plan, files: &Scratch) -> Result<Image, DriverError> {
        let ready = self.kind == Kind::Restore;
        if self.is_linux() {
            let files_of = self.options.files();
            let guest = files_of.guest(&plan.function, ready, files.path())?;
            return Ok(Image::Linux(guest));
        }
        let function = flat::Function::of(&plan.function, self.id())?;
        let path = files.path().join("flat");
        std::fs::write(&path, elf::image(&function.code(ready)))
            .map_err(|e| DriverError::failed(format!("cannot write {}", path.display()), e))?;
        Ok(Image::Flat(path))
    }

    /// A seat for each worker, and the boot that all of them make.
    fn seats(
        &self,
        plan: &Plan,
        sockets: &Scratch,
        files: &Scratch,
    ) -> Result<(Vec<Seat>, Boot), DriverError> {
        let unavailable = |(why, mend)| DriverError::Unavailable { why, mend };
        let executable =
            find::executable(self.options.firecracker.as_deref()).map_err(unavailable)?;
        let mut image = self.image(plan, files)?;
        let workers = 0..plan.workers;
        let seats = if self.kind == Kind::Jailed {
            let jailer =
                find::jailer(self.options.jailer.as_deref(), &executable).map_err(unavailable)?;
            let base = jail::base(files.path())?;
            let images = jail::move_in(&mut image, files.path())?;
            workers
                .map(|worker| Seat::jailed(&jailer, &executable, &base, &images, worker))
                .collect::<Result<_, _>>()?
        } else {
            workers
                .map(|worker| Seat::bare(&executable, sockets.path(), worker))
                .collect::<Result<_, _>>()?
        };
        Ok((seats, image.boot(self.options.memory_mib)))
    }

    fn lacks(&self) -> Option<(String, String)> {
        let executable = match find::executable(self.options.firecracker.as_deref()) {
            Ok(path) => path,
            Err(lack) => return Some(lack),
        };
        if self.kind == Kind::Jailed {
            let jailer = find::jailer(self.options.jailer.as_deref(), &executable);
            if let Some(lack) = jailer.err().or_else(jail::lacks) {
                return Some(lack);
            }
        }
        let missing = self.is_linux().then(|| self.options.files().lacks());
        missing.flatten().map(|why| (why, linux::MEND.to_owned()))
    }
}

impl Launcher for Firecracker {
    fn describe(&self) -> Description {
        let guest = if self.is_linux() {
            "Linux guest, the function is a process of it"
        } else {
            "flat 64-bit guest without a kernel: says hello on the serial port and resets, the no-op's twin"
        };
        let (what, cold) = match self.kind {
            Kind::Restore => (
                "restored from a snapshot taken before the function's first word",
                "a new Firecracker process and virtual machine each time; the snapshot is made beforehand and in the page cache, its memory mapped copy-on-write",
            ),
            Kind::Jailed => (
                "booted by the jailer, in a root directory and as a user of its own",
                "a new jail with a copy of Firecracker in it, a new process and virtual machine each time; Firecracker and the guest's image are in the page cache",
            ),
            Kind::Boot | Kind::Linux => (
                "booted",
                "a new Firecracker process and virtual machine each time; Firecracker and the guest's image are in the page cache",
            ),
        };
        let (files, capabilities, jailer) = if self.kind == Kind::Jailed {
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
            summary: format!("Firecracker micro-VM, {what}; {guest}"),
            engine: find::version(self.options.firecracker.as_deref()),
            cold: cold.into(),
            isolation: Isolation {
                memory: "own guest-physical memory".into(),
                network: "no device".into(),
                files: files.into(),
                syscalls: "no system calls to the host; Firecracker's own filtered by its seccomp profile, where it was built with one".into(),
                capabilities: capabilities.into(),
                hardware: "KVM".into(),
                ..Isolation::default()
            },
            settings: vec![
                format!("memory {} MiB, 1 processor", self.options.memory_mib),
                format!("{jailer}; default seccomp, log level Error"),
                "configured through the API socket, one connection".into(),
            ],
            max_workers: 1000,
            default_function: "demo/noop".into(),
        }
    }

    fn probe(&self) -> Probe {
        if let Some((why, mend)) = self.lacks() {
            return Probe::Unavailable { why, mend };
        }
        let launcher = Self::new(self.kind, self.options.clone());
        let limit = match self.is_linux() && !kvm::in_hardware() {
            true => SHORT_TRIAL_LIMIT,
            false => TRIAL_LIMIT,
        };
        let Err(error) = trial(launcher, limit.min(self.timeout())) else {
            return Probe::Ready;
        };
        let (why, mend) = kvm::lacks().unwrap_or_else(|| {
            let why = format!("a trial start failed: {error}");
            (why, self.mend())
        });
        Probe::Unavailable { why, mend }
    }

    fn prepare(&mut self, plan: &Plan) -> Result<(), DriverError> {
        let (sockets, files) = (Scratch::short()?, Scratch::large()?);
        let (seats, boot) = self.seats(plan, &sockets, &files)?;
        let mut ready = Ready {
            seats,
            plan: Starting::Boot(boot),
            pause: requests::pause(),
            resume: requests::resume(),
            function: plan.function.to_string(),
            blocks: self.is_linux() || plan.function.to_string() == PARK_FUNCTION,
            _sockets: sockets,
            files,
        };
        if self.kind == Kind::Restore {
            let snapshot = requests::Snapshot::below(ready.files.path());
            ready.take_snapshot(&snapshot, &Limit::after(self.timeout()))?;
            ready.plan = Starting::Restore(snapshot.load());
        }
        self.ready = Some(ready);
        Ok(())
    }

    fn start(
        &self,
        clock: &mut PhaseClock,
        worker: usize,
        held: bool,
        limit: &Limit,
    ) -> Result<Running, DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        if held && !ready.blocks {
            return Err(ended(&ready.function));
        }
        let input = match (&ready.plan, held) {
            // A restored guest waits for this byte.
            (Starting::Restore(_), _) => Input::Bytes(&[guest::GO]),
            (Starting::Boot(_), true) => Input::Bytes(b""),
            (Starting::Boot(_), false) => Input::Nothing,
        };
        let mut running = ready.launch(clock, worker, input, limit)?;
        running.vmm.hear(guest::HELLO, limit)?;
        clock.lap(phase::FIRST_OUTPUT);
        Ok(running)
    }

    fn rest(&self, guest: &mut Running, limit: &Limit) -> Result<(), DriverError> {
        // A Linux guest sleeps in its read; the flat one polls and must be stopped.
        match &self.ready {
            Some(ready) if !self.is_linux() => call(guest, &ready.pause, limit),
            _ => Ok(()),
        }
    }

    fn wake(&self, guest: &mut Running, limit: &Limit) -> Result<(), DriverError> {
        match &self.ready {
            Some(ready) if !self.is_linux() => call(guest, &ready.resume, limit),
            _ => Ok(()),
        }
    }

    fn reported_function(&self) -> Option<&str> {
        let ready = self.ready.as_ref().filter(|_| self.is_linux());
        ready.map(|ready| ready.function.as_str())
    }

    fn timeout(&self) -> Duration {
        self.options.timeout_or(if self.is_linux() {
            LINUX_TIMEOUT_SECONDS
        } else {
            FLAT_TIMEOUT_SECONDS
        })
    }
}

impl Firecracker {
    fn mend(&self) -> String {
        if self.is_linux() {
            "a Linux guest needs KVM on VMX or SVM (bare metal, or nested virtualisation enabled in the hypervisor) and a kernel built for Firecracker; rung `firecracker` without --kernel runs without both".into()
        } else if self.kind == Kind::Jailed {
            "in a jail Firecracker needs to be linked statically, as its releases are, and /var/lib to be mounted without nodev and noexec".into()
        } else {
            "try this Firecracker by hand with the steps of its getting-started page".into()
        }
    }
}

impl Ready {
    /// Starts a monitor and its guest, up to the answer to the call that starts the guest.
    fn launch(
        &self,
        clock: &mut PhaseClock,
        worker: usize,
        input: Input,
        limit: &Limit,
    ) -> Result<Running, DriverError> {
        let seat = self.seats.get(worker).ok_or_else(unprepared)?;
        let mut vmm = seat.spawn(clock, input)?;
        let api = match Connection::open(seat.socket(), limit, || vmm.has_ended()) {
            Ok(Some(api)) => api,
            Ok(None) => return Err(vmm.ended_early("API ready")),
            Err(error) => return Err(vmm.failed(phase::API_READY, error)),
        };
        clock.lap(phase::API_READY);
        let mut running = Running {
            vmm,
            api: Some(api),
        };
        match &self.plan {
            Starting::Boot(boot) => {
                for request in &boot.configure {
                    call(&mut running, request, limit)?;
                }
                clock.lap(phase::CONFIGURE);
                call(&mut running, &boot.start, limit)?;
                clock.lap(phase::START);
            }
            Starting::Restore(load) => {
                call(&mut running, load, limit)?;
                clock.lap(phase::RESTORE);
            }
        }
        Ok(running)
    }

    fn take_snapshot(
        &self,
        snapshot: &requests::Snapshot,
        limit: &Limit,
    ) -> Result<(), DriverError> {
        let mut clock = PhaseClock::start();
        let mut running = self.launch(&mut clock, 0, Input::Bytes(b""), limit)?;
        running.vmm.hear(guest::READY, limit)?;
        call(&mut running, &self.pause, limit)?;
        call(&mut running, &snapshot.create(), limit)
    }
}

/// Sends `request` to the guest's monitor.
fn call(running: &mut Running, request: &Request, limit: &Limit) -> Result<(), DriverError> {
    let api = running.api.as_mut().ok_or_else(unprepared)?;
    let Err(error) = api.call(request, limit) else {
        return Ok(());
    };
    Err(match &error {
        // The monitor's end is the reason, and it may have said why.
        ApiError::Broken { request, .. } => running.vmm.ended_early(request),
        ApiError::Silent { .. } | ApiError::Malformed { .. } | ApiError::Refused { .. } => {
            running.vmm.failed("its API", error)
        }
    })
}
