//! Rung `qemu-tcg`: a Linux guest on QEMU's microvm machine with software emulation. It needs no /dev/kvm, so the
//! way to a full guest can be gone on any host; its times are the emulator's, not a hypervisor's.

use std::ffi::OsStr;
use std::time::Duration;

use measure_core::base::clock::PhaseClock;
use measure_core::base::programs::on_path;
use measure_core::contract::{Description, Isolation, Probe, Reach};
use measure_core::driver_kit::spawn::Program;
use measure_core::driver_kit::{DriverError, Plan};

use crate::guest;
use crate::guest::linux::Root;
use crate::launcher::{Launcher, Running};
use crate::limit::Limit;
use crate::options::Options;
use crate::phase;
use crate::programs::version_line;
use crate::scratch::Scratch;
use crate::shared::{Lack, unprepared};
use crate::vmm::{Input, Vmm};

/// The rung's id in the ladder.
pub const ID: &str = "qemu-tcg";
const EXECUTABLE: &str = "qemu-system-x86_64";
/// Emulated kernels take their time, more so on a busy host.
const TIMEOUT_SECONDS: u32 = 120;
/// The interrupt controllers and timers are those that a kernel needs which finds neither ACPI nor KVM's clock;
/// without ACPI the firmware is QEMU's smallest.
const MACHINE: &str = "microvm,acpi=off,isa-serial=on,pit=on,pic=on,rtc=on";

/// The launcher of the rung `qemu-tcg`.
#[derive(Debug)]
pub struct Qemu {
    options: Options,
    ready: Option<Ready>,
}

#[derive(Debug)]
struct Ready {
    program: Program,
    function: String,
    _scratch: Scratch,
}

impl Qemu {
    /// The launcher, which has found nothing ready yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ready: None,
        }
    }
}

impl Launcher for Qemu {
    fn describe(&self) -> Description {
        let version = on_path(EXECUTABLE).and_then(|path| version_line(&path));
        let version = version.unwrap_or_else(|| "qemu (not installed)".into());
        Description {
            rung: ID.into(),
            summary: "EMULATED: Linux guest on QEMU's microvm machine, no KVM; runs the function as a process of the guest".into(),
            engine: format!("{version}, TCG (software emulation)"),
            cold: "a new emulator process, kernel boot and initrd each time; QEMU, kernel and initrd are in the page cache".into(),
            warm: "nothing".into(),
            isolation: Isolation {
                memory: "emulated machine, guest kernel".into(),
                network: "no device".into(),
                reach: Some(Reach::Nothing),
                files: "own initrd, no device".into(),
                syscalls: "guest kernel; QEMU's own are not filtered".into(),
                capabilities: "a guest has none of the host; QEMU keeps the driver's".into(),
                ..Isolation::default()
            },
            settings: vec![
                format!("machine {MACHINE}"),
                format!("memory {} MiB, 1 processor", self.options.memory_mib),
                "emulated: compare with other rungs for what it does, not for its speed".into(),
            ],
            max_workers: 64,
            default_function: "demo/noop".into(),
        }
    }

    fn probe(&self) -> Probe {
        if on_path(EXECUTABLE).is_none() {
            let why = format!("{EXECUTABLE} is not on PATH");
            let mend = "apt-get install --no-install-recommends qemu-system-x86";
            return Lack::new(why, mend).into();
        }
        let lacks = self.options.files().lacks();
        lacks.map_or(Probe::Ready, Probe::from)
    }

    fn prepare(&mut self, plan: &Plan) -> Result<(), DriverError> {
        let scratch = Scratch::large()?;
        let guest = self
            .options
            .files()
            .guest(&plan.function, false, scratch.path())?;
        let Root::Initrd(initrd) = &guest.root else {
            return Err(DriverError::Usage(format!(
                "rung `{ID}` boots an initrd, not a --rootfs: Debian's kernel has no virtio built in"
            )));
        };
        let executable = on_path(EXECUTABLE).ok_or_else(unprepared)?;
        // A triple fault: this machine has no keyboard controller to be reset by.
        let command_line = guest.command_line("t");
        let machine = format!(
            "-M {MACHINE} -accel tcg -cpu max -smp 1 -m {}M -nodefaults -no-user-config -nographic -no-reboot -serial stdio",
            self.options.memory_mib
        );
        let arguments = machine.split(' ').map(OsStr::new).chain([
            "-kernel".as_ref(),
            guest.kernel.as_ref(),
            "-initrd".as_ref(),
            initrd.as_ref(),
            "-append".as_ref(),
            command_line.as_ref(),
        ]);
        let program = Program::new(&executable, arguments, [])
            .map_err(|e| DriverError::failed("cannot lay out the emulator's arguments", e))?;
        self.ready = Some(Ready {
            program,
            function: plan.function.to_string(),
            _scratch: scratch,
        });
        Ok(())
    }

    fn start(
        &self,
        clock: &mut PhaseClock,
        _worker: usize,
        held: bool,
        limit: &Limit,
    ) -> Result<Running, DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        let input = if held {
            Input::Bytes(b"")
        } else {
            Input::Nothing
        };
        let mut vmm = Vmm::spawn("qemu", &ready.program, input, Vec::new())?;
        clock.lap(phase::SPAWN);
        vmm.hear(guest::HELLO, limit)?;
        clock.lap(phase::FIRST_OUTPUT);
        Ok(Running { vmm, api: None })
    }

    fn reported_function(&self) -> Option<&str> {
        self.ready.as_ref().map(|ready| ready.function.as_str())
    }

    fn timeout(&self) -> Duration {
        self.options.timeout_or(TIMEOUT_SECONDS)
    }
}
