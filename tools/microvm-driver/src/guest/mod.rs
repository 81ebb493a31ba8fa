//! What runs inside a micro-VM, and what it has to say on its serial port.
//!
//! Both kinds of guest keep one convention: [`HELLO`] on a line of its own is the function's first sign of
//! life, [`RELEASE`] on the serial port lets a parked one go on, and a reset is the end. A Linux guest says
//! how its function ended before that ([`EXIT`]).

pub mod elf;
pub mod flat;
pub mod initrd;
pub mod linux;

/// The line that a function begins with.
pub const HELLO: &str = "hello";
/// The line of a guest whose snapshot may be taken: it waits for [`GO`] and says [`HELLO`] then.
pub const READY: &str = "ready";
/// What a Linux guest says of its function's end: this, a space, the exit code.
pub const EXIT: &str = "exit";
/// The byte that lets a guest go on that said [`READY`]; a line's end, so that a terminal passes it on.
pub const GO: u8 = b'\n';
/// The byte that releases a parked function: end of transmission, which a terminal makes into an end of file.
pub const RELEASE: u8 = 0x04;

/// The first serial port.
pub const SERIAL: u16 = 0x3f8;
/// Its line status register.
pub const SERIAL_STATUS: u16 = SERIAL + 5;
/// In that register: a byte has arrived.
pub const DATA_READY: u8 = 0x01;
/// The command port of the keyboard controller.
pub const KEYBOARD: u16 = 0x64;
/// The command to it that pulses the processor's reset line.
pub const RESET: u8 = 0xfe;
