//! What a module says of its functions: names, exports, where their bodies lie, debug info.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

use wasm_interface::Interface;
use wasmparser::{BinaryReader, Name, NameSectionReader, Parser, Payload, Result};

/// What a module says of its functions.
#[derive(Default)]
pub(crate) struct WasmModule<'a> {
    imported: usize,
    names: HashMap<u32, String>,
    exports: HashMap<u32, String>,
    bodies: Vec<Range<u64>>,
    /// Sections of debug info by name.
    pub(crate) debug: HashMap<&'a str, &'a [u8]>,
    /// What could not be read.
    pub(crate) trouble: Option<String>,
}

impl<'a> WasmModule<'a> {
    /// # Errors
    /// It is no module.
    pub(crate) fn parse(wasm: &'a [u8]) -> Result<Self> {
        let interface = Interface::read(wasm)?;
        let mut module = Self {
            imported: interface.imported_functions(),
            ..Self::default()
        };
        for export in interface.exported_functions() {
            let exports = &mut module.exports;
            exports
                .entry(export.index)
                .or_insert_with(|| printable(&export.name));
        }
        let mut code_start = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::CodeSectionStart { range, .. } => code_start = range.start,
                Payload::CodeSectionEntry(body) => {
                    let range = body.range();
                    let relative = |at: usize| at.saturating_sub(code_start) as u64;
                    module
                        .bodies
                        .push(relative(range.start)..relative(range.end));
                }
                Payload::CustomSection(section) if section.name() == "name" => {
                    module.read_names(section.data(), section.data_offset());
                }
                Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                    module.debug.insert(section.name(), section.data());
                }
                _ => {}
            }
        }
        Ok(module)
    }

    /// Custom sections are not validated with the module, so a bad one only costs its names.
    fn read_names(&mut self, data: &[u8], offset: usize) {
        let mut read = || -> Result<()> {
            for part in NameSectionReader::new(BinaryReader::new(data, offset)) {
                if let Name::Function(map) = part? {
                    for naming in map {
                        let naming = naming?;
                        self.names.insert(naming.index, printable(naming.name));
                    }
                }
            }
            Ok(())
        };
        if let Err(error) = read() {
            self.trouble = Some(format!("its name section is damaged: {error}"));
        }
    }

    /// What function `index` is called.
    pub(crate) fn name(&self, index: u32) -> Option<&str> {
        self.names
            .get(&index)
            .or_else(|| self.exports.get(&index))
            .map(String::as_str)
    }

    /// Where the body of function `index` lies in the code section; debug info counts from there too.
    pub(crate) fn body(&self, index: u32) -> Option<&Range<u64>> {
        let defined = (index as usize).checked_sub(self.imported)?;
        self.bodies.get(defined)
    }
}

/// Demangled, if it is a name of Rust or C++, and on one line. Profiles show the same, but for short names of
/// C: the engine takes `f` for a mangled `float`.
fn printable(name: &str) -> String {
    let mut text = String::new();
    let demangled = if let Ok(demangled) = rustc_demangle::try_demangle(name) {
        write!(text, "{demangled}").is_ok()
    } else if name.starts_with("_Z")
        && let Ok(symbol) = cpp_demangle::Symbol::new(name)
        && let Ok(demangled) = symbol.demangle()
    {
        text = demangled.to_string();
        true
    } else {
        false
    };
    let plain = if demangled { text.as_str() } else { name };
    plain
        .chars()
        .map(|c| if c.is_control() { '_' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_come_from_the_name_section_then_from_exports() {
        let wasm = wat::parse_str(
            r#"(module (import "a" "b" (func $imported))
                (func $first) (func (export "second")) (func $third (export "out")) (func))"#,
        )
        .expect("a module");
        let module = WasmModule::parse(&wasm).expect("read");
        let names: Vec<_> = (0..5).map(|i| module.name(i)).collect();
        assert_eq!(
            names,
            [
                Some("imported"),
                Some("first"),
                Some("second"),
                Some("third"),
                None
            ]
        );
        assert_eq!(module.body(0), None);
        assert!(module.body(1).is_some() && module.body(5).is_none());
    }

    #[test]
    fn names_are_shown_as_the_source_has_them_on_one_line() {
        assert_eq!(printable("kernel_3mm"), "kernel_3mm");
        assert_eq!(printable("f"), "f");
        assert_eq!(
            printable("_ZNK3lin1MIdE3sumEi"),
            "lin::M<double>::sum(int) const"
        );
        assert_eq!(
            printable("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
            "core::fmt::Write::write_fmt::h0123456789abcdef"
        );
        assert_eq!(printable("a\nb\tc = d"), "a_b_c = d");
    }

    #[test]
    fn a_damaged_name_section_costs_only_names() {
        let mut wasm = wat::parse_str(r#"(module (func (export "f")))"#).expect("a module");
        // A custom section `name` whose content is cut short.
        wasm.extend([0, 8, 4, b'n', b'a', b'm', b'e', 1, 200, 1]);
        let module = WasmModule::parse(&wasm).expect("read");
        assert!(module.trouble.is_some());
        assert_eq!(module.name(0), Some("f"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut wasm = b"\0asm\x01\0\0\0".to_vec();
            wasm.extend(tail);
            let _ = WasmModule::parse(&wasm);
        }

        #[test]
        fn every_name_is_one_line(name in "\\PC{0,40}|_Z[A-Za-z0-9]{0,40}|[\\x00-\\x7f]{0,20}") {
            prop_assert!(!printable(&name).contains(char::is_control));
        }
    }
}
