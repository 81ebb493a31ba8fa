//! What was not built yet is built when it is asked for: `make bench` builds two datasets of five, and a kernel of another one is
//! not to end in an error where all that it is made of is there.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use measure_core::base::exit::Exit;
use measure_core::base::home;
use measure_core::base::interrupt;
use measure_core::base::trust;
use native_vs_wasm::{CompareError, Lack, WASM};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};

use crate::columns::{BUILDS, WASM_LINKED};
use crate::kernels::{ElementChoice, kernel_of_program, parts_of_program};
use crate::pending::Pending;

/// Where programs can be built.
#[derive(Debug)]
pub(crate) struct Checkout {
    top: PathBuf,
    /// What was installed from it, into which goes what is built.
    prefix: Option<PathBuf>,
}

/// What of the Makefile builds them.
const TARGET: &str = "polybench-on-demand";
/// And what of it puts them where the tools are installed.
const INSTALL: &str = "install-polybench";
/// Where `make install` writes down which checkout it was of.
const ORIGIN: &str = "share/faasm-bench/checkout";
/// The part of the Makefile that has both.
const MAKEFILE: &str = "polybench-src/build.mk";
/// The tools that building takes.
const TOOLS: [&str; 2] = ["wasm-post-link", "faasm-driver"];
/// Between two looks at what has been built.
const TICK: Duration = Duration::from_millis(250);

/// What the Makefile is to build.
#[derive(Debug, Default)]
struct Wanted {
    kernels: BTreeSet<&'static str>,
    datasets: BTreeSet<String>,
    /// Native builds, by their columns' names.
    builds: BTreeSet<String>,
}

impl Checkout {
    /// The one whose `build` is `home`, or from which `home` was installed, if the tools that building takes are there where its
    /// Makefile looks for them.
    pub(crate) fn find(home: &Path) -> Option<Self> {
        let home = home.canonicalize().ok()?;
        let prefix = home.parent().and_then(Path::parent).map(Path::to_owned);
        if let Some(prefix) = prefix.filter(|prefix| prefix.join(ORIGIN).is_file()) {
            return Self::installed_to(prefix);
        }
        let top = home.parent()?.to_owned();
        let is_build = home.ends_with("build");
        let checkout = Self { top, prefix: None };
        (is_build && checkout.can_build()).then_some(checkout)
    }

    /// That from which `prefix` was installed, if its Makefile is nobody's who could not run programs as us anyway, and we may
    /// write to `prefix`.
    fn installed_to(prefix: PathBuf) -> Option<Self> {
        let origin = trust::read(&prefix.join(ORIGIN)).ok()?;
        let top = PathBuf::from(OsStr::from_bytes(origin.trim_ascii_end()));
        for makefile in ["Makefile", MAKEFILE] {
            if let Err(why) = trust::open(&top.join(makefile)) {
                log::debug!("nothing is built in {}: {why}", top.display());
                return None;
            }
        }
        let home = prefix.join("share/faasm-bench");
        if access(&home, AccessFlags::W_OK).is_err() {
            eprintln!(
                "warning: {} could be built into, but may not be written to: once as root, or FAASM_BENCH_HOME={}/build",
                home.display(),
                top.display()
            );
            return None;
        }
        let checkout = Self {
            top,
            prefix: Some(prefix),
        };
        checkout.can_build().then_some(checkout)
    }

    fn can_build(&self) -> bool {
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let tools = self.top.join(target).join("release");
        let has_tools = TOOLS.iter().all(|tool| tools.join(tool).is_file());
        has_tools && self.top.join(MAKEFILE).is_file()
    }

    fn home(&self) -> PathBuf {
        self.top.join("build")
    }

    /// Builds what lacks and puts the modules into the store.
    ///
    /// # Errors
    /// `make` cannot be started, or fails; what it said stands on standard error. Or a signal came.
    pub(crate) fn build(
        &self,
        lacking: &[Lack<'_>],
        element: ElementChoice,
    ) -> Result<(), CompareError> {
        let is_built_here = |lack: &&Lack<'_>| {
            [WASM, WASM_LINKED].contains(&lack.column) || BUILDS.contains(&lack.column)
        };
        let lacking: Vec<&Lack<'_>> = lacking.iter().filter(is_built_here).collect();
        let Some(first) = lacking.first() else {
            return Ok(());
        };
        eprintln!(
            "poly_bench: programs not built yet or stale: {} (first {}, {}); building them now",
            lacking.len(),
            first.benchmark.name,
            first.column
        );
        let mut wanted = Wanted::default();
        for Lack {
            benchmark, column, ..
        } in &lacking
        {
            let kernel = kernel_of_program(&benchmark.name);
            wanted.kernels.extend(kernel.map(|kernel| kernel.name));
            wanted.datasets.insert(benchmark.group.to_ascii_lowercase());
            let build = BUILDS.contains(column).then(|| (*column).to_owned());
            wanted.builds.extend(build);
        }
        let pending = Pending::of_programs(&lacking, &self.home());
        self.make(&wanted, element, pending)
    }

    /// Has the Makefile build what is `wanted` with elements of type `element`: the modules, and natively in the builds named.
    fn make(
        &self,
        wanted: &Wanted,
        element: ElementChoice,
        pending: Pending,
    ) -> Result<(), CompareError> {
        let top = self.top.display();
        let unavailable =
            |why: String| CompareError::Unavailable(format!("`make {TARGET}` in {top} {why}"));
        interrupt::install().map_err(|e| CompareError::failed("cannot catch signals", e))?;
        let mut command = self.command(wanted, element);
        log::debug!("{command:?}");
        let make = command
            .spawn()
            .map_err(|e| unavailable(format!("cannot be started: {e}; apt-get install make")))?;
        let status =
            wait(make, pending).map_err(|e| CompareError::failed("waiting for make", e))?;
        if let Some(exit) = interrupt::received() {
            return Err(CompareError::Interrupted(exit));
        }
        if status.success() {
            return Ok(());
        }
        Err(unavailable(format!(
            "failed ({status}), see above; `make setup` installs the compilers"
        )))
    }

    fn command(&self, wanted: &Wanted, element: ElementChoice) -> Command {
        let words = |values: Vec<&str>| values.join(" ");
        let mut command = Command::new("make");
        command.arg("-C").arg(&self.top);
        command.args(["--no-print-directory", TARGET]);
        if let Some(prefix) = &self.prefix {
            let mut is = OsString::from("PREFIX=");
            is.push(prefix);
            command.arg(INSTALL).arg(is).env_remove("DESTDIR");
        }
        for (name, values) in [
            (
                "POLYBENCH_KERNELS",
                words(wanted.kernels.iter().copied().collect()),
            ),
            (
                "POLYBENCH_DATASETS",
                words(wanted.datasets.iter().map(String::as_str).collect()),
            ),
            (
                "POLYBENCH_BUILDS",
                words(wanted.builds.iter().map(String::as_str).collect()),
            ),
            ("POLYBENCH_TYPES", element.name().to_owned()),
        ] {
            command.arg(format!("{name}={values}"));
        }
        // A group of its own, for all of it to be told of a signal once, however that came to us. What it says is no result.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(io::stderr());
        command
    }
}

/// Waits for `make`, which leads a process group, and shows how far it is. A signal that comes to us goes to all of the group:
/// every file is written under another name first, so that none is left half written.
fn wait(mut make: Child, mut pending: Pending) -> io::Result<ExitStatus> {
    let exit = loop {
        if let Some(exit) = interrupt::received() {
            break exit;
        }
        if let Some(status) = make.try_wait()? {
            return Ok(status);
        }
        pending.show();
        interrupt::sleep(TICK);
    };
    let signal = if exit == Exit::Terminated {
        Signal::SIGTERM
    } else {
        Signal::SIGINT
    };
    // It may just have ended.
    let _ = killpg(Pid::from_raw(make.id().cast_signed()), signal);
    make.wait()
}

/// Builds the module of `program`, a name as poly_3mm-small, and puts it into the store of the checkout that this tool was built
/// in; whether it could: not without a checkout, nor where no program has that name.
///
/// # Errors
/// `make` cannot be started, or fails; what it said stands on standard error. Or a signal came.
pub fn build_module(program: &str) -> Result<bool, CompareError> {
    let Some((kernel, dataset, element)) = parts_of_program(program) else {
        return Ok(false);
    };
    let Some(checkout) = Checkout::find(&home::root()) else {
        return Ok(false);
    };
    eprintln!("{program} is not built yet: building it now");
    let wanted = Wanted {
        kernels: BTreeSet::from([kernel.name]),
        datasets: BTreeSet::from([dataset.name().to_owned()]),
        ..Wanted::default()
    };
    let pending = Pending::of_module(program, &checkout.home());
    checkout.make(&wanted, element, pending)?;
    Ok(true)
}
