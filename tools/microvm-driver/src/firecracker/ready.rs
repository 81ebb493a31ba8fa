//! What a start of Firecracker finds ready, and the steps of a start: a monitor, its API, the calls that start a guest.

use measure_core::base::clock::PhaseClock;
use measure_core::driver_kit::DriverError;

use super::api::{ApiFault, Connection, Request};
use super::requests::{self, Boot};
use super::seat::Seat;
use crate::launcher::Running;
use crate::limit::Limit;
use crate::scratch::Scratch;
use crate::shared::unprepared;
use crate::vmm::Input;
use crate::{guest, phase};

/// What a start finds ready. The directories go last.
#[derive(Debug)]
pub(super) struct Ready {
    /// How each worker's monitor is called, by the worker's number.
    pub(super) seats: Vec<Seat>,
    pub(super) plan: Starting,
    pub(super) pause: Request,
    pub(super) resume: Request,
    pub(super) function: String,
    /// Unless it is known that the function does not.
    pub(super) blocks: bool,
    pub(super) _sockets: Scratch,
    pub(super) files: Scratch,
}

/// The requests that start a guest.
#[derive(Debug)]
pub(super) enum Starting {
    Boot(Boot),
    Restore(Request),
}

impl Ready {
    /// Starts a monitor and its guest, up to the answer to the call that starts the guest.
    ///
    /// # Errors
    /// The monitor ended, or a call was refused or not answered within the limit.
    pub(super) fn launch(
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

    /// Starts worker 0's guest up to its first word and writes `snapshot` of it.
    ///
    /// # Errors
    /// As [`Self::launch`].
    pub(super) fn take_snapshot(
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
///
/// # Errors
/// It was refused or not answered within the limit.
pub(super) fn call(
    running: &mut Running,
    request: &Request,
    limit: &Limit,
) -> Result<(), DriverError> {
    let api = running.api.as_mut().ok_or_else(unprepared)?;
    let Err(error) = api.call(request, limit) else {
        return Ok(());
    };
    Err(match &error.cause {
        // The monitor's end is the reason, and it may have said why.
        ApiFault::Broken(_) => running.vmm.ended_early(&error.request),
        ApiFault::Silent(_) | ApiFault::Malformed(_) | ApiFault::Refused { .. } => {
            running.vmm.failed("its API", error)
        }
    })
}
