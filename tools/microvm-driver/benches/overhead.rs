//! What a `kvm-flat` start costs on top of the barest loop of the same system calls, and what the client of
//! Firecracker's API costs on top of a loop that writes the same bytes. The two sides take turns, on one CPU.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::ptr;
use std::thread;
use std::time::Duration;

use driver_testkit::overhead::{pin_to_one_cpu, ratio_row};
use kvm_bindings::{kvm_regs, kvm_run, kvm_sregs, kvm_userspace_memory_region};
use measure_core::base::clock::{Phases, now_ns};
use measure_core::contract::Probe;
use measure_core::driver_kit::{Plan, Purpose, Rung};
use microvm_driver::Options;
use microvm_driver::firecracker::api::Connection;
use microvm_driver::firecracker::requests::Boot;
use microvm_driver::guest::flat::Function;
use microvm_driver::kvm::FlatRung;
use microvm_driver::kvm::machine::{CODE, MEMORY_BYTES, TSS, long_mode, page_tables};
use microvm_driver::limit::Limit;
use stats::median;

const WARMUP: usize = 50;
const ROUNDS: usize = 1500;
const AIM: f64 = 1.05;
/// Beside the write and the read: a look at the clock and a poll, by which a wait can be cut short, and the parser.
const API_AIM: f64 = 1.25;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    pin_to_one_cpu()?;
    api_client()?;
    let options = Options::default();
    let mut rung = FlatRung::new(false, &options);
    if let Probe::Unavailable { why, mend } = rung.probe() {
        println!("SKIPPED: kvm-flat / bare ioctls: {why}; {mend}");
        return Ok(());
    }
    let plan = Plan {
        function: "demo/noop".parse()?,
        workers: 1,
        purpose: Purpose::Time,
    };
    rung.prepare(&plan)?;
    let bare = Bare::open()?;
    let mut starts = Vec::new();
    let ours = &mut || {
        starts.push(rung.cold_start(0)?);
        Ok(())
    };
    compare("kvm-flat / bare ioctls", AIM, ours, &mut || {
        Ok(bare.start()?)
    })?;
    println!("    phases: {}", phases(&starts[WARMUP..]));
    let mut pooled = FlatRung::new(true, &options);
    pooled.prepare(&plan)?;
    show("kvm-flat-pooled", &pooled)
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

fn compare(
    what: &str,
    aim: f64,
    ours: &mut dyn FnMut() -> Outcome<()>,
    peer: &mut dyn FnMut() -> Outcome<()>,
) -> Outcome<()> {
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..WARMUP + ROUNDS {
        for turn in 0..2 {
            let side = (turn + round) % 2;
            let before = now_ns();
            if side == 0 {
                ours()?
            } else {
                peer()?
            }
            if round >= WARMUP {
                took[side].push((now_ns() - before) as f64);
            }
        }
    }
    let [ours, peer] = took;
    println!("{}", ratio_row(what, aim, &ours, &peer));
    Ok(())
}

/// A connection and the requests of a boot, against a loop that writes the same bytes and reads as many. Who answers
/// does so at once, as a monitor would whose work cost nothing: what it costs is the same for both.
fn api_client() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("api.sock");
    let listener = UnixListener::bind(&socket)?;
    thread::spawn(move || listener.incoming().flatten().try_for_each(answer));
    let boot = Boot::flat(Path::new("/flat"), 128);
    let requests: Vec<_> = boot.configure.iter().chain([&boot.start]).collect();
    let mut ours = || {
        let limit = Limit::after(Duration::from_secs(10));
        let mut api = Connection::open(&socket, &limit, || false)?.ok_or("nobody listens")?;
        for request in &requests {
            api.call(request, &limit)?;
        }
        Ok(())
    };
    let mut peer = || {
        let mut stream = UnixStream::connect(&socket)?;
        let mut bytes = [0; ANSWER.len()];
        for request in &requests {
            stream.write_all(request.bytes())?;
            stream.read_exact(&mut bytes)?;
        }
        Ok(())
    };
    let what = format!(
        "Firecracker API, {} requests / bare writes and reads",
        requests.len()
    );
    compare(&what, API_AIM, &mut ours, &mut peer)
}

/// As Firecracker answers what it has done.
const ANSWER: &[u8] = b"HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";

/// Answers each request, which comes in one piece, until the other side closes.
fn answer(mut stream: UnixStream) -> io::Result<()> {
    let mut request = [0; 4096];
    while stream.read(&mut request)? > 0 {
        stream.write_all(ANSWER)?;
    }
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
