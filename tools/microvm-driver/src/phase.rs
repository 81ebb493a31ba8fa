//! Phases of a start, of those rungs that have them.

/// Making a jail's directory, with links to the guest's files.
pub const JAIL: &str = "jail";
/// From asked for until the monitor's program is loaded.
pub const SPAWN: &str = "spawn";
/// From there until its API takes a connection.
pub const API_READY: &str = "api-ready";
/// Telling it what to boot; without a monitor, the processor's registers and the guest's code.
pub const CONFIGURE: &str = "configure";
/// From the call that starts the guest until it is answered.
pub const START: &str = "start";
/// From the call that loads a snapshot and resumes the guest until it is answered.
pub const RESTORE: &str = "restore";
/// From there until the guest's hello is read here.
pub const FIRST_OUTPUT: &str = "first-output";
/// From there until a Linux guest says that its function has ended.
pub const RUN: &str = "run";
/// From there until the machine is gone and its monitor collected.
pub const EXIT: &str = "exit";
/// Making a virtual machine: descriptors, memory, processor.
pub const CREATE: &str = "create";
/// Erasing what the last guest left in a machine that is used again.
pub const ERASE: &str = "erase";
/// Giving the machine back to the kernel.
pub const TEARDOWN: &str = "teardown";
