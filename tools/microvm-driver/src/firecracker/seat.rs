//! How a worker's monitor is called: bare or through the jailer, laid out before any start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use measure_core::base::clock::PhaseClock;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::spawn::Program;

use super::jail::Jail;
use crate::phase;
use crate::vmm::{Input, Vmm};

/// The monitor's name in messages.
const NAME: &str = "firecracker";

/// How a worker's monitor is started: bare, or by the jailer.
#[derive(Debug)]
pub(super) struct Seat {
    program: Program,
    socket: PathBuf,
    jail: Option<Jail>,
}

impl Seat {
    /// A monitor with all the rights of this process, its socket in `sockets`.
    pub(super) fn bare(
        executable: &Path,
        sockets: &Path,
        worker: usize,
    ) -> Result<Self, DriverError> {
        let socket = sockets.join(format!("{worker}.sock"));
        Ok(Self {
            program: program(executable, monitor(socket.as_os_str().into()))?,
            socket,
            jail: None,
        })
    }

    /// A monitor that `jailer` puts into a jail below `base`, with links to `images`.
    pub(super) fn jailed(
        jailer: &Path,
        executable: &Path,
        base: &Path,
        images: &[PathBuf],
        worker: usize,
    ) -> Result<Self, DriverError> {
        let jail = Jail::new(base, executable, worker, images)?;
        let (inside, socket) = jail.sockets();
        let mut arguments = Jail::arguments(base, executable, worker);
        arguments.extend(monitor(inside));
        Ok(Self {
            program: program(jailer, arguments)?,
            socket,
            jail: Some(jail),
        })
    }

    /// The API's socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Starts a monitor.
    ///
    /// # Errors
    /// Its jail cannot be built, or it cannot be executed.
    pub(super) fn spawn(&self, clock: &mut PhaseClock, input: Input) -> Result<Vmm, DriverError> {
        let leaves = self.jail.as_ref().map_or(&*self.socket, Jail::directory);
        let leaves = vec![leaves.to_owned()];
        if let Some(jail) = &self.jail {
            jail.build()?;
            clock.lap(phase::JAIL);
        }
        let vmm = Vmm::spawn(NAME, &self.program, input, leaves)?;
        clock.lap(phase::SPAWN);
        Ok(vmm)
    }
}

/// The monitor's own arguments.
fn monitor(socket: OsString) -> [OsString; 4] {
    // Its log goes where the guest's serial port goes, and would break lines of the guest's apart.
    [
        "--level".into(),
        "Error".into(),
        "--api-sock".into(),
        socket,
    ]
}

fn program(
    executable: &Path,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Program, DriverError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    Program::new(executable, arguments.iter().map(|word| &**word), [])
        .map_err(|e| DriverError::failed("cannot lay out Firecracker's arguments", e))
}
