//! Programs that make one call after another and write down what each answered.

mod interpreter;
pub mod place;

pub use interpreter::interpreter;

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
/// What it is to do, as it reads it from standard input: [`Script::input`].
const INPUT: u32 = 0x80_0000;
const PAGES: u32 = 160;

/// As much is read at once at most.
pub const BUFFER_BYTES: u32 = 4096;

/// A descriptor that is never open.
pub const NONE: u32 = 999_999;

const SLOT_COUNT: u32 = 16;
/// In the input: how often all is done, where the last step ends, the slots, the strings, the steps.
const TIMES: u32 = INPUT;
const STEPS_END: u32 = INPUT + 4;
const FIRST_SLOTS: u32 = INPUT + 8;
const FIRST_STRINGS: u32 = FIRST_SLOTS + 4 * SLOT_COUNT;
const STEPS: u32 = FIRST_STRINGS + BUFFER - STRINGS;

/// Steps begin with one of these words. A call: which, what of its answer is written down, how much of it, and [`ARGS`] arguments. A store:
/// an address and a word. Bytes: an address, how many, and these, up to a whole word.
const CALL: u32 = 0;
const STORE: u32 = 1;
const BYTES: u32 = 2;
/// An argument is whether it is loaded, and a value or the address of one, low word first.
const ARGS: u32 = 9;
const ARG_BYTES: u32 = 12;
const ARGS_AT: u32 = 16;

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
    steps: Vec<u8>,
    strings: Vec<u8>,
}

impl Script {
    fn words(&mut self, words: &[u32]) {
        self.steps
            .extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    /// Puts `text` into its memory.
    pub fn text(&mut self, text: &[u8]) -> [Arg; 2] {
        let at = STRINGS + small(self.strings.len());
        self.strings.extend_from_slice(text);
        assert!(STRINGS as usize + self.strings.len() < BUFFER as usize);
        [I(at), I(small(text.len()))]
    }

    /// Calls `name` and writes down its error number.
    pub fn call(&mut self, name: &str, args: &[Arg]) {
        self.ask(name, args, Answer::Nothing);
    }

    /// The same, and writes down what it answers.
    pub fn ask(&mut self, name: &str, args: &[Arg], answer: Answer) {
        let which = CALLS.iter().position(|&(call, _)| call == name);
        let which = which.unwrap_or_else(|| panic!("no call {name}"));
        assert_eq!(args.len(), CALLS[which].1.len(), "{name}");
        let (from_buffer, len) = match answer {
            Answer::Nothing => (0, 0),
            Answer::Bytes(len) => (0, len),
            Answer::Buffer => (1, 0),
        };
        self.words(&[CALL, small(which), from_buffer, len]);
        for arg in args {
            let (is_loaded, value) = match *arg {
                I(value) => (0, value.into()),
                L(value) => (0, value),
                Fd(slot) => (1, (SLOTS + 4 * slot).into()),
                Slot(slot) => (0, (SLOTS + 4 * slot).into()),
                Out => (0, OUT.into()),
                Used => (0, USED.into()),
            };
            self.words(&[is_loaded]);
            self.steps.extend(u64::to_le_bytes(value));
        }
        let missing = ARGS as usize - args.len();
        self.steps
            .resize(self.steps.len() + missing * ARG_BYTES as usize, 0);
    }

    /// A slot has no descriptor from here on.
    pub fn forget(&mut self, slot: u32) {
        self.words(&[STORE, SLOTS + 4 * slot, NONE]);
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
        self.words(&[STORE, LIST, BUFFER, STORE, LIST + 4, len]);
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
        let len = small(bytes.len());
        self.words(&[BYTES, BUFFER, len]);
        self.steps.extend_from_slice(bytes);
        self.steps.resize(self.steps.len().next_multiple_of(4), 0);
        self.list(len);
        let (name, args) = moved("fd_write", "fd_pwrite", slot, at);
        self.call(name, &args);
    }

    /// Lists the directory in `slot` from `cookie` on, as far as fits the buffer.
    pub fn readdir(&mut self, slot: u32, cookie: u64) {
        let args = [Fd(slot), I(BUFFER), I(BUFFER_BYTES), L(cookie), Used];
        self.ask("fd_readdir", &args, Answer::Buffer);
    }

    /// What the [`interpreter`] reads from standard input to make all calls `times` over, and then to write everything that was written
    /// down to standard output. `granted` directories are in the slots from 0 on.
    pub fn input(&self, times: u32, granted: u32) -> Vec<u8> {
        let end = STEPS + small(self.steps.len());
        assert!(end <= PAGES << 16, "{end} bytes");
        let slots = (0..SLOT_COUNT).map(|slot| if slot < granted { 3 + slot } else { NONE });
        let mut input: Vec<u8> = [times, end]
            .into_iter()
            .chain(slots)
            .flat_map(u32::to_le_bytes)
            .collect();
        input.extend_from_slice(&self.strings);
        input.resize((STEPS - INPUT) as usize, 0);
        input.extend_from_slice(&self.steps);
        input
    }
}

fn small(len: usize) -> u32 {
    u32::try_from(len).expect("small")
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
