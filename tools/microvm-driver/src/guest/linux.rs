//! The Linux guest: a kernel, and an initrd or a root file system whose `/init` is functions/init.c. It runs any
//! function of the store that has a static native executable.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::base::trust::{self, Trusted};
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::stored_function::{StoredFunction, lacks_side};

use super::initrd::Archive;
use crate::shared::Lack;

/// What makes the files of a Linux guest.
const MEND: &str = "make microvm-guest, or give --kernel and --initrd or --rootfs";

/// Where the files of the guest were asked to come from; what is not given is found below
/// `$FAASM_BENCH_HOME` or made.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// An uncompressed kernel.
    pub kernel: Option<PathBuf>,
    /// An initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// An image of a root file system, for a virtio block device.
    pub rootfs: Option<PathBuf>,
}

/// What the kernel mounts first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// An initrd.
    Initrd(PathBuf),
    /// A block device with this image, read-only.
    Disk(PathBuf),
}

/// A Linux guest, ready to be booted.
#[derive(Debug, Clone)]
pub struct Guest {
    /// The kernel.
    pub kernel: PathBuf,
    /// What it mounts.
    pub root: Root,
    /// Arguments to `/init`: the function's path in the guest, and `ready` where it is to wait.
    pub init: String,
}

impl Files {
    /// The kernel: as asked for, else the one that `make microvm-guest` extracts.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        let kernel = self.kernel.clone();
        kernel.unwrap_or_else(|| directory().join("vmlinux"))
    }

    /// What of a guest is missing, or `None`.
    #[must_use]
    pub fn lacks(&self) -> Option<Lack> {
        let init = directory().join("init");
        let root = self
            .initrd
            .as_ref()
            .or(self.rootfs.as_ref())
            .unwrap_or(&init);
        let kernel = self.kernel();
        [&kernel, root]
            .into_iter()
            .find_map(|path| match fs::File::open(path) {
                Ok(_) => None,
                Err(error) => Some(missing(path, &error)),
            })
    }

    /// The guest that runs `function`; an initrd is made in `scratch` unless one was given. With `ready` it
    /// waits before it runs the function.
    ///
    /// # Errors
    /// The function has no executable, or a file cannot be read or written.
    pub fn guest(
        &self,
        function: &FunctionId,
        ready: bool,
        scratch: &Path,
    ) -> Result<Guest, DriverError> {
        let root = match (&self.initrd, &self.rootfs) {
            (Some(initrd), _) => Root::Initrd(trusted(initrd)?),
            (None, Some(rootfs)) => Root::Disk(trusted(rootfs)?),
            (None, None) => {
                let path = scratch.join("initrd");
                write_initrd(function, &path)?;
                Root::Initrd(path)
            }
        };
        let wait = if ready { " ready" } else { "" };
        Ok(Guest {
            kernel: trusted(&self.kernel())?,
            root,
            init: format!("/{function}{wait}"),
        })
    }
}

impl Guest {
    /// The kernel's command line for a machine that is reset by `reboot` (a value of the parameter of this
    /// name). What follows the two dashes is for `/init`.
    #[must_use]
    pub fn command_line(&self, reboot: &str) -> String {
        let root = match &self.root {
            Root::Initrd(_) => "rdinit=/init",
            Root::Disk(_) => "root=/dev/vda ro init=/init",
        };
        format!(
            "console=ttyS0 quiet loglevel=0 reboot={reboot} panic=-1 {root} -- {}",
            self.init
        )
    }
}

fn directory() -> PathBuf {
    home::root().join("microvm")
}

/// The name without links of a file that the guest is made of, if only the trusted could have written it.
fn trusted(path: &Path) -> Result<PathBuf, DriverError> {
    Ok(opened(path)?.path().to_owned())
}

fn opened(path: &Path) -> Result<Trusted, DriverError> {
    match trust::open(path) {
        Err(error) if error.is_not_found() => Err(Lack::new(error.to_string(), MEND).into()),
        opened => Ok(opened?),
    }
}

fn missing(path: &Path, cause: &io::Error) -> Lack {
    Lack::new(format!("{}: {cause}", path.display()), MEND)
}

/// Fails for a function that somebody brought and that a guest cannot have: `/init` gives none anything, and an initrd holds one
/// executable.
fn require_nothing_given(function: &FunctionId, dir: &Path) -> Result<(), DriverError> {
    let Some(stored) = StoredFunction::read(dir)? else {
        return Ok(());
    };
    stored.require_program("a guest has no network")?;
    let file = &stored.file;
    if file.native.as_deref() != Some(Path::new("native")) {
        return Err(lacks_side(function, "static executable"));
    }
    let given = [
        ("arguments", !file.args.is_empty()),
        ("an environment", !file.env.is_empty()),
        ("a standard input", file.stdin.is_some()),
        ("files", file.files.is_some() || file.output_at.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((what, _)) => Err(DriverError::Unavailable {
            why: format!(
                "a guest gives its function nothing, and {function} is to be given {what}"
            ),
            mend: "take another rung".into(),
        }),
    }
}

/// Writes an initrd with `/init` and the native executable of `function`.
///
/// # Errors
/// One of them does not exist, or `path` cannot be written.
pub fn write_initrd(function: &FunctionId, path: &Path) -> Result<(), DriverError> {
    let init = directory().join("init");
    let init = opened(&init)?.read()?;
    let dir = home::store()
        .join(function.user())
        .join(function.function());
    require_nothing_given(function, &dir)?;
    let native = dir.join("native");
    let program = match trust::read(&native) {
        Err(error) if error.is_not_found() => {
            return Err(DriverError::Usage(format!(
                "function {function} has no native executable: {error}; build the demo functions with `make functions`"
            )));
        }
        read => read?,
    };
    let mut archive = Archive::default();
    archive.directory("dev");
    archive.device("dev/console", 5, 1);
    archive.executable("init", &init);
    archive.directory(function.user());
    archive.executable(&function.to_string(), &program);
    archive
        .write(path)
        .map_err(|e| DriverError::failed(format!("cannot write {}", path.display()), e))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_kernel_that_others_can_write_is_not_booted() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["kernel", "initrd"] {
            fs::write(at(name), "x").expect("written");
        }
        let files = Files {
            kernel: Some(at("kernel")),
            initrd: Some(at("initrd")),
            rootfs: None,
        };
        let function: FunctionId = "demo/noop".parse().expect("an id");
        let guest = || files.guest(&function, false, dir.path());
        guest().expect("ours alone");
        for name in ["kernel", "initrd"] {
            let mode = |bits| {
                let permissions = fs::Permissions::from_mode(bits);
                fs::set_permissions(at(name), permissions).expect("ours");
            };
            mode(0o666);
            let error = guest().expect_err("refused").to_string();
            let fix = format!("chmod go-w {}", at(name).display());
            assert!(
                error.contains("refusing to run code from") && error.ends_with(&fix),
                "{error}"
            );
            mode(0o644);
        }
    }

    #[test]
    fn the_command_line_names_root_and_function() {
        let guest = |root| Guest {
            kernel: "/k".into(),
            root,
            init: "/demo/noop".into(),
        };
        let disk = guest(Root::Disk("/d".into())).command_line("k");
        assert!(
            disk.contains("root=/dev/vda ro init=/init -- /demo/noop"),
            "{disk}"
        );
        assert!(disk.contains("reboot=k "), "{disk}");
        let initrd = guest(Root::Initrd("/i".into())).command_line("t");
        assert!(initrd.contains("rdinit=/init -- /demo/noop"), "{initrd}");
    }
}
