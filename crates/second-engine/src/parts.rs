//! A module taken apart: its code, of which a library is made, and what a start begins with, which the library's loader has.
//!
//! Data, the memory's size, the values of globals and the choice of what is run are not in a library. So the snapshots of a
//! program, which have all its code and differ in nothing but these, run by the library that the program itself runs by.

use sha2::{Digest, Sha256};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, DataCountSection, DataSection, Encode, ExportKind, ExportSection, GlobalSection,
    Ieee32, Ieee64, MemorySection, MemoryType, Module, NameMap, NameSection, RawSection, SectionId,
};
use wasm_interface::Interface;
use wasmparser::{
    DataKind, DataSectionReader, Global, GlobalSectionReader, KnownCustom, Name, NameSectionReader,
    Operator, Parser, Payload, ValType,
};

use crate::error::SecondEngineError;
use crate::interface::{Call, calls};

#[cfg(test)]
mod tests;

/// The function that a program begins with.
const START: &str = "_start";
/// More than WASI has functions, several times over: each costs its loader one.
const CALLS_MAX: usize = 512;

/// What a start of a module's library begins with, and what the library is known by.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The functions that it calls, in the order of its imports.
    pub calls: Vec<Call>,
    /// Pages that its memory has at first.
    pub memory_pages: u64,
    /// The most that it may have.
    pub memory_pages_max: Option<u64>,
    /// What its memory holds at first, in the order in which it is written there.
    pub data: Vec<Segment<'a>>,
    /// Values of its mutable globals of numbers, in their order: little-endian, with zeros above the type's width.
    pub globals: Vec<u128>,
    /// The function, by its index, that is run before any other.
    pub begin: Option<u32>,
    /// The function, by its index, that is the program.
    pub entry: u32,
    /// Exported functions without parameters and results, and `begin`: what a library offers to run.
    pub(crate) entries: Vec<u32>,
    /// Indices of `globals`.
    pub(crate) global_indices: Vec<u32>,
    /// Initial elements of all tables of functions, and of all others.
    pub(crate) table_elements: (u64, u64),
    /// Names the code.
    pub(crate) digest: [u8; 32],
    /// The module that the library is made of.
    pub(crate) code: Vec<u8>,
}

/// Bytes that memory holds at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Address of the first.
    pub offset: u32,
    pub bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes `wasm`, a valid WASI program, apart.
    ///
    /// # Errors
    /// It is broken, no program, or begins with what only code could work out.
    pub fn read(wasm: &'a [u8]) -> Result<Self, SecondEngineError> {
        let interface = Interface::read(wasm)?;
        let mut parts = Self::begin_with(&interface, start_function(wasm)?)?;
        let mut taken = Taken::default();
        for payload in Parser::new(0).parse_all(wasm) {
            parts.take(&mut taken, &payload?, wasm, &interface)?;
        }
        parts.code = taken.module.finish();
        parts.digest = taken.hash.finalize().into();
        Ok(parts)
    }

    /// What the interface says, and nothing else yet.
    fn begin_with(interface: &Interface, begin: Option<u32>) -> Result<Self, SecondEngineError> {
        let is_plain = |index: u32| {
            let ty = interface.function_type(index);
            ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty())
        };
        let mut exported = interface.exported_functions();
        let entry = exported.find(|export| export.name == START && is_plain(export.index));
        let (Some(entry), Some(memory)) = (entry, interface.memories.first()) else {
            return Err(SecondEngineError::Unsupported(format!(
                "it is no WASI program: it must export {START}, without parameters and results, and memory"
            )));
        };
        let calls = calls(interface)?;
        if calls.len() > CALLS_MAX {
            return Err(SecondEngineError::Unsupported(format!(
                "it has {} imports, of at most {CALLS_MAX}",
                calls.len()
            )));
        }
        let exported = interface.exported_functions().map(|export| export.index);
        let mut entries: Vec<u32> = exported
            .filter(|&index| is_plain(index))
            .chain(begin)
            .collect();
        entries.sort_unstable();
        entries.dedup();
        let elements = |of_functions: bool| {
            let tables = interface.tables.iter();
            let those = tables.filter(|table| table.element_type.is_func_ref() == of_functions);
            those.fold(0, |sum: u64, table| sum.saturating_add(table.initial))
        };
        Ok(Self {
            calls,
            memory_pages: memory.initial,
            memory_pages_max: memory.maximum,
            data: Vec::new(),
            globals: Vec::new(),
            begin,
            entry: entry.index,
            entries,
            global_indices: Vec::new(),
            table_elements: (elements(true), elements(false)),
            digest: [0; 32],
            code: Vec::new(),
        })
    }

    /// Takes one section: what of it is code goes to the module that the library is made of.
    fn take(
        &mut self,
        taken: &mut Taken,
        payload: &Payload<'a>,
        wasm: &'a [u8],
        interface: &Interface,
    ) -> Result<(), SecondEngineError> {
        match payload {
            Payload::MemorySection(_) => taken.no_memory(),
            Payload::GlobalSection(section) => {
                let globals = self.take_globals(section.clone())?;
                let mut bytes = Vec::new();
                globals.encode(&mut bytes);
                taken.know(SectionId::Global.into(), &bytes);
                taken.module.section(&globals);
            }
            Payload::ExportSection(_) => {
                taken.module.section(&self.exports_by_number(interface));
            }
            // Its loader has it run.
            Payload::StartSection { .. } => {}
            Payload::DataCountSection { count, .. } => {
                taken.refers_to_data = true;
                taken.module.section(&DataCountSection { count: *count });
            }
            Payload::DataSection(section) => self.take_data(taken, section.clone())?,
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    taken.module.section(&names_of_functions(names));
                }
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    let Some(data) = wasm.get(range) else {
                        let why = "it ends within a section".to_owned();
                        return Err(SecondEngineError::Unsupported(why));
                    };
                    taken.know(id, data);
                    taken.module.section(&RawSection { id, data });
                }
            }
        }
        Ok(())
    }

    /// The globals, those that begin with what the loader says with zero.
    fn take_globals(
        &mut self,
        section: GlobalSectionReader<'_>,
    ) -> Result<GlobalSection, SecondEngineError> {
        let mut globals = GlobalSection::new();
        for (index, global) in (0..).zip(section) {
            let global = global?;
            let zero = match global.ty.content_type {
                ValType::I32 => ConstExpr::i32_const(0),
                ValType::I64 => ConstExpr::i64_const(0),
                ValType::F32 => ConstExpr::f32_const(Ieee32::new(0)),
                ValType::F64 => ConstExpr::f64_const(Ieee64::new(0)),
                ValType::V128 => ConstExpr::v128_const(0),
                ValType::Ref(_) => {
                    RoundtripReencoder.parse_global(&mut globals, global)?;
                    continue;
                }
            };
            if global.ty.mutable {
                self.globals.push(initial_value(&global)?);
                self.global_indices.push(index);
                globals.global(RoundtripReencoder.global_type(global.ty)?, &zero);
            } else {
                RoundtripReencoder.parse_global(&mut globals, global)?;
            }
        }
        Ok(globals)
    }

    /// Names of numbers, so that no two are one in C: every function that was exported, as code may refer to it for that alone,
    /// what may be run, the memory, and the globals whose values the loader has.
    fn exports_by_number(&self, interface: &Interface) -> ExportSection {
        let mut exports = ExportSection::new();
        let functions = interface.exported_functions().map(|export| export.index);
        let mut functions: Vec<u32> = functions.chain(self.begin).collect();
        functions.sort_unstable();
        functions.dedup();
        for index in functions {
            exports.export(&entry_name(index), ExportKind::Func, index);
        }
        exports.export("memory", ExportKind::Memory, 0);
        for &index in &self.global_indices {
            exports.export(&global_name(index), ExportKind::Global, index);
        }
        exports
    }

    /// Data that is written before the program begins is the loader's. Code that could refer to it finds it empty, as it is then.
    fn take_data(
        &mut self,
        taken: &mut Taken,
        section: DataSectionReader<'a>,
    ) -> Result<(), SecondEngineError> {
        let mut left = DataSection::new();
        for (index, data) in (0_u32..).zip(section) {
            let data = data?;
            match data.kind {
                DataKind::Active { offset_expr, .. } => {
                    let mut ops = offset_expr.get_operators_reader();
                    let (Operator::I32Const { value }, Operator::End) = (ops.read()?, ops.read()?)
                    else {
                        return Err(SecondEngineError::Unsupported(
                            "it has data at an address that is no constant".to_owned(),
                        ));
                    };
                    self.data.push(Segment {
                        offset: value.cast_unsigned(),
                        bytes: data.data,
                    });
                    left.passive([]);
                }
                DataKind::Passive => {
                    // What a snapshot has in place of data that was written before is empty.
                    if !data.data.is_empty() {
                        taken.know(SectionId::Data.into(), &index.to_le_bytes());
                        taken.know(SectionId::Data.into(), data.data);
                    }
                    left.passive(data.data.iter().copied());
                }
            }
        }
        if taken.refers_to_data {
            taken.module.section(&left);
        }
        Ok(())
    }
}

/// What a function is exported as, in the module that a library is made of.
pub(crate) fn entry_name(index: u32) -> String {
    format!("entry{index}")
}

/// The same of a global.
pub(crate) fn global_name(index: u32) -> String {
    format!("global{index}")
}

/// What is made while a module is taken apart.
#[derive(Default)]
struct Taken {
    module: Module,
    hash: Sha256,
    refers_to_data: bool,
}

impl Taken {
    /// The code is known by this part too.
    fn know(&mut self, id: u8, bytes: &[u8]) {
        self.hash.update([id]);
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    /// The loader has the memory, and says how large it is.
    fn no_memory(&mut self) {
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 0,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        self.module.section(&memories);
    }
}

/// Of `names` those that a profile shows; of what is not here any more, such as data, there must be none.
fn names_of_functions(names: NameSectionReader<'_>) -> NameSection {
    let mut left = NameSection::new();
    for name in names {
        if let Ok(Name::Function(functions)) = name {
            let mut map = NameMap::new();
            for naming in functions.into_iter().flatten() {
                map.append(naming.index, naming.name);
            }
            left.functions(&map);
        }
    }
    left
}

/// The function that `wasm` has run before any other.
fn start_function(wasm: &[u8]) -> Result<Option<u32>, SecondEngineError> {
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::StartSection { func, .. } => return Ok(Some(func)),
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    Ok(None)
}

/// What `global` begins with.
fn initial_value(global: &Global<'_>) -> Result<u128, SecondEngineError> {
    let mut ops = global.init_expr.get_operators_reader();
    let value = match ops.read()? {
        Operator::I32Const { value } => Some(value.cast_unsigned().into()),
        Operator::I64Const { value } => Some(value.cast_unsigned().into()),
        Operator::F32Const { value } => Some(value.bits().into()),
        Operator::F64Const { value } => Some(value.bits().into()),
        Operator::V128Const { value } => Some(u128::from_le_bytes(*value.bytes())),
        _ => None,
    };
    // Nothing else is worked out with it.
    value
        .filter(|_| matches!(ops.read(), Ok(Operator::End)))
        .ok_or_else(|| {
            SecondEngineError::Unsupported(
                "it has a mutable global that begins with no constant".to_owned(),
            )
        })
}
