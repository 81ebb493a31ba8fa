//! The native side: an executable of this machine, and, unless it is static, the loader and libraries that it runs with.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::elf::{self, FileHeader32, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

use super::error::FunctionError;
use super::paths::{EXECUTABLE, copy_file, make_dir, open_file, write_text};

/// Where a dynamic program lies, in its function's directory.
const DYNAMIC: &str = "dynamic";
const LIBRARIES: &str = "dynamic/lib";
const LOADER: &str = "dynamic/loader";
const PROGRAM: &str = "dynamic/program";
/// Where a static one lies, or what starts the other.
const NATIVE: &str = "native";
const COMMAND: &str = "command";
/// An executable is larger than its headers, and these fit into this.
const MAX_BYTES: u64 = 1 << 30;

/// What an executable needs to run.
#[derive(Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing but the kernel.
    Nothing,
    /// This loader.
    Loader(PathBuf),
}

/// Why an executable does not run here, in words that go on from its name.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(
        "is a script: name what runs it (--interpreter sh, or interpreter in its function.toml), or give --python or --image"
    )]
    Script,
    #[error("is WebAssembly: give it as --wasm")]
    Wasm,
    #[error("is no executable of this system ({0:?})")]
    OtherSystem(FileKind),
    #[error("is no executable of this system (no ELF header)")]
    NoHeader,
    #[error("is built for {theirs}, this host is {own}")]
    OtherMachine { theirs: String, own: String },
    #[error("is an object file, not linked yet")]
    Unlinked,
    #[error("is a library, not a program")]
    Library,
    #[error("is damaged: {0}")]
    Damaged(#[from] object::Error),
    #[error("is damaged: its loader's name is beyond its end")]
    LoaderBeyondEnd,
}

/// A library that a program needs and its loader does not find, by name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("needs {0}, which is not on this host: install it, or link it statically")]
struct MissingLibrary(String);

/// Puts the executable `from` into the function's directory `dir`, with all that it runs with.
///
/// # Errors
/// It is none of this machine, or its loader or a library is not here.
pub(super) fn install(from: &Path, dir: &Path) -> Result<(), FunctionError> {
    let mut bytes = Vec::new();
    let mut file = open_file(from)?.take(MAX_BYTES);
    file.read_to_end(&mut bytes)
        .map_err(FunctionError::io(from))?;
    let needs = needs_of(&bytes)
        .map_err(|why| FunctionError::Refused(format!("{} {why}", from.display())))?;
    match needs {
        Needs::Nothing => copy_file(from, &dir.join(NATIVE), EXECUTABLE),
        Needs::Loader(loader) => install_dynamic(from, &loader, dir),
    }
}

/// Where [`install`] has put the program, in the function's directory `dir`.
pub(super) fn installed(dir: &Path) -> &'static str {
    match dir.join(NATIVE).is_file() {
        true => NATIVE,
        false => PROGRAM,
    }
}

fn install_dynamic(from: &Path, loader: &Path, dir: &Path) -> Result<(), FunctionError> {
    if !loader.is_file() {
        return Err(FunctionError::Refused(format!(
            "{} is to be loaded by {}, which is not on this host: install its C library, or link it statically",
            from.display(),
            loader.display()
        )));
    }
    let libraries = libraries_of(from, loader)?;
    make_dir(&dir.join(DYNAMIC))?;
    make_dir(&dir.join(LIBRARIES))?;
    copy_file(loader, &dir.join(LOADER), EXECUTABLE)?;
    copy_file(from, &dir.join(PROGRAM), EXECUTABLE)?;
    for (name, path) in libraries {
        copy_file(&path, &dir.join(LIBRARIES).join(name), EXECUTABLE)?;
    }
    let words = [LOADER, "--library-path", LIBRARIES, PROGRAM];
    let words = words.map(|word| match word.starts_with("--") {
        true => word.to_owned(),
        false => format!("{{function}}/{word}"),
    });
    write_text(&dir.join(COMMAND), &(words.join("\n") + "\n"))
}

/// What the executable `bytes` needs.
fn needs_of(bytes: &[u8]) -> Result<Needs, Unfit> {
    if bytes.starts_with(b"#!") {
        return Err(Unfit::Script);
    }
    if bytes.starts_with(b"\0asm") {
        return Err(Unfit::Wasm);
    }
    match FileKind::parse(bytes) {
        Ok(FileKind::Elf64) => needs_of_elf::<FileHeader64<Endianness>>(bytes),
        Ok(FileKind::Elf32) => needs_of_elf::<FileHeader32<Endianness>>(bytes),
        Ok(other) => Err(Unfit::OtherSystem(other)),
        Err(_) => Err(Unfit::NoHeader),
    }
}

fn needs_of_elf<F: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Needs, Unfit> {
    let header = F::parse(bytes)?;
    let endian = header.endian()?;
    let bits = if header.is_type_64() { 64 } else { 32 };
    let theirs = (header.e_machine(endian), bits);
    let own = (elf::EM_X86_64, 64);
    if theirs != own {
        return Err(Unfit::OtherMachine {
            theirs: machine(theirs),
            own: machine(own),
        });
    }
    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return Err(Unfit::Unlinked);
    }
    let segments = header.program_headers(endian, bytes)?;
    let interpreter = segments.iter().find(|s| s.p_type(endian) == PT_INTERP);
    let Some(interpreter) = interpreter else {
        // A library has no entry to speak of.
        return match header.e_entry(endian).into() {
            0_u64 => Err(Unfit::Library),
            _ => Ok(Needs::Nothing),
        };
    };
    let name = interpreter.data(endian, bytes);
    let name = name.map_err(|()| Unfit::LoaderBeyondEnd)?;
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(Needs::Loader(
        String::from_utf8_lossy(name).into_owned().into(),
    ))
}

fn machine((machine, bits): (u16, u32)) -> String {
    let name = match machine {
        elf::EM_X86_64 => "x86-64",
        elf::EM_386 => "x86",
        elf::EM_AARCH64 => "AArch64",
        elf::EM_ARM => "Arm",
        elf::EM_RISCV => "RISC-V",
        elf::EM_PPC64 => "POWER",
        elf::EM_S390 => "z/Architecture",
        other => return format!("ELF machine {other} ({bits} bit)"),
    };
    format!("{name} ({bits} bit)")
}

/// Names and places of the libraries that `program` is loaded with, as its own `loader` finds them.
fn libraries_of(program: &Path, loader: &Path) -> Result<Vec<(String, PathBuf)>, FunctionError> {
    let whole = std::path::absolute(program).map_err(FunctionError::io(program))?;
    let output = Command::new(loader)
        .arg("--list")
        .arg(&whole)
        .stdin(Stdio::null())
        .output()
        .map_err(FunctionError::io(loader))?;
    let refused = |why: String| FunctionError::Refused(format!("{} {why}", program.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    // One that finds a library not says so in its list or on standard error, and ends in either way.
    let list = String::from_utf8_lossy(&output.stdout);
    let listed = listed(&list).map_err(|missing| refused(missing.to_string()))?;
    if !output.status.success() {
        return Err(refused(format!(
            "cannot be loaded by {}: {}",
            loader.display(),
            said.trim()
        )));
    }
    Ok(listed)
}

/// Of lines `name => /path (address)`; one without a path is the kernel's or the loader itself.
fn listed(list: &str) -> Result<Vec<(String, PathBuf)>, MissingLibrary> {
    let mut found = Vec::new();
    for line in list.lines() {
        let Some((name, place)) = line.trim().split_once(" => ") else {
            continue;
        };
        let place = place.rsplit_once(" (").map_or(place, |(path, _)| path);
        if !place.starts_with('/') {
            return Err(MissingLibrary(name.to_owned()));
        }
        // One that is named by a path is looked for there and nowhere else; its loader is started by name.
        if !name.contains('/') {
            found.push((name.to_owned(), place.into()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_loader_s_list_is_read() {
        let list = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibc.so.6 => /lib/x 86/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let found = listed(list).expect("all there");
        assert_eq!(
            found,
            [("libc.so.6".to_owned(), "/lib/x 86/libc.so.6".into())]
        );
        assert_eq!(
            listed("\tlibmine.so => not found\n"),
            Err(MissingLibrary("libmine.so".to_owned()))
        );
    }

    #[test]
    fn what_is_no_executable_of_this_machine_is_told_by_name() {
        let own = std::fs::read("/proc/self/exe").expect("this test");
        assert!(matches!(needs_of(&own), Ok(Needs::Loader(_))));
        let mut arm = own.clone();
        arm[18..20].copy_from_slice(&183_u16.to_le_bytes());
        for (bytes, words) in [
            (
                &arm[..],
                "built for AArch64 (64 bit), this host is x86-64 (64 bit)",
            ),
            (b"#!/bin/sh\n", "is a script"),
            (b"\0asm\x01\0\0\0", "--wasm"),
            (b"hello", "no ELF header"),
            (&own[..70], "damaged"),
            (b"", "no ELF header"),
        ] {
            let error = needs_of(bytes).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn damaged_headers_are_no_panic(at in 0_usize..200, byte in any::<u8>()) {
            let mut own = std::fs::read("/bin/true").expect("a program");
            own[at] = byte;
            let _ = needs_of(&own);
        }
    }
}
