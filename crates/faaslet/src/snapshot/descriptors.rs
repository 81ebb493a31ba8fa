//! Which descriptors a program has open: a tiny program of our own is put beside it in the same store, so
//! it asks the same WASI functions about the same descriptors.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmtime::{Linker, Store as WasmStore};

use crate::host::Host;
use crate::wasi;

/// Descriptors are handed out from the lowest on, so this many cannot be passed without a gap.
const LOOKED_AT: u32 = 4096;

/// An open descriptor and whether it is a directory that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    fd: u32,
    granted: bool,
}

/// Every open descriptor, in order.
pub(super) fn open(
    linker: &Linker<Host>,
    store: &mut WasmStore<Host>,
) -> wasmtime::Result<Vec<Open>> {
    let module = wasmtime::Module::new(store.engine(), probe())?;
    // The program itself, this one and the one of the second look; the store asks when it is told of them.
    store.data_mut().limits.instances = 3;
    store.limiter(|host| host);
    let instance = linker.instantiate(&mut *store, &module)?;
    let is_open = instance.get_typed_func::<u32, u32>(&mut *store, "is_open")?;
    let is_granted = instance.get_typed_func::<u32, u32>(&mut *store, "is_granted")?;
    let mut found = Vec::new();
    for fd in 0..LOOKED_AT {
        // Both answer with an error number, which is 0 for yes.
        if is_open.call(&mut *store, fd)? == 0 {
            let granted = is_granted.call(&mut *store, fd)? == 0;
            found.push(Open { fd, granted });
        }
    }
    Ok(found)
}

/// What an initialiser did to the descriptors; lists of numbers.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Changed {
    #[error(
        "its initialiser left descriptor {0} open, which no start from the snapshot would have; close every \
         file and directory before it returns"
    )]
    Opened(String),
    #[error(
        "its initialiser closed descriptor {0}, which every start from the snapshot would have again; leave \
         the standard streams and the directories that it was given open"
    )]
    Closed(String),
}

/// Fails if the initialiser has changed which descriptors are open.
pub(super) fn compare(before: &[Open], after: &[Open]) -> Result<(), Changed> {
    let fds = |those: &[Open], not_in: &[Open]| {
        let fds: Vec<String> = those
            .iter()
            .filter(|open| !not_in.contains(open))
            .map(|open| open.fd.to_string())
            .collect();
        fds.join(", ")
    };
    let (opened, closed) = (fds(after, before), fds(before, after));
    if !opened.is_empty() {
        return Err(Changed::Opened(opened));
    }
    if !closed.is_empty() {
        return Err(Changed::Closed(closed));
    }
    Ok(())
}

/// `is_open(fd)` is `fd_fdstat_get`, `is_granted(fd)` is `fd_prestat_get`, their answers are written to the
/// probe's own memory.
fn probe() -> Vec<u8> {
    let mut types = TypeSection::new();
    types
        .ty()
        .function([ValType::I32, ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut imports = ImportSection::new();
    imports.import(wasi::MODULE, "fd_fdstat_get", EntityType::Function(0));
    imports.import(wasi::MODULE, "fd_prestat_get", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(1).function(1);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports
        .export("memory", ExportKind::Memory, 0)
        .export("is_open", ExportKind::Func, 2)
        .export("is_granted", ExportKind::Func, 3);
    let mut code = CodeSection::new();
    for import in [0, 1] {
        let mut body = Function::new([]);
        body.instructions()
            .local_get(0)
            .i32_const(0)
            .call(import)
            .end();
        code.function(&body);
    }
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);
    module.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(fds: &[(u32, bool)]) -> Vec<Open> {
        fds.iter()
            .map(|&(fd, granted)| Open { fd, granted })
            .collect()
    }

    #[test]
    fn what_was_opened_or_closed_is_named() {
        let before = all(&[(0, false), (1, false), (2, false), (3, true)]);
        assert_eq!(compare(&before, &before), Ok(()));
        let opened = all(&[(0, false), (1, false), (2, false), (3, true), (4, false)]);
        let error = compare(&before, &opened).expect_err("refused").to_string();
        assert!(error.contains("left descriptor 4 open"), "{error}");
        let error = compare(&before, &before[..2])
            .expect_err("refused")
            .to_string();
        assert!(error.contains("closed descriptor 2, 3"), "{error}");
        // A file in the place of a directory that was given.
        let replaced = all(&[(0, false), (1, false), (2, false), (3, false)]);
        assert!(compare(&before, &replaced).is_err());
    }
}
