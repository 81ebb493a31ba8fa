//! What engines compiled, below the home: `by-engine/<engine>/<user>-<function>-<hash of all that it depends on>/`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use measure_core::base::ids::FunctionId;
use measure_core::base::label;
use nix::unistd::getpid;
use sha2::{Digest, Sha256};

/// Below the home.
const CACHE: &str = "by-engine";
/// The name of the code, which an engine may give an ending of its own.
const CODE: &str = "code";
/// Of the hash.
const KEY_BYTES: usize = 16;

/// The code of one engine.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    /// What all code of the engine depends on.
    common: Vec<String>,
}

impl Cache {
    /// Of the engine `id`, whose code depends on what `common` says (version, command) and on the CPU.
    pub(crate) fn new(home: &Path, id: &str, mut common: Vec<String>) -> Self {
        common.push(cpu());
        Self {
            dir: home.join(CACHE).join(id),
            common,
        }
    }

    /// Where the code of the function `id`, whose module is `wasm`, is or belongs.
    pub(crate) fn entry(&self, id: &FunctionId, wasm: &[u8]) -> PathBuf {
        let mut hash = Sha256::new();
        let common = self.common.iter().map(|text| text.as_bytes());
        for part in common.chain([wasm]) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let key = hex::encode(&hash.finalize()[..KEY_BYTES]);
        self.dir.join(format!("{}{key}", stem(id)))
    }

    /// What `{compiled}` stands for in `entry`.
    pub(crate) fn code(entry: &Path) -> PathBuf {
        entry.join(CODE)
    }

    /// Has `compile` make the code, given what `{compiled}` is to stand for, and keeps it under `entry`, whole or not at all.
    /// What was made of earlier modules of the function goes.
    ///
    /// # Errors
    /// Of `compile`, or the directory cannot be written.
    pub(crate) fn make<E: From<io::Error>>(
        &self,
        id: &FunctionId,
        entry: &Path,
        compile: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        fs::create_dir_all(&self.dir)?;
        let work = tempfile::Builder::new()
            .prefix(&label::name(getpid().as_raw(), "code."))
            .tempdir_in(&self.dir)?;
        compile(&work.path().join(CODE))?;
        if fs::read_dir(work.path())?.next().is_none() {
            return Err(io::Error::other("it ended well and left no code").into());
        }
        match fs::rename(work.path(), entry) {
            // Another run was faster.
            Err(_) if entry.is_dir() => {}
            other => other?,
        }
        self.remove_older(id, entry);
        Ok(())
    }

    fn remove_older(&self, id: &FunctionId, keep: &Path) {
        let stem = stem(id);
        for path in fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let key = name.strip_prefix(&stem).unwrap_or_default();
            let is_key = key.len() == 2 * KEY_BYTES && key.bytes().all(|b| b.is_ascii_hexdigit());
            // What a run that was killed had begun to make goes as well.
            if (is_key && path != keep) || label::is_orphan(&name) {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }
}

fn stem(id: &FunctionId) -> String {
    format!("{}-{}-", id.user(), id.function())
}

/// What code for this machine goes by.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default();
    let told = |line: &&str| line.starts_with("model name") || line.starts_with("flags");
    first.lines().filter(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_kept_whole_under_what_it_depends_on() {
        let home = tempfile::tempdir().expect("a directory");
        let id = FunctionId::new("demo", "noop").expect("a name");
        let cache = Cache::new(home.path(), "x", vec!["version 1".to_owned()]);
        let entry = cache.entry(&id, b"module");
        let write = |code: &Path| fs::write(code.with_extension("so"), "code");
        cache.make(&id, &entry, write).expect("made");
        assert!(Cache::code(&entry).with_extension("so").is_file());
        for other in [
            Cache::new(home.path(), "x", vec!["version 2".to_owned()]).entry(&id, b"module"),
            cache.entry(&id, b"another"),
        ] {
            assert_ne!(other, entry);
        }
        // One that fails leaves the old; one that succeeds replaces it.
        let next = cache.entry(&id, b"another");
        let failed: io::Result<()> = cache.make(&id, &next, |_| Err(io::Error::other("no")));
        failed.expect_err("it failed");
        let nothing: io::Result<()> = cache.make(&id, &next, |_| Ok(()));
        assert!(
            nothing
                .expect_err("no code")
                .to_string()
                .contains("left no code")
        );
        assert!(entry.is_dir() && !next.exists());
        cache.make(&id, &next, write).expect("made");
        let left = fs::read_dir(home.path().join("by-engine/x")).expect("the cache");
        assert!(!entry.exists() && left.count() == 1);
    }
}
