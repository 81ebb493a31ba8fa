//! Standard output, whose reader may go away before its end (`| head`). That is no error: the tool has nothing more to
//! say, tidies up and ends without a word. SIGPIPE stays ignored, as the Rust runtime leaves it: a driver that it killed
//! would leave its containers and groups behind.

use std::io::{self, ErrorKind, Write};

/// Whether anyone still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// What was printed can be read.
    There,
    /// It has closed its end: whatever else is printed is lost.
    Gone,
}

/// Writes `text` to standard output, whole and at once.
///
/// # Errors
/// It cannot be written, for another reason than that its reader has gone.
pub fn print(text: impl AsRef<[u8]>) -> io::Result<Reader> {
    print_to(&mut io::stdout().lock(), text.as_ref())
}

fn print_to(out: &mut impl Write, text: &[u8]) -> io::Result<Reader> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_gone_reader_is_told_from_a_full_device() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        assert_eq!(print_to(&mut writer, b"x").expect("read"), Reader::There);
        drop(reader);
        assert_eq!(print_to(&mut writer, b"x").expect("gone"), Reader::Gone);
        let mut full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("there");
        let error = print_to(&mut full, b"x").expect_err("full");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
