//! The second engine: a module by way of C.

use std::path::Path;
use std::time::Duration;

use faaslet::settings::GUARD_BYTES;
use faaslet::{FaasletEngine, Function, Grants};
use measure_core::base::home;
use second_engine::{SecondEngineError, Toolchain};
use tempfile::TempDir;

use super::raw::{Outcome, PROGRAM, output_file};
use super::start::{PATIENCE, PATIENT_TICK, engine, outcome_of, same_output};
use crate::error::FuzzError;
use crate::target::{Counts, Finding, count};

const COMPILER: &str = "clang-19";
const COMPILER_LIMIT: Duration = Duration::from_secs(240);

/// Its tools, and the engine that its libraries run in.
pub struct Second {
    tools: Toolchain,
    engine: FaasletEngine,
    dir: TempDir,
}

impl Second {
    /// The tools where `make wasm2c` puts them; nothing, said once, where they are not.
    ///
    /// # Errors
    /// No engine, no directory.
    pub fn find() -> Result<Option<Self>, FuzzError> {
        let tools = match Toolchain::find(&home::root(), COMPILER) {
            Ok(tools) => tools,
            Err(why) => {
                eprintln!("SKIPPED: the second engine: {why}: `make wasm2c` installs it");
                return Ok(None);
            }
        };
        let engine = engine(PATIENCE, PATIENT_TICK)?;
        let dir = TempDir::new().map_err(FuzzError::Scratch)?;
        Ok(Some(Self { tools, engine, dir }))
    }

    /// Compiles and runs `wasm`, which is known to come to `expected`.
    ///
    /// # Errors
    /// It does not compile, or comes to something else.
    pub fn try_module(
        &mut self,
        wasm: &[u8],
        expected: &Outcome,
        counts: &mut Counts,
    ) -> Result<(), Finding> {
        let path = self.dir.path().join("library");
        match self.tools.compile(wasm, &path, GUARD_BYTES, COMPILER_LIMIT) {
            Ok(()) => {}
            Err(SecondEngineError::Unsupported(_)) => {
                count(counts, "second engine: refused", 1);
                return Ok(());
            }
            Err(SecondEngineError::Timeout { .. }) => {
                count(counts, "second engine: compiled for too long", 1);
                return Ok(());
            }
            Err(SecondEngineError::Tool { source, .. }) if !source.how_to_raise().is_empty() => {
                count(counts, "second engine: passed a limit of compiling", 1);
                return Ok(());
            }
            Err(SecondEngineError::Tool { source, .. }) if is_no_c(&source.to_string()) => {
                count(counts, "second engine: wasm2c wrote no C", 1);
                return Ok(());
            }
            Err(error) => return Err(format!("second engine: {error}")),
        }
        let found = self.run(wasm, &path)?;
        let _ = std::fs::remove_file(&path);
        count(counts, "second engine: modules", 1);
        count(counts, "starts", 1);
        if expected.end.depends_on_the_stack() || found.end.depends_on_the_stack() {
            return Ok(());
        }
        if !expected.end.is_kind_of(found.end) {
            let (found, expected) = (found.end, expected.end);
            return Err(format!(
                "second engine: ended with {found} instead of {expected}"
            ));
        }
        same_output(expected, &found).map_err(|why| format!("second engine: {why}"))
    }

    fn run(&self, wasm: &[u8], path: &Path) -> Result<Outcome, Finding> {
        let out = output_file()?;
        let theirs = out.try_clone().map_err(|e| format!("no descriptor: {e}"))?;
        let grants = Grants {
            args: vec![PROGRAM.to_owned()],
            stdout: Some(std::sync::Arc::new(theirs.into())),
            ..Grants::default()
        };
        let function = Function::from_library(&self.engine, PROGRAM, wasm, path, grants)
            .map_err(|e| format!("second engine: {e}"))?;
        outcome_of(&function, out)
    }
}

/// Whether the C compiler says so of what wasm2c 1.0.42 wrote by mistake: variables of two types declared as one (`f32 u32 var_i0`), or
/// results with vectors, of whose type it has told nothing where no instruction is on vectors.
fn is_no_c(said: &str) -> bool {
    said.contains("expected ';' at end of declaration") || said.contains("unknown type name 'v128'")
}

#[cfg(test)]
mod tests {
    use wasmtime::Trap;

    use super::super::end::End;

    #[test]
    fn kinds_of_traps_are_told_apart_as_far_as_both_engines_do() {
        let same = |a, b| End::Trap(a).is_kind_of(End::Trap(b));
        assert!(same(Trap::IndirectCallToNull, Trap::BadSignature));
        assert!(same(Trap::TableOutOfBounds, Trap::MemoryOutOfBounds));
        assert!(!same(Trap::MemoryOutOfBounds, Trap::TableOutOfBounds));
        assert!(!same(Trap::IntegerOverflow, Trap::IntegerDivisionByZero));
        assert!(!End::Exit(0).is_kind_of(End::Exit(1)));
    }
}
