//! Replaces generated names in a stream of any bytes, as they come.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};

use memchr::memmem::Finder;

use crate::error::SymError;
use crate::table::Table;

/// Read at once.
const CHUNK: usize = 64 << 10;
/// How every generated name begins.
const PREFIX: &[u8] = b"wasm[0]::";

/// What each generated name becomes.
struct Names {
    /// By generated name: the real one, and what of it may follow the generated one.
    by_generated: HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
    /// The longest a name with what follows it can be.
    longest: usize,
    prefix: Finder<'static>,
}

impl Names {
    fn new(table: &Table) -> Self {
        let by_generated: HashMap<_, _> = table
            .named()
            .filter(|(piece, _)| piece.generated.as_bytes().starts_with(PREFIX))
            .map(|(piece, symbol)| {
                let follows = piece
                    .suffix
                    .as_ref()
                    .map_or_else(Vec::new, |suffix| format!("::{suffix}").into_bytes());
                let key = piece.generated.clone().into_bytes();
                (key, (symbol.as_bytes().to_vec(), follows))
            })
            .collect();
        let longest = by_generated
            .iter()
            .map(|(generated, (_, follows))| generated.len() + follows.len())
            .max()
            .unwrap_or(0);
        Self {
            by_generated,
            longest: longest.max(PREFIX.len()),
            prefix: Finder::new(PREFIX),
        }
    }

    /// The real name of what stands at the beginning of `text`, and how many bytes that is.
    fn at(&self, text: &[u8]) -> Option<(&[u8], usize)> {
        let window = &text[..text.len().min(self.longest)];
        // Two brackets close: that of `wasm[0]` and that of the index.
        let end = PREFIX.len() + memchr::memchr(b']', window.get(PREFIX.len()..)?)? + 1;
        let (symbol, follows) = self.by_generated.get(&window[..end])?;
        let more = if text[end..].starts_with(follows) {
            follows.len()
        } else {
            0
        };
        Some((symbol, end + more))
    }

    /// Writes `text` with its names replaced, as far as names begin before `limit`; returns how much of
    /// `text` is done.
    fn replace(&self, text: &[u8], limit: usize, out: &mut Vec<u8>) -> usize {
        let mut done = 0;
        while done < limit {
            // A prefix that begins before the limit may end after it.
            let seen = (limit + PREFIX.len() - 1).min(text.len());
            let Some(found) = self.prefix.find(&text[done..seen]) else {
                break;
            };
            let at = done + found;
            out.extend_from_slice(&text[done..at]);
            let (name, length) = self.at(&text[at..]).unwrap_or((PREFIX, PREFIX.len()));
            out.extend_from_slice(name);
            done = at + length;
        }
        if done < limit {
            out.extend_from_slice(&text[done..limit]);
            done = limit;
        }
        done
    }
}

/// Copies `input` to `output` with the names of `table` in place of generated ones. A reader that goes
/// away ends it.
///
/// # Errors
/// `input` cannot be read, or `output` not written.
pub(crate) fn copy(
    table: &Table,
    mut input: impl Read,
    mut output: impl Write,
) -> Result<(), SymError> {
    let names = Names::new(table);
    let mut text: Vec<u8> = Vec::new();
    let mut out = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match input.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(SymError::Input(error)),
        };
        text.extend_from_slice(&chunk[..read]);
        // No name goes over the end of a line, and none is longer than the longest.
        let limit = if read == 0 {
            text.len()
        } else {
            let line = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1);
            line.max(text.len().saturating_sub(names.longest))
        };
        out.clear();
        let done = names.replace(&text, limit, &mut out);
        text.drain(..done);
        match output.write_all(&out).and_then(|()| output.flush()) {
            Ok(()) if read > 0 => {}
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(SymError::Output(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{Piece, Role};
    use crate::module::WasmModule;
    use proptest::prelude::*;

    /// Functions `first` (index 0), whose suffix the compiler knew, and `kernel_3mm` (index 1).
    fn table() -> Table {
        let wasm =
            wat::parse_str("(module (func $first) (func $kernel_3mm) (func))").expect("a module");
        let module = WasmModule::parse(&wasm).expect("read");
        let piece = |index: u32, suffix: Option<&str>| Piece {
            generated: format!("wasm[0]::function[{index}]"),
            role: Role::Function(index),
            suffix: suffix.map(str::to_owned),
            offset: 0,
            size: 1,
        };
        Table::new(
            vec![piece(0, Some("first")), piece(1, None), piece(2, None)],
            &module,
        )
    }

    /// Gives its bytes in pieces of `size`.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn annotated(text: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        copy(&table(), Drip(text, size), &mut out).expect("copied");
        out
    }

    #[test]
    fn known_names_are_replaced_wherever_they_stand() {
        for (text, becomes) in [
            ("98% [.] wasm[0]::function[1]\n", "98% [.] kernel_3mm\n"),
            ("wasm[0]::function[1]+0x12 (/a)", "kernel_3mm+0x12 (/a)"),
            ("wasm[0]::function[0]::first;", "first;"),
            ("wasm[0]::function[0]", "first"),
            ("wasm[0]::function[0]::fir", "first::fir"),
            (
                "wasm[0]::function[1]wasm[0]::function[0]",
                "kernel_3mmfirst",
            ),
            ("wasm[0]::wasm[0]::function[1]", "wasm[0]::kernel_3mm"),
            // Unnamed, unknown, cut short.
            ("wasm[0]::function[2]", "wasm[0]::function[2]"),
            ("wasm[0]::function[11]", "wasm[0]::function[11]"),
            ("wasm[0]::function[1", "wasm[0]::function[1"),
            ("wasm[1]::function[1]", "wasm[1]::function[1]"),
            ("wasm[0]:", "wasm[0]:"),
            ("", ""),
        ] {
            for size in [1, 2, 7, 1000] {
                let out = annotated(text.as_bytes(), size);
                assert_eq!(String::from_utf8_lossy(&out), becomes, "{text} by {size}");
            }
        }
    }

    #[test]
    fn a_line_without_an_end_passes() {
        let mut text = vec![0xff; 300_000];
        text.extend(b"wasm[0]::function[1]");
        let out = annotated(&text, CHUNK);
        assert!(out.ends_with(b"\xffkernel_3mm"));
        assert_eq!(out.len(), 300_000 + "kernel_3mm".len());
    }

    proptest! {
        #[test]
        fn the_size_of_pieces_does_not_matter(
            parts in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..20),
                Just(b"wasm[0]::function[1]".to_vec()),
                Just(b"wasm[0]::function[0]::first".to_vec()),
                Just(b"wasm[0]::".to_vec()),
                Just(b"\n".to_vec()),
            ], 0..30),
            size in 1usize..50,
        ) {
            let text = parts.concat();
            prop_assert_eq!(annotated(&text, size), annotated(&text, CHUNK));
        }

        #[test]
        fn other_bytes_pass_unchanged(text in prop::collection::vec(any::<u8>(), 0..2000), size in 1usize..300) {
            prop_assume!(!text.windows(PREFIX.len()).any(|w| w == PREFIX));
            prop_assert_eq!(annotated(&text, size), text);
        }
    }
}
