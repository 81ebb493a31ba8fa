//! The real executable on a real store, with modules that are whole, stripped, damaged and foreign.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A kernel, its caller, and a helper that only a name section names.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (memory (export "memory") 1)
    (func $kernel_3mm (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
    (func $helper (call $proc_exit (call $kernel_3mm (i32.const 0))))
    (func (export "_start") (call $helper)))"#;

struct Bench {
    home: TempDir,
}

/// What one run of the executable did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            home: TempDir::new().expect("a temporary directory"),
        };
        bench.put("poly_3mm", &wat::parse_str(PROGRAM).expect("a module"));
        bench
    }

    /// As an upload leaves it, but not compiled, which happens when it is first asked for.
    fn put(&self, name: &str, wasm: &[u8]) {
        let file = self.file(name, "function.wasm");
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder
            .create(file.parent().expect("a directory"))
            .expect("made");
        fs::write(file, wasm).expect("written");
    }

    fn file(&self, function: &str, name: &str) -> PathBuf {
        self.home
            .path()
            .join("store/polybench")
            .join(function)
            .join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_func_sym"));
        command
            .env("FAASM_BENCH_HOME", self.home.path())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("func_sym").into()
    }

    fn annotate(&self, text: &[u8]) -> Ran {
        let mut child = self
            .command(&["--annotate", "polybench", "3mm"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("func_sym");
        let mut input = child.stdin.take().expect("standard input");
        let text = text.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&text));
        let ran = child.wait_with_output().expect("an end").into();
        // It may have ended before it read all, which its code and output tell.
        let _ = writer.join().expect("no panic");
        ran
    }
}

/// `wasm` without its name section.
fn stripped(wasm: &[u8]) -> Vec<u8> {
    let mut out = wasm[..8].to_vec();
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("a valid module");
        if let Some((id, range)) = payload.as_section()
            && id != 0
        {
            // Its size again, in five bytes whatever it is.
            let size = u32::try_from(range.len()).expect("a small section");
            out.push(id);
            for i in 0..5 {
                let more = if i < 4 { 0x80 } else { 0 };
                out.push((size >> (7 * i)) as u8 & 0x7f | more);
            }
            out.extend_from_slice(&wasm[range]);
        }
    }
    out
}

#[test]
fn each_function_is_mapped_and_the_mapping_kept() {
    let bench = Bench::new();
    let ran = bench.run(&["polybench", "3mm"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in [
        "wasm[0]::function[1]::kernel_3mm = kernel_3mm",
        "wasm[0]::function[2]::helper = helper",
        "wasm[0]::function[3] = _start",
        "wasm[0]::array_to_wasm_trampoline[3] = _start [entry]",
    ] {
        assert!(ran.text().lines().any(|l| l == line), "{line}: {ran:?}");
    }
    let kept = fs::read(bench.file("poly_3mm", "function.symbols")).expect("kept");
    assert_eq!(kept, ran.stdout);
    // The full name does too, and the store is as good as before.
    assert_eq!(bench.run(&["polybench", "poly_3mm"]).stdout, ran.stdout);
    let stored = fs::read_dir(bench.home.path().join("store/polybench"));
    assert_eq!(stored.expect("listed").count(), 1);
}

#[test]
fn sizes_are_those_of_the_compiled_code() {
    let bench = Bench::new();
    let ran = bench.run(&["--sizes", "polybench", "3mm"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut end = 0;
    for line in ran.text().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), 3, "{line}");
        let offset = u64::from_str_radix(fields[1].trim_start_matches("0x"), 16).expect("hex");
        let size: u64 = fields[2].parse().expect("a number");
        assert!(offset >= end && size > 0, "{line}");
        end = offset + size;
    }
    // All pieces, the engine's own too.
    assert!(ran.text().contains(" = [engine]\t"), "{ran:?}");
}

#[test]
fn lines_come_from_debug_info() {
    let bench = Bench::new();
    let ran = bench.run(&["--lines", "polybench", "3mm"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("compile it with -g"), "{ran:?}");

    let source = bench.home.path().join("lines.c");
    let module = bench.home.path().join("lines.wasm");
    fs::write(
        &source,
        "int volatile sink;\n\n__attribute__((noinline)) void work(int n)\n{\n  sink += n;\n}\nint main(void)\n{\n  work(3);\n}\n",
    )
    .expect("written");
    // Without -O: with it clang has wasm-opt, where there is one, strip what it links.
    let compiled = Command::new("clang-19")
        .args(["--target=wasm32-wasi", "--sysroot=/usr", "-g", "-o"])
        .args([&module, &source])
        .output();
    match compiled {
        Ok(output) if output.status.success() => {}
        failed => {
            eprintln!("SKIPPED: lines_come_from_debug_info: no compiler for Wasm: {failed:?}");
            return;
        }
    }
    bench.put("lines", &fs::read(&module).expect("a module"));
    let ran = bench.run(&["--lines", "polybench", "lines"]);
    let line = ran.text();
    let line = line
        .lines()
        .find(|line| line.contains("= work\t"))
        .unwrap_or_else(|| panic!("no work: {ran:?}"));
    // clang counts a function from its brace or from its name.
    assert!(
        line.ends_with("lines.c:3") || line.ends_with("lines.c:4"),
        "{line}"
    );
}

#[test]
fn a_stripped_module_is_mapped_as_far_as_its_exports_go() {
    let bench = Bench::new();
    let wasm = stripped(&wat::parse_str(PROGRAM).expect("a module"));
    bench.put("poly_3mm", &wasm);
    let ran = bench.run(&["polybench", "3mm"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = ran.text();
    for line in ["wasm[0]::function[1] = ?", "wasm[0]::function[3] = _start"] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
    assert!(
        ran.stderr.contains("2 of 3 functions have no name"),
        "{ran:?}"
    );
}

#[test]
fn unknown_names_suggest_the_nearest() {
    let bench = Bench::new();
    for (args, says) in [
        (["polybench", "3m"], "did you mean `poly_3mm`?"),
        (["polybnch", "3mm"], "did you mean `polybench`?"),
        (["polybench", "../3mm"], "is not a name"),
        (["..", "3mm"], "is not a name"),
    ] {
        let ran = bench.run(&args);
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(says), "{says}: {ran:?}");
    }
    assert_eq!(bench.run(&["polybench"]).code, Some(2));
    let ran = bench.run(&["--annotate", "--sizes", "polybench", "3mm"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn foreign_files_are_refused() {
    let bench = Bench::new();
    for content in [&b""[..], b"\x7fELF", b"\0asm\x01\0\0\0\xff\xff"] {
        fs::write(bench.file("poly_3mm", "function.wasm"), content).expect("written");
        let ran = bench.run(&["polybench", "3mm"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("polybench/poly_3mm"), "{ran:?}");
    }
}

#[test]
fn a_mapping_that_cannot_be_kept_is_printed_all_the_same() {
    let bench = Bench::new();
    fs::create_dir(bench.file("poly_3mm", "function.symbols")).expect("a directory");
    let ran = bench.run(&["polybench", "3mm"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.text().contains("= kernel_3mm"), "{ran:?}");
    assert!(ran.stderr.contains("not kept"), "{ran:?}");
}

#[test]
fn names_in_a_stream_of_any_bytes_are_replaced() {
    let bench = Bench::new();
    let ran = bench.annotate(
        b"  97% poly  jitted-1.so [.] wasm[0]::function[1]\n\xff\xfe\0 wasm[0]::function[1]::kernel_3mm+0x1f\r\nwasm[0]::function[99]",
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.stdout,
        b"  97% poly  jitted-1.so [.] kernel_3mm\n\xff\xfe\0 kernel_3mm+0x1f\r\nwasm[0]::function[99]"
    );
    assert!(!bench.file("poly_3mm", "function.symbols").exists());
    // More than fits into pipes and buffers.
    let many = b"x wasm[0]::function[2] y\n".repeat(100_000);
    let ran = bench.annotate(&many);
    assert_eq!(ran.stdout, b"x helper y\n".repeat(100_000));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let bench = Bench::new();
    let mut child = bench
        .command(&["--annotate", "polybench", "3mm"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("func_sym");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("standard input");
    // Until it is gone.
    while input.write_all(b"wasm[0]::function[1]\n").is_ok() {}
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn a_kernel_that_is_not_built_yet_is_built_in_a_checkout() {
    if Command::new("make").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: building on demand: no `make`: apt-get install make");
    }
    let mut bench = Bench::new();
    // The home becomes `build` of a checkout, whose Makefile has the function in its hands.
    let top = std::mem::replace(&mut bench.home, TempDir::new().expect("a directory"));
    let at = |name: &str| top.path().join(name);
    fs::create_dir(at("build")).expect("made");
    fs::rename(at("store"), at("build/store")).expect("moved");
    fs::rename(at("build/store/polybench/poly_3mm"), at("away")).expect("moved");
    fs::create_dir(at("polybench-src")).expect("made");
    fs::write(at("polybench-src/build.mk"), "").expect("written");
    fs::create_dir_all(at("target/release")).expect("made");
    for tool in ["wasm-post-link", "faasm-driver"] {
        fs::write(at("target/release").join(tool), "").expect("written");
    }
    let recipe = "@echo '$(POLYBENCH_KERNELS) $(POLYBENCH_DATASETS)' >asked; mkdir -p build/store/polybench; mv away build/store/polybench/poly_3mm";
    let makefile = format!("polybench-on-demand:\n\t{recipe}\n");
    fs::write(at("Makefile"), makefile).expect("written");
    let run = |name: &str| -> Ran {
        let mut command = bench.command(&["polybench", name]);
        command.env("FAASM_BENCH_HOME", at("build"));
        command.env_remove("CARGO_TARGET_DIR");
        command.output().expect("func_sym").into()
    };
    let ran = run("3mm");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("poly_3mm is not built yet"), "{ran:?}");
    assert!(ran.text().contains("= kernel_3mm"), "{ran:?}");
    let asked = fs::read_to_string(at("asked")).expect("asked");
    assert_eq!(asked, "3mm large\n");
    // What no kernel is called is told as ever.
    let ran = run("3mn");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("did you mean"), "{ran:?}");
}
