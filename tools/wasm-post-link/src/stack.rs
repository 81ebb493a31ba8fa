//! What an operator takes from the stack and leaves on it.

use wasmparser::{
    BlockType, ContType, FrameKind, FuncType, ModuleArity, Operator, RefType, SubType,
};

/// Values taken and left by `op`, if that is a matter of `op` alone: not of types, labels or callees.
pub(crate) fn effect(op: &Operator<'_>) -> Option<(usize, usize)> {
    match op {
        Operator::BrIf { .. } => Some((1, 0)),
        Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::End
        | Operator::Unreachable
        | Operator::Br { .. }
        | Operator::Return => None,
        op => op
            .operator_arity(&NoModule)
            .map(|(takes, leaves)| (takes as usize, leaves as usize)),
    }
}

/// The top of the stack, as far as it is known: below it may lie any number of other values.
pub(crate) struct Top<T>(Vec<T>);

impl<T> Top<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, value: T) {
        self.0.push(value);
    }

    /// The `count` topmost values, the topmost first, each if it is known.
    pub(crate) fn take(&mut self, count: usize) -> impl Iterator<Item = Option<T>> {
        (0..count).map(|_| self.0.pop())
    }

    /// How many values are known.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below `above` others.
    pub(crate) fn peek(&self, above: usize) -> Option<&T> {
        self.0.len().checked_sub(above + 1).map(|i| &self.0[i])
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

/// A module of which nothing is known.
struct NoModule;

impl ModuleArity for NoModule {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }
    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }
    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }
    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }
    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }
    fn control_stack_height(&self) -> u32 {
        0
    }
    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
