//! A function's operators, open to change.

use wasmparser::{BinaryReaderError, FunctionBody, Operator, ValType};

use crate::stack;

/// A function body: its operators and how many locals it has.
pub(crate) struct Body<'a> {
    pub(crate) ops: Vec<Operator<'a>>,
    /// Index of the next new local.
    next_local: u32,
    /// Types of the locals that were added, in order of their indices.
    pub(crate) added: Vec<ValType>,
}

impl<'a> Body<'a> {
    /// Reads `func`, which has `params` parameters.
    pub(crate) fn read(func: &FunctionBody<'a>, params: u32) -> Result<Self, BinaryReaderError> {
        let mut next_local = params;
        for group in func.get_locals_reader()? {
            next_local += group?.0;
        }
        let ops = func
            .get_operators_reader()?
            .into_iter()
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ops,
            next_local,
            added: Vec::new(),
        })
    }

    /// A new local of type `ty`.
    pub(crate) fn local(&mut self, ty: ValType) -> u32 {
        self.added.push(ty);
        self.next_local += 1;
        self.next_local - 1
    }

    /// Puts in what `edits` says; nothing moves while edits are collected, so that indices stay true.
    pub(crate) fn apply(&mut self, edits: Edits<'a>) {
        let old = std::mem::take(&mut self.ops);
        self.ops = edits.applied_to(old);
    }
}

/// Changes to be made to a body at once.
#[derive(Default)]
pub(crate) struct Edits<'a>(Vec<Edit<'a>>);

struct Edit<'a> {
    at: usize,
    what: What<'a>,
}

enum What<'a> {
    Replace(Vec<Operator<'a>>),
    After(Vec<Operator<'a>>),
}

impl<'a> Edits<'a> {
    /// `old` with these changes.
    pub(crate) fn applied_to(mut self, old: Vec<Operator<'a>>) -> Vec<Operator<'a>> {
        self.0.sort_by_key(|edit| edit.at);
        let mut edits = self.0.into_iter().peekable();
        let mut new = Vec::with_capacity(old.len() + 64);
        for (at, op) in old.into_iter().enumerate() {
            let mut keep = Some(op);
            let mut after = Vec::new();
            while let Some(edit) = edits.next_if(|edit| edit.at == at) {
                match edit.what {
                    What::Replace(ops) => {
                        keep = None;
                        new.extend(ops);
                    }
                    What::After(ops) => after.extend(ops),
                }
            }
            new.extend(keep);
            new.extend(after);
        }
        new
    }

    pub(crate) fn replace(&mut self, at: usize, ops: Vec<Operator<'a>>) {
        let what = What::Replace(ops);
        self.0.push(Edit { at, what });
    }

    pub(crate) fn after(&mut self, at: usize, ops: Vec<Operator<'a>>) {
        let what = What::After(ops);
        self.0.push(Edit { at, what });
    }
}

/// Whether `op` begins or ends a block or leaves one for good: what is known of the stack ends there.
pub(crate) fn is_barrier(op: &Operator<'_>) -> bool {
    !matches!(op, Operator::BrIf { .. }) && stack::effect(op).is_none()
}
