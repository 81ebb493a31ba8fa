//! Random modules by all engines: with one result, or the same kind of trap; and under deadlines, which a process lives to
//! tell.
//!
//! | engine | is |
//! |---|---|
//! | plain | Cranelift without optimisation, with explicit checks and another WASI: shares the least with the others |
//! | ours | as every Faaslet is compiled, run by the engine itself (memory is compared) and as a Faaslet (output is) |
//! | rewritten | the module through `wasm-post-link`, likewise |
//! | second | by way of C, every so many modules |
//!
//! A program that does not end after some number of operators is compared with nothing. Nor is the stack: how deep a
//! program gets is the engine's business.

mod end;
mod program;
mod raw;
mod second;
mod shape;
mod start;

use std::sync::Arc;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::{FaasletEngine, Function, Grants};
use wasm_post_link::{Passes, rewrite};
use wasmtime::Module;

use crate::error::FuzzError;
use crate::seed::Draw;
use crate::target::{COMPARED, Counts, Finding, Setting, Target, count};
use end::End;
use raw::{Outcome, PROGRAM, Raw};
pub use raw::{output_file, written};
use second::Second;
use start::{PATIENCE, PATIENT_TICK, engine, outcome_of, same_output};

const TICK: Duration = Duration::from_millis(1);

/// Deadlines, in microseconds. When in a tick one passes, and so where in the program, is chance besides.
const LATE_MICROS: [u64; 8] = [1, 20, 100, 300, 700, 1100, 1700, 2500];

/// The engines.
pub struct Modules {
    plain: Raw,
    ours: FaasletEngine,
    ours_raw: Raw,
    /// That of the deadline which was drawn last. Only one: the watchers of all would take more time than everything else.
    late: Option<(usize, FaasletEngine)>,
    second: Option<Second>,
    setting: Setting,
}

impl Modules {
    /// All engines.
    ///
    /// # Errors
    /// One is not to be had.
    pub fn new(setting: &Setting) -> Result<Self, FuzzError> {
        let ours = engine(PATIENCE, PATIENT_TICK)?;
        let second = match setting.second_engine_every {
            0 => None,
            _ => Second::find()?,
        };
        Ok(Self {
            plain: Raw::plain()?,
            ours_raw: Raw::new(ours.wasmtime(), false)?,
            ours,
            late: None,
            second,
            setting: setting.clone(),
        })
    }

    /// As every Faaslet is compiled, rewritten for deadlines.
    fn ours_compile(&self, wasm: &[u8]) -> Result<Module, Finding> {
        let module = self.ours.compile(wasm);
        module.map_err(|e| format!("it does not compile: {e:#}"))
    }

    /// How the Faaslet of `module` ends, and what it writes.
    fn start(&self, module: &Module) -> Result<Outcome, Finding> {
        let out = output_file()?;
        let theirs = out.try_clone().map_err(|e| format!("no descriptor: {e}"))?;
        let grants = Grants {
            args: vec![PROGRAM.to_owned()],
            stdout: Some(Arc::new(theirs.into())),
            ..Grants::default()
        };
        let function =
            Function::new(&self.ours, PROGRAM, module, grants).map_err(|e| e.to_string())?;
        outcome_of(&function, out)
    }

    /// The same module again and again, each time until its deadline.
    fn start_late(
        &mut self,
        module: &Module,
        draw: &mut Draw,
        counts: &mut Counts,
    ) -> Result<(), Finding> {
        if self.setting.deadline_starts == 0 {
            return Ok(());
        }
        let which = draw.index(LATE_MICROS.len());
        let late = self.late.take_if(|(deadline, _)| *deadline == which);
        let late = match late {
            Some((_, late)) => late,
            None => {
                // The one before goes first.
                self.late = None;
                let deadline = Duration::from_micros(LATE_MICROS[which]);
                engine(deadline, TICK).map_err(|e| e.to_string())?
            }
        };
        let late = &self.late.insert((which, late)).1;
        let bytes = module.serialize().map_err(|e| format!("{e:#}"))?;
        // SAFETY: these are the bytes that the same engine, but for its deadline, has just made.
        let module = unsafe { Module::deserialize(late.wasmtime(), bytes) }
            .map_err(|e| format!("its code cannot be loaded again: {e:#}"))?;
        let grants = Grants {
            // It goes on for ever.
            args: vec![PROGRAM.to_owned(), "forever".to_owned()],
            ..Grants::default()
        };
        let function = Function::new(late, PROGRAM, &module, grants).map_err(|e| e.to_string())?;
        for _ in 0..self.setting.deadline_starts {
            let end = End::of_start(&function.start(&mut Untimed))?;
            count(counts, "starts", 1);
            count(counts, "ended by a deadline", u64::from(end == End::Late));
        }
        Ok(())
    }

    fn try_module(
        &mut self,
        seed: u64,
        wasm: &[u8],
        draw: &mut Draw,
        counts: &mut Counts,
    ) -> Result<(), Finding> {
        let plain = self.plain.run(&self.plain.compile(wasm)?)?;
        let module = self.ours_compile(wasm)?;
        self.start_late(&module, draw, counts)?;
        let passes = Passes::default();
        let (new, done) =
            rewrite(wasm, passes).map_err(|e| format!("it cannot be rewritten: {e}"))?;
        let changed = done.loops + done.accesses + done.carried + done.branches > 0;
        count(counts, "changed by wasm-post-link", u64::from(changed));
        if let End::Late | End::OtherWasi = plain.end {
            let why = if plain.end == End::Late {
                "endless"
            } else {
                "ended by the other WASI"
            };
            count(counts, why, 1);
            return Ok(());
        }
        let rewritten = self.ours_compile(&new)?;
        for (what, module) in [("ours", &module), ("rewritten", &rewritten)] {
            let raw = self.ours_raw.run(module)?;
            same(&plain, &raw).map_err(|why| format!("{what}: {why}"))?;
            let start = self.start(module)?;
            same(&raw, &start).map_err(|why| format!("{what}, as a Faaslet: {why}"))?;
            count(counts, "starts", 2);
        }
        count(counts, &format!("{COMPARED}{}", word(plain.end)), 1);
        let Some(second) = self
            .second
            .as_mut()
            .filter(|_| is_turn(seed, &self.setting))
        else {
            return Ok(());
        };
        second.try_module(wasm, &plain, counts)
    }
}

fn is_turn(seed: u64, setting: &Setting) -> bool {
    seed.checked_rem(setting.second_engine_every) == Some(0)
}

fn word(end: End) -> &'static str {
    match end {
        End::Exit(_) => "ended well",
        _ => "trapped",
    }
}

/// Whether two runs came to the same: end, output and, where both are known, memory.
fn same(expected: &Outcome, found: &Outcome) -> Result<(), Finding> {
    if expected.end.depends_on_the_stack() || found.end.depends_on_the_stack() {
        return Ok(());
    }
    if expected.end != found.end {
        return Err(format!(
            "ended with {} instead of {}",
            found.end, expected.end
        ));
    }
    same_output(expected, found)?;
    let (Some(a), Some(b)) = (&expected.memory, &found.memory) else {
        return Ok(());
    };
    if a.len() != b.len() {
        return Err(format!(
            "{} bytes of memory instead of {}",
            b.len(),
            a.len()
        ));
    }
    match a.iter().zip(b).position(|(a, b)| a != b) {
        Some(at) => Err(format!(
            "memory differs, first at {at:#x}: {:#x} instead of {:#x}",
            b[at], a[at]
        )),
        None => Ok(()),
    }
}

impl Target for Modules {
    fn try_case(&mut self, seed: u64, counts: &mut Counts) -> Result<(), Finding> {
        let mut draw = Draw::new("modules", seed);
        let drawn = shape::module(&mut draw).map_err(|e| format!("its shape: {e}"))?;
        let Some(drawn) = drawn else {
            count(counts, "not made", 1);
            return Ok(());
        };
        let wasm = program::program(&drawn, &mut draw).map_err(|e| format!("its program: {e}"))?;
        if let Some(dir) = &self.setting.keep {
            let file = dir.join(format!("modules-{seed}.wasm"));
            std::fs::write(&file, &wasm).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        // Such as needs a feature that the engine has not.
        if faaslet::store::validate(&self.ours, PROGRAM, &wasm).is_err() {
            count(counts, "refused", 1);
            return Ok(());
        }
        count(counts, "modules", 1);
        self.try_module(seed, &wasm, &mut draw, counts)
    }
}
