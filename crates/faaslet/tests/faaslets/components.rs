//! Components, run as every other function does: given what they are
//! granted and no more, limited, ended at their deadline.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use driver_testkit::component;
use faaslet::function::{Laps, Untimed, phase};
use faaslet::park::Parked;
use faaslet::stdin::Stdin;
use faaslet::{BudgetSettings, EngineSettings, FaasletEngine, Function, Grants, StartError, Store};
use measure_core::base::ids::FunctionId;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::common::engine_with;

pub(crate) fn engine() -> FaasletEngine {
    engine_with(EngineSettings {
        instances: 1,
        deadline: Duration::from_secs(60),
        ..EngineSettings::default()
    })
}

/// One that is soon over.
fn hasty() -> FaasletEngine {
    engine_with(EngineSettings {
        instances: 1,
        deadline: Duration::from_millis(50),
        tick: Duration::from_millis(1),
        ..EngineSettings::default()
    })
}

/// Texts that programs use, and one that calls itself without end.
const FIELDS: &str = r#"
    (data (i32.const 1000) "fifo")
    (data (i32.const 1010) "file")
    (data (i32.const 1020) "link")
    (data (i32.const 1030) "../outside")
    (data (i32.const 1040) "dir")
    (func $deep (param i32) (result i32) (i32.add (local.get 0) (call $deep (local.get 0))))"#;
const READ: &str = "(i32.const 0) (i32.const 1)";
const WRITE: &str = "(i32.const 0) (i32.const 2)";
const TRUNCATE: &str = "(i32.const 8) (i32.const 2)";

/// The component that runs `body`.
pub(crate) fn running(body: &str) -> Vec<u8> {
    component(3, FIELDS, body)
}

/// The same, installed in a store and loaded from there.
fn function_of(engine: &FaasletEngine, body: &str, grants: Grants) -> Function {
    installed(engine, &running(body), grants)
}

pub(crate) fn installed(engine: &FaasletEngine, wasm: &[u8], grants: Grants) -> Function {
    let dir = TempDir::new().expect("a directory");
    let store = Store::at(dir.path().join("store"));
    let id = FunctionId::new("demo", "it").expect("an id");
    store.upload(engine, &id, wasm).expect("installed");
    Function::load(engine, &store, &id, grants).expect("loaded")
}

pub(crate) fn start(function: &Function) -> Result<(), StartError> {
    function.start(&mut Untimed)
}

#[test]
fn a_component_runs_to_its_end_and_its_exit_is_told() {
    let engine = engine();
    for body in ["", "(call $exit (i32.const 0)) unreachable"] {
        let function = function_of(&engine, body, Grants::default());
        for _ in 0..3 {
            start(&function).expect("well");
        }
    }
    for body in ["(call $fail)", "(return (i32.const 1))"] {
        match start(&function_of(&engine, body, Grants::default())) {
            Err(StartError::ExitCode { code: 1, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    match start(&function_of(&engine, "unreachable", Grants::default())) {
        Err(StartError::Trap { cause, .. }) => assert!(cause.contains("unreachable"), "{cause}"),
        other => panic!("{other:?}"),
    }
    let deep = function_of(
        &engine,
        "(drop (call $deep (i32.const 0)))",
        Grants::default(),
    );
    match start(&deep) {
        Err(StartError::Trap { cause, .. }) => {
            assert!(
                cause.contains("stack") && cause.contains("`deep`"),
                "{cause}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// As a fault in the code that serves its calls would.
struct Panics;

impl Laps for Panics {
    fn lap(&mut self, name: &'static str) {
        assert_ne!(name, phase::RUN, "as it should be");
    }

    fn lap_at(&mut self, _: &'static str, _: u64) {}
}

#[test]
fn a_panic_beneath_a_start_is_that_starts_alone() {
    let function = function_of(&engine(), "", Grants::default());
    match function.start(&mut Panics) {
        Err(StartError::Setup(error)) => {
            assert!(error.to_string().contains("as it should be"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // Its slot, the only one, is free.
    start(&function).expect("well");
}

/// The only slot is dirtied all over, and looked through by the next start.
#[test]
fn nothing_survives_from_one_start_to_the_next() {
    let body = r"(local $at i32)
        (local.set $at (i32.const 65536))
        (loop $next
            (call $is (i32.load (local.get $at)) (i32.const 0))
            (i32.store (local.get $at) (i32.const 0x5ca1ab1e))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 196608))))";
    let function = function_of(&engine(), body, Grants::default());
    for _ in 0..5 {
        start(&function).expect("zeroes");
    }
}

#[test]
fn it_has_its_grants_and_no_more() {
    let body = r"(local $n i32)
        (call $is (call $arguments) (i32.const 2))
        (call $is (call $variables) (i32.const 1))
        (call $is (call $directories) (i32.const 0))
        (loop $more
            (local.set $n (call $read (i64.const 100)))
            (if (i32.ne (local.get $n) (i32.const -1)) (then
                (call $is (call $put (i32.load (i32.const 4000)) (local.get $n)) (i32.const 0))
                (br $more))))";
    let dir = TempDir::new().expect("a directory");
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    let text = "what goes in comes out\n".repeat(1000);
    fs::write(&input, &text).expect("a file");
    let grants = Grants {
        args: vec!["it".to_owned(), "one".to_owned()],
        env: vec![("A".to_owned(), "b".to_owned())],
        stdin: Some(Stdin::new(File::open(&input).expect("there").into())),
        stdout: Some(Arc::new(OwnedFd::from(
            File::create(&output).expect("a file"),
        ))),
        ..Grants::default()
    };
    start(&function_of(&engine(), body, grants)).expect("well");
    assert_eq!(fs::read_to_string(&output).expect("there"), text);
}

/// In a directory with a file, a FIFO that nobody writes to and a link that leads out.
fn place() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    fs::create_dir(dir.path().join("granted")).expect("a directory");
    fs::write(dir.path().join("outside"), "secret").expect("a file");
    fs::write(dir.path().join("granted/file"), "inside").expect("a file");
    let fifo = dir.path().join("granted/fifo");
    mkfifo(&fifo, Mode::from_bits_truncate(0o600)).expect("a FIFO");
    std::os::unix::fs::symlink("../outside", dir.path().join("granted/link")).expect("a link");
    dir
}

fn in_place(dir: &TempDir, writable: bool) -> Grants {
    Grants::default().with_dir(dir.path().join("granted"), "/", writable)
}

#[test]
fn a_directory_is_read_only_or_writable_and_has_no_way_out() {
    let dir = place();
    let reads = format!(
        r"(local $fd i32)
        (call $is (call $directories) (i32.const 1))
        (local.set $fd (call $open (i32.const 1010) (i32.const 4) {READ}))
        (call $is (call $read-file (local.get $fd)) (i32.const 6))
        ;; 31: not permitted
        (call $is (call $open (i32.const 1020) (i32.const 4) {READ}) (i32.const -32))
        (call $is (call $open (i32.const 1030) (i32.const 10) {READ}) (i32.const -32))"
    );
    start(&function_of(&engine(), &reads, in_place(&dir, false))).expect("read");
    let changes = format!(
        r"(local $fd i32)
        (local.set $fd (call $open (i32.const 1010) (i32.const 4) {TRUNCATE}))
        (if (i32.lt_s (local.get $fd) (i32.const 0)) (then (call $fail)))
        (call $is (call $write-file (local.get $fd) (i32.const 3000) (i32.const 3)) (i32.const 0))
        (call $is (call $mkdir (i32.const 1040) (i32.const 3)) (i32.const 0))"
    );
    let refused = start(&function_of(&engine(), &changes, in_place(&dir, false)));
    assert!(
        matches!(refused, Err(StartError::ExitCode { .. })),
        "{refused:?}"
    );
    let file = dir.path().join("granted/file");
    assert_eq!(fs::read(&file).expect("there"), b"inside");
    start(&function_of(&engine(), &changes, in_place(&dir, true))).expect("changed");
    assert_eq!(fs::read(&file).expect("there"), [0, 0, 0]);
    assert!(dir.path().join("granted/dir").is_dir());
}

/// `wasmtime-wasi` would wait in the kernel, where no deadline reaches.
#[test]
fn a_fifo_makes_nobody_wait() {
    let dir = place();
    let body = format!(
        r"(drop (call $open (i32.const 1000) (i32.const 4) {READ}))
        (drop (call $open (i32.const 1000) (i32.const 4) {WRITE}))"
    );
    let begun = Instant::now();
    start(&function_of(&engine(), &body, in_place(&dir, true))).expect("well");
    assert!(begun.elapsed() < Duration::from_secs(60), "it waited");
}

#[test]
fn memory_files_and_output_have_their_limits() {
    let engine = engine_with(EngineSettings {
        instances: 1,
        memory_limit_bytes: 2 << 20,
        budget: BudgetSettings {
            disk_limit_bytes: 64 << 10,
            ..BudgetSettings::default()
        },
        ..EngineSettings::default()
    });
    let says = |body: &str, grants: Grants| match start(&function_of(&engine, body, grants)) {
        Err(error) => error.to_string(),
        Ok(()) => panic!("it went on: {body}"),
    };
    let grows = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (call $fail)";
    let said = says(grows, Grants::default());
    assert!(said.contains("its limit is 2097152"), "{said}");
    let dir = place();
    let fills = format!(
        r"(local $fd i32)
        (local.set $fd (call $open (i32.const 1010) (i32.const 4) {WRITE}))
        (loop $more
            (br_if $more (i32.eqz (call $write-file (local.get $fd) (i32.const 3000) (i32.const 1000)))))
        (call $fail)"
    );
    let said = says(&fills, in_place(&dir, true));
    assert!(said.contains("--disk-limit"), "{said}");
    let file = fs::metadata(dir.path().join("granted/file")).expect("there");
    assert!(file.len() <= 64 << 10, "{}", file.len());
    let sink = Grants {
        stdout: Some(Arc::new(File::create("/dev/null").expect("there").into())),
        ..Grants::default()
    };
    let writes = "(loop $more (br_if $more (i32.eqz (call $put (i32.const 3000) (i32.const 1000))))) (call $fail)";
    let said = says(writes, sink);
    assert!(said.contains("--disk-limit"), "{said}");
}

/// Loops, waits of any kind: for a clock, for a reader, for both. Standard input, for which time does not count, is no way out.
#[test]
fn whatever_it_does_its_deadline_ends_it() {
    let (held, full) = std::io::pipe().expect("a pipe");
    let writes = "(loop $more (drop (call $put (i32.const 8192) (i32.const 4096))) (br $more))";
    let sleeps = "(call $sleep (i64.const 8640000000000000))";
    let stdin_and_clock = r"(local $n i32)
        (loop $more
            (call $sleep-or-input (i64.const 1000000))
            (local.set $n (i32.const 3000000))
            (loop $compute (br_if $compute (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (br $more))";
    let (waiting, _writer) = Stdin::pipe().expect("a pipe");
    let cases: [(&str, &str, Grants); 4] = [
        ("computes", "(loop $l (br $l))", Grants::default()),
        ("sleeps", sleeps, Grants::default()),
        (
            "writes to who does not read",
            writes,
            Grants {
                stdout: Some(Arc::new(OwnedFd::from(full))),
                ..Grants::default()
            },
        ),
        (
            "waits for standard input and a clock, and computes",
            stdin_and_clock,
            Grants {
                stdin: Some(waiting),
                ..Grants::default()
            },
        ),
    ];
    for (what, body, grants) in cases {
        let function = function_of(&hasty(), body, grants);
        for _ in 0..3 {
            match start(&function) {
                Err(StartError::Deadline(_)) => {}
                other => panic!("{what}: {other:?}"),
            }
        }
    }
    drop(held);
}

#[test]
fn it_waits_for_its_input_as_long_as_that_takes() {
    let body = "(loop $more (br_if $more (i32.ne (call $read (i64.const 100)) (i32.const -1))))";
    let engine = engine_with(EngineSettings {
        instances: 5,
        deadline: Duration::from_millis(50),
        ..EngineSettings::default()
    });
    let (stdin, release) = Stdin::pipe().expect("a pipe");
    let grants = Grants {
        stdin: Some(stdin.clone()),
        ..Grants::default()
    };
    let function = function_of(&engine, body, grants);
    let mut parked = Parked::park(&[function], &stdin, release, None, 5).expect("blocked");
    std::thread::sleep(Duration::from_millis(200));
    parked.release().expect("to their end");
}

#[test]
fn what_it_writes_is_read_though_the_reader_is_slow() {
    let body = r"(local $n i32)
        (local.set $n (i32.const 300))
        (loop $more
            (call $is (call $put (i32.const 8192) (i32.const 4000)) (i32.const 0))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let grants = Grants {
        stdout: Some(Arc::new(OwnedFd::from(write))),
        ..Grants::default()
    };
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        std::thread::sleep(Duration::from_millis(50));
        read.read_to_end(&mut all).map(|_| all.len())
    });
    let function = function_of(&engine(), body, grants);
    start(&function).expect("well");
    drop(function);
    assert_eq!(reader.join().expect("ended").expect("read"), 300 * 4000);
}
