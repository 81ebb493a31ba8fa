//! Lines of the source from a module's DWARF.

use std::collections::HashMap;
use std::ops::Range;

use addr2line::Context;
use gimli::{EndianSlice, LittleEndian};

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// A module's debug info.
pub(crate) struct Lines<'a>(Context<Reader<'a>>);

impl<'a> Lines<'a> {
    /// Reads `sections`, which are found by name; `None` if there is no table of lines.
    ///
    /// # Errors
    /// They are not DWARF.
    pub(crate) fn new(sections: &HashMap<&'a str, &'a [u8]>) -> gimli::Result<Option<Self>> {
        if !sections.contains_key(".debug_line") {
            return Ok(None);
        }
        let dwarf = gimli::Dwarf::load(|id| -> gimli::Result<_> {
            let data = sections.get(id.name()).copied().unwrap_or_default();
            Ok(EndianSlice::new(data, LittleEndian))
        })?;
        Context::from_dwarf(dwarf).map(|context| Some(Self(context)))
    }

    /// `file:line` where the function at `body` of the code section begins.
    pub(crate) fn first_line(&self, body: &Range<u64>) -> Option<String> {
        let locations = self.0.find_location_range(body.start, body.end).ok()?;
        for (_, _, location) in locations {
            if let (Some(file), Some(line @ 1..)) = (location.file, location.line) {
                let file: String = file
                    .chars()
                    .map(|c| if c.is_control() { '_' } else { c })
                    .collect();
                return Some(format!("{file}:{line}"));
            }
        }
        None
    }
}
