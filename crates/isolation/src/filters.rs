//! How many system calls the filters of another process let through, read from the kernel (`PTRACE_SECCOMP_GET_FILTER`): trying them as
//! it would would change it.

use std::io;
use std::ptr;

use libc::{c_void, sock_filter};
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// The last number that is asked about, as in functions/isolation/system-calls.c.
pub const LAST_CALL: u32 = 470;
const GET_FILTER: libc::c_uint = 0x420c;
/// `AUDIT_ARCH_X86_64` of linux/audit.h.
const ARCH: u32 = 0xc000_003e;
/// A kernel takes no longer program (`BPF_MAXINSNS`).
const MOST_INSTRUCTIONS: usize = 4096;
/// What a filter answers, in the upper half of its word.
const ACTION: u32 = 0xffff_0000;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const LOG: u32 = libc::SECCOMP_RET_LOG;

/// How many of the system calls 0 to [`LAST_CALL`] pass all filters of process `pid` (of its first thread) with arguments of 0. The
/// process stands still for a moment.
///
/// # Errors
/// We may not trace it, or the kernel does not tell its filters (`CONFIG_CHECKPOINT_RESTORE`).
pub fn passing_calls(pid: i32) -> io::Result<u32> {
    let filters = Tracing::seize(pid)?.filters()?;
    let passes = |call: &u32| filters.iter().all(|filter| lets_pass(filter, *call));
    Ok((0..=LAST_CALL)
        .filter(passes)
        .count()
        .try_into()
        .unwrap_or(u32::MAX))
}

/// A process that is traced, and stopped, until this is dropped.
struct Tracing(Pid);

impl Tracing {
    fn seize(pid: i32) -> io::Result<Self> {
        request(libc::PTRACE_SEIZE, pid, ptr::null_mut(), ptr::null_mut())?;
        let traced = Self(Pid::from_raw(pid));
        request(
            libc::PTRACE_INTERRUPT,
            pid,
            ptr::null_mut(),
            ptr::null_mut(),
        )?;
        waitpid(traced.0, Some(WaitPidFlag::__WALL))?;
        Ok(traced)
    }

    fn filters(&self) -> io::Result<Vec<Vec<sock_filter>>> {
        let pid = self.0.as_raw();
        let mut all = Vec::new();
        loop {
            let number = ptr::without_provenance_mut(all.len());
            let length = match request(GET_FILTER, pid, number, ptr::null_mut()) {
                Ok(length) => usize::try_from(length).unwrap_or(0).min(MOST_INSTRUCTIONS),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(all),
                Err(error) => return Err(error),
            };
            let none = sock_filter {
                code: 0,
                jt: 0,
                jf: 0,
                k: 0,
            };
            // One more than it said cannot come: filters are never changed.
            let mut filter = vec![none; MOST_INSTRUCTIONS];
            request(GET_FILTER, pid, number, filter.as_mut_ptr().cast())?;
            filter.truncate(length);
            all.push(filter);
        }
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        let _ = request(
            libc::PTRACE_DETACH,
            self.0.as_raw(),
            ptr::null_mut(),
            ptr::null_mut(),
        );
    }
}

fn request(
    what: libc::c_uint,
    pid: i32,
    address: *mut c_void,
    data: *mut c_void,
) -> io::Result<i64> {
    // SAFETY: of the requests made here only GET_FILTER writes, a program of MOST_INSTRUCTIONS at most to where `data` has room for
    // so many.
    let result = unsafe { libc::ptrace(what, pid, address, data) };
    Errno::result(result).map_err(io::Error::from)
}

fn lets_pass(filter: &[sock_filter], call: u32) -> bool {
    matches!(run(filter, call), Some(answer) if matches!(answer & ACTION, ALLOW | LOG))
}

/// A word of `struct seccomp_data`: number, architecture, instruction pointer, arguments.
fn data(at: u32, call: u32) -> u32 {
    match at {
        0 => call,
        4 => ARCH,
        _ => 0,
    }
}

/// What `filter`, a program of classic BPF as seccomp(2) takes it, answers to `call`; none where it is no such program.
fn run(filter: &[sock_filter], call: u32) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; 16]);
    let mut at = 0;
    loop {
        let &sock_filter { code, jt, jf, k } = filter.get(at)?;
        at += 1;
        let code = u32::from(code);
        let operand = if code & libc::BPF_X == 0 { k } else { x };
        match code & 7 {
            libc::BPF_LD => a = load(code, k, call, &memory)?,
            libc::BPF_LDX => x = load(code, k, call, &memory)?,
            libc::BPF_ST => *memory.get_mut(k as usize)? = a,
            libc::BPF_STX => *memory.get_mut(k as usize)? = x,
            libc::BPF_ALU => a = alu(code & 0xf0, a, operand)?,
            libc::BPF_JMP if code & 0xf0 == libc::BPF_JA => at = at.checked_add(k as usize)?,
            libc::BPF_JMP => {
                let taken = match code & 0xf0 {
                    libc::BPF_JEQ => a == operand,
                    libc::BPF_JGT => a > operand,
                    libc::BPF_JGE => a >= operand,
                    libc::BPF_JSET => a & operand != 0,
                    _ => return None,
                };
                at += usize::from(if taken { jt } else { jf });
            }
            libc::BPF_RET => return Some(if code & 0x18 == libc::BPF_A { a } else { k }),
            _ if code & 0xf8 == libc::BPF_TXA => a = x,
            _ => x = a,
        }
    }
}

fn load(code: u32, k: u32, call: u32, memory: &[u32; 16]) -> Option<u32> {
    match code & 0xe0 {
        libc::BPF_ABS => Some(data(k, call)),
        libc::BPF_IMM => Some(k),
        libc::BPF_MEM => memory.get(k as usize).copied(),
        // The size of the data.
        libc::BPF_LEN => Some(64),
        _ => None,
    }
}

fn alu(operation: u32, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        libc::BPF_ADD => a.wrapping_add(operand),
        libc::BPF_SUB => a.wrapping_sub(operand),
        libc::BPF_MUL => a.wrapping_mul(operand),
        libc::BPF_DIV => a.checked_div(operand)?,
        libc::BPF_OR => a | operand,
        libc::BPF_AND => a & operand,
        libc::BPF_XOR => a ^ operand,
        libc::BPF_LSH => a.wrapping_shl(operand),
        libc::BPF_RSH => a.wrapping_shr(operand),
        libc::BPF_NEG => a.wrapping_neg(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use proptest::prelude::*;

    use super::*;

    const fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
        sock_filter { code, jt, jf, k }
    }

    /// Refuses one call, lets all others pass.
    const REFUSING: [sock_filter; 4] = [
        op(0x20, 0, 0, 0),
        op(0x15, 0, 1, libc::SYS_mkdir as u32),
        op(0x06, 0, 0, libc::SECCOMP_RET_ERRNO | 1),
        op(0x06, 0, 0, ALLOW),
    ];

    struct Sleeping(Child);

    impl Drop for Sleeping {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn sleeping(filters: usize) -> Sleeping {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let put_on = move || {
            let mut program = REFUSING;
            let program = libc::sock_fprog {
                len: 4,
                filter: program.as_mut_ptr(),
            };
            for _ in 0..filters {
                // SAFETY: the program is there as long as the call lasts.
                let result = unsafe {
                    libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                        | libc::prctl(
                            libc::PR_SET_SECCOMP,
                            libc::SECCOMP_MODE_FILTER,
                            &raw const program,
                        )
                };
                Errno::result(result)?;
            }
            Ok(())
        };
        // SAFETY: it makes system calls only.
        unsafe { command.pre_exec(put_on) };
        Sleeping(command.spawn().expect("sleep"))
    }

    #[test]
    fn filters_of_another_process_are_read() {
        for (filters, refused) in [(0, 0), (1, 1), (2, 1)] {
            let child = sleeping(filters);
            match passing_calls(child.0.id().cast_signed()) {
                Ok(passing) => assert_eq!(passing, LAST_CALL + 1 - refused, "{filters} filters"),
                Err(why) => eprintln!("SKIPPED: filters of another process: {why}"),
            }
        }
        assert!(passing_calls(i32::MAX).is_err());
    }

    #[test]
    fn a_filter_is_run_as_the_kernel_would() {
        assert!(!lets_pass(&REFUSING, libc::SYS_mkdir as u32));
        assert!(lets_pass(&REFUSING, 0));
        let by_architecture = [
            op(0x20, 0, 0, 4),
            op(0x15, 1, 0, ARCH),
            op(0x06, 0, 0, 0),
            op(0x06, 0, 0, LOG),
        ];
        assert!(lets_pass(&by_architecture, 1));
        // (call & 1) + 1, through memory and x.
        let counted = [
            op(0x20, 0, 0, 0),
            op(0x54, 0, 0, 1),
            op(0x02, 0, 0, 3),
            op(0x61, 0, 0, 3),
            op(0x87, 0, 0, 0),
            op(0x04, 0, 0, 1),
            op(0x16, 0, 0, 0),
        ];
        assert_eq!((run(&counted, 6), run(&counted, 7)), (Some(1), Some(2)));
        assert_eq!(run(&[op(0x05, 0, 0, u32::MAX)], 0), None);
        assert_eq!(run(&[], 0), None);
    }

    proptest! {
        #[test]
        fn no_program_panics(words in proptest::collection::vec((any::<u16>(), any::<u8>(), any::<u8>(), any::<u32>()), 0..20), call: u32) {
            let filter: Vec<sock_filter> = words.into_iter().map(|(code, jt, jf, k)| op(code, jt, jf, k)).collect();
            let _ = run(&filter, call);
        }
    }
}
