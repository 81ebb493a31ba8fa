//! What is known of 32-bit values, as far as addresses are made of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasmparser::{MemArg, Operator, ValType};

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

    /// By how much it grows where each local grows by `step`; none if that is not known.
    pub(crate) fn growth(&self, step: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mut whole = 0_u32;
        for &(id, factor) in &self.terms {
            whole = whole.wrapping_add(factor.wrapping_mul(step(Values::entry_local(id)?)?));
        }
        Some(whole)
    }

    /// By how much it grows from turn to turn of a loop that changes locals by `steps`; none if that is not known.
    pub(crate) fn stride(&self, steps: &Steps) -> Option<u32> {
        self.growth(|local| steps.get(&local).copied().unwrap_or(Some(0)))
    }
}

/// The locals that a turn of a loop sets, and by how much each has changed at its end, if by a constant.
pub(crate) type Steps = BTreeMap<u32, Option<u32>>;

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

    /// Nothing is known of `index` any more.
    pub(crate) fn forget_local(&mut self, index: u32) {
        let unknown = self.unknown();
        self.locals.insert(index, unknown);
    }

    /// By how much each local of `set` has changed since entry.
    pub(crate) fn steps(&mut self, set: &BTreeSet<u32>) -> Steps {
        let step = |&local: &u32| {
            let grown = self.local(local).minus(&Self::at_entry().local(local));
            (local, grown.terms.is_empty().then_some(grown.constant))
        };
        set.iter().map(step).collect()
    }

    /// `sum`, whose terms are locals, with what these hold now in their place; unknown terms stay unknown.
    pub(crate) fn substitute(&mut self, sum: &Sum) -> Sum {
        let mut whole = Sum {
            terms: Vec::new(),
            constant: sum.constant,
        };
        for &(id, factor) in &sum.terms {
            let value = match Self::entry_local(id) {
                Some(local) => self.local(local),
                None => self.unknown(),
            };
            whole = whole.plus(&value, factor);
        }
        whole
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
            Operator::I32Mul => {
                let (right, left) = (operand(self), operand(self));
                match (&left.terms[..], &right.terms[..]) {
                    (_, []) => Sum::default().plus(&left, right.constant),
                    ([], _) => Sum::default().plus(&right, left.constant),
                    _ => self.unknown(),
                }
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
    (loads: $($load:ident $loaded:ident $load_bytes:literal)*; stores: $($store:ident $stored:ident $store_bytes:literal)*) => {
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

        /// A plain load or store like `op`; `nop` if it is none.
        pub(crate) fn like(op: &Operator<'_>, memarg: MemArg) -> Operator<'static> {
            match op {
                $(Operator::$load { .. } => Operator::$load { memarg },)*
                $(Operator::$store { .. } => Operator::$store { memarg },)*
                _ => Operator::Nop,
            }
        }

        /// How many bytes a plain load or store accesses, and the type of what it leaves or takes.
        pub(crate) fn accessed(op: &Operator<'_>) -> Option<(u32, ValType)> {
            match op {
                $(Operator::$load { .. } => Some(($load_bytes, ValType::$loaded)),)*
                $(Operator::$store { .. } => Some(($store_bytes, ValType::$stored)),)*
                _ => None,
            }
        }
    };
}

accesses! {
    loads: I32Load I32 4 I64Load I64 8 F32Load F32 4 F64Load F64 8 I32Load8S I32 1 I32Load8U I32 1 I32Load16S I32 2
        I32Load16U I32 2 V128Load V128 16 V128Load32Splat V128 4 V128Load64Splat V128 8 V128Load32Zero V128 4
        V128Load64Zero V128 8 V128Load8x8S V128 8 V128Load8x8U V128 8 V128Load16x4S V128 8 V128Load16x4U V128 8
        V128Load32x2S V128 8 V128Load32x2U V128 8;
    stores: I32Store I32 4 I64Store I64 8 F32Store F32 4 F64Store F64 8 I32Store8 I32 1 I32Store16 I32 2 V128Store V128 16
}
