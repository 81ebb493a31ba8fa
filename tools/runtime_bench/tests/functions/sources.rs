//! Sources as people have them: trees of several files, C beside C++, what WASI is too small for, Cargo packages for Wasm, scripts.

use std::process::Command;

use driver_testkit::skipped;
use measure_core::base::exit::Exit;

use crate::home::{Home, LIGHT, rungs_here};

/// What compiles C++ to Wasm, of which a host may have only the compiler.
fn has_cpp(test: &str, home: &Home) -> bool {
    let source = home.write("probe.cpp", "#include <string>\nint main() {}\n");
    let compiled = Command::new("clang++-19")
        .args([
            "--target=wasm32-wasi",
            "--sysroot=/usr",
            "-fno-exceptions",
            "-o",
        ])
        .arg(home.place("probe.wasm"))
        .arg(source)
        .output();
    let has = compiled.is_ok_and(|output| output.status.success());
    if !has {
        skipped(
            test,
            "C++ is not compiled to Wasm; apt-get install libc++-19-dev-wasm32 libc++abi-19-dev-wasm32",
        );
    }
    has
}

fn add_tree(home: &Home, rungs: &str) {
    let said = home.run(&[
        "add",
        "mine/tree",
        "--source",
        "tree",
        "--replace",
        "--rungs",
        rungs,
    ]);
    let said = said.expect(Exit::Ok);
    for rung in rungs.split(',') {
        said.ready(rung, "42 of 42");
    }
}

#[test]
fn a_tree_of_c_with_a_directory_of_headers_is_one_program() {
    const TEST: &str = "a tree of C";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    home.write("tree/include/sum.h", "int sum(int a, int b);\n");
    home.write(
        "tree/lib/deep/sum.c",
        "#include \"sum.h\"\n#include \"own.h\"\nint sum(int a, int b) { return a + b + OWN; }\n",
    );
    home.write("tree/lib/deep/own.h", "#define OWN 0\n");
    home.write("tree/.git/broken.c", "no C\n");
    home.write("tree/main.c", "#include <stdio.h>\n#include \"sum.h\"\nint main(void) { int *new = &(int){ 42 }; printf(\"%d of %d\\n\", sum(40, 2), *new); return 0; }\n");
    let rungs = rungs_here(TEST, &home, &LIGHT).join(",");
    add_tree(&home, &rungs);
    if !has_cpp(TEST, &home) {
        return;
    }
    // Beside C++, C stays C: `new` is a name there.
    home.write(
        "tree/main.c",
        "#include <stddef.h>\nint answer(void) { int *new = &(int){ 42 }; return *new; }\n",
    );
    home.write("tree/main.cpp", "#include <iostream>\nextern \"C\" {\n#include \"sum.h\"\nint answer(void);\n}\nint main() { std::cout << sum(40, 2) << \" of \" << answer() << std::endl; }\n");
    add_tree(&home, &rungs);
}

#[test]
fn what_wasi_is_too_small_for_is_told() {
    const TEST: &str = "what WASI has not";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let threads = "#include <pthread.h>\nstatic void *f(void *p) { return p; }\nint main(void) { pthread_t t; return pthread_create(&t, 0, f, 0); }\n";
    let throws = "#include <stdexcept>\nint main() { try { throw std::runtime_error(\"x\"); } catch (...) { return 0; } }\n";
    let mut sources = vec![("threads.c", threads)];
    if has_cpp(TEST, &home) {
        sources.push(("throws.cpp", throws));
    }
    for (name, text) in sources {
        home.write(name, text);
        let said = home.run(&["add", "mine/x", "--source", name]);
        said.expect(Exit::Usage)
            .says("does not compile it to Wasm (WASI has no threads, processes, signals and sockets, and C++ no exceptions there")
            .says("--native alone");
    }
}

#[test]
fn a_package_that_builds_for_wasm_where_it_lies_is_built_natively_too() {
    const TEST: &str = "a Cargo package for Wasm";
    let home = Home::make();
    if Command::new("cargo").arg("--version").output().is_err() {
        return skipped(TEST, "no cargo");
    }
    home.write(
        "hello/Cargo.toml",
        "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    home.write(
        "hello/.cargo/config.toml",
        "[build]\ntarget = \"wasm32-wasip1\"\n",
    );
    home.write(
        "hello/src/main.rs",
        "fn main() { println!(\"hello there\"); }\n",
    );
    let rungs = rungs_here(TEST, &home, &LIGHT[..1]).join(",");
    let add = || {
        home.run(&[
            "add",
            "mine/hello",
            "--source",
            "hello",
            "--replace",
            "--rungs",
            &rungs,
        ])
    };
    add().expect(Exit::Ok).ready("process", "hello there");
    home.write("hello/src/bin/other.rs", "fn main() {}\n");
    add()
        .expect(Exit::Usage)
        .says("builds 2 programs (hello, other), and a function is one");
}

#[test]
fn a_script_runs_by_the_program_that_is_named() {
    let home = Home::make();
    home.write("say.sh", "#!/bin/sh\necho \"$1|$2\" from \"$WHO\"\n");
    let add = |interpreter: &str| {
        let line = [
            "add",
            "mine/say",
            "--native",
            "say.sh",
            "--interpreter",
            interpreter,
        ];
        let given = [
            "--arg", "a b", "--arg", "c", "--env", "WHO=me", "--rungs", "process",
        ];
        home.run(&[&line[..], &given].concat())
    };
    add("sh").expect(Exit::Ok).ready("process", "a b|c from me");
    add("no-such-shell")
        .expect(Exit::Usage)
        .says("mine/say is in the store already");
    home.run(&["remove", "mine/say"]).expect(Exit::Ok);
    add("no-such-shell")
        .expect(Exit::Unavailable)
        .says("no `no-such-shell` on PATH, which is to run say.sh");
}
