//! What a library of a module and its loader agree on: one start, the ways it comes back, what the library offers.
//!
//! It is stated here. C gets the numbers from `header`, which also has every file of every library checked against the
//! layout of [`Start`] and [`Layout`]: a library that does not agree does not compile. Function types are stated again in `library.h`.

use std::ffi::{CStr, CString, c_void};
use std::fmt::Write;
use std::mem::offset_of;

/// One start; `struct faaslet_start` in C.
#[repr(C)]
#[derive(Debug)]
pub struct Start {
    /// The loader's, passed to its functions.
    pub context: *mut c_void,
    /// Calls import number `import`, whose arguments lie in `values`, where its result is put: room for as many as it has
    /// parameters, at least one. 0 if the program may go on.
    pub call: unsafe extern "C" fn(context: *mut c_void, import: u32, values: *mut u64) -> i32,
    /// Grows the memory by so many pages of 64 KiB, in place; how many it had before, -1, or [`GROW_STOPPED`].
    pub grow: unsafe extern "C" fn(context: *mut c_void, pages: u64) -> i64,
    /// Room for what the library keeps of this start besides memory, as large as [`Layout`] says: the loader's, so that nothing
    /// is lost wherever a start is left. All zero before [`MAKE`].
    pub block: *mut c_void,
    /// For [`MAKE`]: what mutable globals of numbers begin with, 16 bytes for each.
    pub globals: *const u128,
    /// For [`RUN`]: what is run first, if anything is.
    pub begin: Option<Entry>,
    /// For [`RUN`]: the program.
    pub entry: Option<Entry>,
    /// The memory, which must not move. No access of the module reaches beyond the guard that its loader has behind it.
    pub memory: *mut u8,
    /// Its size at first.
    pub memory_bytes: u64,
    /// The host is not called with less stack than from this address on.
    pub stack_limit: usize,
    /// Of the library: a stack pointer to call [`ESCAPE`] with; 0 while that must not be.
    pub escape_sp: usize,
    /// Of the library: where it goes back to.
    pub back: *mut c_void,
}

/// Name of the function that makes a block: an instance that nothing of has run, and its tables.
pub const MAKE: &CStr = c"faaslet_make";
/// Name of the function that runs the module once, in a block as [`MAKE`] left it.
pub const RUN: &CStr = c"faaslet_run";
/// The type of [`MAKE`] and [`RUN`]: a start's [`Status`], as a number.
pub type Run = unsafe extern "C" fn(start: *mut Start) -> i32;
/// A function of the module that can be run, on the block of a start.
pub type Entry = unsafe extern "C" fn(block: *mut c_void);

/// Name of the function that runs function `index` of the module.
#[must_use]
pub fn entry_symbol(index: u32) -> CString {
    // Digits have no zero byte.
    CString::new(format!("faaslet_entry_{index}")).unwrap_or_default()
}

/// How large a library's blocks are; `struct faaslet_layout` in C.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// All of a block.
    pub block_bytes: u64,
    /// Its first part, which a run may change. What comes after it stays as [`MAKE`] left it.
    pub changed_bytes: u64,
}

/// Name of a library's [`Layout`].
pub const LAYOUT: &CStr = c"faaslet_layout";

/// Name of the function that makes [`MAKE`] or [`RUN`] return a status, from wherever the module's code was interrupted. It is never
/// called, but gone on at, with the start and the status for arguments.
pub const ESCAPE: &CStr = c"faaslet_escape";

/// What growing returns if the program may not go on.
pub const GROW_STOPPED: i64 = -2;

/// The most parameters of an imported function: more than any function of WASI has.
pub const PARAMS_MAX: usize = 16;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal $c:ident,)*) => {
        /// How a start came back.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(i32)]
        pub enum Status {
            $($(#[$doc])* $name = $number,)*
        }

        impl Status {
            /// Each with what C calls it.
            const ALL: &[(Self, &str)] = &[$((Self::$name, stringify!($c)),)*];
        }
    };
}

statuses! {
    /// The program returned.
    Done = 0 STATUS_DONE,
    /// A call to the host said that the program is not to go on.
    Stopped = 1 STATUS_STOPPED,
    /// Its deadline has passed.
    Late = 2 STATUS_LATE,
    /// An access beyond the memory.
    Memory = 3 STATUS_MEMORY,
    /// The stack is used up.
    Stack = 4 STATUS_STACK,
    /// It reached `unreachable`.
    Unreachable = 5 STATUS_UNREACHABLE,
    /// An indirect call of a function of another type.
    IndirectCall = 6 STATUS_INDIRECT_CALL,
    /// A division by zero.
    DivisionByZero = 7 STATUS_DIVISION_BY_ZERO,
    /// An integer that its type cannot hold.
    Overflow = 8 STATUS_OVERFLOW,
    /// A float that is no integer.
    Conversion = 9 STATUS_CONVERSION,
    /// A call of a null reference.
    Null = 10 STATUS_NULL,
    /// A trap that has no status of its own.
    OtherTrap = 11 STATUS_OTHER_TRAP,
    /// No memory for its instance.
    NoInstance = 12 STATUS_NO_INSTANCE,
}

impl Status {
    /// The status of this number, if there is one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(status, _)| *status as i32 == number)
            .map(|(status, _)| *status)
    }
}

/// Offset and size of each field of [`Start`], in bytes.
fn fields() -> [(&'static str, usize, usize); 12] {
    fn size<T>(_: fn(&Start) -> &T) -> usize {
        size_of::<T>()
    }
    macro_rules! field {
        ($name:ident) => {
            (
                stringify!($name),
                offset_of!(Start, $name),
                size(|start| &start.$name),
            )
        };
    }
    [
        field!(context),
        field!(call),
        field!(grow),
        field!(block),
        field!(globals),
        field!(begin),
        field!(entry),
        field!(memory),
        field!(memory_bytes),
        field!(stack_limit),
        field!(escape_sp),
        field!(back),
    ]
}

/// `abi.h`: the statuses, and the checks of `struct faaslet_start`, as a macro to stand behind its definition.
pub(crate) fn header() -> String {
    let mut c = String::from("/* Written by abi.rs. */\n#pragma once\n\nenum {\n");
    // Writing to a string cannot fail.
    for (status, name) in Status::ALL {
        let _ = writeln!(c, "    {name} = {},", *status as i32);
    }
    let _ = writeln!(c, "    GROW_STOPPED = {GROW_STOPPED},");
    c.push_str("};\n\n#define CHECK_FAASLET_START");
    let start = "struct faaslet_start";
    let mut check = |condition: String| {
        let _ = write!(c, " \\\n    _Static_assert({condition}, \"as in abi.rs\");");
    };
    check(format!("sizeof({start}) == {}", size_of::<Start>()));
    for (name, offset, size) in fields() {
        check(format!("__builtin_offsetof({start}, {name}) == {offset}"));
        check(format!("sizeof((({start} *)0)->{name}) == {size}"));
    }
    let layout = "struct faaslet_layout";
    check(format!("sizeof({layout}) == {}", size_of::<Layout>()));
    for (name, offset) in [
        ("block_bytes", offset_of!(Layout, block_bytes)),
        ("changed_bytes", offset_of!(Layout, changed_bytes)),
    ] {
        check(format!("__builtin_offsetof({layout}, {name}) == {offset}"));
    }
    c.push('\n');
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    const LIBRARY_H: &str = include_str!("library.h");

    /// Whether `library_h` compiles beside `abi_h`, and what the compiler said.
    fn compiles(abi_h: &str, library_h: &str, more: &str) -> (bool, String) {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in [("abi.h", abi_h), ("library.h", library_h)] {
            fs::write(dir.path().join(name), text).expect("written");
        }
        let source = dir.path().join("check.c");
        fs::write(&source, format!("#include \"library.h\"\n{more}\n")).expect("written");
        let run = Command::new("cc")
            .args(["-std=gnu11", "-Wall", "-Werror", "-fsyntax-only"])
            .arg(&source)
            .output()
            .expect("cc, with which Rust links too");
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        (run.status.success(), said)
    }

    #[test]
    fn c_sees_the_same_start_statuses_and_functions() {
        let mut more = String::new();
        for (status, name) in Status::ALL {
            more += &format!("_Static_assert({name} == {}, \"\");\n", *status as i32);
        }
        for (name, ty) in [(MAKE, "int32_t"), (RUN, "int32_t"), (ESCAPE, "void")] {
            let name = name.to_str().expect("ASCII");
            more += &format!("_Static_assert(__builtin_types_compatible_p(typeof({name}(0");
            more += if ty == "void" { ", 0" } else { "" };
            more += &format!(")), {ty}), \"\");\n");
        }
        let (well, said) = compiles(&header(), LIBRARY_H, &more);
        assert!(well, "{said}");
    }

    #[test]
    fn a_start_that_differs_does_not_compile() {
        for (ours, theirs) in [
            ("uint64_t memory_bytes;", "uint32_t memory_bytes;"),
            ("    void *back;\n", ""),
            (
                "volatile uintptr_t escape_sp;",
                "uintptr_t other; volatile uintptr_t escape_sp;",
            ),
            ("uintptr_t stack_limit;", "uint32_t stack_limit;"),
            ("    void *block;\n", ""),
            (
                "    uint64_t changed_bytes;",
                "    uint64_t other, changed_bytes;",
            ),
        ] {
            let other = LIBRARY_H.replacen(ours, theirs, 1);
            assert_ne!(other, LIBRARY_H, "{ours}");
            let (well, said) = compiles(&header(), &other, "");
            assert!(!well, "{theirs}: {said}");
        }
    }

    #[test]
    fn statuses_are_told_by_their_numbers() {
        for (status, _) in Status::ALL {
            assert_eq!(Status::from_number(*status as i32), Some(*status));
        }
        assert_eq!(Status::from_number(-1), None);
        assert_eq!(Status::from_number(13), None);
    }
}
