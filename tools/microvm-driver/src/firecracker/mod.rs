//! The Firecracker rungs: a boot, bare or jailed, or a restore from a snapshot that was taken before the function's first
//! word.
//!
//! A start is a new Firecracker process, driven through its API socket as its documentation has it.

pub mod api;
pub mod requests;

mod find;
mod image;
pub(crate) mod jail;
mod kind;
mod ready;
mod seat;

use std::time::Duration;

use measure_core::base::clock::PhaseClock;
use measure_core::contract::{Description, Probe};
use measure_core::driver_kit::cli::PARK_FUNCTION;
use measure_core::driver_kit::{DriverError, Plan};

use self::image::Image;
pub use self::kind::Kind;
use self::ready::{Ready, Starting, call};
use self::requests::Boot;
use self::seat::Seat;
use crate::guest::{self, elf, flat};
use crate::launcher::{Launcher, Running, trial};
use crate::limit::Limit;
use crate::options::Options;
use crate::scratch::Scratch;
use crate::shared::{Lack, ended_while_held, unprepared};
use crate::vmm::Input;
use crate::{kvm, phase};

const FLAT_TIMEOUT_SECONDS: u32 = 10;
const LINUX_TIMEOUT_SECONDS: u32 = 60;
/// How long a probe's trial start may take.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);
/// The same, of a Linux guest on a processor that shows neither VMX nor SVM: it hardly ever gets there.
const SHORT_TRIAL_LIMIT: Duration = Duration::from_secs(3);

/// The launcher of the Firecracker rungs.
#[derive(Debug)]
pub struct Firecracker {
    kind: Kind,
    options: Options,
    ready: Option<Ready>,
}

impl Firecracker {
    /// The launcher of starts of `kind`.
    #[must_use]
    pub fn new(kind: Kind, options: Options) -> Self {
        Self {
            kind,
            options,
            ready: None,
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
        let function = flat::Function::from_id(&plan.function, self.kind.id())?;
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
        let executable = find::executable(self.options.firecracker.as_deref())?;
        let mut image = self.image(plan, files)?;
        let workers = 0..plan.workers;
        let seats = if self.kind == Kind::Jailed {
            let jailer = find::jailer(self.options.jailer.as_deref(), &executable)?;
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

    fn lacks(&self) -> Option<Lack> {
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
        missing.flatten()
    }
}

impl Launcher for Firecracker {
    fn describe(&self) -> Description {
        let engine = find::version(self.options.firecracker.as_deref());
        let memory_mib = self.options.memory_mib;
        self.kind.description(self.is_linux(), memory_mib, engine)
    }

    fn probe(&self) -> Probe {
        if let Some(lack) = self.lacks() {
            return lack.into();
        }
        let launcher = Self::new(self.kind, self.options.clone());
        let limit = match self.is_linux() && !kvm::in_hardware() {
            true => SHORT_TRIAL_LIMIT,
            false => TRIAL_LIMIT,
        };
        let Err(error) = trial(launcher, limit.min(self.timeout())) else {
            return Probe::Ready;
        };
        let lack = kvm::lacks().unwrap_or_else(|| {
            let why = format!("a trial start failed: {error}");
            Lack::new(why, self.kind.mend(self.is_linux()))
        });
        lack.into()
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
            return Err(ended_while_held(&ready.function));
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
