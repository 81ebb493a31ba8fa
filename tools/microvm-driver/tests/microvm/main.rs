//! The micro-VM driver, as the executable that it is: on KVM, on QEMU, on Firecracker and on a server in its place.

mod closed_pipe;
#[macro_use]
mod common;
mod conformance;
mod faults;
mod firecracker;
mod jailer;
mod kvm;
mod qemu;
