//! Components for tests, as text: programs for version 0.2 of WASI whose `run` is a few instructions, and handlers.

/// What the program of [`component`] can call, beside what it is given here:
///
/// | function | does |
/// |---|---|
/// | `$exit (fail i32)` | `wasi:cli/exit` |
/// | `$read (len i64) (result bytes)` | reads standard input, -1 at its end; the address of what was read is put at 4000 |
/// | `$put (at i32) (len i32) (result failed)` | writes and flushes to standard output |
/// | `$complain (at i32) (len i32)` | the same to standard error |
/// | `$sleep (ns i64)` | waits for the clock |
/// | `$sleep-or-input (ns i64)` | waits for the clock or for standard input |
/// | `$arguments (result count)`, `$variables (result count)`, `$directories (result count)` | how many it was given |
/// | `$open (path i32) (len i32) (oflags i32) (flags i32) (result fd)` | opens below the first directory; -1 minus the error's number if not |
/// | `$write-file (fd i32) (at i32) (len i32) (result failed)` | writes and flushes at the file's beginning, then behind it |
/// | `$read-file (fd i32) (result bytes)` | how much there is at its beginning |
/// | `$mkdir (path i32) (len i32) (result failed)` | below the first directory |
const IMPORTS: &str = include_str!("component.wat");

/// The component whose `run` is `body`, in a module with `fields` and a memory of `pages`.
#[must_use]
pub fn component(pages: u32, fields: &str, body: &str) -> Vec<u8> {
    let text = IMPORTS
        .replace("(;pages;)", &pages.to_string())
        .replace("(;fields;)", fields)
        .replace("(;body;)", body);
    wat::parse_str(text).expect("a component")
}

/// The example handler, which answers with how many words the request's body has.
const HANDLER: &str = include_str!("../../../functions/examples/handler/handler.wat");

/// The example handler, with `fields` in its module, which does `before` at each request: it can call `$take (request i32)`,
/// `$set` with the outparam, and has the locals `$request` and `$outparam`.
#[must_use]
pub fn handler(fields: &str, before: &str) -> Vec<u8> {
    let text = HANDLER
        .replace("(;fields;)", fields)
        .replace("(;before;)", before);
    wat::parse_str(text).expect("a component")
}
