//! What a start leaves in its memory the next one does not see, however it wrote and however it ended; and it finds the memory's pages
//! where they were.

use std::ptr::{self, NonNull};
use std::thread;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants, StartError};
use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::sysinfo::sysinfo;
use procfs::process::{MMapPath, MemoryMap, Process};
use proptest::prelude::*;
use wasmtime::Module;

use crate::common::engine_with;

/// Of the host, in the memory that each program begins with.
const PAGES: u32 = 2048;
/// 32 pieces are what the engine resets in place; the strides around 64 write one less and one more.
const STRIDES: [u32; 14] = [1, 2, 3, 4, 7, 16, 40, 62, 63, 64, 66, 500, 2000, 2047];

/// How a start ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum End {
    Returns = b'e',
    Exits = b'x',
    Traps = b't',
    Overflows = b'r',
    /// And writes what it got.
    Grows = b'g',
    Late = b'l',
}

const ENDS: [End; 5] = [
    End::Returns,
    End::Exits,
    End::Traps,
    End::Overflows,
    End::Grows,
];

/// What a start does after it has looked at every byte of its memory: writes to every `stride`th of the first `pages`, if not 0, and
/// ends.
#[derive(Debug, Clone, Copy)]
struct Attack {
    stride: u32,
    pages: u32,
    end: End,
}

const LOOKS: Attack = Attack {
    stride: 0,
    pages: 0,
    end: End::Returns,
};

/// A program that exits with 9 if its memory is not `data`, of eight bytes again and again, in a memory of zeros, and with 8 if that is
/// not as large as it should be.
fn program(engine: &FaasletEngine, data: Option<(u32, u32)>) -> Module {
    let (from, bytes) = data.unwrap_or((0, 0));
    let segment = match data {
        Some(_) => format!(
            r#"(data (i32.const {from}) "{}")"#,
            "\\5a".repeat(bytes as usize)
        ),
        None => String::new(),
    };
    let wasm = wat::parse_str(format!(
        r#"(module
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") {memory_pages})
        {segment}
        (func $deeper (param i64 i64) (result i64)
            (i64.add (local.get 1) (call $deeper (local.get 1) (i64.add (local.get 0) (i64.const 1)))))
        (func $looks (local $at i32) (local $expected i64)
            (if (i32.ne (memory.size) (i32.const {memory_pages})) (then (call $exit (i32.const 8))))
            (loop $next
                (local.set $expected (select (i64.const 0x5a5a5a5a5a5a5a5a) (i64.const 0)
                    (i32.lt_u (i32.sub (local.get $at) (i32.const {from})) (i32.const {bytes}))))
                (if (i64.ne (i64.load (local.get $at)) (local.get $expected)) (then (call $exit (i32.const 9))))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const {memory_bytes})))))
        (func $writes (param $at i32) (param $stride i32) (param $end i32)
            (loop $next
                (if (i32.lt_u (local.get $at) (local.get $end)) (then
                    (i64.store offset=0 (local.get $at) (i64.const -1))
                    (i64.store offset=2040 (local.get $at) (i64.const -1))
                    (i64.store offset=4088 (local.get $at) (i64.const -1))
                    (local.set $at (i32.add (local.get $at) (local.get $stride)))
                    (br $next)))))
        ;; Four digits, times a page.
        (func $bytes (param $at i32) (result i32) (local $end i32) (local $number i32)
            (local.set $end (i32.add (local.get $at) (i32.const 4)))
            (loop $next
                (local.set $number (i32.add (i32.mul (local.get $number) (i32.const 10))
                    (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
            (i32.shl (local.get $number) (i32.const 12)))
        (func (export "_start") (local $end i32) (local $stride i32)
            (call $looks)
            (drop (call $args (i32.const 0) (i32.const 64)))
            (local.set $end (i32.load8_u (i32.const 72)))
            (local.set $stride (call $bytes (i32.const 64)))
            (if (local.get $stride) (then
                (call $writes (i32.const 0) (local.get $stride) (call $bytes (i32.const 68)))))
            (if (i32.eq (local.get $end) (i32.const {grows})) (then
                (if (i32.eq (memory.grow (i32.const 5)) (i32.const -1)) (then (call $exit (i32.const 7))))
                (call $writes (i32.const {memory_bytes}) (i32.const 4096) (i32.shl (memory.size) (i32.const 16)))))
            (if (i32.eq (local.get $end) (i32.const {exits})) (then (call $exit (i32.const 5))))
            (if (i32.eq (local.get $end) (i32.const {traps})) (then unreachable))
            (if (i32.eq (local.get $end) (i32.const {overflows})) (then (drop (call $deeper (i64.const 1) (i64.const 2)))))
            (if (i32.eq (local.get $end) (i32.const {late})) (then (loop $always (br $always))))))"#,
        memory_pages = PAGES / 16,
        memory_bytes = PAGES * 4096,
        exits = End::Exits as u8,
        traps = End::Traps as u8,
        overflows = End::Overflows as u8,
        grows = End::Grows as u8,
        late = End::Late as u8,
    ))
    .expect("a module");
    engine.compile(&wasm).expect("code")
}

/// With data that begins and ends within pages.
fn with_data(engine: &FaasletEngine) -> Module {
    program(engine, Some((100 * 4096 + 808, 700 * 8)))
}

/// With so many slots: with one, each start gets the memory that the last one wrote.
fn engine(instances: u32) -> FaasletEngine {
    engine_until(instances, Duration::from_secs(1))
}

fn engine_until(instances: u32, deadline: Duration) -> FaasletEngine {
    engine_with(EngineSettings {
        instances,
        deadline,
        memory_limit_bytes: 16 << 20,
        ..EngineSettings::default()
    })
}

fn attacker(engine: &FaasletEngine, module: &Module, attack: Attack) -> Function {
    let Attack { stride, pages, end } = attack;
    let letter = char::from(end as u8);
    let grants = Grants {
        args: vec![format!("{stride:04}{pages:04}{letter}")],
        ..Grants::default()
    };
    Function::new(engine, "it", module, grants).expect("a function")
}

/// Starts `attack`, which looks at its memory before, and holds how it ended against how it should have.
fn starts(engine: &FaasletEngine, module: &Module, attack: Attack) {
    let result = attacker(engine, module, attack).start(&mut Untimed);
    let is_as_meant = match attack.end {
        End::Returns | End::Grows => result.is_ok(),
        End::Exits => matches!(result, Err(StartError::ExitCode { code: 5, .. })),
        End::Traps | End::Overflows => matches!(result, Err(StartError::Trap { .. })),
        End::Late => matches!(result, Err(StartError::Deadline(_))),
    };
    assert!(is_as_meant, "{attack:?}: {result:?}");
}

#[test]
fn memory_is_clean_after_any_start_of_the_same_program() {
    let engine = engine(1);
    let module = with_data(&engine);
    for (stride, end) in STRIDES.iter().flat_map(|s| ENDS.map(|end| (*s, end))) {
        let pages = PAGES;
        starts(&engine, &module, Attack { stride, pages, end });
        starts(&engine, &module, LOOKS);
    }
}

#[test]
fn memory_is_clean_after_a_start_that_was_late() {
    // It has looked and written within a tenth of that, and computes for the rest.
    let engine = engine_until(1, Duration::from_millis(300));
    let module = with_data(&engine);
    for stride in [1, 4, 66] {
        let (pages, end) = (PAGES, End::Late);
        starts(&engine, &module, Attack { stride, pages, end });
        starts(&engine, &module, LOOKS);
    }
}

#[test]
fn memory_is_clean_after_another_program() {
    let engine = engine(1);
    let modules = [
        with_data(&engine),
        program(&engine, None),
        program(&engine, Some((1500 * 4096, 64))),
    ];
    for (i, stride) in STRIDES.iter().enumerate() {
        let (pages, end) = (PAGES, ENDS[i % ENDS.len()]);
        for module in &modules {
            starts(
                &engine,
                module,
                Attack {
                    stride: *stride,
                    pages,
                    end,
                },
            );
        }
    }
}

#[test]
fn memory_is_clean_where_two_start_at_once() {
    let engine = engine(2);
    let module = with_data(&engine);
    thread::scope(|scope| {
        for first in [0, 7] {
            let (engine, module) = (&engine, &module);
            scope.spawn(move || {
                for round in 0..60 {
                    let stride = STRIDES[(first + round) % STRIDES.len()];
                    // So few that what is written in pieces is joined, and so many that it is not.
                    let pages = if round % 2 == 0 { 400 } else { PAGES };
                    let end = ENDS[round % ENDS.len()];
                    starts(engine, module, Attack { stride, pages, end });
                }
            });
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn memory_is_clean_after_any_starts(attacks in prop::collection::vec((1..90_u32, 1..PAGES, 0..ENDS.len()), 1..20)) {
        let engine = engine(1);
        let module = with_data(&engine);
        for (stride, pages, end) in attacks {
            starts(&engine, &module, Attack { stride, pages, end: ENDS[end] });
        }
        starts(&engine, &module, LOOKS);
    }
}

/// Pages that the calling thread found missing.
fn faults() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("usage");
    usage.minor_page_faults()
}

#[test]
fn a_start_that_writes_here_and_there_finds_its_pages_where_they_were() {
    let described = EngineSettings::default().describe().join("\n");
    if described.contains("no pagemap scan") {
        eprintln!(
            "SKIPPED: pages of scattered writes: Linux before 6.7, or one with swap, is not asked which were written"
        );
        return;
    }
    let engine = engine(1);
    let module = with_data(&engine);
    // 100 pieces; with the gaps between them 400 pages, fewer than are kept.
    let attack = Attack {
        stride: 4,
        pages: 400,
        end: End::Returns,
    };
    let function = attacker(&engine, &module, attack);
    let faults_of_start = || {
        let before = faults();
        function.start(&mut Untimed).expect("exit code 0");
        faults() - before
    };
    let first = faults_of_start();
    assert!(
        first > 100,
        "{first} at the first start, which has its pages to meet"
    );
    faults_of_start();
    // Each piece behind the 32nd, given back, would be a fault of its own, and so would the pages that are only read there.
    let third = faults_of_start();
    assert!(third < 20, "{third} at the third, {first} at the first");
}

/// Has the kernel swap out the memory before each image that is mapped; returns how many bytes of all memory are swapped out then.
fn swap_out() -> u64 {
    let process = Process::myself().expect("/proc/self");
    let maps = process.maps().expect("mappings").0;
    let is_image = |map: &MemoryMap| matches!(&map.pathname, MMapPath::Path(path) if path.to_string_lossy().contains("wasm-memory-image"));
    for pair in maps.windows(2).filter(|pair| is_image(&pair[1])) {
        let (from, to) = pair[0].address;
        if let Some(at) = NonNull::new(ptr::with_exposed_provenance_mut(from as usize)) {
            // SAFETY: nothing that is read there changes. Mapped it is, unless another test has ended, and then it is nobody's.
            let _ = unsafe { madvise(at, (to - from) as usize, MmapAdvise::MADV_PAGEOUT) };
        }
    }
    let status = process.status().expect("/proc/self/status");
    status.vmswap.unwrap_or(0) * 1024
}

#[test]
fn memory_that_is_swapped_out_when_a_start_ends_is_clean_too() {
    if sysinfo().expect("of this host").swap_total() == 0 {
        eprintln!("SKIPPED: memory that is swapped out: this host has no swap (swapon)");
        return;
    }
    let engine = engine(1);
    let module = with_data(&engine);
    let attack = Attack {
        stride: 3,
        pages: 90,
        end: End::Late,
    };
    let swapped_bytes = thread::scope(|scope| {
        let attacking = scope.spawn(|| starts(&engine, &module, attack));
        thread::sleep(Duration::from_millis(300));
        let swapped_bytes = swap_out();
        attacking.join().expect("no panic");
        swapped_bytes
    });
    if swapped_bytes == 0 {
        eprintln!(
            "SKIPPED: memory that is swapped out: the kernel swapped nothing, is there swap left?"
        );
    }
    starts(&engine, &module, LOOKS);
}
