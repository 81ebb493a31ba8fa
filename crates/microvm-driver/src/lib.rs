//! The micro-VM rungs: kvm-flat, firecracker, qemu-tcg.
