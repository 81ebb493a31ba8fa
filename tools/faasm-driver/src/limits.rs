//! Limits of the host that many workers meet, looked at before any is started.

use std::fs;

use faaslet::seat::Found;
use measure_core::driver_kit::DriverError;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors beside those of the seats: standard streams, code, pipes, sockets, slots to spare.
const OTHER_FDS: u64 = 128;
/// Per seat: control file of the cgroup (two where a host has both versions).
const FDS_PER_SEAT: u64 = 2;
/// Per namespace that is made before.
const FDS_PER_NAMESPACE: u64 = 1;
/// Per start that makes its namespace: the worker's own namespace, the new one, and a socket in each.
const FDS_PER_NEW_NAMESPACE: u64 = 4;
/// Per worker of a program with directories, beside those: standard error, standard input and their copies.
const FDS_PER_WORKER: u64 = 4;
/// What one program may open.
const FDS_OF_A_PROGRAM: u64 = 1024;
/// Per parked worker: stack and its guard, two signal stacks and theirs, slot's image, heap and guards.
const MAPS_PER_WORKER: u64 = 12;
/// Mappings that a process has anyway.
const OTHER_MAPS: u64 = 1024;

/// Raises the soft limit of open files to what `workers`, in seats of which so much is `found` made or in none, with a namespace or not, and with so many
/// directories each, need and checks what cannot be raised.
///
/// # Errors
/// Which limit is too low, and how to raise it.
pub(crate) fn check(
    workers: usize,
    found: Option<Found>,
    has_namespace: bool,
    directories: usize,
) -> Result<(), DriverError> {
    let workers = workers as u64;
    let seat = match found {
        None => 0,
        Some(_) if !has_namespace => FDS_PER_SEAT,
        Some(Found::Seat) => FDS_PER_SEAT + FDS_PER_NAMESPACE,
        Some(Found::Nothing) => FDS_PER_SEAT + FDS_PER_NEW_NAMESPACE,
    };
    let files = match directories as u64 {
        0 => 0,
        n => FDS_PER_WORKER + n,
    };
    let own = OTHER_FDS + (seat + files) * workers;
    open_files(own)?;
    if directories > 0 {
        // As many as the programs may want, if they are to be had; else the budget is smaller.
        raise_open_files(own + FDS_OF_A_PROGRAM * workers);
    }
    sysctl(
        "vm.max_map_count",
        OTHER_MAPS + MAPS_PER_WORKER * workers,
        workers,
    )?;
    sysctl("kernel.threads-max", 256 + workers, workers)?;
    sysctl("kernel.pid_max", 512 + workers, workers)
}

fn open_files(needed: u64) -> Result<(), DriverError> {
    let unavailable = |limit: u64| DriverError::Unavailable {
        why: format!("this many workers need {needed} open files and the limit is {limit}"),
        mend: format!("raise it with `ulimit -n {needed}` or ask for fewer workers"),
    };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|e| DriverError::failed("cannot read the limit of open files", e))?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(unavailable(hard));
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard).map_err(|_| unavailable(soft))
}

/// Raises the soft limit towards `wanted`, as far as that goes.
fn raise_open_files(wanted: u64) {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let wanted = wanted.min(hard);
    if wanted > soft {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
}

fn sysctl(name: &str, needed: u64, workers: u64) -> Result<(), DriverError> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let Some(limit) = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok())
    else {
        // Unreadable here; if it is too low, the thread that cannot be had says so.
        return Ok(());
    };
    if limit >= needed {
        return Ok(());
    }
    Err(DriverError::Unavailable {
        why: format!("{workers} workers need {name} of {needed} and it is {limit}"),
        mend: format!("`sysctl -w {name}={needed}` or ask for fewer workers"),
    })
}
