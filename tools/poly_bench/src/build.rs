//! What was not built yet is built when it is asked for: `make bench` builds two datasets of five, and a kernel of another one is
//! not to end in an error where all that it is made of is there.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use native_vs_wasm::{CompareError, Lack, WASM};

use crate::columns::{BUILDS, WASM_LINKED};
use crate::kernels::{ElementChoice, kernel_of_program};

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
        let top = self.top.display();
        let unavailable =
            |why: String| CompareError::Unavailable(format!("`make {TARGET}` in {top} {why}"));
        let status = Command::new("make")
            .args(self.words(&lacking, element))
            .status()
            .map_err(|e| unavailable(format!("cannot be started: {e}; apt-get install make")))?;
        if status.success() {
            return Ok(());
        }
        Err(unavailable(format!(
            "failed ({status}), see above; `make setup` installs the compilers"
        )))
    }

    /// What `make` is told: kernels, datasets and native builds of `lacking`.
    fn words(&self, lacking: &[&Lack<'_>], element: ElementChoice) -> Vec<OsString> {
        let (mut kernels, mut datasets, mut builds) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for Lack {
            benchmark, column, ..
        } in lacking
        {
            kernels.extend(kernel_of_program(&benchmark.name).map(|kernel| kernel.name.to_owned()));
            datasets.insert(benchmark.group.to_ascii_lowercase());
            builds.extend(BUILDS.contains(column).then(|| (*column).to_owned()));
        }
        let variable = |name: &str, values: BTreeSet<String>| {
            let values: Vec<String> = values.into_iter().collect();
            OsString::from(format!("{name}={}", values.join(" ")))
        };
        vec![
            "-C".into(),
            self.top.clone().into(),
            "--no-print-directory".into(),
            TARGET.into(),
            variable("POLYBENCH_KERNELS", kernels),
            variable("POLYBENCH_DATASETS", datasets),
            variable("POLYBENCH_BUILDS", builds),
            format!("POLYBENCH_TYPES={}", element.name()).into(),
        ]
    }
}
