//! What a command writes to its standard error, kept for the message if it fails.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};

use measure_core::driver_kit::DriverError;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// More is not kept: a command that hangs must not fill the memory before its time is up.
const MAX_BYTES: u64 = 64 * 1024;
/// Lines of it in a message.
const LINES: usize = 3;
const MAX_LINE_CHARS: usize = 300;

/// A file in memory of fixed size. Writing to it costs the command what writing to any file does; a write
/// beyond its end fails.
#[derive(Debug)]
pub(crate) struct ErrorText(File);

impl ErrorText {
    pub(crate) fn new() -> Result<Self, DriverError> {
        let make = || -> io::Result<File> {
            let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
            let file = File::from(memfd_create(c"stderr", flags)?);
            file.set_len(MAX_BYTES)?;
            let seals = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK;
            fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
            Ok(file)
        };
        make()
            .map(Self)
            .map_err(|e| DriverError::failed("no file in memory for error messages", e))
    }

    /// Makes it ready for another command. The offset is shared with the command, so it says how much is new.
    pub(crate) fn rewind(&mut self) {
        // A memory file can be sought in.
        let _ = self.0.seek(SeekFrom::Start(0));
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// All that has been written since it was rewound.
    pub(crate) fn text(&mut self) -> String {
        let mut bytes = Vec::new();
        let length = self.0.stream_position().unwrap_or(0);
        self.rewind();
        let _ = (&self.0).take(length).read_to_end(&mut bytes);
        self.rewind();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its last lines, in one.
    pub(crate) fn last_lines(&mut self) -> String {
        let text = self.text();
        let lines: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| line.chars().take(MAX_LINE_CHARS).collect())
            .collect();
        lines[lines.len().saturating_sub(LINES)..].join(" | ")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_what_was_written_last_is_read_back() {
        let mut text = ErrorText::new().expect("made");
        for round in ["first and longer", "second"] {
            text.rewind();
            writeln!(&text.0, "{round}\n\na\nb\nc").expect("written");
            assert_eq!(text.last_lines(), "a | b | c");
            assert_eq!(text.text(), "", "a reading takes it");
        }
    }

    #[test]
    fn its_size_is_bounded() {
        let mut text = ErrorText::new().expect("made");
        let many = vec![b'x'; 1 << 20];
        assert!((&text.0).write_all(&many).is_err());
        assert!(text.text().len() as u64 <= MAX_BYTES);
    }
}
