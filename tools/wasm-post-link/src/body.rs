//! A function's operators, open to change.

use wasmparser::{BinaryReaderError, FunctionBody, Operator, ValType};

use crate::stack;

/// A function body: its operators and how many locals it has.
pub(crate) struct Body<'a> {
    pub(crate) ops: Vec<Operator<'a>>,
    /// Types of parameters and locals.
    types: Vec<ValType>,
    /// How many of them the function had.
    old_locals: usize,
}

impl<'a> Body<'a> {
    /// Reads `func`, which has parameters of types `params`.
    pub(crate) fn read(
        func: &FunctionBody<'a>,
        params: &[ValType],
    ) -> Result<Self, BinaryReaderError> {
        let mut types = params.to_vec();
        for group in func.get_locals_reader()? {
            let (count, ty) = group?;
            types.extend(std::iter::repeat_n(ty, count as usize));
        }
        let ops = func
            .get_operators_reader()?
            .into_iter()
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ops,
            old_locals: types.len(),
            types,
        })
    }

    /// A new local of type `ty`.
    pub(crate) fn local(&mut self, ty: ValType) -> u32 {
        self.types.push(ty);
        u32::try_from(self.types.len() - 1).unwrap_or(u32::MAX)
    }

    /// The type of local `index`.
    pub(crate) fn local_type(&self, index: u32) -> Option<ValType> {
        self.types.get(index as usize).copied()
    }

    /// Types of the locals that were added, in order of their indices.
    pub(crate) fn added(&self) -> &[ValType] {
        &self.types[self.old_locals..]
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
