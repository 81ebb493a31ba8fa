//! What is known of 32-bit values, as far as addresses are made of them.

use std::collections::HashMap;

use wasmparser::{MemArg, Operator};

/// Unknown values, each with its factor, sorted.
pub(crate) type Terms = Vec<(u32, u32)>;

/// Terms plus a constant, modulo 2^32.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) terms: Terms,
    pub(crate) constant: u32,
}

impl Sum {
    /// The unknown value `id`.
    fn of_unknown(id: u32) -> Self {
        Self {
            terms: vec![(id, 1)],
            constant: 0,
        }
    }

    /// `self + factor * right`.
    pub(crate) fn plus(mut self, right: &Self, factor: u32) -> Self {
        self.constant = self
            .constant
            .wrapping_add(right.constant.wrapping_mul(factor));
        for &(value, times) in &right.terms {
            let times = times.wrapping_mul(factor);
            match self.terms.binary_search_by_key(&value, |term| term.0) {
                Ok(i) => self.terms[i].1 = self.terms[i].1.wrapping_add(times),
                Err(i) => self.terms.insert(i, (value, times)),
            }
        }
        self.terms.retain(|term| term.1 != 0);
        self
    }

    /// `self - right`.
    pub(crate) fn minus(self, right: &Self) -> Self {
        self.plus(right, u32::MAX)
    }
}

/// Unknown values from here on are no locals.
const FIRST_UNKNOWN: u32 = 1 << 31;

/// The values of locals. Where nothing is known of a local its value is an unknown of its own.
#[derive(Default)]
pub(crate) struct Values {
    locals: HashMap<u32, Sum>,
    unknowns: u32,
    /// Whether a local that was not set is known by its index, see [`Values::at_entry`].
    by_index: bool,
}

impl Values {
    /// The term of a local that was not set yet is the local's index: its value where evaluation began.
    pub(crate) fn at_entry() -> Self {
        Self {
            by_index: true,
            ..Self::default()
        }
    }

    /// The local whose value at entry is the term `id`.
    pub(crate) fn entry_local(id: u32) -> Option<u32> {
        (id < FIRST_UNKNOWN).then_some(id)
    }

    pub(crate) fn unknown(&mut self) -> Sum {
        self.unknowns += 1;
        Sum::of_unknown(FIRST_UNKNOWN + self.unknowns)
    }

    /// What `index` holds now.
    pub(crate) fn local(&mut self, index: u32) -> Sum {
        if let Some(sum) = self.locals.get(&index) {
            return sum.clone();
        }
        let sum = if self.by_index {
            Sum::of_unknown(index)
        } else {
            self.unknown()
        };
        self.locals.insert(index, sum.clone());
        sum
    }

    pub(crate) fn forget(&mut self) {
        self.locals.clear();
    }

    /// What `op` leaves, where that is a sum; `operands` are what it takes, the topmost first.
    pub(crate) fn evaluate(&mut self, op: &Operator<'_>, operands: Vec<Option<Sum>>) -> Sum {
        let mut operands = operands.into_iter();
        let mut operand = |values: &mut Self| {
            operands
                .next()
                .flatten()
                .unwrap_or_else(|| values.unknown())
        };
        match *op {
            Operator::I32Const { value } => Sum {
                terms: Vec::new(),
                constant: value.cast_unsigned(),
            },
            Operator::LocalGet { local_index } => self.local(local_index),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                let sum = operand(self);
                self.locals.insert(local_index, sum.clone());
                sum
            }
            Operator::I32Add => {
                let (right, left) = (operand(self), operand(self));
                left.plus(&right, 1)
            }
            Operator::I32Sub => {
                let (right, left) = (operand(self), operand(self));
                left.minus(&right)
            }
            Operator::I32Shl => {
                let (right, left) = (operand(self), operand(self));
                if right.terms.is_empty() {
                    Sum::default().plus(&left, 1 << (right.constant & 31))
                } else {
                    self.unknown()
                }
            }
            _ => self.unknown(),
        }
    }
}

macro_rules! accesses {
    (loads: $($load:ident)*; stores: $($store:ident)*) => {
        /// The memory operand of a plain load or store, and how many values lie above its address.
        pub(crate) fn access(op: &Operator<'_>) -> Option<(MemArg, usize)> {
            match op {
                $(Operator::$load { memarg } => Some((*memarg, 0)),)*
                $(Operator::$store { memarg } => Some((*memarg, 1)),)*
                _ => None,
            }
        }

        /// `op` with another memory operand.
        pub(crate) fn with_offset<'a>(op: &Operator<'a>, memarg: MemArg) -> Operator<'a> {
            match op {
                $(Operator::$load { .. } => Operator::$load { memarg },)*
                $(Operator::$store { .. } => Operator::$store { memarg },)*
                op => op.clone(),
            }
        }
    };
}

accesses! {
    loads: I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U
        V128Load V128Load32Splat V128Load64Splat V128Load32Zero V128Load64Zero V128Load8x8S
        V128Load8x8U V128Load16x4S V128Load16x4U V128Load32x2S V128Load32x2U;
    stores: I32Store I64Store F32Store F64Store I32Store8 I32Store16 V128Store
}
