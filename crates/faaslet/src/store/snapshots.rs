//! Snapshots in the store: modules `snapshot-<content>.wasm` beside the function, their compiled code, and
//! `snapshots.json`, which names those that count. It is written last, so a snapshot is whole or not there.
//!
//! The index carries a key: a hash of the function's module, of what it is given, of the names and sizes and
//! times of the files in directories that it may only read, and of the initialiser's and the entry's names.
//! Snapshots under another key are not used but taken anew.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use measure_core::base::ids::FunctionId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::Module;

use super::code::{self, Kind};
use super::dir::Dir;
use super::{Codegen, Store, find_or_compile, read_module};
use crate::component::is_component;
use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::grants::{DirGrant, Grants};
use crate::snapshot::{self, Names, Plan};
use crate::validate::{looks_fit, within_limits};

const INDEX: &str = "snapshots.json";
const VERSION: u32 = 1;
/// The most snapshots of one function.
pub const MAX_SNAPSHOTS: u32 = 64;

/// Which snapshots of a function to take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotOptions {
    /// Names of its exports.
    pub names: Names,
    /// How many, each from an initialisation of its own: what a program draws at random while it
    /// initialises, such as the secret of a hash table, differs from one to the next.
    pub count: u32,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self {
            names: Names::default(),
            count: 1,
        }
    }
}

/// A function's snapshots, compiled.
pub struct Snapshots {
    /// As many as were asked for.
    pub modules: Vec<Module>,
    /// They themselves.
    pub(crate) wasm: Vec<Vec<u8>>,
    /// Whether they had to be taken or compiled.
    pub codegen: Codegen,
}

#[derive(Serialize, Deserialize)]
struct Index {
    version: u32,
    key: String,
    options: SnapshotOptions,
    /// Content hashes of the modules.
    modules: Vec<String>,
}

impl Store {
    /// Takes and compiles snapshots of `id` unless they are there; `renew` takes them anyway.
    ///
    /// # Errors
    /// No such function, one that cannot be snapshotted ([`snapshot::take`]), or a store that others can
    /// write to.
    pub fn snapshot(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
        options: &SnapshotOptions,
        renew: bool,
    ) -> Result<Codegen, FaasletError> {
        let function = Snapshotted::open(self, engine, id)?;
        let index = index(&function.dir)?.filter(|_| !renew);
        Ok(function.find_or_take(engine, options, index)?.codegen)
    }

    /// Which snapshots of `id` were last asked for.
    ///
    /// # Errors
    /// No such function, or an index that others can write to.
    pub fn snapshot_options(&self, id: &FunctionId) -> Result<SnapshotOptions, FaasletError> {
        Ok(options(index(&self.dir(id)?)?.as_ref()))
    }

    /// The snapshots of `id`, as they were last asked for; taken and compiled first if need be.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn load_snapshots(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
    ) -> Result<Snapshots, FaasletError> {
        let function = Snapshotted::open(self, engine, id)?;
        let index = index(&function.dir)?;
        function.find_or_take(engine, &options(index.as_ref()), index)
    }

    /// Whether `id` exports an initialiser of one of the usual names.
    ///
    /// # Errors
    /// No such function, or it cannot be read.
    pub fn has_initializer(&self, id: &FunctionId) -> Result<bool, FaasletError> {
        let wasm = self.wasm(id)?;
        if is_component(&wasm) {
            return Ok(false);
        }
        Plan::from_exports(&id.to_string(), &wasm, &Names::default())
            .map(|plan| plan.initializer.is_some())
    }
}

/// A function whose snapshots are looked for or made.
struct Snapshotted {
    what: String,
    dir: Dir,
    wasm: Vec<u8>,
    grants: Grants,
}

impl Snapshotted {
    fn open(store: &Store, engine: &FaasletEngine, id: &FunctionId) -> Result<Self, FaasletError> {
        let (dir, wasm) = store.trusted(id)?;
        let what = id.to_string();
        looks_fit(engine.settings(), &what, &wasm)?;
        Ok(Self {
            what,
            dir,
            wasm,
            // What a start reads is not there yet when its snapshot is taken.
            grants: Grants {
                stdin_file: None,
                ..store.grants(id)?
            },
        })
    }

    /// The snapshots of `index`, if they are what is asked for; else new ones.
    fn find_or_take(
        &self,
        engine: &FaasletEngine,
        options: &SnapshotOptions,
        index: Option<Index>,
    ) -> Result<Snapshots, FaasletError> {
        let key = self.key(options)?;
        if let Some(index) = index.filter(|index| index.key == key)
            && let Some(found) = self.present(engine, &index)?
        {
            return Ok(found);
        }
        self.take(engine, options, key)
    }

    fn key(&self, options: &SnapshotOptions) -> Result<String, FaasletError> {
        if is_component(&self.wasm) {
            return Err(FaasletError::SnapshotOfComponent(self.what.clone()));
        }
        if !(1..=MAX_SNAPSHOTS).contains(&options.count) {
            return Err(FaasletError::snapshot(
                &self.what,
                format!(
                    "{} were asked for, it must be 1 to {MAX_SNAPSHOTS}",
                    options.count
                ),
            ));
        }
        let plan = Plan::from_exports(&self.what, &self.wasm, &options.names)?;
        let mut sha = Sha256::new();
        let mut add = |part: &[u8]| {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part);
        };
        add(&VERSION.to_le_bytes());
        add(&self.wasm);
        add(&options.count.to_le_bytes());
        add(format!("{plan:?}").as_bytes());
        add(format!("{:?} {:?}", self.grants.args, self.grants.env).as_bytes());
        for DirGrant {
            host,
            guest,
            writable,
        } in &self.grants.dirs
        {
            add(format!("{guest} {writable}").as_bytes());
            if !writable {
                let mut files = Vec::new();
                survey(host, host, &mut files).map_err(|e| FaasletError::io(host, e))?;
                files.sort();
                files.iter().for_each(|file| add(file.as_bytes()));
            }
        }
        Ok(code::hex(&sha.finalize()))
    }

    /// The snapshots that `index` names, if all are there and whole; compiled if need be.
    fn present(
        &self,
        engine: &FaasletEngine,
        index: &Index,
    ) -> Result<Option<Snapshots>, FaasletError> {
        let mut found = Snapshots {
            modules: Vec::new(),
            wasm: Vec::new(),
            codegen: Codegen::Present,
        };
        for content in &index.modules {
            let Some((file, path)) = self.dir.open_trusted(&file_name(content))? else {
                return Ok(None);
            };
            let wasm = read_module(file, &path)?;
            if &code::hash(&wasm) != content {
                return Ok(None);
            }
            within_limits(engine, &self.what, &wasm)?;
            let found_code = match code::find(&self.dir, engine, Kind::SNAPSHOT, &wasm)? {
                Some(code) => code,
                None => {
                    found.codegen = Codegen::Compiled;
                    code::compile(&self.dir, engine, Kind::SNAPSHOT, &self.what, &wasm)?
                }
            };
            found.modules.push(found_code.into_module(&self.what)?);
            found.wasm.push(wasm);
        }
        Ok(Some(found))
    }

    fn take(
        &self,
        engine: &FaasletEngine,
        options: &SnapshotOptions,
        key: String,
    ) -> Result<Snapshots, FaasletError> {
        let plan = Plan::from_exports(&self.what, &self.wasm, &options.names)?;
        let mut index = Index {
            version: VERSION,
            key,
            options: options.clone(),
            modules: Vec::new(),
        };
        let (mut modules, mut taken) = (Vec::new(), Vec::new());
        // What is taken apart below has been found valid by the compiler.
        find_or_compile(engine, &self.dir, &self.what, &self.wasm)?;
        let _lock = self.dir.lock()?;
        for _ in 0..options.count {
            let wasm = snapshot::take(engine, &self.what, &self.wasm, &self.grants, &plan)?;
            let content = code::hash(&wasm);
            self.dir.install(&file_name(&content), &wasm)?;
            let what = format!("the snapshot of {}", self.what);
            let code = code::compile(&self.dir, engine, Kind::SNAPSHOT, &what, &wasm)?;
            modules.push(code.into_module(&what)?);
            taken.push(wasm);
            index.modules.push(content);
        }
        let text = serde_json::to_vec_pretty(&index).map_err(|e| FaasletError::io(INDEX, e))?;
        self.dir.install(INDEX, &text)?;
        code::sweep(&self.dir, Kind::SNAPSHOT, &index.modules)?;
        for old in self.dir.names()? {
            let stale = old.starts_with("snapshot-")
                && old.ends_with(".wasm")
                && !index
                    .modules
                    .iter()
                    .any(|content| file_name(content) == old);
            if stale {
                self.dir.remove(&old);
            }
        }
        Ok(Snapshots {
            modules,
            wasm: taken,
            codegen: Codegen::Compiled,
        })
    }
}

fn index(dir: &Dir) -> Result<Option<Index>, FaasletError> {
    let Some((file, _)) = dir.open_trusted(INDEX)? else {
        return Ok(None);
    };
    // What cannot be understood is of another version, or damaged: made anew.
    let index: Option<Index> = serde_json::from_reader(file).ok();
    Ok(index.filter(|index| {
        index.version == VERSION && index.modules.len() == index.options.count as usize
    }))
}

/// What was last asked for.
fn options(index: Option<&Index>) -> SnapshotOptions {
    index.map_or_else(SnapshotOptions::default, |index| index.options.clone())
}

fn file_name(content: &str) -> String {
    format!("snapshot-{content}.wasm")
}

/// Name, size and time of every file below `dir`. What a file holds is not read: an interpreter's library
/// has hundreds.
fn survey(root: &Path, dir: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        let path = entry.path();
        if meta.is_dir() {
            survey(root, &path, files)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path);
        files.push(format!(
            "{name:?} {} {}.{}",
            meta.len(),
            meta.mtime(),
            meta.mtime_nsec()
        ));
    }
    Ok(())
}
