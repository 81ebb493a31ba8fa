//! What others' programs make of our files: pyperf, fetched from PyPI.

#[expect(
    dead_code,
    reason = "the other tests of made-up columns use more of it"
)]
#[path = "session/made_up.rs"]
mod made_up;

use std::path::Path;
use std::process::Command;

use driver_testkit::python;
use made_up::{Setting, sound};
use measure_core::base::exit::Exit;
use native_vs_wasm::{RunError, Task};

/// A kernel of about so many milliseconds; no two runs alike, so that there is a spread.
fn about_ms(ms: u64, task: Task, before: usize) -> Result<String, RunError> {
    Ok(sound(task, ms * 1_000_000 + before as u64 * 10_000))
}

fn twenty(_: &str, task: Task, before: usize) -> Result<String, RunError> {
    about_ms(20, task, before)
}

fn forty(_: &str, task: Task, before: usize) -> Result<String, RunError> {
    about_ms(40, task, before)
}

#[test]
fn pyperf_reads_and_compares_what_is_exported_for_it() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-pyperf");
    let Some(python) = python::with_packages(&dir, &["pyperf"]) else {
        return;
    };
    let pyperf = |words: &[&str]| {
        let output = Command::new(&python)
            .args(["-m", "pyperf"])
            .args(words)
            .output()
            .expect("python");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}{errors}");
        said
    };
    let setting = Setting::new();
    let pattern = setting.path("{column}.json");
    let more = ["--export-pyperf", &pattern];
    let columns: [(&'static str, u32, made_up::Script); 2] =
        [("native", 7, twenty), ("wasm", 7, forty)];
    let exit = setting.run(&["one", "other"], &columns, &more);
    assert_eq!(exit.expect("measured"), Exit::Ok);
    let (native, wasm) = (setting.path("native.json"), setting.path("wasm.json"));
    let said = pyperf(&["compare_to", &native, &wasm]);
    assert!(said.contains("2.00x slower"), "{said}");
    assert!(said.contains("one") && said.contains("other"), "{said}");
    let said = pyperf(&["stats", &wasm]);
    // Without calibration pyperf says both.
    for words in ["Number of run with values: 7", "Total number of run: 7"] {
        assert!(said.contains(words), "{words}: {said}");
    }

    // All columns in one file, of a run that is there already.
    let again = Setting::new();
    let all = again.path("all.json");
    let exit = again.run(&["one"], &columns, &["--export-pyperf", &all]);
    assert_eq!(exit.expect("measured"), Exit::Ok);
    let said = pyperf(&["show", &all]);
    assert!(
        said.contains("one native") && said.contains("one wasm"),
        "{said}"
    );
}
