//! Functions that are scripts, in images made of their interpreter.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{assert_clean, driver, ends, ends_at, home, turn};
use driver_testkit::{run, skipped};

/// Succeeds if it finds what its image is to hold, and nothing else.
const SCRIPT: &str = "\
[ -f /interpreter/lib/marker ] && [ ! -e /interpreter/lib/archive.a ] || exit 6
read -r data </function/script/NAME/files/data && [ \"$data\" = text ] || exit 7
[ ! -e /bin ] || exit 8
";

/// The script `name` in the shared home, run by a shell that lies there too.
fn script(name: &str, text: &str) -> PathBuf {
    let interpreter = home().join("interpreter");
    fs::create_dir_all(interpreter.join("bin")).unwrap();
    fs::create_dir_all(interpreter.join("lib")).unwrap();
    fs::copy("/bin/busybox", interpreter.join("bin/busybox")).unwrap();
    fs::write(interpreter.join("lib/marker"), "").unwrap();
    fs::write(interpreter.join("lib/archive.a"), "").unwrap();
    let dir = home().join("store/script").join(name);
    fs::create_dir_all(dir.join("files")).unwrap();
    fs::write(dir.join("files/run.sh"), text.replace("NAME", name)).unwrap();
    fs::write(dir.join("files/data"), "text\n").unwrap();
    let command = "{home}/interpreter/bin/busybox\nsh\n{function}/files/run.sh\n";
    fs::write(dir.join("command"), command).unwrap();
    dir
}

#[test]
fn a_script_runs_in_an_image_of_its_interpreter_and_its_files() {
    let Some(_turn) = turn() else { return };
    let time = "time 2 --rung docker-none --function script/hello";
    script("hello", SCRIPT);
    let ended = ends(time, 0);
    assert_eq!(ended.samples().len(), 2);
    assert!(ended.samples().iter().all(|sample| sample.error.is_none()));
    let includes = &ended.scope().includes;
    assert!(
        includes.contains("script/hello and its interpreter"),
        "{includes}"
    );
    // Another text, another image: the next start runs it.
    script("hello", "exit 5\n");
    let samples = ends(time, 4).samples();
    let fails = |error: &String| error.contains("exit code 5");
    assert!(
        samples.iter().all(|s| s.error.as_ref().is_some_and(fails)),
        "{samples:?}"
    );
    assert_eq!(samples.len(), 2);
}

#[test]
fn a_script_whose_interpreter_is_not_of_this_build_is_refused() {
    let Some(_turn) = turn() else { return };
    let dir = script("foreign", SCRIPT);
    for command in ["/bin/busybox\nsh\n", "{home}/no-such-interpreter\n"] {
        fs::write(dir.join("command"), command).unwrap();
        let ended = run(driver(
            "time 1 --rung docker-none --function script/foreign",
        ));
        assert_ne!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.samples().is_empty());
        let said = format!("{} {}", ended.stdout, ended.stderr);
        assert!(said.contains("which is no file below"), "{said}");
        assert!(said.contains("make python"), "{said}");
        assert_clean(ended.pid);
    }
}

#[test]
fn a_python_function_starts_in_a_container() {
    let Some(_turn) = turn() else { return };
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build");
    let built = build.join("store/python/noop/command").is_file()
        && build.join("python/native/bin/python3.13").is_file();
    if !built {
        skipped(
            "Python in a container",
            "not built (make python python-functions)",
        );
        return;
    }
    let build = build.canonicalize().unwrap();
    let ended = ends_at(
        &build,
        "time 1 --rung docker-none --function python/noop",
        0,
    );
    assert_eq!(ended.samples()[0].error, None);
}
