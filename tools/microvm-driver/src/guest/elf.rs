//! The least ELF file around flat code: what Firecracker takes for a kernel (it loads the segments of an
//! ELF64 file and enters it in 64-bit mode).
//!
//! Its two headers stand in for the writer of the crate `object`, which lays out sections, symbols and strings that this
//! file has none of and is no shorter to call; `object`'s reader and readelf are held against it in the tests.

/// Where the code is loaded: kernels begin at 1 MiB.
pub const LOAD_ADDRESS: u64 = 0x10_0000;

const HEADER_BYTES: u16 = 64;
const SEGMENT_BYTES: u16 = 56;
/// The code's place in the file, aligned as its address is modulo a page.
const CODE_OFFSET: u64 = 0x1000;
/// `PF_R | PF_X`.
const READ_EXECUTE: u32 = 5;

/// An executable ELF64 file of one segment with `code`, which is entered at its first byte.
#[must_use]
pub fn image(code: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(CODE_OFFSET as usize + code.len());
    // Magic number, 64 bits, little endian, version 1, System V; the rest is padding.
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let executable: u16 = 2;
    let x86_64: u16 = 62;
    file.extend_from_slice(&executable.to_le_bytes());
    file.extend_from_slice(&x86_64.to_le_bytes());
    file.extend_from_slice(&1_u32.to_le_bytes());
    file.extend_from_slice(&LOAD_ADDRESS.to_le_bytes());
    file.extend_from_slice(&u64::from(HEADER_BYTES).to_le_bytes());
    // No sections, no flags.
    file.extend_from_slice(&0_u64.to_le_bytes());
    file.extend_from_slice(&0_u32.to_le_bytes());
    for half in [HEADER_BYTES, SEGMENT_BYTES, 1, 0, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    let loadable: u32 = 1;
    file.extend_from_slice(&loadable.to_le_bytes());
    file.extend_from_slice(&READ_EXECUTE.to_le_bytes());
    let length = code.len() as u64;
    for word in [
        CODE_OFFSET,
        LOAD_ADDRESS,
        LOAD_ADDRESS,
        length,
        length,
        0x1000,
    ] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.resize(CODE_OFFSET as usize, 0);
    file.extend_from_slice(code);
    file
}

#[cfg(test)]
mod tests {
    use driver_testkit::skipped;
    use object::LittleEndian;
    use object::elf::{EM_X86_64, ET_EXEC, FileHeader64, PF_R, PF_X, PT_LOAD};
    use object::read::elf::{FileHeader, ProgramHeader};

    use super::*;

    #[test]
    fn the_object_crate_reads_one_segment_that_is_entered_at_its_code() {
        let code = [0xf4, 0xeb, 0xfd, 0x90, 0x90];
        let file = image(&code);
        let header = FileHeader64::<LittleEndian>::parse(&*file).expect("an ELF64 header");
        let endian = header.endian().expect("little endian");
        let fields = (header.e_type(endian), header.e_machine(endian));
        assert_eq!(fields, (ET_EXEC, EM_X86_64));
        assert_eq!(header.e_entry(endian), LOAD_ADDRESS);
        let segments = header.program_headers(endian, &*file).expect("segments");
        let [segment] = segments else {
            panic!("{} segments", segments.len());
        };
        assert_eq!(segment.p_type(endian), PT_LOAD);
        assert_eq!(segment.p_flags(endian), PF_R | PF_X);
        let addresses = (segment.p_vaddr(endian), segment.p_paddr(endian));
        assert_eq!(addresses, (LOAD_ADDRESS, LOAD_ADDRESS));
        assert_eq!(segment.p_offset(endian) % segment.p_align(endian), 0);
        assert_eq!(segment.p_memsz(endian), code.len() as u64);
        assert_eq!(segment.data(endian, &*file), Ok(&code[..]));
    }

    #[test]
    fn binutils_read_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("guest");
        std::fs::write(&path, image(&[0xf4])).expect("written");
        let Ok(said) = std::process::Command::new("readelf")
            .arg("-hl")
            .arg(&path)
            .output()
        else {
            let why = "no readelf; install the package binutils";
            return skipped("readelf of the flat guest", why);
        };
        let text = String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
        assert!(text.contains("0x100000") && text.contains("R E"), "{text}");
    }
}
