//! What a digest tells, by the native interpreter where it is built and by the host's elsewhere.

use std::path::Path;
use std::process::Command;

#[test]
fn a_digest_tells_something_or_is_an_error() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checkout = crate_dir.join("../..");
    let built = checkout.join("build/python/native/bin/python3");
    let (python, home) = if built.is_file() {
        (built, Some(checkout.join("build/python/native")))
    } else {
        ("python3".into(), None)
    };
    let mut command = Command::new(&python);
    command
        .arg("-B")
        .arg(crate_dir.join("tests/digest.py"))
        .arg(checkout.join("pybench-src"))
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .envs(home.map(|home| ("PYTHONHOME", home)));
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}; Python 3.11 or later is needed", python.display()));
    assert!(output.status.success(), "{output:?}");
}
