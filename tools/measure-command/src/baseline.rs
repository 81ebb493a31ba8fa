//! What every wall time has in it that is not the command's: the same start, end and wait around a program that does
//! nothing, and around the shell where there is one.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::program::{Program, ProgramError};
use super::report::{Baseline, Measured, Outcome};
use super::streams::Streams;
use super::{CommandError, Pass, tree};
use measure_core::base::interrupt;
use measure_core::contract::vocabulary::Metric;

/// Runs that are counted, after as many as a warm-up takes: some milliseconds in all.
const RUNS: u32 = 50;
const WARMUP: u32 = 10;

/// Why the empty program cannot be run.
#[derive(Debug, thiserror::Error)]
enum NoBaseline {
    #[error("it cannot be put into memory: {0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("it ended with {0}")]
    Failed(std::process::ExitStatus),
}

/// Measures the empty program, and `shell` with nothing to do.
///
/// # Errors
/// A shell that cannot be started.
pub(super) fn measure(shell: Option<&[String]>) -> Result<Vec<Baseline>, CommandError> {
    let mut baselines = vec![baseline("an empty program".to_owned(), empty_program())];
    if let Some(shell) = shell {
        let words: Vec<OsString> = shell
            .iter()
            .chain(&["-c".to_owned(), String::new()])
            .map(OsString::from)
            .collect();
        let program = Program::find(&words, Streams::null()?)?;
        baselines.push(baseline(
            format!("`{} -c ''`", shell.join(" ")),
            wall_times(&program),
        ));
    }
    Ok(baselines)
}

fn baseline(of: String, found: Result<Vec<u64>, NoBaseline>) -> Baseline {
    let (values, why) = match found {
        Ok(values) => (values, None),
        Err(why) => (Vec::new(), Some(why.to_string())),
    };
    Baseline {
        of,
        measured: Measured {
            name: Metric::WallNs,
            pass: Pass::Wall,
            outcome: Outcome::new(values, why),
        },
    }
}

fn empty_program() -> Result<Vec<u64>, NoBaseline> {
    let mut file =
        File::from(memfd_create(c"empty", MFdFlags::MFD_CLOEXEC).map_err(io::Error::from)?);
    file.write_all(&executable())?;
    // Found by its descriptor: the path is looked up before the descriptor is closed for the new program.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let program = Program::find(&[path.into()], Streams::null()?)?;
    wall_times(&program)
}

fn wall_times(program: &Program) -> Result<Vec<u64>, NoBaseline> {
    let mut values = Vec::new();
    for number in 0..WARMUP + RUNS {
        if interrupt::received().is_some() {
            break;
        }
        let ended = program.run_noting(tree::started);
        tree::ended();
        let ended = ended?;
        if !ended.status.success() {
            return Err(NoBaseline::Failed(ended.status));
        }
        if number >= WARMUP {
            values.push(ended.wall_ns);
        }
    }
    Ok(values)
}

/// Where the program is loaded.
const LOADED_AT: u64 = 0x40_0000;
/// Size of the ELF header and of the one program header behind it.
const ELF_HEADER_BYTES: u16 = 64;
const PROGRAM_HEADER_BYTES: u16 = 56;

/// The smallest program there is: an ELF file for x86-64 of one segment, whose code calls `exit_group(0)`.
fn executable() -> Vec<u8> {
    const CODE: [u8; 9] = [
        0x31, 0xff, // xor edi, edi
        0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, 231 (exit_group)
        0x0f, 0x05, // syscall
    ];
    let headers = u64::from(ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES);
    let size = headers + CODE.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    // A program (ET_EXEC), for x86-64.
    for half in [2_u16, 62] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1_u32.to_le_bytes());
    // Entry, program headers, no section headers.
    for word in [LOADED_AT + headers, u64::from(ELF_HEADER_BYTES), 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for half in [ELF_HEADER_BYTES, PROGRAM_HEADER_BYTES, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    for word in [1_u32, 5] {
        elf.extend(word.to_le_bytes());
    }
    // Offset, addresses, sizes in the file and in memory, alignment.
    for word in [0, LOADED_AT, LOADED_AT, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(CODE);
    elf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_program_is_one_and_ends_well() {
        assert_eq!(executable().len(), 129);
        match empty_program() {
            Ok(values) => {
                assert_eq!(values.len(), RUNS as usize);
                assert!(values.iter().all(|&ns| ns > 0));
            }
            // Kernels may forbid programs in memory (vm.memfd_noexec).
            Err(why) => eprintln!("SKIPPED: the empty program: {why}"),
        }
    }

    #[test]
    fn a_shell_has_a_baseline_of_its_own() {
        let found = measure(Some(&["sh".to_owned()])).expect("a shell");
        let [_, shell] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(shell.of, "`sh -c ''`");
        assert!(matches!(shell.measured.outcome, Outcome::Values { .. }));
    }
}
