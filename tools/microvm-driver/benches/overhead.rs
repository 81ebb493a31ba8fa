//! What a `kvm-flat` start costs on top of the barest loop of the same system calls. The two sides take turns, on one
//! CPU.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::ptr;

use kvm_bindings::{kvm_regs, kvm_run, kvm_sregs, kvm_userspace_memory_region};
use measure_core::base::clock::{Phases, now_ns};
use measure_core::contract::Probe;
use measure_core::driver_kit::{Plan, Purpose, Rung};
use microvm_driver::Options;
use microvm_driver::guest::flat::Function;
use microvm_driver::kvm::FlatRung;
use microvm_driver::kvm::machine::{CODE, MEMORY_BYTES, TSS, long_mode, page_tables};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use stats::{median, median_ratio};

const SEED: u64 = 7;
const WARMUP: usize = 50;
const ROUNDS: usize = 1500;
const AIM: f64 = 1.05;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let options = Options::default();
    let mut rung = FlatRung::new(false, &options);
    if let Probe::Unavailable { why, mend } = rung.probe() {
        println!("SKIPPED: kvm-flat / bare ioctls: {why}; {mend}");
        return Ok(());
    }
    pin_to_one_cpu()?;
    let plan = Plan {
        function: "demo/noop".parse()?,
        workers: 1,
        purpose: Purpose::Time,
    };
    rung.prepare(&plan)?;
    let bare = Bare::open()?;
    compare("kvm-flat / bare ioctls", &rung, &bare)?;
    let mut pooled = FlatRung::new(true, &options);
    pooled.prepare(&plan)?;
    show("kvm-flat-pooled", &pooled)
}

/// The first CPU that this process may use.
fn pin_to_one_cpu() -> Outcome<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let first = (0..CpuSet::count()).find(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(first.ok_or("no CPU")?)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &one)?)
}

fn us(values: &[f64]) -> f64 {
    median(values).unwrap_or(f64::NAN) / 1000.0
}

fn phases(starts: &[Phases]) -> String {
    let names = starts.first().map(|start| start.phases.clone());
    let phase = |(i, (name, _)): (usize, (&str, u64))| {
        let values: Vec<_> = starts.iter().map(|s| s.phases[i].1 as f64).collect();
        format!("{name} {:.1} us", us(&values))
    };
    let parts: Vec<_> = names
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(phase)
        .collect();
    parts.join(", ")
}

fn compare(what: &str, rung: &dyn Rung, bare: &Bare) -> Outcome<()> {
    let (mut ours, mut peer, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARMUP + ROUNDS {
        for turn in 0..2 {
            let before = now_ns();
            let start = if (turn + round) % 2 == 0 {
                Some(rung.cold_start(0)?)
            } else {
                bare.start()?;
                None
            };
            let took = (now_ns() - before) as f64;
            match start {
                _ if round < WARMUP => {}
                Some(start) => {
                    ours.push(took);
                    starts.push(start);
                }
                None => peer.push(took),
            }
        }
    }
    let ratio = median_ratio(&ours, &peer, SEED).ok_or("no ratio")?;
    let (lo, hi) = ratio
        .interval
        .map_or((f64::NAN, f64::NAN), |i| (i.lo, i.hi));
    println!(
        "{what}: {:.3} [{lo:.3}, {hi:.3}] (aim <= {AIM}) ours {:.1} us peer {:.1} us n={ROUNDS}",
        ratio.ratio,
        us(&ours),
        us(&peer)
    );
    println!("    phases: {}", phases(&starts));
    Ok(())
}

fn show(what: &str, rung: &dyn Rung) -> Outcome<()> {
    let mut starts = Vec::new();
    for round in 0..WARMUP + ROUNDS {
        let start = rung.cold_start(0)?;
        if round >= WARMUP {
            starts.push(start);
        }
    }
    let totals: Vec<_> = starts.iter().map(|s| s.total_ns as f64).collect();
    println!("{what}: {:.1} us n={ROUNDS}", us(&totals));
    println!("    phases: {}", phases(&starts));
    Ok(())
}

// From linux/kvm.h.
const KVM_CREATE_VM: u64 = 0xae01;
const KVM_GET_VCPU_MMAP_SIZE: u64 = 0xae04;
const KVM_CREATE_VCPU: u64 = 0xae41;
const KVM_SET_USER_MEMORY_REGION: u64 = 0x4020_ae46;
const KVM_SET_TSS_ADDR: u64 = 0xae47;
const KVM_RUN: u64 = 0xae80;
const KVM_SET_REGS: u64 = 0x4090_ae82;
const KVM_GET_SREGS: u64 = 0x8138_ae83;
const KVM_SET_SREGS: u64 = 0x4138_ae84;
const KVM_EXIT_IO: u32 = 2;

/// The same system calls as the rung makes, and nothing around them.
struct Bare {
    kvm: File,
    code: Vec<u8>,
}

fn call(fd: RawFd, request: u64, argument: u64) -> io::Result<RawFd> {
    // SAFETY: the callers pass what the request wants: a number, or the address of a live value of its type.
    let result = unsafe { libc::ioctl(fd, request, argument) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn map(length: usize, fd: RawFd, flags: libc::c_int) -> io::Result<*mut c_void> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping wherever the kernel likes.
    let address = unsafe { libc::mmap(ptr::null_mut(), length, access, flags, fd, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(address)
}

impl Bare {
    fn open() -> io::Result<Self> {
        Ok(Self {
            kvm: File::options().read(true).write(true).open("/dev/kvm")?,
            code: Function::Noop.code(false),
        })
    }

    fn start(&self) -> io::Result<()> {
        let kvm = self.kvm.as_raw_fd();
        // SAFETY: the kernel has just made these descriptors for us.
        let own = |fd| unsafe { File::from_raw_fd(fd) };
        let vm_file = own(call(kvm, KVM_CREATE_VM, 0)?);
        let vm = vm_file.as_raw_fd();
        let run_bytes = call(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)? as usize;
        call(vm, KVM_SET_TSS_ADDR, TSS as u64)?;
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let memory = map(MEMORY_BYTES, -1, anonymous)?;
        let region = kvm_userspace_memory_region {
            memory_size: MEMORY_BYTES as u64,
            userspace_addr: memory as u64,
            ..kvm_userspace_memory_region::default()
        };
        call(
            vm,
            KVM_SET_USER_MEMORY_REGION,
            ptr::from_ref(&region) as u64,
        )?;
        let vcpu_file = own(call(vm, KVM_CREATE_VCPU, 0)?);
        let vcpu = vcpu_file.as_raw_fd();
        let run = map(run_bytes, vcpu, libc::MAP_SHARED)?;
        // SAFETY: page tables and code lie within the memory, which nobody else uses.
        unsafe {
            for (at, entry) in page_tables() {
                memory
                    .cast::<u8>()
                    .add(at as usize)
                    .cast::<u64>()
                    .write(entry);
            }
            let target = memory.cast::<u8>().add(CODE as usize);
            target.copy_from_nonoverlapping(self.code.as_ptr(), self.code.len());
        }
        let mut sregs = kvm_sregs::default();
        call(vcpu, KVM_GET_SREGS, ptr::from_mut(&mut sregs) as u64)?;
        let sregs = long_mode(sregs);
        call(vcpu, KVM_SET_SREGS, ptr::from_ref(&sregs) as u64)?;
        let regs = kvm_regs {
            rip: CODE,
            rflags: 2,
            ..kvm_regs::default()
        };
        call(vcpu, KVM_SET_REGS, ptr::from_ref(&regs) as u64)?;
        loop {
            call(vcpu, KVM_RUN, 0)?;
            // SAFETY: the kernel keeps a kvm_run there; its last exit was for I/O if it says so.
            let (reason, port) = unsafe {
                let run = &*run.cast::<kvm_run>();
                (run.exit_reason, run.__bindgen_anon_1.io.port)
            };
            match (reason, port) {
                (KVM_EXIT_IO, 0x64) => break,
                (KVM_EXIT_IO, _) => {}
                other => return Err(io::Error::other(format!("unexpected exit: {other:?}"))),
            }
        }
        // SAFETY: both mappings are ours and not used after.
        unsafe { libc::munmap(run, run_bytes) };
        drop(vcpu_file);
        drop(vm_file);
        // SAFETY: as above.
        unsafe { libc::munmap(memory, MEMORY_BYTES) };
        Ok(())
    }
}
