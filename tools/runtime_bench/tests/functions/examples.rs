//! The examples that users copy.

use std::path::Path;

use driver_testkit::skipped;
use measure_core::base::exit::Exit;
use measure_core::base::home;

use crate::home::{Home, rungs_here};

const RUNGS: [(&str, &str); 4] = [
    ("process-driver", "process"),
    ("faasm-driver", "faaslet"),
    ("faasm-driver", "proto-faaslet"),
    ("docker-driver", "docker-none"),
];

/// Adds the example `name` as it lies in the repository; what its file expects is held against each rung.
fn add(test: &str, home: &Home, name: &str, without: &[&str]) {
    let rungs = rungs_here(test, home, &RUNGS);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../functions/examples")
        .join(name);
    let said = home
        .run(&[
            "add",
            &dir.to_string_lossy(),
            "--replace",
            "--rungs",
            &rungs.join(","),
        ])
        .expect(Exit::Ok);
    for rung in rungs {
        let row = said.row(rung);
        if row.contains("has no Wasm side") && without.contains(&rung) {
            skipped(test, format!("{rung}: {}", said.stderr.trim()));
        } else {
            said.ready(rung, "");
        }
    }
}

#[test]
fn hello_in_c() {
    if let Some(home) = Home::with_compilers("example hello") {
        add("example hello", &home, "hello", &[]);
    }
}

#[test]
fn resize_in_c() {
    const TEST: &str = "example resize";
    if !Path::new("/usr/include/stb/stb_image.h").is_file() {
        return skipped(TEST, "no stb; apt-get install libstb-dev");
    }
    if let Some(home) = Home::with_compilers(TEST) {
        add(TEST, &home, "resize", &[]);
    }
}

#[test]
fn wordcount_in_rust() {
    add(
        "example wordcount",
        &Home::make(),
        "wordcount",
        &["faaslet", "proto-faaslet"],
    );
}

#[test]
fn order_in_python() {
    const TEST: &str = "example order";
    if !home::root().join("python/wasi/function.wasm").is_file() {
        return skipped(TEST, "CPython is not built (make python python-functions)");
    }
    let home = Home::with_python();
    add(TEST, &home, "order", &[]);
    home.run(&["remove", "examples/order"]).expect(Exit::Ok);
}
