//! The throw-away `$FAASM_BENCH_HOME` whose functions are the probes of one run.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use measure_core::base::trust;

use crate::error::IsolationError;

/// Where built probes lie below `$FAASM_BENCH_HOME`: `<id>/native` and `<id>/function.wasm`.
pub const BUILT: &str = "isolation";
/// The user of the store to whom the probes belong: the one whose functions get into every image.
pub const USER: &str = "demo";
/// What a drivers' home has besides.
const FUNCTIONS: [&str; 2] = ["noop", "park"];
/// What of the real home is no function: guests of micro-VMs, programs that entries name, the compiler of the second engine.
const SHARED: [&str; 3] = ["microvm", "bin", "wasm2c"];
const NATIVE: &str = "native";
const WASM: &str = "function.wasm";
/// What stands before the parameters in a program, as functions/isolation/probe.h has it.
const MARK: &[u8] = b"faasm-bench probe parameters:";

/// A throw-away home.
#[derive(Debug)]
pub struct Home {
    root: PathBuf,
    real: PathBuf,
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
        let home = Self { root, real };
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
            let path = from.join(file);
            let mut bytes = match trust::read(&path) {
                Ok(bytes) => bytes,
                // A rung that runs Wasm says that there is none.
                Err(error) if file == WASM && error.is_not_found() => continue,
                Err(error) => return Err(IsolationError::built(&path)(error)),
            };
            write_parameters(&mut bytes, parameters, &path)?;
            self.put(name, file, mode, &bytes)?;
        }
        Ok(())
    }

    /// Gives the Wasm function `name` the directory `host` as `/data`, writable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn grant(&self, name: &str, host: &Path) -> Result<(), IsolationError> {
        let granted = serde_json::json!({
            "dirs": [{"host": host, "guest": "/data", "writable": true}]
        });
        self.put(name, "grants.json", 0o644, granted.to_string().as_bytes())
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
