#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test file uses a part of it"
)]
//! What the tests share: a store of small native functions, and the driver on it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use driver_testkit::{Ended, Running, functions, skipped};
use tempfile::TempDir;

pub const DRIVER: &str = env!("CARGO_BIN_EXE_process-driver");

/// Functions beside the demo ones, by name and source.
const SOURCES: [(&str, &str); 4] = [
    ("test/three", "int main(void) { return 3; }"),
    ("test/abort", "int main(void) { __builtin_trap(); }"),
    (
        "test/forever",
        "int main(void) { volatile int i; for (;;) i = 0; }",
    ),
    (
        "test/deaf",
        "#include <unistd.h>\nint main(void) { for (;;) pause(); }",
    ),
];

/// What each handler is, beside the example: its seconds to answer, an own beginning, and whether the example follows.
const HANDLERS: [(&str, u32, &str, bool); 5] = [
    ("good", 30, "", true),
    (
        "elsewhere",
        2,
        "#include <stdlib.h>\n#define getenv(name) \"18999\"\n",
        true,
    ),
    (
        "third",
        30,
        "#include <unistd.h>\nstatic int answers;\nstatic ssize_t third(int to, const void *text, size_t bytes)\n{ if (++answers == 3) _exit(7); return write(to, text, bytes); }\n#define write third\n",
        true,
    ),
    (
        "silent",
        1,
        "#include <arpa/inet.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) { struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv(\"PORT\")))};\nint s = socket(AF_INET, SOCK_STREAM, 0); bind(s, (struct sockaddr *)&here, sizeof here); listen(s, 9); for (;;) pause(); }\n",
        false,
    ),
    (
        "gone",
        30,
        "#include <stdio.h>\nint main(void) { fprintf(stderr, \"no configuration\\n\"); return 3; }\n",
        false,
    ),
];

const HANDLER_TOML: &str =
    "kind = 'handler'\nnative = 'native'\n[handler]\nrequest = 'request'\n[expect]\nstatus = 200\n";

const DEMOS: [&str; 2] = ["noop", "park"];

/// A store with the demo functions and a few that misbehave, and the driver on it.
pub struct Bench {
    store: TempDir,
    /// Options before each command.
    options: Vec<OsString>,
}

impl Bench {
    /// `None`, with a word why, where the functions cannot be built.
    pub fn new() -> Option<Self> {
        let bench = Self::empty();
        let native = |id: &str| bench.path().join(id).join("native");
        for demo in DEMOS {
            let target = native(&format!("demo/{demo}"));
            if !functions::compile_native(&functions::demo_source(demo), &target) {
                skipped("native functions", functions::NO_MUSL);
                return None;
            }
        }
        for (id, text) in SOURCES {
            let source = bench.path().join("source.c");
            fs::write(&source, text).expect("written");
            assert!(functions::compile_native(&source, &native(id)), "{id}");
        }
        Some(bench)
    }

    /// The same with handlers: one that answers, and some that do not.
    pub fn with_handlers() -> Option<Self> {
        let bench = Self::new()?;
        let example = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../functions/examples/handler/handler.c")
            .canonicalize()
            .expect("the example");
        for (name, timeout_s, beginning, follows) in HANDLERS {
            let dir = bench.path().join("test").join(name);
            fs::create_dir_all(&dir).expect("made");
            let rest = match follows {
                true => format!("#include \"{}\"\n", example.display()),
                false => String::new(),
            };
            let source = bench.path().join(format!("{name}.c"));
            fs::write(&source, format!("{beginning}{rest}")).expect("written");
            if !functions::compile_native(&source, &dir.join("native")) {
                skipped("native handlers", functions::NO_MUSL);
                return None;
            }
            let toml = format!("timeout_s = {timeout_s}\n{HANDLER_TOML}");
            fs::write(dir.join("function.toml"), toml).expect("written");
            fs::write(dir.join("request"), "one two three").expect("written");
        }
        Some(bench)
    }

    /// Without any function.
    pub fn empty() -> Self {
        let store = tempfile::tempdir().expect("a directory");
        let options = vec!["--store".into(), store.path().into()];
        Self { store, options }
    }

    /// With the user's file `entries` of runtimes.
    pub fn with_runtimes(mut self, entries: &str) -> Self {
        let path = self.path().join("runtimes.toml");
        fs::write(&path, entries).expect("written");
        self.options.extend(["--runtimes".into(), path.into()]);
        self
    }

    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// The demo functions as Wasm; `false` where they cannot be built.
    pub fn compile_wasm(&self) -> bool {
        DEMOS.iter().all(|demo| {
            let target = self.path().join("demo").join(demo).join("function.wasm");
            functions::compile_wasm(&functions::demo_source(demo), &target)
        })
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(DRIVER);
        command.args(&self.options).args(words.split_whitespace());
        command
    }

    /// The driver, run to its end.
    pub fn run(&self, words: &str) -> Ended {
        driver_testkit::run(self.command(words))
    }

    /// The driver, running.
    pub fn start(&self, words: &str) -> Running {
        Running::start(self.command(words))
    }
}
