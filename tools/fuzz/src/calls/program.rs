//! A program that makes calls of WASI one after the other and writes down what each answered.

use std::fmt::Write;

use super::answer::{BUFFER_BYTES, ENTRY_BYTES, OUT_BYTES};
use super::names::{PATHS, TARGETS};
use super::table::{CALLS, Call, Param, Same};
use crate::seed::Draw;

/// Where in the first page what is: numbers of descriptors, an answer, how much was moved, buffer lists, strings,
/// subscriptions, data.
const SLOTS: u32 = 0x100;
const OUT: u32 = 0x200;
const USED: u32 = 0x300;
const LIST: u32 = 0x310;
const STRINGS: u32 = 0x400;
const SUBSCRIPTIONS: u32 = 0x3000;
const BUFFER: u32 = 0x4000;
/// The first page is what calls may write to; nothing may reach the log from there by accident.
const LOG: u32 = 3 << 16;
const PAGES: u32 = 16;
const MEMORY_BYTES: u32 = PAGES << 16;

/// Descriptors that a program keeps; the first two are the directories that it is given.
const SLOT_COUNT: u64 = 8;
const GIVEN: u32 = 2;

/// One call of a program, as it was drawn.
#[derive(Debug, Clone)]
pub struct Step {
    pub call: &'static str,
    pub same: Same,
    /// What it is told, for the message of a finding.
    pub told: String,
}

/// A program.
pub struct Program {
    pub wasm: Vec<u8>,
    pub steps: Vec<Step>,
}

/// How a program's pointers, lengths and numbers are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As a C library would pass them.
    Plausible,
    /// Anything, at times.
    Wild,
}

struct Writer<'a> {
    draw: &'a mut Draw,
    manner: Manner,
    body: String,
    strings: Vec<u8>,
    told: String,
    /// What of the answer to the call that is being written has to be the same.
    same: Same,
}

/// A program of some calls.
///
/// # Errors
/// What was written is no module: a mistake of ours.
pub fn program(draw: &mut Draw, manner: Manner) -> Result<Program, wat::Error> {
    let count = 1 + draw.index(40);
    let mut writer = Writer {
        draw,
        manner,
        body: String::new(),
        strings: Vec::new(),
        told: String::new(),
        same: Same::Nothing,
    };
    let steps = (0..count).filter_map(|_| writer.step()).collect();
    let text = writer.module();
    Ok(Program {
        wasm: wat::parse_str(text)?,
        steps,
    })
}

impl Writer<'_> {
    fn is_wild(&mut self) -> bool {
        self.manner == Manner::Wild && self.draw.once_in(8)
    }

    fn step(&mut self) -> Option<Step> {
        // Most programs open something.
        let open = self.draw.once_in(4);
        let call: &Call = if open {
            CALLS.iter().find(|call| call.name == "path_open")?
        } else {
            self.draw.one(&CALLS)
        };
        if call.name == "proc_exit" && (self.manner == Manner::Plausible || !self.draw.once_in(4)) {
            return None;
        }
        self.told.clear();
        self.same = call.same;
        let _ = writeln!(self.body, "(call $clear)");
        let mut arguments = String::new();
        for param in call.params {
            self.argument(*param, &mut arguments);
        }
        let name = call.name;
        if name == "proc_exit" {
            let _ = writeln!(self.body, "(call ${name}{arguments})");
        } else {
            let _ = writeln!(self.body, "(call $record (call ${name}{arguments}))");
        }
        Some(Step {
            call: name,
            same: self.same,
            told: std::mem::take(&mut self.told),
        })
    }

    fn argument(&mut self, param: Param, to: &mut String) {
        let mut text = String::new();
        match param {
            Param::Fd | Param::Dir => self.descriptor(param, &mut text),
            Param::Out => self.address(OUT, &mut text),
            Param::Used => self.address(USED, &mut text),
            Param::NewFd => {
                let slot = GIVEN + self.draw.below(SLOT_COUNT - u64::from(GIVEN)) as u32;
                self.address(SLOTS + 4 * slot, &mut text);
            }
            Param::Path => {
                let path = *self.draw.one(&PATHS);
                self.text(path, &mut text);
            }
            Param::Target => {
                let target = *self.draw.one(&TARGETS);
                self.text(target, &mut text);
            }
            Param::Buffers => self.buffers(&mut text),
            Param::Buffer => {
                self.address(BUFFER, &mut text);
                let len = self.draw.below(u64::from(BUFFER_BYTES)) as u32;
                self.number(len, &mut text);
            }
            Param::BufferAddress => self.address(BUFFER, &mut text),
            Param::Listing => {
                self.address(BUFFER, &mut text);
                let len = self.listing_bytes();
                self.number(len, &mut text);
            }
            Param::Cookie => {
                let cookie = self.cookie();
                let _ = write!(text, " (i64.const {cookie})");
            }
            Param::Subscriptions => self.subscriptions(&mut text),
            Param::Below(n) => {
                let value = self.draw.below(n) as u32;
                self.number(value, &mut text);
            }
            Param::Flags(n) => {
                let most = if self.draw.once_in(2) { 2 } else { n };
                let value = self.draw.below(most) as u32;
                self.number(value, &mut text);
            }
            Param::Small => {
                let value = 1 + self.draw.below(3) as u32;
                self.number(value, &mut text);
            }
            Param::Long => {
                let value = if self.is_wild() {
                    self.draw.edge()
                } else {
                    self.draw.below(60)
                };
                let _ = write!(text, " (i64.const {})", value.cast_signed());
            }
            Param::Rights => {
                let value = self.rights();
                let _ = write!(text, " (i64.const {})", value.cast_signed());
            }
        }
        self.told.push_str(&text);
        to.push_str(&text);
    }

    /// Room for a listing: all of the buffer, or less, after which only the error is the same.
    fn listing_bytes(&mut self) -> u32 {
        if self.draw.once_in(4) {
            self.same = Same::Errno;
            self.draw.below(u64::from(BUFFER_BYTES)) as u32
        } else {
            BUFFER_BYTES
        }
    }

    /// Where a listing goes on; from elsewhere than its beginning only the number of entries is the same.
    fn cookie(&mut self) -> u64 {
        let cookie = self.draw.below(2) * self.draw.below(40);
        if cookie > 0 && self.same == Same::Entries {
            self.same = Same::EntryCount;
        }
        cookie
    }

    /// Reading and writing, all that there are, and more than there are.
    fn rights(&mut self) -> u64 {
        let known = [0_u64, 2, 64, 66, 0x1fff_ffff];
        match self.is_wild() {
            true => self.draw.edge(),
            false => *self.draw.one(&known),
        }
    }

    fn descriptor(&mut self, param: Param, to: &mut String) {
        if self.is_wild() {
            let any = self.draw.any_u32();
            let fd = *self
                .draw
                .one(&[0, 1, 2, 5, 1023, 1024, 999_999, u32::MAX, any]);
            let _ = write!(to, " (i32.const {})", fd.cast_signed());
            return;
        }
        // Granted directories more often than what was opened.
        let slot = match (param, self.draw.below(12)) {
            (Param::Dir, n) if n < 9 => n % 2,
            (_, n) => n % SLOT_COUNT,
        };
        let _ = write!(
            to,
            " (i32.load (i32.const {}))",
            u64::from(SLOTS) + 4 * slot
        );
    }

    /// An address in the place of `usual`.
    fn address(&mut self, usual: u32, to: &mut String) {
        let address = if self.is_wild() {
            let near = self.draw.below(80) as u32;
            match self.draw.below(6) {
                0 => MEMORY_BYTES.wrapping_sub(near),
                1 => MEMORY_BYTES.wrapping_add(near),
                2 => 0_u32.wrapping_sub(near),
                3 => near,
                4 => self.draw.any_u32(),
                _ => self.draw.below(u64::from(MEMORY_BYTES)) as u32,
            }
        } else {
            usual
        };
        let _ = write!(to, " (i32.const {})", address.cast_signed());
    }

    fn number(&mut self, usual: u32, to: &mut String) {
        let value = if self.is_wild() {
            self.draw.edge() as u32
        } else {
            usual
        };
        let _ = write!(to, " (i32.const {})", value.cast_signed());
    }

    fn text(&mut self, text: &str, to: &mut String) {
        let at = STRINGS + u32::try_from(self.strings.len()).unwrap_or(0);
        self.strings.extend_from_slice(text.as_bytes());
        self.told.push_str(&format!(" {text:?}"));
        self.address(at, to);
        let len = u32::try_from(text.len()).unwrap_or(0);
        self.number(len, to);
    }

    fn buffers(&mut self, to: &mut String) {
        // The other implementation moves no more than the first that is not empty, as it may.
        let most = if self.manner == Manner::Plausible {
            1
        } else {
            3
        };
        let count = self.draw.below(most + 1) as u32;
        for i in 0..count {
            let mut pair = String::new();
            self.address(BUFFER + i * 40, &mut pair);
            let len = self.draw.below(40) as u32;
            self.number(len, &mut pair);
            // An address and a length, each to where the list has it.
            let parts: Vec<&str> = pair.split(" (").filter(|part| !part.is_empty()).collect();
            for (part, n) in parts.iter().zip(0..) {
                let at = LIST + 8 * i + 4 * n;
                let _ = writeln!(self.body, "(i32.store (i32.const {at}) ({part})");
            }
            self.told.push_str(&pair);
        }
        self.address(LIST, to);
        self.number(count, to);
    }

    /// Three of them, of some microseconds each, some of something else than a clock.
    fn subscriptions(&mut self, to: &mut String) {
        for i in 0..3 {
            let at = SUBSCRIPTIONS + 48 * i;
            let nanoseconds = self.draw.below(100_000);
            let kind = if self.is_wild() {
                self.draw.below(5)
            } else {
                0
            };
            let clock = if self.is_wild() {
                self.draw.edge() as u32
            } else {
                1
            };
            let _ = writeln!(
                self.body,
                "(i64.store (i32.const {at}) (i64.const {i})) (i32.store8 (i32.const {}) (i32.const {kind}))
                 (i32.store (i32.const {}) (i32.const {})) (i64.store (i32.const {}) (i64.const {nanoseconds}))
                 (i64.store (i32.const {}) (i64.const 0)) (i32.store16 (i32.const {}) (i32.const 0))",
                at + 8,
                at + 16,
                clock.cast_signed(),
                at + 24,
                at + 32,
                at + 40
            );
        }
        self.address(SUBSCRIPTIONS, to);
    }

    /// The module: the calls, then all that was written down and the first two pages to standard output.
    fn module(&self) -> String {
        let mut imports = String::new();
        for call in &CALLS {
            let params: String = call.params.iter().map(|param| width(*param)).collect();
            let result = if call.name == "proc_exit" {
                ""
            } else {
                "(result i32)"
            };
            let _ = writeln!(
                imports,
                r#"(import "wasi_snapshot_preview1" "{0}" (func ${0} (param{params}) {result}))"#,
                call.name
            );
        }
        let strings: String = self
            .strings
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        let mut slots = String::new();
        for slot in 0..SLOT_COUNT as u32 {
            let fd = if slot < GIVEN { 3 + slot } else { 999_999 };
            let _ = write!(
                slots,
                "(i32.store (i32.const {}) (i32.const {fd}))",
                SLOTS + 4 * slot
            );
        }
        format!(
            r#"(module {imports}
            (memory (export "memory") {PAGES} {PAGES})
            (data (i32.const {STRINGS}) "{strings}")
            (global $end (mut i32) (i32.const {LOG}))
            (func $clear
                (memory.fill (i32.const {OUT}) (i32.const 0) (i32.const {OUT_BYTES}))
                (memory.fill (i32.const {USED}) (i32.const 0) (i32.const 16))
                (memory.fill (i32.const {BUFFER}) (i32.const 0x2e) (i32.const {BUFFER_BYTES})))
            (func $record (param $errno i32)
                (i32.store (global.get $end) (local.get $errno))
                (memory.copy (i32.add (global.get $end) (i32.const 4)) (i32.const {OUT}) (i32.const {OUT_BYTES}))
                (memory.copy (i32.add (global.get $end) (i32.const {after_out})) (i32.const {USED}) (i32.const 4))
                (memory.copy (i32.add (global.get $end) (i32.const {after_used})) (i32.const {BUFFER}) (i32.const {BUFFER_BYTES}))
                (global.set $end (i32.add (global.get $end) (i32.const {ENTRY_BYTES}))))
            (func (export "_start")
                {slots}
                {body}
                (i32.store (i32.const {LIST}) (i32.const {LOG}))
                (i32.store (i32.const {list_len}) (i32.sub (global.get $end) (i32.const {LOG})))
                (i32.store (i32.const {list_2}) (i32.const 0))
                (i32.store (i32.const {list_2_len}) (i32.const 131072))
                (drop (call $fd_write (i32.const 1) (i32.const {LIST}) (i32.const 2) (i32.const {USED})))))"#,
            after_out = 4 + OUT_BYTES,
            after_used = 8 + OUT_BYTES,
            list_len = LIST + 4,
            list_2 = LIST + 8,
            list_2_len = LIST + 12,
            body = self.body,
        )
    }
}

fn width(param: Param) -> &'static str {
    match param {
        Param::Path | Param::Target | Param::Buffers | Param::Buffer | Param::Listing => " i32 i32",
        Param::Long | Param::Rights | Param::Cookie => " i64",
        _ => " i32",
    }
}
