//! Damaged files for every reader of what others wrote: it reads on or says what is wrong, and does either soon.

mod mutate;
mod readers;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::error::FuzzError;
use crate::seed::Draw;
use crate::target::{Counts, Finding, Setting, Target, count};
pub use mutate::mutate;
use readers::{READERS, Read, Reader};

/// No reader takes as long for as little, on whatever host.
const TOO_LONG: Duration = Duration::from_secs(10);

/// A message is for someone who reads it.
const MOST_WORDS_BYTES: usize = 64 << 10;

/// A place for damaged files.
pub struct Files {
    dir: TempDir,
    setting: Setting,
}

impl Files {
    /// A place for damaged files.
    ///
    /// # Errors
    /// There is none.
    pub fn new(setting: &Setting) -> Result<Self, FuzzError> {
        Ok(Self {
            dir: TempDir::new().map_err(FuzzError::Scratch)?,
            setting: setting.clone(),
        })
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Finding> {
    fs::write(dir.join(name), bytes).map_err(|e| format!("{name} cannot be written: {e}"))
}

fn lay_out(reader: &Reader, damaged: &[u8], dir: &Path) -> Result<(), Finding> {
    for (name, content) in reader.beside {
        write(dir, name, content)?;
    }
    write(dir, reader.file, damaged)
}

impl Target for Files {
    fn try_case(&mut self, seed: u64, counts: &mut Counts) -> Result<(), Finding> {
        let mut draw = Draw::new("files", seed);
        let reader = draw.one(&READERS);
        let damaged = mutate(reader.seed, &mut draw);
        if let Some(keep) = &self.setting.keep {
            write(keep, &format!("files-{seed}"), &damaged)?;
        }
        lay_out(reader, &damaged, self.dir.path())?;
        let begun = Instant::now();
        let read = (reader.read)(self.dir.path(), &damaged)
            .map_err(|why| format!("{}: {why}", reader.name))?;
        let name = reader.name;
        if begun.elapsed() > TOO_LONG {
            return Err(format!(
                "{name}: reading {} bytes took {:?}",
                damaged.len(),
                begun.elapsed()
            ));
        }
        match read {
            Read::Well => count(counts, &format!("{name}: read"), 1),
            Read::Refused(words) => {
                count(counts, &format!("{name}: refused"), 1);
                if let Some(why) = wrong_with(&words) {
                    return Err(format!("{name}: {why}: {words:?}"));
                }
            }
        }
        Ok(())
    }
}

/// A refusal says something, and not a whole file.
fn wrong_with(words: &str) -> Option<&'static str> {
    match words.trim().len() {
        0 => Some("refused without a word"),
        1..=MOST_WORDS_BYTES => None,
        _ => Some("refused with too many words"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_reads_its_file_as_it_is() {
        for reader in &READERS {
            let dir = TempDir::new().expect("a directory");
            lay_out(reader, reader.seed, dir.path()).expect("written");
            match (reader.read)(dir.path(), reader.seed) {
                Ok(Read::Well) => {}
                Ok(Read::Refused(words)) => panic!("{}: {words}", reader.name),
                Err(why) => panic!("{}: {why}", reader.name),
            }
        }
    }
}
