//! Compiles the demo functions into the driver, for the rungs that run them on a thread. The same sources
//! are built as static executables for `process` and as Wasm for Faaslets.

fn main() {
    for name in ["noop", "park"] {
        let source = format!("../../functions/{name}.c");
        println!("cargo::rerun-if-changed={source}");
        cc::Build::new()
            .file(&source)
            // A program has one `main`, and this one's is Rust's.
            .define("main", format!("{name}_main").as_str())
            .opt_level(3)
            .warnings(true)
            .compile(name);
    }
}
