//! CPython from a snapshot: what one start leaves behind, the next does not see.

use std::fs;
use std::io::Read;
use std::sync::Arc;

use faaslet::function::Untimed;
use faaslet::snapshot::{self, Names, Plan};
use faaslet::{EngineSettings, Grants};
use measure_core::base::home;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{engine_with, function};

const STARTS: usize = 3;

/// Says what it finds, then leaves something of each kind behind: a global, an open file, an imported
/// module, another working directory, an environment variable, a finder of modules.
const SCRIPT: &str = r#"
import atexit, json, os, random, secrets, sys, tempfile

left = []
own = random.Random()

def descriptors():
    found = []
    for fd in range(3, 32):
        try:
            os.fstat(fd)
            found.append(fd)
        except OSError:
            pass
    return found

def main():
    atexit.register(print, json.dumps("the end"))
    print(json.dumps({
        "same": {
            "global": list(left),
            "descriptors": descriptors(),
            "module": "textwrap" in sys.modules,
            "directory": os.getcwd(),
            "variable": os.environ.get("LEFT"),
            "path": sys.path,
            "arguments": sys.argv,
            "hash": hash("a text"),
            "own": own.random(),
        },
        "fresh": [random.random(), os.urandom(8).hex(), secrets.token_hex(8), random.SystemRandom().random()],
    }))
    left.append("a global")
    import textwrap
    os.chdir("/function")
    os.environ["LEFT"] = "a variable"
    sys.path.append("/left")
    left.append(open("/function/function.py"))
    if os.path.exists("/function/fails"):
        raise ValueError("the reason")

if __name__ == "__main__":
    main()
"#;

#[test]
fn no_state_of_one_start_is_seen_by_the_next() {
    let python = home::root().join("python");
    let Ok(wasm) = fs::read(python.join("wasi/function.wasm")) else {
        eprintln!(
            "SKIPPED: Python from a snapshot: no {} (make python python-functions)",
            python.join("wasi/function.wasm").display()
        );
        return;
    };
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("function.py"), SCRIPT).expect("a file");
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let grants = Grants {
        args: ["python3", "-S", "-E", "/function/function.py"]
            .map(str::to_owned)
            .to_vec(),
        stdout: Some(Arc::new(write.into())),
        ..Grants::default()
    };
    let grants = grants
        .with_dir(python.join("native/lib"), "/python/lib", false)
        .with_dir(dir.path(), "/function", false);
    let engine = engine_with(EngineSettings {
        // One slot: each start gets the memory that the last one dirtied.
        instances: 1,
        deadline: std::time::Duration::from_secs(120),
        ..EngineSettings::default()
    });
    let plan = Plan::from_exports("it", &wasm, &Names::default()).expect("a plan");
    let snapshot = snapshot::take(&engine, "it", &wasm, &grants, &plan).expect("a snapshot");
    let function = function(&engine, snapshot, grants);
    for _ in 0..STARTS {
        function.start(&mut Untimed).expect("exit code 0");
    }
    // An exception ends it as a process ends: exit handlers run, and what was printed is there.
    fs::write(dir.path().join("fails"), "").expect("a file");
    let error = function.start(&mut Untimed).expect_err("an exception");
    assert!(error.to_string().contains("the reason"), "{error}");
    // Its end of the pipe, so that ours comes to an end.
    drop(function);
    let mut said = String::new();
    read.read_to_string(&mut said).expect("text");
    let said: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let (ends, said): (Vec<_>, Vec<_>) = said.into_iter().partition(Value::is_string);
    assert_eq!(ends.len(), STARTS + 1, "{ends:?}");
    assert_eq!(said.len(), STARTS + 1, "{said:?}");
    let first = &said[0]["same"];
    assert_eq!(first["global"], Value::Array(Vec::new()));
    assert_eq!(first["module"], Value::Bool(false));
    assert_eq!(first["variable"], Value::Null);
    for other in &said[1..] {
        assert_eq!(&other["same"], first);
        for fresh in 0..4 {
            assert_ne!(other["fresh"][fresh], said[0]["fresh"][fresh]);
        }
    }
}
