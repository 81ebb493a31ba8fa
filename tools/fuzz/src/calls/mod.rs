//! Random sequences of all 46 calls of WASI, preview 1, on directories full of links: answered as `wasmtime-wasi` answers
//! them, and with nothing changed, made or read that was not granted.
//!
//! Half of the programs pass what a C library would pass, and are held against the other implementation; the other half
//! pass pointers, lengths, descriptors and numbers of any kind at times, and have only to leave the host as it was.

mod answer;
mod names;
mod program;
mod table;
mod theirs;
mod tree;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants, StartError};
use tempfile::TempDir;
use wasmtime::Module;

use crate::error::FuzzError;
use crate::modules::{output_file, written};
use crate::seed::Draw;
use crate::target::{Counts, Finding, Setting, Target, count};
use answer::answers;
use program::{Manner, Program, program};
use theirs::Theirs;
use tree::{SECRET, Tree};

/// A program that was told to sleep for ever is ended.
const DEADLINE: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(5);

/// Both implementations.
pub struct Calls {
    engine: FaasletEngine,
    theirs: Theirs,
    setting: Setting,
}

/// What came of a program.
struct Outcome {
    /// It was ended by its deadline, at whatever call it was by then.
    is_late: bool,
    log: Vec<u8>,
    before: Tree,
    after: Tree,
}

impl Calls {
    /// Both implementations.
    ///
    /// # Errors
    /// No engine.
    pub fn new(setting: &Setting) -> Result<Self, FuzzError> {
        let engine = FaasletEngine::new(EngineSettings {
            instances: 2,
            deadline: DEADLINE,
            tick: TICK,
            ..EngineSettings::default()
        })?;
        Ok(Self {
            theirs: Theirs::new(engine.wasmtime())?,
            engine,
            setting: setting.clone(),
        })
    }

    /// In a place made for it, `run` runs a program, and says whether it was late.
    fn place(run: impl FnOnce(&Path, File) -> Result<bool, Finding>) -> Result<Outcome, Finding> {
        let dir = TempDir::new().map_err(|e| e.to_string())?;
        let root = dir.path().join("root");
        tree::make(&root).map_err(|e| format!("no place to run in: {e}"))?;
        let before = tree::survey(&root).map_err(|e| e.to_string())?;
        let out = output_file()?;
        let is_late = run(&root, out.try_clone().map_err(|e| e.to_string())?)?;
        let after = tree::survey(&root).map_err(|e| format!("what it left cannot be read: {e}"))?;
        tree::check(&root, &before, &after)?;
        Ok(Outcome {
            is_late,
            log: written(out)?,
            before,
            after,
        })
    }

    fn ours(&self, module: &Module, root: &Path, out: File) -> Result<bool, Finding> {
        let grants = Grants {
            args: vec!["program".to_owned()],
            stdout: Some(Arc::new(out.into())),
            ..Grants::default()
        };
        let grants = grants
            .with_dir(root.join("granted"), "/granted", true)
            .with_dir(root.join("readable"), "/readable", false);
        let function =
            Function::new(&self.engine, "program", module, grants).map_err(|e| e.to_string())?;
        match function.start(&mut Untimed) {
            Ok(()) | Err(StartError::ExitCode { .. }) => Ok(false),
            Err(StartError::Deadline(_)) => Ok(true),
            Err(other) => Err(format!("no call can end it with: {other}")),
        }
    }

    fn try_program(
        &self,
        program: &Program,
        manner: Manner,
        counts: &mut Counts,
    ) -> Result<(), Finding> {
        let module = self
            .engine
            .compile(&program.wasm)
            .map_err(|e| format!("{e:#}"))?;
        let ours = Self::place(|root, out| self.ours(&module, root, out))?;
        count(counts, "calls", program.steps.len() as u64);
        if ours
            .log
            .windows(SECRET.len())
            .any(|bytes| bytes == SECRET.as_bytes())
        {
            return Err("it read what it was not granted".to_owned());
        }
        count(
            counts,
            "trees changed",
            u64::from(ours.before != ours.after),
        );
        if manner == Manner::Wild {
            count(counts, "wild programs", 1);
            return Ok(());
        }
        if ours.is_late {
            // The other implementation has no such deadline, and would go on.
            count(counts, "late programs", 1);
            return Ok(());
        }
        count(counts, "programs compared", 1);
        let theirs = Self::place(|root, out| self.theirs.run(&module, root, out).map(|()| false))?;
        let n = program.steps.len();
        let pairs = answers(&ours.log, n)
            .into_iter()
            .zip(answers(&theirs.log, n));
        for ((ours, theirs), step) in pairs.zip(&program.steps) {
            theirs::agree(step, &ours, &theirs)
                .map_err(|why| format!("{}{}: {why}", step.call, step.told))?;
        }
        let granted = |tree: &Tree| -> Tree {
            let entries = tree.iter().filter(|(path, _)| path.starts_with("granted"));
            entries
                .map(|(path, is)| (path.clone(), is.clone()))
                .collect()
        };
        let (a, b) = (granted(&ours.after), granted(&theirs.after));
        match a.iter().find(|(path, is)| b.get(*path) != Some(is)) {
            Some((path, is)) => Err(format!(
                "{path} is {is}, by the other implementation {:?}",
                b.get(path)
            )),
            None if a.len() != b.len() => {
                Err("the other implementation left more behind".to_owned())
            }
            None => Ok(()),
        }
    }
}

impl Target for Calls {
    fn try_case(&mut self, seed: u64, counts: &mut Counts) -> Result<(), Finding> {
        let mut draw = Draw::new("calls", seed);
        let manner = if seed.is_multiple_of(2) {
            Manner::Plausible
        } else {
            Manner::Wild
        };
        let program = program(&mut draw, manner).map_err(|e| format!("its program: {e}"))?;
        if let Some(dir) = &self.setting.keep {
            let file = dir.join(format!("calls-{seed}.wasm"));
            std::fs::write(&file, &program.wasm).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        self.try_program(&program, manner, counts)
    }
}
