//! A virtual machine with one processor in 64-bit mode, a little memory, a serial port and a reset line.

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use measure_core::driver_kit::DriverError;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::guest::{DATA_READY, HELLO, KEYBOARD, RESET, SERIAL, SERIAL_STATUS};

/// The guest's memory: page tables, code, and room to be touched.
pub const MEMORY_BYTES: usize = 64 << 10;

const PML4: u64 = 0x1000;
const PDPT: u64 = 0x2000;
const PD: u64 = 0x3000;
/// Where the code is loaded and entered.
pub const CODE: u64 = 0x8000;
/// Where the three pages that KVM needs on older Intel processors lie: far above the guest's memory.
pub const TSS: usize = 0xfffb_d000;

/// Page table bits: present, writable; for a directory entry also: a page of 2 MiB.
const TABLE: u64 = 0b11;
const LARGE_PAGE: u64 = 0b1000_0011;
/// Control register bits of 64-bit mode.
const CR0_PROTECTED: u64 = 1;
const CR0_PAGING: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LONG_MODE_ENABLED: u64 = 1 << 8;
const EFER_LONG_MODE_ACTIVE: u64 = 1 << 10;
/// Segment types: code, execute and read, accessed; data, read and write, accessed.
const CODE_SEGMENT: u8 = 0b1011;
const DATA_SEGMENT: u8 = 0b0011;
/// The flag that the processor manual reserves as 1.
const FLAGS: u64 = 2;

/// The longest line the serial port keeps: a hello and what may come in its place.
const LINE_BYTES: usize = 64;
/// Status register: the transmitter is empty.
const TRANSMITTER_EMPTY: u8 = 0x60;

/// A virtual machine. Fields are dropped in order: the memory goes last.
#[derive(Debug)]
pub struct Machine {
    vcpu: VcpuFd,
    _vm: VmFd,
    memory: Memory,
}

/// What a guest does that its monitor answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It has said hello.
    Hello,
    /// It looks whether a byte has arrived on its serial port.
    Listens,
    /// It has reset the machine: the end.
    Reset,
}

impl Machine {
    /// A machine with zeroed memory.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(kvm: &Kvm) -> Result<Self, DriverError> {
        let refused = |what: &'static str| move |e| start_failed(what, e);
        let vm = kvm.create_vm().map_err(refused("KVM_CREATE_VM"))?;
        vm.set_tss_address(TSS)
            .map_err(refused("KVM_SET_TSS_ADDR"))?;
        let memory = Memory::new().map_err(|e| start_failed("guest memory", e.desc()))?;
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: MEMORY_BYTES as u64,
            userspace_addr: memory.0.as_ptr() as u64,
        };
        // SAFETY: the mapping is ours alone and outlives the machine, which is dropped first.
        unsafe { vm.set_user_memory_region(region) }
            .map_err(refused("KVM_SET_USER_MEMORY_REGION"))?;
        let vcpu = vm.create_vcpu(0).map_err(refused("KVM_CREATE_VCPU"))?;
        Ok(Self {
            vcpu,
            _vm: vm,
            memory,
        })
    }

    /// The processor.
    #[must_use]
    pub fn vcpu(&self) -> &VcpuFd {
        &self.vcpu
    }

    /// Puts `code` and page tables into the memory and the processor into 64-bit mode at its first byte.
    ///
    /// # Errors
    /// The code is too long, or the kernel refuses.
    pub fn load(&mut self, code: &[u8]) -> Result<(), DriverError> {
        for (at, entry) in page_tables() {
            self.memory.write(at, &entry.to_le_bytes())?;
        }
        self.memory.write(CODE, code)?;
        let sregs = self.vcpu.get_sregs();
        let sregs = sregs.map_err(|e| start_failed("KVM_GET_SREGS", e))?;
        let set = self.vcpu.set_sregs(&long_mode(sregs));
        set.map_err(|e| start_failed("KVM_SET_SREGS", e))?;
        let set = self.vcpu.set_regs(&kvm_regs {
            rip: CODE,
            rflags: FLAGS,
            ..kvm_regs::default()
        });
        set.map_err(|e| start_failed("KVM_SET_REGS", e))
    }

    /// Makes all of the memory zero again: the kernel takes the pages back.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn erase(&mut self) -> Result<(), DriverError> {
        let erased = self.memory.erase();
        erased.map_err(|e| start_failed("guest memory", e.desc()))
    }

    /// `length` bytes of the memory, from `at`.
    ///
    /// # Errors
    /// Beyond its end.
    pub fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, DriverError> {
        self.memory.read(at, length)
    }

    /// Runs until the guest resets the machine; `hello` is called when it has said so.
    ///
    /// # Errors
    /// It does something else, a signal came (the watchdog's), or it ends without a hello.
    pub fn run_to_reset(&mut self, hello: &mut dyn FnMut()) -> Result<(), DriverError> {
        let mut greeted = false;
        self.run(&mut |event| {
            match event {
                Event::Hello => {
                    greeted = true;
                    hello();
                }
                Event::Reset if !greeted => {
                    return Err(DriverError::StartFailed(
                        "the guest ended without its hello".into(),
                    ));
                }
                Event::Listens | Event::Reset => {}
            }
            Ok(())
        })
    }

    /// Runs until the guest resets the machine, and tells of every event before it is answered.
    ///
    /// # Errors
    /// The guest does what no device of this machine is for, a signal came, or `told` says so.
    pub fn run(
        &mut self,
        told: &mut dyn FnMut(Event) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let mut line = Line::default();
        loop {
            match self.vcpu.run() {
                Ok(VcpuExit::IoOut(SERIAL, bytes)) => {
                    for &byte in bytes {
                        if line.take(byte)? {
                            told(Event::Hello)?;
                        }
                    }
                }
                Ok(VcpuExit::IoOut(KEYBOARD, [RESET])) => return told(Event::Reset),
                Ok(VcpuExit::IoIn(SERIAL_STATUS, answer)) => {
                    answer.fill(TRANSMITTER_EMPTY | DATA_READY);
                    told(Event::Listens)?;
                }
                Ok(VcpuExit::IoIn(SERIAL, answer)) => answer.fill(crate::guest::RELEASE),
                Ok(VcpuExit::Hlt) => return Err(unexpected("it halts for good")),
                Ok(VcpuExit::Shutdown) => return Err(unexpected("it ran into a triple fault")),
                Ok(other) => return Err(unexpected(&format!("{other:?}"))),
                Err(error) if error.errno() == libc::EINTR => {
                    return Err(DriverError::StartFailed(
                        "the guest did not reset its machine in time or was interrupted; --timeout sets the limit".into(),
                    ));
                }
                Err(error) => return Err(start_failed("KVM_RUN", error)),
            }
        }
    }
}

fn unexpected(what: &str) -> DriverError {
    start_failed("the guest does what its machine is not for", what)
}

/// A failure of one start.
pub(super) fn start_failed(what: &str, cause: impl std::fmt::Display) -> DriverError {
    DriverError::StartFailed(format!("{what}: {cause}"))
}

/// What the guest says, as far as it is a line.
struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; LINE_BYTES],
            length: 0,
        }
    }
}

impl Line {
    /// Takes a byte; `true` at the end of a hello.
    fn take(&mut self, byte: u8) -> Result<bool, DriverError> {
        if byte != b'\n' {
            let room = self.bytes.get_mut(self.length);
            *room.ok_or_else(|| unexpected("it says more than a line"))? = byte;
            self.length += 1;
            return Ok(false);
        }
        let said = &self.bytes[..std::mem::take(&mut self.length)];
        if said == HELLO.as_bytes() {
            return Ok(true);
        }
        Err(unexpected(&format!(
            "it says `{}` in place of `{HELLO}`",
            String::from_utf8_lossy(said)
        )))
    }
}

/// Page tables that map the first 2 MiB to themselves: addresses and entries.
#[must_use]
pub fn page_tables() -> [(u64, u64); 3] {
    [(PML4, PDPT | TABLE), (PDPT, PD | TABLE), (PD, LARGE_PAGE)]
}

/// `sregs` in 64-bit mode with flat segments, as the processor's manual has it.
#[must_use]
pub fn long_mode(mut sregs: kvm_sregs) -> kvm_sregs {
    let segment = |kind, is_code: bool| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector: if is_code { 8 } else { 16 },
        type_: kind,
        present: 1,
        db: u8::from(!is_code),
        s: 1,
        l: u8::from(is_code),
        g: 1,
        ..kvm_segment::default()
    };
    sregs.cs = segment(CODE_SEGMENT, true);
    let data = segment(DATA_SEGMENT, false);
    (sregs.ds, sregs.es, sregs.ss) = (data, data, data);
    (sregs.fs, sregs.gs) = (data, data);
    sregs.cr3 = PML4;
    sregs.cr4 = CR4_PAE;
    sregs.cr0 = CR0_PROTECTED | CR0_PAGING;
    sregs.efer = EFER_LONG_MODE_ENABLED | EFER_LONG_MODE_ACTIVE;
    sregs
}

/// The guest's memory: anonymous, zero until touched.
#[derive(Debug)]
struct Memory(NonNull<std::ffi::c_void>);

// SAFETY: the mapping belongs to this value alone, wherever it goes; the guest writes to it only while the
// machine that owns it runs, which needs a `&mut`.
unsafe impl Send for Memory {}
// SAFETY: as above; `&self` only reads while no guest runs.
unsafe impl Sync for Memory {}

impl Memory {
    fn new() -> Result<Self, Errno> {
        let length = NonZeroUsize::new(MEMORY_BYTES).ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping wherever the kernel likes; nothing else is touched.
        unsafe { mmap_anonymous(None, length, access, flags) }.map(Self)
    }

    fn erase(&mut self) -> Result<(), Errno> {
        // SAFETY: the mapping is ours, and no reference into it is held.
        unsafe { madvise(self.0, MEMORY_BYTES, MmapAdvise::MADV_DONTNEED) }
    }

    fn offset(at: u64, length: usize) -> Result<usize, DriverError> {
        usize::try_from(at)
            .ok()
            .filter(|at| {
                at.checked_add(length)
                    .is_some_and(|end| end <= MEMORY_BYTES)
            })
            .ok_or_else(|| {
                DriverError::Failed(format!(
                    "{length} bytes at {at:#x} are beyond the guest's memory"
                ))
            })
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), DriverError> {
        let offset = Self::offset(at, bytes.len())?;
        // SAFETY: within the mapping, by `offset`; no guest runs while `self` is borrowed.
        unsafe {
            let target = self.0.cast::<u8>().add(offset);
            target.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        }
        Ok(())
    }

    fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, DriverError> {
        let offset = Self::offset(at, length)?;
        // SAFETY: within the mapping, by `offset`; no guest runs while `self` is borrowed.
        let bytes =
            unsafe { std::slice::from_raw_parts(self.0.cast::<u8>().add(offset).as_ptr(), length) };
        Ok(bytes.to_vec())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours; the machine that used it is gone.
        let _ = unsafe { munmap(self.0, MEMORY_BYTES) };
    }
}
