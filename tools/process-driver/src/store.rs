//! Native executables of the function store.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::ids::{self, FunctionId};
use measure_core::base::trust::{self, Trusted};
use measure_core::contract::Probe;
use measure_core::contract::function::FILE;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::native_command::{self, NativeCommand};
use measure_core::driver_kit::spawn::Program;
use measure_core::driver_kit::stored_function::{
    GivenTexts, StdinFile, StoredFunction, lacks_side,
};

/// File name of a function's executable.
const NATIVE: &str = "native";
/// File name of a function as Wasm.
const WASM: &str = "function.wasm";
/// What builds the demo functions.
const MEND: &str =
    "build the demo functions with `make functions`, bring your own with `runtime_bench add`";

/// A function as it runs natively.
#[derive(Debug)]
pub struct NativeFunction {
    /// What is executed, with arguments and environment.
    pub program: Program,
    /// What it reads from its standard input, if that is not empty.
    pub stdin: Option<StdinFile>,
    /// What is said of it, if somebody brought it.
    pub stored: Option<StoredFunction>,
}

/// A function store, as far as native executables go.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store at `root`, which need not exist.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Functions that have an executable or a command, sorted.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for user in names_in(&self.root) {
            for function in names_in(&self.root.join(&user)) {
                if let Ok(id) = FunctionId::new(&user, &function)
                    && (self.path_of(&id).is_file()
                        || self.dir_of(&id).join(native_command::FILE).is_file())
                {
                    ids.push(id.to_string());
                }
            }
        }
        ids.sort();
        ids
    }

    /// The program that is `id` natively, with what it is given (`port` if it is a handler): the function's own executable, or what its `command` file says
    /// ([`NativeCommand`]). It executes the very file that was found to be trusted, unless that is a script.
    ///
    /// # Errors
    /// As [`Store::executable`], or the file is no command, or others could have written it or what it names.
    pub fn native_function(
        &self,
        id: &FunctionId,
        port: Option<u16>,
    ) -> Result<NativeFunction, DriverError> {
        let stored = self.stored(id)?;
        let (given, stdin) = match &stored {
            Some(stored) => (stored.given_on_host(port)?, stored.stdin()?),
            None => (GivenTexts::default(), None),
        };
        Ok(NativeFunction {
            program: self.program(id, &given)?,
            stdin,
            stored,
        })
    }

    /// What is said of a function that somebody brought.
    ///
    /// # Errors
    /// Others could have written it, or it is wrong.
    pub fn stored(&self, id: &FunctionId) -> Result<Option<StoredFunction>, DriverError> {
        StoredFunction::read(&self.dir_of(id))
    }

    fn program(&self, id: &FunctionId, given: &GivenTexts) -> Result<Program, DriverError> {
        let (executable, mut words) = match self.command(id)? {
            Some(words) => {
                let program = OsStr::from_bytes(words[0].as_bytes());
                (trust::open(Path::new(program))?, words)
            }
            None => {
                let executable = self.executable(id)?;
                let path = text(executable.path())?;
                (executable, vec![path])
            }
        };
        let failed = |e: std::ffi::NulError| DriverError::failed(id, e);
        let given_args = given.args.iter().map(|arg| CString::new(arg.as_str()));
        words.extend(given_args.collect::<Result<Vec<_>, _>>().map_err(failed)?);
        let mut start = [0; 2];
        // What cannot be read is no script either.
        let is_script = executable.file().read_at(&mut start, 0).is_ok() && &start == b"#!";
        let env = given.env.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let program = Program::from_words(words)
            .and_then(|program| program.with_environment(env))
            .map_err(|e| DriverError::failed(id, e))?;
        Ok(match is_script {
            // Its name goes to the interpreter; only the trusted could have it name another.
            true => program,
            false => program.executing(executable.into_file()),
        })
    }

    /// The words of the function's `command`, if it has one.
    fn command(&self, id: &FunctionId) -> Result<Option<Vec<CString>>, DriverError> {
        let dir = self.dir_of(id);
        let failed =
            |e: std::io::Error| DriverError::failed(dir.join(native_command::FILE).display(), e);
        let Some(command) = NativeCommand::read(&dir)? else {
            return Ok(None);
        };
        // The program is started by its whole path, so that it finds what lies beside it.
        let whole = |path: &Path| {
            let path = std::path::absolute(path).map_err(failed)?;
            Ok::<_, DriverError>(path.to_string_lossy().into_owned())
        };
        let (home, function) = (whole(&home::root())?, whole(&dir)?);
        command.require_trust(&home, &function)?;
        let words = command.at(&home, &function);
        let texts = words.into_iter().map(CString::new);
        texts
            .collect::<Result<_, _>>()
            .map(Some)
            .map_err(|e| DriverError::failed(dir.display(), e))
    }

    /// The executable of `id`, which only the trusted could have written.
    ///
    /// # Errors
    /// There is none, others could have written it, or it is no file that can be executed.
    pub fn executable(&self, id: &FunctionId) -> Result<Trusted, DriverError> {
        let path = self.path_of(id);
        let executable = match trust::open(&path) {
            Err(error) if error.is_not_found() => return Err(self.no_native(id)),
            opened => opened?,
        };
        let metadata = executable.file().metadata();
        let metadata = metadata.map_err(|e| DriverError::failed(path.display(), e))?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            return Err(DriverError::Failed(format!(
                "{} is no executable file; {MEND}",
                path.display()
            )));
        }
        Ok(executable)
    }

    fn no_native(&self, id: &FunctionId) -> DriverError {
        if self.dir_of(id).join(FILE).is_file() {
            return lacks_side(id, "native side");
        }
        DriverError::Usage(format!(
            "{} with a native executable in {}; {MEND}",
            ids::unknown("function", &id.to_string(), &self.list()),
            self.root.display()
        ))
    }

    /// The Wasm of `id`.
    ///
    /// # Errors
    /// The function has no module in the store.
    pub fn wasm(&self, id: &FunctionId) -> Result<PathBuf, DriverError> {
        let path = self.root.join(id.user()).join(id.function()).join(WASM);
        if !path.is_file() && self.dir_of(id).join(FILE).is_file() {
            return Err(lacks_side(id, "Wasm side"));
        }
        std::path::absolute(&path)
            .ok()
            .filter(|path| path.is_file())
            .ok_or_else(|| DriverError::Usage(format!("no {}; {MEND}", path.display())))
    }

    /// Whether any function could run from here.
    #[must_use]
    pub fn probe(&self) -> Probe {
        if !self.list().is_empty() {
            return Probe::Ready;
        }
        Probe::Unavailable {
            why: format!("no native executable in {}", self.root.display()),
            mend: MEND.to_owned(),
        }
    }

    fn path_of(&self, id: &FunctionId) -> PathBuf {
        self.dir_of(id).join(NATIVE)
    }

    /// Where the function `id` lies.
    #[must_use]
    pub fn dir_of(&self, id: &FunctionId) -> PathBuf {
        self.root.join(id.user()).join(id.function())
    }
}

fn text(path: &Path) -> Result<CString, DriverError> {
    let text = CString::new(path.as_os_str().as_bytes());
    text.map_err(|e| DriverError::failed(path.display(), e))
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executables_count_and_the_nearest_is_suggested() {
        let root = tempfile::tempdir().expect("a directory");
        let store = Store::at(root.path().to_owned());
        let Probe::Unavailable { mend, .. } = store.probe() else {
            panic!("there is nothing to run");
        };
        assert_eq!(mend, MEND);
        for function in ["noop", "park", "wasm-only"] {
            fs::create_dir_all(root.path().join("demo").join(function)).expect("made");
        }
        for function in ["noop", "park"] {
            let path = root.path().join("demo").join(function).join(NATIVE);
            fs::write(&path, "").expect("written");
        }
        assert_eq!(store.list(), ["demo/noop", "demo/park"]);
        assert_eq!(store.probe(), Probe::Ready);
        let missing: FunctionId = "demo/nop".parse().expect("an id");
        let error = store.executable(&missing).expect_err("missing").to_string();
        assert!(error.contains("did you mean `demo/noop`?"), "{error}");
        assert!(error.contains("make functions"), "{error}");
        let script = root.path().join("demo/wasm-only");
        let words = ["/bin/env", "-i", "{function}/files/it.py"];
        fs::write(script.join(native_command::FILE), words.join("\n")).expect("written");
        assert!(store.list().contains(&"demo/wasm-only".to_owned()));
        let command = store.command(&"demo/wasm-only".parse().expect("an id"));
        let command = command.expect("trusted").expect("a command");
        let file = script.join("files/it.py");
        assert_eq!(command.len(), 3);
        assert_eq!(command[0].as_bytes(), b"/bin/env");
        assert_eq!(command[2].as_bytes(), file.as_os_str().as_bytes());
        let id = "demo/wasm-only".parse().expect("an id");
        store.native_function(&id, None).expect("a program");
        let plain: FunctionId = "demo/noop".parse().expect("an id");
        let error = store.executable(&plain).expect_err("not executable");
        assert!(error.to_string().contains("no executable file"), "{error}");
    }

    #[test]
    fn what_others_can_write_is_not_run() {
        let root = tempfile::tempdir().expect("a directory");
        let store = Store::at(root.path().to_owned());
        let dir = root.path().join("demo/noop");
        fs::create_dir_all(dir.join("files")).expect("made");
        let id: FunctionId = "demo/noop".parse().expect("an id");
        let mode = |path: &Path, bits| {
            fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("ours");
        };
        let refuses = |path: &Path, bits| {
            mode(path, bits | 0o022);
            let error = store.native_function(&id, None).expect_err("refused");
            let error = error.to_string();
            let fix = format!("chmod go-w {}", path.display());
            assert!(
                error.contains("refusing to run code from") && error.ends_with(&fix),
                "{error}"
            );
            mode(path, bits);
            store.native_function(&id, None).expect("mended");
        };
        let (native, command) = (dir.join(NATIVE), dir.join(native_command::FILE));
        fs::copy("/bin/true", &native).expect("copied");
        mode(&native, 0o755);
        for path in [&native, &dir, &root.path().join("demo")] {
            refuses(path, 0o755);
        }
        let script = dir.join("files/it.sh");
        fs::write(&script, "exit 0").expect("written");
        fs::write(&command, "/bin/sh\n{function}/files/it.sh\n").expect("written");
        for path in [&command, &script] {
            refuses(path, 0o644);
        }
        refuses(&dir.join("files"), 0o755);
    }
}
