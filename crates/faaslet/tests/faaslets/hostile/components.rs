//! Components of strangers that try to outlive their deadline, or to take the host's memory by what it keeps for them.

use std::env;
use std::fs::{self, File};
use std::io::pipe;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::{EngineSettings, FaasletEngine, Grants, StartError};

use super::overrun::{self, ends};
use crate::common::{IS_THOROUGH, engine_with};
use crate::components::installed;

/// What `run` of these can call is said there.
const TEMPLATE: &str = include_str!("component.wat");

/// The component with a memory of `pages` whose `run` is `body`.
fn component(pages: u32, body: &str) -> Vec<u8> {
    let text = TEMPLATE
        .replace("(;pages;)", &pages.to_string())
        .replace("(;body;)", body);
    wat::parse_str(text).expect("a component")
}

/// What each does for ever, and the pages of its memory.
const ENDLESS: [(&str, u32, &str); 13] = [
    ("a component computes nothing", 17, ""),
    (
        "a component fills much",
        4096,
        "(memory.fill (i32.const 0x10000) (i32.const 7) (i32.const 0xfff0000))",
    ),
    (
        "a component copies much",
        4096,
        "(memory.copy (i32.const 0x10001) (i32.const 0x10000) (i32.const 0xffe0000))",
    ),
    (
        "a component copies much down",
        4096,
        "(memory.copy (i32.const 0x10000) (i32.const 0x10001) (i32.const 0xffe0000))",
    ),
    (
        "a component grows by nothing",
        17,
        "(drop (memory.grow (i32.const 0)))",
    ),
    (
        "a component is random",
        33,
        "(call $random (i64.const 0x100000) (i32.const 4096))",
    ),
    (
        "a component never takes what it asked for",
        17,
        "(i32.store (i32.const 16) (i32.const 1)) (call $random (i64.const 10) (i32.const 4096))",
    ),
    // A list of one pollable, as often as handles may be lent.
    (
        "a component polls one thing many times",
        128,
        "(if (i32.eqz (local.get $a)) (then
            (local.set $a (call $after (i64.const 1)))
            (local.set $b (i32.const 0x300000))
            (loop $fill
                (i32.store (local.get $b) (local.get $a))
                (br_if $fill (i32.lt_u (local.tee $b (i32.add (local.get $b) (i32.const 4))) (i32.const 0x303e00))))))
        (call $poll (i32.const 0x300000) (i32.const 3968) (i32.const 4096))",
    ),
    (
        "a component waits for many clocks",
        128,
        "(local.set $b (i32.const 0x300000))
        (loop $fill
            (i32.store (local.get $b) (call $after (i64.const 3600000000000)))
            (br_if $fill (i32.lt_u (local.tee $b (i32.add (local.get $b) (i32.const 4))) (i32.const 0x3012c0))))
        (call $poll (i32.const 0x300000) (i32.const 1200) (i32.const 4096))",
    ),
    // Once it has written what it may, each call fails; an error that it kept would be a handle too many before long.
    (
        "a component writes zeroes",
        17,
        "(if (i32.eqz (local.get $a)) (then (local.set $a (i32.add (call $stdout) (i32.const 1)))))
        (call $write-zeroes (i32.sub (local.get $a) (i32.const 1)) (i64.const 65536) (i32.const 4096))
        (if (i32.and (i32.load8_u (i32.const 4096)) (i32.eqz (i32.load8_u (i32.const 4100)))) (then
            (call $drop-error (i32.load (i32.const 4104)))))",
    ),
    (
        "a component lists a large directory",
        17,
        "(if (i32.eqz (local.get $a)) (then (local.set $a (i32.add (call $dir) (i32.const 1)))))
        (call $list (i32.sub (local.get $a) (i32.const 1)) (i32.const 4096))
        (call $drop-entries (call $handle))",
    ),
    (
        "a component reads all of a large directory",
        17,
        "(if (i32.eqz (local.get $a)) (then (local.set $a (i32.add (call $dir) (i32.const 1)))))
        (call $list (i32.sub (local.get $a) (i32.const 1)) (i32.const 4096))
        (local.set $b (call $handle))
        (loop $next
            (call $entry (local.get $b) (i32.const 4096))
            (if (i32.load8_u (i32.const 4096)) (then unreachable))
            (br_if $next (i32.load8_u (i32.const 4100))))
        (call $drop-entries (local.get $b))",
    ),
    (
        "a component waits for what never comes",
        17,
        "(i32.store (i32.const 4300) (call $after (i64.const -1)))
        (call $poll (i32.const 4300) (i32.const 1) (i32.const 4096))",
    ),
];

/// Files in the large directory.
const ENTRIES: usize = if IS_THOROUGH { 20_000 } else { 2_000 };

fn large_directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let first = dir.path().join("first");
    File::create(&first).expect("a file");
    for i in 0..ENTRIES {
        // Links take no blocks, and are quickly made.
        let name = format!("{i:0>200}");
        fs::hard_link(&first, dir.path().join(name)).expect("a link");
    }
    dir
}

fn grants(dir: &Path) -> Grants {
    overrun::grants().with_dir(dir, "/", true)
}

#[test]
fn whatever_a_component_does_it_ends_soon_after_its_deadline() {
    let engine = overrun::engine();
    let dir = large_directory();
    let suite = ENDLESS.map(|(what, pages, body)| {
        let wasm = component(pages, &format!("(loop $l {body} (br $l))"));
        (what, installed(&engine, &wasm, grants(dir.path())))
    });
    let mut suite = Vec::from(suite);
    let wasm = many_instances();
    suite.push((
        "a component makes many instances of many elements",
        installed(&engine, &wasm, Grants::default()),
    ));
    ends(&suite);
}

/// As many instances as there may be, each of which brings as many elements as there may be into a table of another. It never gets to its
/// loop if that takes as long as its deadline.
fn many_instances() -> Vec<u8> {
    // Unoptimised, the compiler takes seconds for that many.
    let elements = "0 ".repeat(if IS_THOROUGH { 65_000 } else { 8_000 });
    let instances =
        r#"(core instance (instantiate $each (with "t" (instance $table))))"#.repeat(60);
    let text = format!(
        r#"(component
        (core module $table (table (export "table") 65536 funcref))
        (core instance $table (instantiate $table))
        (core module $each (import "t" "table" (table 65536 funcref)) (func)
            (elem (i32.const 0) func {elements}) (elem (i32.const 1) func {elements}))
        {instances}
        (core module $program (func (export "run") (result i32) (loop $l (br $l)) (i32.const 0)))
        (core instance $program (instantiate $program))
        (func $run (result (result)) (canon lift (core func $program "run")))
        (instance $exported (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $exported)))"#
    );
    wat::parse_str(text).expect("a component")
}

/// Two at once, each of which comes to all entries.
#[test]
fn a_listing_has_every_entry_once() {
    let next = |listing: &str| {
        format!(
            "(call $entry (local.get {listing}) (i32.const 4096))
            (if (i32.load8_u (i32.const 4096)) (then unreachable))
            (local.set $n (i32.add (local.get $n) (i32.load8_u (i32.const 4100))))"
        )
    };
    let body = format!(
        "(local $n i32) (local $before i32)
        (call $list (call $dir) (i32.const 4096)) (local.set $a (call $handle))
        (call $list (call $dir) (i32.const 4096)) (local.set $b (call $handle))
        (loop $more
            (local.set $before (local.get $n)) {} {}
            (br_if $more (i32.ne (local.get $n) (local.get $before))))
        (if (i32.ne (local.get $n) (i32.const {})) (then unreachable))",
        next("$a"),
        next("$b"),
        2 * (ENTRIES + 1)
    );
    let dir = large_directory();
    let engine = engine_with(EngineSettings {
        instances: 1,
        deadline: Duration::from_secs(60),
        ..EngineSettings::default()
    });
    installed(&engine, &component(17, &body), grants(dir.path()))
        .start(&mut Untimed)
        .expect("all entries");
}

/// What each makes again and again, and never lets go.
const HOARDS: [(&str, &str); 5] = [
    ("fields", "(call $many-fields)"),
    (
        "bodies",
        "(local.set $a (call $unread)) (call $put (local.get $a)) (call $put (local.get $a))",
    ),
    ("output", "(call $put (call $stdout))"),
    (
        "listings",
        "(if (i32.eqz (local.get $a)) (then (local.set $a (i32.add (call $dir) (i32.const 1)))))
        (call $list (i32.sub (local.get $a) (i32.const 1)) (i32.const 4096))
        (call $entry (call $handle) (i32.const 4096))",
    ),
    ("clocks", "(drop (call $after (i64.const 3600000000000)))"),
];

/// Names what a process of this test is to hoard.
const HOARD: &str = "FAASLET_TEST_HOARD";
/// More than all that a start's handles may come to.
const HOARDED_KIB_MAX: u64 = 200 << 10;

#[test]
fn what_a_component_hoards_does_not_take_the_hosts_memory() {
    if let Ok(what) = env::var(HOARD) {
        return hoard(&what);
    }
    for (what, _) in HOARDS {
        let output = Command::new(env::current_exe().expect("this executable"))
            .args(["--exact", "--nocapture"])
            .arg("hostile::components::what_a_component_hoards_does_not_take_the_hosts_memory")
            .env(HOARD, what)
            .output()
            .expect("this test");
        let said = String::from_utf8_lossy(&output.stdout);
        let peak = said.lines().find_map(|line| line.strip_prefix("peak: "));
        let peak: Option<u64> = peak.and_then(|kib| kib.parse().ok());
        let Some(peak_kib) = peak else {
            panic!("{what}: its process ended with {}: {said}", output.status);
        };
        println!("{what}: {peak_kib} KiB at most");
        assert!(
            peak_kib < HOARDED_KIB_MAX,
            "{what}: {peak_kib} KiB of the host's memory"
        );
    }
}

/// Starts a component that makes `what` until it may not, or is late, and says what memory this process came to.
fn hoard(what: &str) {
    let engine: FaasletEngine = engine_with(EngineSettings {
        instances: 1,
        deadline: Duration::from_secs(4),
        ..EngineSettings::default()
    });
    let body = HOARDS.iter().find(|(name, _)| *name == what);
    let (_, body) = body.expect("one of them");
    let dir = large_directory();
    let (unread, stdout) = pipe().expect("a pipe");
    let grants = Grants {
        stdout: Some(Arc::new(OwnedFd::from(stdout))),
        ..grants(dir.path())
    };
    let wasm = component(33, &format!("(loop $l {body} (br $l))"));
    let function = installed(&engine, &wasm, grants);
    let before = resident_kib("VmRSS:");
    match function.start(&mut Untimed) {
        Err(error @ (StartError::Deadline(_) | StartError::Trap { .. })) => println!("{error}"),
        other => panic!("{what}: {other:?}"),
    }
    drop(unread);
    // On a line of its own, after what the test harness says.
    println!("\npeak: {}", resident_kib("VmHWM:").saturating_sub(before));
}

fn resident_kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    number
        .and_then(|n| n.trim().parse().ok())
        .expect("a number")
}
