//! The throw-away `$FAASM_BENCH_HOME` whose functions are the probes of one run.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use measure_core::base::ids::FunctionId;
use measure_core::base::trust;
use measure_core::contract::network_grant::NetworkGrant;
use serde_json::json;

use crate::error::IsolationError;

/// Where built probes lie below `$FAASM_BENCH_HOME`: `<id>/native` and `<id>/function.wasm`.
pub const BUILT: &str = "isolation";
/// The user of the store to whom the probes belong: the one whose functions get into every image.
pub const USER: &str = "demo";
/// What a drivers' home has besides.
const FUNCTIONS: [&str; 2] = ["noop", "park"];
/// What of the real home is no function: guests of micro-VMs, programs that entries name, the compiler of the second engine,
/// interpreters.
const SHARED: [&str; 4] = ["microvm", "bin", "wasm2c", "python"];
const NATIVE: &str = "native";
const WASM: &str = "function.wasm";
/// A probe as a component, which has sockets where its Faaslet was granted something of the network.
const GRANTED: &str = "granted.wasm";
const GRANTS: &str = "grants.json";
/// What stands before the parameters in a program, as functions/isolation/probe.h has it.
const MARK: &[u8] = b"faasm-bench probe parameters:";

/// A throw-away home.
#[derive(Debug)]
pub struct Home {
    root: PathBuf,
    real: PathBuf,
    /// What all functions are granted of the network.
    network: Vec<NetworkGrant>,
}

/// Where the program `id` was built below the home `real`.
#[must_use]
pub fn built(real: &Path, id: &str) -> PathBuf {
    real.join(BUILT).join(id).join(NATIVE)
}

impl Home {
    /// A home at `root` with the no-op, its parked twin, and what guests need, of the home `real`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(root: PathBuf, real: &Path) -> Result<Self, IsolationError> {
        let real = std::path::absolute(real).map_err(IsolationError::path(real))?;
        let home = Self {
            root,
            real,
            network: Vec::new(),
        };
        let image = home.root.join("image");
        fs::create_dir_all(&image).map_err(IsolationError::path(&image))?;
        for function in FUNCTIONS {
            let from = home.real.join("store").join(USER).join(function);
            home.copy(&from, function)?;
        }
        for shared in SHARED {
            let link = home.root.join(shared);
            symlink(home.real.join(shared), &link).map_err(IsolationError::path(&link))?;
        }
        Ok(home)
    }

    /// Grants `network` to all functions, those that are there and those to come.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn grant_network(&mut self, network: &[NetworkGrant]) -> Result<(), IsolationError> {
        self.network = network.to_vec();
        FUNCTIONS
            .iter()
            .try_for_each(|name| self.write_grants(name, None))
    }

    /// Takes over the function `id` of the real home, as it lies there.
    ///
    /// # Errors
    /// It is not there, others could have written it, or it cannot be copied.
    pub fn take_over(&self, id: &FunctionId) -> Result<(), IsolationError> {
        let place = |root: &Path| root.join("store").join(id.user()).join(id.function());
        copy_tree(&place(&self.real), &place(&self.root))
    }

    /// Where it lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn copy(&self, from: &Path, function: &str) -> Result<(), IsolationError> {
        for (file, mode) in [(NATIVE, 0o755), (WASM, 0o644)] {
            match trust::read(&from.join(file)) {
                Ok(bytes) => self.put(function, file, mode, &bytes)?,
                // Drivers that need it say so, with what to do.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Puts the built program `id` with these parameters into the store as function `name`.
    ///
    /// # Errors
    /// It is not built, has no room for the parameters, or cannot be written.
    pub fn add(&self, name: &str, id: &str, parameters: &str) -> Result<(), IsolationError> {
        let from = self.real.join(BUILT).join(id);
        for (file, mode) in [(NATIVE, 0o755), (WASM, 0o644)] {
            let granted = from.join(GRANTED);
            let path = match file == WASM && !self.network.is_empty() && granted.is_file() {
                true => granted,
                false => from.join(file),
            };
            let mut bytes = match trust::read(&path) {
                Ok(bytes) => bytes,
                // A rung that runs Wasm says that there is none.
                Err(error) if file == WASM && error.is_not_found() => continue,
                Err(error) => return Err(IsolationError::built(&path)(error)),
            };
            write_parameters(&mut bytes, parameters, &path)?;
            self.put(name, file, mode, &bytes)?;
        }
        self.write_grants(name, None)
    }

    /// Gives the Wasm function `name` the directory `host` as `/data`, writable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn grant(&self, name: &str, host: &Path) -> Result<(), IsolationError> {
        self.write_grants(name, Some(host))
    }

    /// Writes what the function `name` is granted, if it is anything.
    fn write_grants(&self, name: &str, dir: Option<&Path>) -> Result<(), IsolationError> {
        if dir.is_none() && self.network.is_empty() {
            return Ok(());
        }
        let dirs = dir.map(|host| json!({"host": host, "guest": "/data", "writable": true}));
        let granted = json!({ "dirs": Vec::from_iter(dirs), "network": self.network });
        self.put(name, GRANTS, 0o644, granted.to_string().as_bytes())
    }

    fn put(&self, name: &str, file: &str, mode: u32, bytes: &[u8]) -> Result<(), IsolationError> {
        let directory = self.root.join("store").join(USER).join(name);
        let path = directory.join(file);
        let written = || -> io::Result<()> {
            fs::create_dir_all(&directory)?;
            // Compiled code beside a module runs unchecked: the store refuses directories that others can write to.
            for directory in directory
                .ancestors()
                .take_while(|d| d.starts_with(&self.root))
            {
                fs::set_permissions(directory, Permissions::from_mode(0o755))?;
            }
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, Permissions::from_mode(mode))
        };
        written().map_err(IsolationError::path(&path))
    }

    /// The native program of function `name`.
    #[must_use]
    pub fn native(&self, name: &str) -> PathBuf {
        self.root.join("store").join(USER).join(name).join(NATIVE)
    }
}

/// Copies the directory `from`, which only the trusted could have written.
fn copy_tree(from: &Path, to: &Path) -> Result<(), IsolationError> {
    fs::create_dir_all(to).map_err(IsolationError::path(to))?;
    fs::set_permissions(to, Permissions::from_mode(0o755)).map_err(IsolationError::path(to))?;
    for entry in fs::read_dir(from).map_err(IsolationError::path(from))? {
        let entry = entry.map_err(IsolationError::path(from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_tree(&from, &to)?;
            continue;
        }
        let trusted = trust::open(&from)?;
        let copied = || -> io::Result<()> {
            io::copy(&mut trusted.file(), &mut fs::File::create(&to)?)?;
            let mode = trusted.file().metadata()?.permissions().mode();
            fs::set_permissions(&to, Permissions::from_mode(mode & 0o755))
        };
        copied().map_err(IsolationError::path(&to))?;
    }
    Ok(())
}

/// Writes `parameters` into the one block of them in `program`.
fn write_parameters(
    program: &mut [u8],
    parameters: &str,
    path: &Path,
) -> Result<(), IsolationError> {
    let none = || IsolationError::NoParameters(path.to_owned());
    let marks: Vec<usize> = program
        .windows(MARK.len())
        .enumerate()
        .filter_map(|(at, window)| (window == MARK).then_some(at))
        .collect();
    // The code names the mark's length, not its text, so that there is one of it.
    let [mark] = marks[..] else {
        return Err(none());
    };
    let block = &mut program[mark + MARK.len()..];
    let room = block.iter().take_while(|&&byte| byte == b' ').count();
    if parameters.len() > room {
        return Err(IsolationError::TooLong {
            path: path.to_owned(),
            wanted: parameters.len(),
            room,
        });
    }
    block[..parameters.len()].copy_from_slice(parameters.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(blocks: usize) -> Vec<u8> {
        let block = [b"\x7fELF".as_slice(), MARK, &[b' '; 16], b"\0rest"].concat();
        block.repeat(blocks)
    }

    #[test]
    fn parameters_go_into_their_block_and_nowhere_else() {
        let path = Path::new("p");
        let mut bytes = program(1);
        write_parameters(&mut bytes, "pid=7;", path).expect("written");
        let wanted = [b"\x7fELF".as_slice(), MARK, b"pid=7;          \0rest"].concat();
        assert_eq!(bytes, wanted);
    }

    #[test]
    fn what_is_granted_is_written_for_all_and_a_function_is_taken_over_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let (real, own) = (dir.path().join("real"), dir.path().join("own"));
        let taken = real.join("store/mine/it");
        fs::create_dir_all(taken.join("files/in")).expect("made");
        fs::write(taken.join("files/in/file"), "x").expect("written");
        fs::create_dir_all(real.join("isolation/probe")).expect("made");
        fs::write(real.join("isolation/probe/native"), program(1)).expect("written");
        let mut home = Home::make(own.clone(), &real).expect("a home");
        let grant = "host.internal:6379".parse().expect("a grant");
        home.grant_network(&[grant]).expect("granted");
        home.add("probe", "probe", "a=1;").expect("added");
        for name in ["noop", "probe"] {
            let path = own.join("store/demo").join(name).join(GRANTS);
            let text = fs::read_to_string(path).expect("written");
            assert!(
                text.contains("host.internal") && text.contains("6379"),
                "{text}"
            );
        }
        let id = "mine/it".parse().expect("a name");
        home.take_over(&id).expect("taken over");
        let file = fs::read_to_string(own.join("store/mine/it/files/in/file"));
        assert_eq!(file.expect("copied"), "x");
    }

    #[test]
    fn a_program_without_room_is_refused() {
        let path = Path::new("p");
        let error = |blocks, parameters: &str| {
            let mut bytes = program(blocks);
            write_parameters(&mut bytes, parameters, path).expect_err("refused")
        };
        assert!(matches!(error(0, "a=1;"), IsolationError::NoParameters(_)));
        assert!(matches!(error(2, "a=1;"), IsolationError::NoParameters(_)));
        assert!(matches!(
            error(1, "a=12345678901234;"),
            IsolationError::TooLong {
                room: 16,
                wanted: 17,
                ..
            }
        ));
    }
}
