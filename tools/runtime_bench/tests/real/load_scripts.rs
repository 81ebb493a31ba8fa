//! Mixes and traces: several functions under one generator, and what is wrong with their files.

use std::fs;
use std::path::Path;

use driver_testkit::functions::copy_program;
use measure_core::base::exit::Exit;
use measure_core::base::home::HOME_VARIABLE;

use crate::load::{busy, points};
use crate::tool::{can_run, code, host, run, says, stderr, stdout, tool};

const MIX: &str = r#"[[function]]
name = "mine/first"
weight = 4
parked = 1

[[function]]
name = "mine/second"
"#;

const TRACE: &str = "HashOwner,HashApp,HashFunction,Trigger,1,2
o,a,mine/first,http,30,12
o,a,mine/second,timer,5,0
";

/// Loads `process` with functions of `home`; the exit code and both outputs.
fn load(home: &Path, what: &[&str], out: &Path) -> (i32, String, String) {
    let output = tool()
        .args([
            "load",
            "--rungs",
            "process",
            "--repetitions",
            "1",
            "--seed",
            "3",
        ])
        .args(what)
        .arg("--output")
        .arg(out)
        .env(HOME_VARIABLE, home)
        .output()
        .expect("the tool starts");
    (code(&output), stdout(&output), stderr(&output))
}

#[test]
fn a_mix_and_a_trace_load_several_functions_on_one_time_line() {
    let test = "a_mix_and_a_trace_load_several_functions_on_one_time_line";
    let _host = host();
    if !can_run(test, "process-driver", "process") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("home");
    for name in ["first", "second"] {
        copy_program("/bin/true", &home.join(format!("store/mine/{name}/native")));
    }
    let mix = dir.path().join("mix.toml");
    fs::write(&mix, MIX).expect("written");
    let trace = dir.path().join("trace.csv");
    fs::write(&trace, TRACE).expect("written");
    let out = dir.path().join("mix");
    let path = mix.to_str().expect("a path");
    let what = ["--mix", path, "--rates", "200", "--duration", "500"];
    let (code, said, errors) = load(&home, &what, &out);
    if code == Exit::Busy as i32 {
        return busy(test);
    }
    assert_eq!(code, 0, "{errors}");
    assert!(said.contains("process mine/second"), "{said}");
    let found = points(&out);
    // On a host that is busy the generator may have been late.
    if found.iter().all(|p| p.generator.unfit.is_none()) {
        assert!(said.contains("kept for"), "{said}");
    }
    let rates: Vec<f64> = found.iter().map(|p| p.offered_per_s).collect();
    assert_eq!(rates, [160.0, 40.0]);
    for point in &found {
        let kept: Vec<u64> = point.kept_alive.iter().map(|k| k.kept_ns).collect();
        assert_eq!(kept, [0, 1_000_000_000, 10_000_000_000]);
        let cold: Vec<u64> = point.kept_alive.iter().map(|k| k.cold).collect();
        assert_eq!(cold[0], point.served());
        assert!(cold[0] > cold[1] && cold[1] >= cold[2], "{cold:?}");
    }
    let out = dir.path().join("trace");
    let path = trace.to_str().expect("a path");
    let (code, _, errors) = load(&home, &["--trace", path, "--speed", "100"], &out);
    assert_eq!(code, 0, "{errors}");
    let arrivals: Vec<u64> = points(&out).iter().map(|p| p.arrivals).collect();
    assert_eq!(arrivals, [42, 5]);
}

#[test]
fn scripts_that_make_no_sense_are_refused_by_their_line() {
    let _host = host();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("script");
    let path = file.to_str().expect("a path");
    let cases: [(&str, &[&str], &str); 5] = [
        (
            "seconds,function\n2,a/b\n1,a/b\n",
            &["--trace", path],
            "script:3: 1 s lies before",
        ),
        (
            "seconds,function\n2,a/b\n3,a",
            &["--trace", path],
            "script:3: the last line has no end",
        ),
        (
            "HashOwner,HashApp,HashFunction,Trigger,1,3\n",
            &["--trace", path],
            "minute 2 is missing",
        ),
        (
            "[[function]]\nname = \"noop\"\n",
            &["--mix", path, "--rates", "5"],
            "user/function",
        ),
        ("", &["--mix", path], "required"),
    ];
    for (text, arguments, why) in cases {
        fs::write(&file, text).expect("written");
        let output = run(&[&["load", "--rungs", "thread"], arguments].concat());
        assert_eq!(
            code(&output),
            Exit::Usage as i32,
            "{text}: {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains(why), "{text}: {}", stderr(&output));
    }
    let absent = run(&["load", "--trace", "/nowhere"]);
    assert_eq!(code(&absent), Exit::Usage as i32);
    says(&absent, "cannot read the trace /nowhere");
}
