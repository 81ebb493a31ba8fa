//! Programs that make one call after another and write down what each answered.

pub mod place;

use std::fmt::Write;

use Arg::{Fd, I, L, Out, Slot, Used};

/// Where a program keeps what: numbers of descriptors, an answer, how much was moved, a buffer list, strings, data,
/// and what it writes down.
const SLOTS: u32 = 0x100;
const OUT: u32 = 0x200;
const USED: u32 = 0x300;
const LIST: u32 = 0x310;
const STRINGS: u32 = 0x400;
const BUFFER: u32 = 0x8000;
const LOG: u32 = 0x2_0000;
const PAGES: u32 = 160;

/// As much is read at once at most.
pub const BUFFER_BYTES: u32 = 4096;

/// A descriptor that is never open.
pub const NONE: u32 = 999_999;

/// Parameters of the calls: `i` and `I` are 32 and 64 bits wide.
const CALLS: [(&str, &str); 31] = [
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
];

/// An argument.
#[derive(Debug, Clone, Copy)]
pub enum Arg {
    I(u32),
    L(u64),
    /// The descriptor in a slot.
    Fd(u32),
    /// Where an answer of fixed size goes.
    Out,
    /// Where the number of a descriptor goes.
    Slot(u32),
    /// Where it says how much was moved.
    Used,
}

/// What of a call's answer is written down.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Nothing,
    Bytes(u32),
    /// As much of the buffer as it says it used.
    Buffer,
}

/// One call's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub errno: u32,
    pub bytes: Vec<u8>,
}

/// A program, call by call.
#[derive(Default)]
pub struct Script {
    body: String,
    strings: Vec<u8>,
}

impl Script {
    /// Puts `text` into its memory.
    pub fn text(&mut self, text: &[u8]) -> [Arg; 2] {
        let at = STRINGS + u32::try_from(self.strings.len()).expect("small");
        self.strings.extend_from_slice(text);
        assert!(STRINGS as usize + self.strings.len() < BUFFER as usize);
        [I(at), I(u32::try_from(text.len()).expect("small"))]
    }

    /// Calls `name` and writes down its error number.
    pub fn call(&mut self, name: &str, args: &[Arg]) {
        self.ask(name, args, Answer::Nothing);
    }

    /// The same, and writes down what it answers.
    pub fn ask(&mut self, name: &str, args: &[Arg], answer: Answer) {
        let mut call = format!("(call ${name}");
        for arg in args {
            let _ = match arg {
                I(value) => write!(call, " (i32.const {value})"),
                L(value) => write!(call, " (i64.const {value})"),
                Fd(slot) => write!(call, " (i32.load (i32.const {}))", SLOTS + 4 * slot),
                Slot(slot) => write!(call, " (i32.const {})", SLOTS + 4 * slot),
                Out => write!(call, " (i32.const {OUT})"),
                Used => write!(call, " (i32.const {USED})"),
            };
        }
        let (at, len) = match answer {
            Answer::Nothing => (OUT, "(i32.const 0)".to_owned()),
            Answer::Bytes(len) => (OUT, format!("(i32.const {len})")),
            Answer::Buffer => (BUFFER, format!("(i32.load (i32.const {USED}))")),
        };
        // What an answer leaves as it was is zero.
        let _ = writeln!(
            self.body,
            "(memory.fill (i32.const {OUT}) (i32.const 0) (i32.const 64))"
        );
        let _ = writeln!(self.body, "(call $record {call}) (i32.const {at}) {len})");
    }

    /// A slot has no descriptor from here on.
    pub fn forget(&mut self, slot: u32) {
        let at = SLOTS + 4 * slot;
        let _ = writeln!(self.body, "(i32.store (i32.const {at}) (i32.const {NONE}))");
    }

    /// Closes a descriptor.
    pub fn close(&mut self, fd: Arg) {
        self.call("fd_close", &[fd]);
    }

    /// Calls `name`, which is told nothing but a path below the descriptor in `slot`.
    pub fn at(&mut self, name: &str, slot: u32, path: &[u8]) {
        let [at, len] = self.text(path);
        self.call(name, &[Fd(slot), at, len]);
    }

    /// Opens `path` below the descriptor in `dir` into `slot`.
    pub fn open(&mut self, dir: u32, path: &[u8], how: Open, slot: u32) {
        self.forget(slot);
        let [at, len] = self.text(path);
        let args = [
            Fd(dir),
            I(how.lookup),
            at,
            len,
            I(how.oflags),
            L(how.rights),
            L(0),
            I(how.fdflags),
            Slot(slot),
        ];
        self.call("path_open", &args);
    }

    /// Makes the buffer list one of `len` bytes.
    fn list(&mut self, len: u32) {
        let _ = writeln!(
            self.body,
            "(i32.store (i32.const {LIST}) (i32.const {BUFFER})) (i32.store (i32.const {}) (i32.const {len}))",
            LIST + 4
        );
    }

    /// Reads `len` bytes, at an offset if one is given.
    pub fn read(&mut self, slot: u32, len: u32, at: Option<u64>) {
        assert!(len <= BUFFER_BYTES);
        self.list(len);
        let (name, args) = moved("fd_read", "fd_pread", slot, at);
        self.ask(name, &args, Answer::Buffer);
    }

    /// Writes `bytes`, at an offset if one is given.
    pub fn write(&mut self, slot: u32, bytes: &[u8], at: Option<u64>) {
        for (i, byte) in (BUFFER..).zip(bytes) {
            let _ = writeln!(self.body, "(i32.store8 (i32.const {i}) (i32.const {byte}))");
        }
        self.list(u32::try_from(bytes.len()).expect("small"));
        let (name, args) = moved("fd_write", "fd_pwrite", slot, at);
        self.call(name, &args);
    }

    /// Lists the directory in `slot` from `cookie` on, as far as fits the buffer.
    pub fn readdir(&mut self, slot: u32, cookie: u64) {
        let args = [Fd(slot), I(BUFFER), I(BUFFER_BYTES), L(cookie), Used];
        self.ask("fd_readdir", &args, Answer::Buffer);
    }

    /// The module: all calls `times` over, then everything that was written down to standard output. `granted`
    /// directories are in the slots from 0 on.
    pub fn module(&self, times: u32, granted: u32) -> Vec<u8> {
        let mut imports = String::new();
        for (name, params) in CALLS {
            let params: String = params
                .chars()
                .map(|c| if c == 'i' { " i32" } else { " i64" })
                .collect();
            let _ = writeln!(
                imports,
                r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param{params}) (result i32)))"#
            );
        }
        let mut slots = String::new();
        for slot in 0..16 {
            let fd = if slot < granted { 3 + slot } else { NONE };
            let _ = write!(
                slots,
                "(i32.store (i32.const {}) (i32.const {fd}))",
                SLOTS + 4 * slot
            );
        }
        let strings: String = self
            .strings
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        let wat = format!(
            r#"(module {imports}
            (memory (export "memory") {PAGES})
            (data (i32.const {STRINGS}) "{strings}")
            (global $end (mut i32) (i32.const {LOG}))
            (func $record (param $errno i32) (param $at i32) (param $len i32)
                (if (local.get $errno) (then (local.set $len (i32.const 0))))
                (i32.store (global.get $end) (local.get $errno))
                (i32.store offset=4 (global.get $end) (local.get $len))
                (memory.copy (i32.add (global.get $end) (i32.const 8)) (local.get $at) (local.get $len))
                (global.set $end (i32.add (global.get $end) (i32.add (i32.const 8) (local.get $len)))))
            (func $calls {body})
            (func (export "_start") (local $left i32)
                {slots}
                (local.set $left (i32.const {times}))
                (loop $again
                    (call $calls)
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $again (local.get $left)))
                (i32.store (i32.const {LIST}) (i32.const {LOG}))
                (i32.store (i32.const {}) (i32.sub (global.get $end) (i32.const {LOG})))
                (if (call $fd_write (i32.const 1) (i32.const {LIST}) (i32.const 1) (i32.const {USED}))
                    (then unreachable))))"#,
            LIST + 4,
            body = self.body,
        );
        wat::parse_str(&wat).expect("a module")
    }
}

/// Which of the two calls moves bytes between the buffer list and the descriptor in `slot`, and its arguments.
fn moved(
    here: &'static str,
    there: &'static str,
    slot: u32,
    at: Option<u64>,
) -> (&'static str, Vec<Arg>) {
    let mut args = vec![Fd(slot), I(LIST), I(1)];
    args.extend(at.map(L));
    args.push(Used);
    (at.map_or(here, |_| there), args)
}

/// What was written down.
pub fn said(log: &[u8]) -> Vec<Said> {
    let word = |at: usize| u32::from_le_bytes(log[at..at + 4].try_into().expect("four bytes"));
    let (mut all, mut at) = (Vec::new(), 0);
    while at < log.len() {
        let len = word(at + 4) as usize;
        all.push(Said {
            errno: word(at),
            bytes: log[at + 8..][..len].to_vec(),
        });
        at += 8 + len;
    }
    all
}

/// How a file is opened; [`Default`] is without any rights, which is for reading.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open {
    pub lookup: u32,
    pub oflags: u32,
    pub rights: u64,
    pub fdflags: u32,
}

pub const FOLLOW: u32 = 1;
pub const CREATE: u32 = 1;
pub const DIRECTORY: u32 = 2;
pub const EXCLUSIVE: u32 = 4;
pub const TRUNCATE: u32 = 8;
pub const READ: u64 = 1 << 1;
pub const WRITE: u64 = 1 << 6;

/// Numbers of errors.
pub mod errno {
    pub const BADF: u32 = 8;
    pub const FAULT: u32 = 21;
    pub const ILSEQ: u32 = 25;
    pub const INVAL: u32 = 28;
    pub const MFILE: u32 = 33;
    pub const NAMETOOLONG: u32 = 37;
    pub const NOENT: u32 = 44;
    pub const NOTDIR: u32 = 54;
    pub const NOTSUP: u32 = 58;
    pub const NXIO: u32 = 60;
    pub const PERM: u32 = 63;
    pub const SPIPE: u32 = 70;
}
