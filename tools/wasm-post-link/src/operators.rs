//! Single operators: those of locals, and what kind one is of.

use std::collections::BTreeSet;

use wasmparser::Operator;

pub(crate) fn local_get(local_index: u32) -> Operator<'static> {
    Operator::LocalGet { local_index }
}

pub(crate) fn local_set(local_index: u32) -> Operator<'static> {
    Operator::LocalSet { local_index }
}

pub(crate) fn local_tee(local_index: u32) -> Operator<'static> {
    Operator::LocalTee { local_index }
}

/// The local that `op` sets.
pub(crate) fn local_set_by(op: &Operator<'_>) -> Option<u32> {
    match op {
        Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
            Some(*local_index)
        }
        _ => None,
    }
}

/// The locals that `ops` set.
pub(crate) fn locals_set_by(ops: &[Operator<'_>]) -> BTreeSet<u32> {
    ops.iter().filter_map(local_set_by).collect()
}

/// Whether `op`, which is no access that [`crate::sum::access`] knows, only computes.
pub(crate) fn computes(op: &Operator<'_>, leaves: usize) -> bool {
    match op {
        Operator::Nop
        | Operator::Drop
        | Operator::LocalSet { .. }
        | Operator::LocalGet { .. }
        | Operator::LocalTee { .. } => true,
        Operator::MemoryGrow { .. } => false,
        // What writes to a memory, a table or a global leaves nothing, but for atomic operators.
        op => leaves == 1 && is_plain(op),
    }
}

macro_rules! define_is_plain {
    ($(@$proposal:ident $op:ident $({ $($payload:tt)* })? => $visit:ident ($($ann:tt)*))*) => {
        /// Whether `op` belongs to the parts of Wasm that have neither threads nor references.
        fn is_plain(op: &Operator<'_>) -> bool {
            let proposal = match op {
                $(Operator::$op { .. } => stringify!($proposal),)*
                _ => "",
            };
            ["mvp", "sign_extension", "saturating_float_to_int", "simd", "relaxed_simd"].contains(&proposal)
        }

        /// Whether `op` has a memory operand.
        pub(crate) fn has_memory_operand(op: &Operator<'_>) -> bool {
            match op {
                $(Operator::$op { .. } => stringify!($($($payload)*)?).contains("memarg"),)*
                _ => false,
            }
        }
    };
}
wasmparser::for_each_operator!(define_is_plain);
