//! Where a program's functions lie in memory, and where one that traps does.

use std::ops::Range;

use wasmtime::Module;

/// `(module (func unreachable))`
pub(super) const TRAP_WASM: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\0\x0b";

/// Where a program's own functions lie, and where to go on instead.
#[derive(Default)]
pub(crate) struct Code {
    /// Sorted; functions next to each other are one range.
    pub(super) functions: Vec<Range<usize>>,
    pub(super) trap_pc: usize,
    /// Its module and the one that traps, which must stay where they are.
    pub(super) modules: Vec<Module>,
}

impl Code {
    /// The program's module.
    pub(crate) fn module(&self) -> Option<&Module> {
        self.modules.first()
    }

    pub(crate) fn contains(&self, pc: usize) -> bool {
        let after = self.functions.partition_point(|range| range.start <= pc);
        after > 0 && pc < self.functions[after - 1].end
    }
}

/// Functions of `module` in memory. Its trampolines, which lie between them and the host, are not among them.
pub(super) fn functions(module: &Module) -> Vec<Range<usize>> {
    let base = module.text().as_ptr().addr();
    let mut ranges: Vec<Range<usize>> = module
        .functions()
        .map(|function| base + function.offset..base + function.offset + function.len)
        .collect();
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        // What lies between is padding: no trampoline is as short.
        let adjacent = next.start - range.end < 16;
        if adjacent {
            range.end = next.end;
        }
        adjacent
    });
    ranges
}

/// The trapping instruction of the function `stub`: `ud2`, or `udf` with the engine's mark.
pub(super) fn trap_in(module: &Module, stub: &Range<usize>) -> Option<usize> {
    let trap: &[u8] = if cfg!(target_arch = "x86_64") {
        &[0x0f, 0x0b]
    } else {
        &[0x1f, 0xc1, 0, 0]
    };
    let offset = stub.start - module.text().as_ptr().addr();
    let code = module.text().get(offset..offset + stub.len())?;
    let at = code.windows(trap.len()).position(|bytes| bytes == trap)?;
    Some(stub.start + at)
}
