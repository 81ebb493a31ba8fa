//! What can be brought, and that each rung runs it.

use std::fs;
use std::process::Command;

use driver_testkit::skipped;
use measure_core::base::exit::Exit;
use measure_core::base::home;

use crate::home::{Home, LIGHT, rungs_here};

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello there\"); return 0; }\n";

#[test]
fn a_c_file_runs_on_both_sides_and_is_timed() {
    const TEST: &str = "a C file";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(
        TEST,
        &home,
        &[
            LIGHT[0],
            LIGHT[1],
            ("faasm-driver", "faaslet"),
            ("docker-driver", "docker-none"),
        ],
    );
    let source = home.write("so urce/hello.c", HELLO);
    let named = rungs.join(",");
    let said = home.run(&[
        "add",
        "mine/hello",
        "--source",
        &source.to_string_lossy(),
        "--rungs",
        &named,
    ]);
    let said = said.expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "hello there");
    }
    assert!(home.left().is_empty(), "{:?}", home.left());
    home.run(&["list"])
        .expect(Exit::Ok)
        .says("mine/hello  native, wasm");
    home.run(&["show", "mine/hello"])
        .expect(Exit::Ok)
        .says("wasm = \"function.wasm\"");
    let (said, samples) = home.time("mine/hello", &named, 2);
    said.expect(Exit::Ok);
    for rung in &rungs {
        let start = |line: &String| {
            line.contains(&format!("\"rung\":\"{rung}\"")) && line.contains("mine/hello")
        };
        assert!(samples.iter().any(start), "no start of {rung}");
    }
    home.run(&["remove", "mine/hello"])
        .expect(Exit::Ok)
        .says("removed mine/hello");
    assert!(!home.function("mine/hello").exists());
    home.run(&["test", "mine/hello"])
        .expect(Exit::Usage)
        .says("runtime_bench add");
}

#[test]
fn names_with_any_characters_are_brought() {
    const TEST: &str = "strange paths";
    const STRANGE: &str = "ü 'q' \"d\" $HOME;`x` {home}\n-";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(
        TEST,
        &home,
        &[
            LIGHT[0],
            LIGHT[1],
            ("process-driver", "runc"),
            ("docker-driver", "docker-none"),
        ],
    );
    home.write(&format!("{STRANGE}/{STRANGE}.c"), "#include <stdio.h>\nint main(int n, char **a) { char t[9] = \"\"; FILE *f = fopen(a[1], \"r\"); return !(f && fgets(t, 9, f) && puts(t) >= 0); }\n");
    home.write(&format!("{STRANGE}/data/{STRANGE}"), "found");
    let source = home.place(&format!("{STRANGE}/{STRANGE}.c"));
    let files = home.place(&format!("{STRANGE}/data"));
    let said = home.run(&[
        "add",
        "mine/strange",
        "--source",
        &source.to_string_lossy(),
        "--files",
        &files.to_string_lossy(),
        "--arg",
        &format!("{{files}}/{STRANGE}"),
        "--rungs",
        &rungs.join(","),
    ]);
    let said = said.expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "found");
    }
}

#[test]
fn a_dynamic_program_brings_its_loader_and_libraries() {
    const TEST: &str = "a dynamic program";
    let home = Home::make();
    let rungs = rungs_here(
        TEST,
        &home,
        &[
            LIGHT[0],
            ("process-driver", "bubblewrap"),
            ("process-driver", "runc"),
            ("docker-driver", "docker-none"),
        ],
    );
    let source = home.write("hello.c", HELLO);
    let program = home.place("hello");
    let compiled = Command::new("cc")
        .arg("-o")
        .args([&program, &source])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        return skipped(TEST, "no cc; install the package gcc");
    }
    let said = home.run(&[
        "add",
        "mine/hello",
        "--native",
        &program.to_string_lossy(),
        "--rungs",
        &rungs.join(","),
    ]);
    let said = said.expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "hello there");
    }
    let dynamic = home.function("mine/hello").join("dynamic");
    let libraries = fs::read_dir(dynamic.join("lib")).expect("there").count();
    assert!(libraries >= 1 && dynamic.join("loader").is_file());
    // It is the copy that runs, whatever becomes of the host's.
    let command = fs::read_to_string(home.function("mine/hello").join("command")).expect("there");
    assert!(
        command.starts_with("{function}/dynamic/loader\n"),
        "{command}"
    );
}

#[test]
fn a_python_script_runs_natively_as_wasm_and_from_a_snapshot() {
    const TEST: &str = "a Python script";
    let built = |path: &str| home::root().join(path).is_file();
    if !built("python/native/bin/python3.13") || !built("python/wasi/function.wasm") {
        return skipped(TEST, "CPython is not built (make python python-functions)");
    }
    let home = Home::with_python();
    let (order, bad) = (
        format!("{}/order", home.user()),
        format!("{}/bad", home.user()),
    );
    let rungs = rungs_here(
        TEST,
        &home,
        &[
            LIGHT[0],
            ("faasm-driver", "faaslet"),
            ("faasm-driver", "proto-faaslet"),
            ("docker-driver", "docker-none"),
        ],
    );
    let text = "import sys\ndef main():\n    with open(sys.argv[1]) as file:\n        print(sys.argv[2], file.read().strip())\nif __name__ == '__main__':\n    main()\n";
    let script = home.write("my order.py", text);
    home.write("orders/first.json", "{\"order\": 1}\n");
    let said = home.run(&[
        "add",
        &order,
        "--python",
        &script.to_string_lossy(),
        "--files",
        "orders",
        "--args",
        "{files}/first.json,got",
        "--rungs",
        &rungs.join(","),
    ]);
    let said = said.expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "got {\"order\": 1}");
    }
    let script = home.write("bad.py", "def main(:\n");
    let said = home.run(&["add", &bad, "--python", &script.to_string_lossy()]);
    said.expect(Exit::Usage).says("bad.py").says("SyntaxError");
    assert!(!home.function(&bad).exists());
}

#[test]
fn a_cargo_package_says_which_target_it_lacks_or_runs_as_wasm_too() {
    const TEST: &str = "a Cargo package";
    let home = Home::make();
    home.write(
        "count/Cargo.toml",
        "[package]\nname = \"count\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    home.write("count/src/main.rs", "use std::io::Read;\nfn main() {\n    let mut text = String::new();\n    std::io::stdin().read_to_string(&mut text).unwrap();\n    println!(\"{} words\", text.split_whitespace().count());\n}\n");
    home.write("words.txt", "one two\nthree\n");
    if Command::new("cargo").arg("--version").output().is_err() {
        return skipped(TEST, "no cargo");
    }
    let rungs = rungs_here(TEST, &home, &LIGHT).join(",");
    let said = home.run(&[
        "add",
        "mine/count",
        "--source",
        "count",
        "--stdin",
        "words.txt",
        "--rungs",
        &rungs,
    ]);
    let said = said.expect(Exit::Ok);
    said.ready("process", "3 words");
    if home.function("mine/count/function.wasm").exists() {
        said.ready("wasm", "3 words");
    } else {
        assert!(
            said.row("wasm")
                .contains("cannot: mine/count has no Wasm side"),
            "{}",
            said.stdout
        );
        said.says("rustup target add wasm32-wasip1");
    }
}
