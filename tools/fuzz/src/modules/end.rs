//! How a start ended, as far as two engines have to agree on it.

use std::fmt;

use faaslet::StartError;
use wasmtime::Trap;

use crate::target::Finding;

/// How a start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `_start` returned or the program exited, with this code.
    Exit(i32),
    /// It did what Wasm forbids.
    Trap(Trap),
    /// It was ended, or would not have ended.
    Late,
    /// It could not begin.
    NoStart,
    /// The other WASI ended it, where ours has an error number.
    OtherWasi,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit code {code}"),
            Self::Trap(trap) => write!(f, "{trap}"),
            Self::Late => f.write_str("late"),
            Self::NoStart => f.write_str("no start"),
            Self::OtherWasi => f.write_str("an end by WASI"),
        }
    }
}

/// All traps that a module as made here can come to.
const TRAPS: [Trap; 13] = [
    Trap::StackOverflow,
    Trap::MemoryOutOfBounds,
    Trap::HeapMisaligned,
    Trap::TableOutOfBounds,
    Trap::IndirectCallToNull,
    Trap::BadSignature,
    Trap::IntegerOverflow,
    Trap::IntegerDivisionByZero,
    Trap::BadConversionToInteger,
    Trap::UnreachableCodeReached,
    Trap::NullReference,
    Trap::Interrupt,
    Trap::OutOfFuel,
];

impl End {
    /// That of a Faaslet; the text of what is none of these.
    pub fn of_start(result: &Result<(), StartError>) -> Result<Self, Finding> {
        match result {
            Ok(()) => Ok(Self::Exit(0)),
            Err(StartError::ExitCode { code, .. }) => Ok(Self::Exit(*code)),
            Err(StartError::Deadline(_)) => Ok(Self::Late),
            Err(StartError::Trap { cause, .. }) => TRAPS
                .into_iter()
                .find(|trap| cause.starts_with(&trap.to_string()))
                .map(Self::Trap)
                .ok_or_else(|| format!("an unknown trap: {cause}")),
            // Of an active segment that does not fit.
            Err(StartError::Setup(_)) => Ok(Self::NoStart),
            Err(other) => Err(other.to_string()),
        }
    }

    /// Whether how deep it got decides how it ended: engines differ in that, and so they may.
    pub fn depends_on_the_stack(self) -> bool {
        self == Self::Trap(Trap::StackOverflow)
    }

    /// Whether the second engine, which tells fewer kinds of traps, ended in the same way.
    pub fn is_kind_of(self, second: Self) -> bool {
        let kind = |end| match end {
            Self::Trap(
                Trap::TableOutOfBounds
                | Trap::IndirectCallToNull
                | Trap::BadSignature
                | Trap::NullReference,
            ) => 1,
            Self::Trap(Trap::MemoryOutOfBounds) => 2,
            _ => 0,
        };
        let out_of_a_table = self == Self::Trap(Trap::TableOutOfBounds);
        self == second
            || (kind(self) == 1 && kind(second) == 1)
            // It has one word for all bounds.
            || (out_of_a_table && kind(second) == 2)
    }
}
