//! What a module says of itself before its code: types, imports, functions, memories, tables and exports, read once and
//! for whoever checks, stands for or compiles it. Nothing is validated beyond its form.
//!
//! Who reads may be a process that must not die of it. So what is kept is bounded by the module's own bytes and by [`ENTRIES_MAX`].

pub mod features;

use wasmparser::{
    ComponentExternalKind, ElementItems, ElementSectionReader, ExternalKind, FuncType, MemoryType,
    Parser, Payload, TableType, TypeRef, WasmFeatures,
};

/// So many entries of each section are kept. A module that has more is not valid for any engine (limits of the JavaScript interface,
/// <https://webassembly.github.io/spec/js-api/#limits>): what is here of it does no harm, and whoever validates it refuses it.
pub const ENTRIES_MAX: usize = 1_000_000;

/// The only module that programs may import from: preview 1 of WASI.
pub const WASI: &str = "wasi_snapshot_preview1";

/// What a module imports, exports and declares.
#[derive(Debug, Default)]
pub struct Interface {
    /// Its function types, in the order of their indices.
    pub types: Vec<FuncType>,
    /// What it imports, of whatever kind, in its order.
    pub imports: Vec<Import>,
    /// The type index of each function, imported ones first.
    functions: Vec<u32>,
    /// The memories that it defines.
    pub memories: Vec<MemoryType>,
    /// The tables that it defines.
    pub tables: Vec<TableType>,
    /// What it exports, in its order.
    pub exports: Vec<Export>,
    /// Elements of all its segments together, whatever becomes of them.
    pub elements: u64,
}

/// Something imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The module it comes from.
    pub module: String,
    /// What it is called there.
    pub name: String,
    /// A function by the index of its type, or a global, memory, table or tag.
    pub ty: TypeRef,
}

/// Something exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// What it is called.
    pub name: String,
    /// A function, global, memory, table or tag.
    pub kind: ExternalKind,
    /// Among the module's things of that kind, imported ones first.
    pub index: u32,
}

/// The names of the interfaces that the component `wasm` exports; nothing of a module.
///
/// # Errors
/// It is a broken one.
pub fn exports_of_component(wasm: &[u8]) -> wasmparser::Result<Vec<String>> {
    let mut found = Vec::new();
    // Of components within it nothing is seen from outside.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Instance {
                        found.push(export.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Elements of all segments of `section`.
///
/// # Errors
/// It is broken.
pub fn elements_of(section: ElementSectionReader<'_>) -> wasmparser::Result<u64> {
    let mut elements = 0_u64;
    for segment in section {
        let count = match segment?.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        };
        elements = elements.saturating_add(count.into());
    }
    Ok(elements)
}

impl Interface {
    /// Reads `wasm` up to its code.
    ///
    /// # Errors
    /// It is no core module, or a broken one.
    pub fn read(wasm: &[u8]) -> wasmparser::Result<Self> {
        let mut found = Self::default();
        let mut parser = Parser::new(0);
        // In that form one name of a module stands for that of every import: a MiB could come to gigabytes.
        parser.set_features(WasmFeatures::all() - WasmFeatures::COMPACT_IMPORTS);
        for payload in parser.parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types().take(ENTRIES_MAX) {
                        found.types.push(ty?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports().take(ENTRIES_MAX) {
                        let import = import?;
                        if let TypeRef::Func(ty) = import.ty {
                            found.functions.push(ty);
                        }
                        found.imports.push(Import {
                            module: import.module.to_owned(),
                            name: import.name.to_owned(),
                            ty: import.ty,
                        });
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section.into_iter().take(ENTRIES_MAX) {
                        found.functions.push(ty?);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section.into_iter().take(ENTRIES_MAX) {
                        found.memories.push(memory?);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section.into_iter().take(ENTRIES_MAX) {
                        found.tables.push(table?.ty);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section.into_iter().take(ENTRIES_MAX) {
                        let export = export?;
                        found.exports.push(Export {
                            name: export.name.to_owned(),
                            kind: export.kind,
                            index: export.index,
                        });
                    }
                }
                Payload::ElementSection(section) => found.elements = elements_of(section)?,
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Ok(found)
    }

    /// How many functions it imports, which come before its own.
    #[must_use]
    pub fn imported_functions(&self) -> usize {
        let functions = self.imports.iter();
        functions
            .filter(|import| matches!(import.ty, TypeRef::Func(_)))
            .count()
    }

    /// How many functions there are, imported ones too.
    #[must_use]
    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// The type of `import`, if it is a function of a type that there is.
    #[must_use]
    pub fn import_type(&self, import: &Import) -> Option<&FuncType> {
        match import.ty {
            TypeRef::Func(ty) => self.types.get(ty as usize),
            _ => None,
        }
    }

    /// The type of function `index`.
    #[must_use]
    pub fn function_type(&self, index: u32) -> Option<&FuncType> {
        let ty = *self.functions.get(index as usize)?;
        self.types.get(ty as usize)
    }

    /// The exported functions, in the order of the exports.
    pub fn exported_functions(&self) -> impl Iterator<Item = &Export> {
        self.exports
            .iter()
            .filter(|export| export.kind == ExternalKind::Func)
    }

    /// Whether it exports `name`, of `kind`.
    #[must_use]
    pub fn exports(&self, name: &str, kind: ExternalKind) -> bool {
        let mut exports = self.exports.iter();
        exports.any(|export| export.name == name && export.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_encoder::{Encode, RawSection};
    use wasmparser::ValType;

    #[test]
    fn imports_come_first_and_have_their_types() {
        let wasm = wat::parse_str(
            r#"(module
                (import "a" "f" (func (param i64)))
                (import "a" "m" (memory 1))
                (import "b" "g" (func (result i32)))
                (table 7 funcref) (elem (i32.const 0) $own $own) (elem funcref (ref.null func))
                (func $own (param f32))
                (export "own" (func $own)) (export "f" (func 0)))"#,
        )
        .expect("a module");
        let interface = Interface::read(&wasm).expect("read");
        let names: Vec<&str> = interface.imports.iter().map(|i| &*i.name).collect();
        assert_eq!(names, ["f", "m", "g"]);
        assert_eq!(interface.imported_functions(), 2);
        assert_eq!(interface.function_count(), 3);
        let result = |i: usize| interface.import_type(&interface.imports[i]);
        assert_eq!(result(1), None);
        assert_eq!(result(2).map(FuncType::results), Some(&[ValType::I32][..]));
        let params = |index| interface.function_type(index).map(FuncType::params);
        assert_eq!(params(0), Some(&[ValType::I64][..]));
        assert_eq!(params(2), Some(&[ValType::F32][..]));
        assert_eq!(params(3), None);
        assert_eq!((interface.tables[0].initial, interface.elements), (7, 3));
        let exported: Vec<_> = interface.exported_functions().map(|e| e.index).collect();
        assert_eq!(exported, [2, 0]);
        assert!(interface.exports("own", ExternalKind::Func));
        assert!(!interface.exports("own", ExternalKind::Memory));
    }

    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut module = wasm_encoder::Module::new();
        for &(id, data) in sections {
            module.section(&RawSection { id, data });
        }
        module.finish()
    }

    #[test]
    fn no_import_has_more_than_the_bytes_that_name_it() {
        // A module's name of 100 000 bytes, then 1000 names of nothing in it: 100 MB of names in 0.1 MB.
        let mut imports = Vec::new();
        1_u32.encode(&mut imports);
        [b'm'; 100_000][..].encode(&mut imports);
        imports.extend([0, 0x7e, 0, 0]);
        [0_u8; 1000][..].encode(&mut imports);
        let error = Interface::read(&module(&[(2, &imports)])).expect_err("a form that is off");
        assert!(error.to_string().contains("compact imports"), "{error}");
    }

    #[test]
    fn no_more_is_kept_than_a_valid_module_has() {
        let count = ENTRIES_MAX + 1;
        let many = |entry: &[u8]| {
            let mut section = Vec::new();
            count.encode(&mut section);
            section.extend(entry.repeat(count));
            section
        };
        let types = many(&[0x60, 0, 0]);
        // Without a name in a module without one, function of type 0.
        let imports = many(&[0, 0, 0, 0]);
        let exports = many(&[0, 0, 0]);
        let wasm = module(&[(1, &types), (2, &imports), (7, &exports)]);
        let interface = Interface::read(&wasm).expect("read");
        assert_eq!(interface.types.len(), ENTRIES_MAX);
        assert_eq!(interface.imports.len(), ENTRIES_MAX);
        assert_eq!(interface.function_count(), ENTRIES_MAX);
        assert_eq!(interface.exports.len(), ENTRIES_MAX);
    }

    #[test]
    fn a_component_exports_what_it_does_itself() {
        let wasm = wat::parse_str(
            r#"(component
                (component (instance $i) (export "in/ner@0.1.0" (instance $i)))
                (core module)
                (instance $i)
                (export "wasi:cli/run@0.2.0" (instance $i)))"#,
        )
        .expect("a component");
        let exports = exports_of_component(&wasm).expect("read");
        assert_eq!(exports, ["wasi:cli/run@0.2.0"]);
        let module = wat::parse_str(r#"(module (memory (export "m") 1))"#).expect("a module");
        assert_eq!(exports_of_component(&module).expect("read"), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_component_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
            wasm.extend(tail);
            let _ = exports_of_component(&wasm);
        }

        #[test]
        fn no_bytes_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut wasm = b"\0asm\x01\0\0\0".to_vec();
            wasm.extend(tail);
            if let Ok(interface) = Interface::read(&wasm) {
                for export in interface.exported_functions() {
                    let _ = interface.function_type(export.index);
                }
            }
        }
    }
}
