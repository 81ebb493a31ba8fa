//! A directory that is granted, and one beside it that is not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::stdin::Stdin;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants};
use tempfile::TempDir;

use super::Arg::{Fd, I, Out};
use super::{
    Answer, CREATE, DIRECTORY, FOLLOW, Open, READ, Said, Script, WRITE, interpreter, said,
};
use crate::common::engine_with;

/// What no program may find out.
pub const SECRET: &str = "of nobody's business";

/// `granted` with a file and a directory, and beside it `outside` with what must not be reached.
pub struct Place {
    _dir: TempDir,
    pub root: PathBuf,
    /// With one slot: each start gets the memory that the last one dirtied.
    engine: FaasletEngine,
}

impl Place {
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("granted/d/e")).expect("directories");
        fs::create_dir_all(root.join("outside/e")).expect("a directory");
        for file in ["outside/f", "outside/e/f"] {
            fs::write(root.join(file), SECRET).expect("a file");
        }
        for file in ["granted/f", "granted/d/f", "granted/d/e/f"] {
            fs::write(root.join(file), "inside").expect("a file");
        }
        let engine = engine_with(EngineSettings {
            instances: 1,
            deadline: Duration::from_secs(300),
            ..EngineSettings::default()
        });
        Self {
            _dir: dir,
            root,
            engine,
        }
    }

    pub fn granted(&self) -> PathBuf {
        self.root.join("granted")
    }

    pub fn outside(&self) -> PathBuf {
        self.root.join("outside")
    }

    /// What the calls of `script`, made `times` over, answer.
    pub fn run(&self, script: &Script, times: u32, writable: bool) -> Vec<Said> {
        self.run_with(script, times, self.grants(writable))
    }

    /// `granted`.
    pub fn grants(&self, writable: bool) -> Grants {
        Grants::default().with_dir(self.granted(), "/", writable)
    }

    /// The same of a program that is given what `grants` says, beside standard output.
    pub fn run_with(&self, script: &Script, times: u32, grants: Grants) -> Vec<Said> {
        self.run_in(&self.engine, script, times, grants)
    }

    /// The same in `engine`.
    pub fn run_in(
        &self,
        engine: &FaasletEngine,
        script: &Script,
        times: u32,
        grants: Grants,
    ) -> Vec<Said> {
        let function = self.function(engine, script, times, grants);
        function.start(&mut Untimed).expect("exit code 0");
        said(&fs::read(self.root.join("log")).expect("a log"))
    }

    /// What makes the calls of `script`, `times` over, in its first start.
    pub fn function(
        &self,
        engine: &FaasletEngine,
        script: &Script,
        times: u32,
        grants: Grants,
    ) -> Function {
        let directories = u32::try_from(grants.dirs.len()).expect("few");
        let input = self.root.join("script");
        fs::write(&input, script.input(times, directories)).expect("a file");
        let input = File::open(input).expect("the file");
        let log = File::create(self.root.join("log")).expect("a file");
        let grants = Grants {
            stdin: Some(Stdin::new(input.into())),
            stdout: Some(Arc::new(log.into())),
            ..grants
        };
        Function::new(engine, "it", &interpreter(engine), grants).expect("a function")
    }
}

/// The error numbers of all calls.
pub fn errors(said: &[Said]) -> Vec<u32> {
    said.iter().map(|said| said.errno).collect()
}

pub fn contains_secret(said: &[Said]) -> bool {
    let secret = SECRET.as_bytes();
    said.iter().any(|said| {
        said.bytes
            .windows(secret.len())
            .any(|bytes| bytes == secret)
    })
}

pub fn reading() -> Open {
    Open {
        lookup: FOLLOW,
        rights: READ,
        ..Open::default()
    }
}

pub fn creating() -> Open {
    Open {
        oflags: CREATE,
        rights: READ | WRITE,
        ..reading()
    }
}

/// To list it.
pub fn directory() -> Open {
    Open {
        oflags: DIRECTORY,
        ..reading()
    }
}

/// Opens and reads a file, and asks what it is.
pub fn reads(script: &mut Script, path: &[u8]) {
    script.open(0, path, reading(), 1);
    script.read(1, 100, None);
    script.close(Fd(1));
    let [at, len] = script.text(path);
    script.ask(
        "path_filestat_get",
        &[Fd(0), I(FOLLOW), at, len, Out],
        Answer::Bytes(64),
    );
}

/// Names, kinds, contents and times of everything below `top`.
pub fn everything(top: &Path) -> Vec<String> {
    let (mut all, mut left) = (Vec::new(), vec![top.to_owned()]);
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).expect("there");
        let text = match meta.is_file() {
            true => fs::read_to_string(&path).expect("a file"),
            false => String::new(),
        };
        let modified = meta.modified().expect("a time");
        all.push(format!(
            "{} {:?} {modified:?} {text}",
            path.display(),
            meta.file_type()
        ));
        if meta.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .expect("entries")
                    .map(|entry| entry.expect("an entry").path()),
            );
        }
    }
    all.sort();
    all
}
