//! What was not built yet is built when it is asked for: `make bench` builds two datasets of five, and a kernel of another one is
//! not to end in an error where all that it is made of is there.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use measure_core::base::home;
use native_vs_wasm::{CompareError, Lack, WASM};

use crate::columns::{BUILDS, WASM_LINKED};
use crate::kernels::{ElementChoice, kernel_of_program, parts_of_program};

/// Where programs can be built.
#[derive(Debug)]
pub(crate) struct Checkout {
    top: PathBuf,
}

/// What of the Makefile builds them.
const TARGET: &str = "polybench-on-demand";
/// The tools that building takes.
const TOOLS: [&str; 2] = ["wasm-post-link", "faasm-driver"];

impl Checkout {
    /// The one whose `build` is `home`, if the tools that building takes are there where its Makefile looks for them.
    pub(crate) fn find(home: &Path) -> Option<Self> {
        let home = home.canonicalize().ok()?;
        let top = home.parent()?.to_owned();
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let tools = top.join(target).join("release");
        let is_checkout = home.ends_with("build") && top.join("polybench-src/build.mk").is_file();
        let has_tools = TOOLS.iter().all(|tool| tools.join(tool).is_file());
        (is_checkout && has_tools).then_some(Self { top })
    }

    /// Builds what lacks and puts the modules into the store.
    ///
    /// # Errors
    /// `make` cannot be started, or fails; what it said stands on standard error.
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
            "poly_bench: programs not built yet or stale: {} (first {}, {}); building them now, two minutes for all of LARGE",
            lacking.len(),
            first.benchmark.name,
            first.column
        );
        let (mut kernels, mut datasets, mut builds) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for Lack {
            benchmark, column, ..
        } in lacking
        {
            kernels.extend(kernel_of_program(&benchmark.name).map(|kernel| kernel.name));
            datasets.insert(benchmark.group.to_ascii_lowercase());
            builds.extend(BUILDS.contains(column).then_some(*column));
        }
        self.make(&kernels, &datasets, &builds, element)
    }

    /// Has the Makefile build `kernels` for `datasets` with elements of type `element`: the modules, and natively in `builds`.
    fn make(
        &self,
        kernels: &BTreeSet<&str>,
        datasets: &BTreeSet<String>,
        builds: &BTreeSet<&str>,
        element: ElementChoice,
    ) -> Result<(), CompareError> {
        let top = self.top.display();
        let unavailable =
            |why: String| CompareError::Unavailable(format!("`make {TARGET}` in {top} {why}"));
        let mut command = Command::new("make");
        command.arg("-C").arg(&self.top);
        command.args(["--no-print-directory", TARGET]);
        let words = |values: Vec<&str>| values.join(" ");
        for (name, values) in [
            (
                "POLYBENCH_KERNELS",
                words(kernels.iter().copied().collect()),
            ),
            (
                "POLYBENCH_DATASETS",
                words(datasets.iter().map(String::as_str).collect()),
            ),
            ("POLYBENCH_BUILDS", words(builds.iter().copied().collect())),
            ("POLYBENCH_TYPES", element.name().to_owned()),
        ] {
            command.arg(format!("{name}={values}"));
        }
        // What it says is no result.
        command.stdout(std::io::stderr());
        log::debug!("{command:?}");
        let status = command
            .status()
            .map_err(|e| unavailable(format!("cannot be started: {e}; apt-get install make")))?;
        if status.success() {
            return Ok(());
        }
        Err(unavailable(format!(
            "failed ({status}), see above; `make setup` installs the compilers"
        )))
    }
}

/// Builds the module of `program`, a name as poly_3mm-small, and puts it into the store of the checkout that this tool was built
/// in; whether it could: not without a checkout, nor where no program has that name.
///
/// # Errors
/// `make` cannot be started, or fails; what it said stands on standard error.
pub fn build_module(program: &str) -> Result<bool, CompareError> {
    let Some((kernel, dataset, element)) = parts_of_program(program) else {
        return Ok(false);
    };
    let Some(checkout) = Checkout::find(&home::root()) else {
        return Ok(false);
    };
    eprintln!("{program} is not built yet: building it now");
    let datasets = BTreeSet::from([dataset.name().to_owned()]);
    let kernels = BTreeSet::from([kernel.name]);
    checkout.make(&kernels, &datasets, &BTreeSet::new(), element)?;
    Ok(true)
}
