//! Programs that misbehave: each start fails with a clear message, the next one is made all the same, and
//! nothing is left.

use std::thread;

use driver_testkit::left;

use crate::common::{Bench, assert_mentions, is_tried, ready_rungs};
use crate::modules as m;

const STARTS: usize = 3;

/// Name, program, and what the message must say.
type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("exit3", m::EXIT_3, &["exit code 3"]),
    ("endless", m::ENDLESS, &["deadline", "50ms"]),
    ("sleeper", m::SLEEPER, &["deadline"]),
    (
        "memory-bomb",
        m::MEMORY_BOMB,
        &["trap", "denied", "memory", "8388608"],
    ),
    ("table-bomb", m::TABLE_BOMB, &["trap", "denied", "table"]),
    ("trap", m::TRAP, &["trap", "unreachable", "boom"]),
    ("early", m::TRAP_IN_START, &["trap", "unreachable", "early"]),
    ("recursion", m::RECURSION, &["trap", "stack exhausted"]),
    ("bounds", m::OUT_OF_BOUNDS, &["trap", "out of bounds"]),
    ("opens", m::OPENS_FILE, &["exit code 8"]),
    ("probes", m::PROBES_DESCRIPTORS, &["exit code 8"]),
    (
        "complains",
        m::COMPLAINS,
        &["exit code 1", "out of", "luck"],
    ),
];

/// One of each way to end: an exit code, a deadline, a limit, a trap.
const ALWAYS: [&str; 4] = ["exit3", "endless", "memory-bomb", "trap"];

#[test]
fn each_start_fails_and_the_driver_goes_on() {
    let modules: Vec<_> = CASES.iter().map(|&(name, wat, _)| (name, wat)).collect();
    let bench = Bench::with(&modules);
    // Side by side, as some of the programs wait for their deadline.
    thread::scope(|scope| {
        for rung in ready_rungs("hostile programs") {
            let bench = &bench;
            scope.spawn(move || {
                for case in CASES {
                    if is_tried(&rung, case.0, &ALWAYS) {
                        each_start_fails(bench, &rung, case);
                    }
                }
            });
        }
    });
}

/// How long each program may take: those that never end need no longer, and the others end by themselves, on however busy a host.
pub fn deadline(name: &str) -> &'static str {
    match name {
        "endless" | "sleeper" => "0.05",
        _ => "30",
    }
}

/// Words of a message that are names of functions, of which the second engine's code tells none.
const NAMES: [&str; 2] = ["boom", "early"];

fn each_start_fails(bench: &Bench, rung: &str, (name, _, says): &Case) {
    let function = format!("demo/{name}");
    let is_llvm = rung.contains("-llvm");
    if is_llvm && *name == "table-bomb" {
        let time = format!("time 3 --rung {rung} --function {function}");
        bench.fails(3, &time, &["unavailable", "grows a table", "without -llvm"]);
        return;
    }
    let mut says = says.to_vec();
    says.retain(|word| !(is_llvm && NAMES.contains(word)));
    let limits = format!("--deadline {} --memory-limit 8", deadline(name));
    let time = format!("time 3 --rung {rung} --function {function} {limits}");
    let ran = bench.fails(4, &time, &[]);
    let samples = ran.samples();
    assert_eq!(samples.len(), STARTS, "{rung} {name}: {ran:?}");
    for sample in samples {
        assert_mentions(&sample.error.expect("an error"), &says);
    }
    assert_eq!(ran.batch().failed, STARTS as u64);
    assert_mentions(&ran.stderr, &says);
    assert!(!ran.stderr.contains('\x1b'), "{:?}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn a_memory_that_begins_above_the_limit_is_refused_before_any_start() {
    let bench = Bench::new();
    let wasm = wat::parse_str(m::MEMORY_HUGE).expect("a module");
    assert_mentions(
        &bench.upload("huge", &wasm).expect(1).stderr,
        &["4294967296", "--memory-limit"],
    );
    let file = bench.home.path().join("upload.wasm");
    let file = file.to_str().expect("a path");
    bench.ok(&format!("--memory-limit 4096 upload demo huge {file}"));
    let time = "time 1 --rung wasm --function demo/huge";
    bench.fails(1, time, &["4294967296", "--memory-limit"]);
    bench.ok(&format!("--memory-limit 4096 {time}"));
}

#[test]
fn one_failing_program_leaves_the_next_alone() {
    let bench = Bench::with(&[("recursion", m::RECURSION), ("noop", m::NOOP)]);
    for rung in ready_rungs("good starts after bad ones") {
        bench.fails(
            4,
            &format!("time 2 --rung {rung} --function demo/recursion"),
            &[],
        );
        let good = bench.ok(&format!("time 20 --rung {rung} --workers 2"));
        assert_eq!(good.samples().len(), 20);
    }
}

#[test]
fn nothing_is_left_after_failures() {
    let bench = Bench::with(&[("trap", m::TRAP)]);
    for rung in ready_rungs("nothing left after failures") {
        let running = bench.start(&format!("time 5 --rung {rung} --function demo/trap"));
        let ended = running.end();
        assert_eq!(ended.code, Some(4));
        assert_eq!(left::behind(ended.pid), Vec::<String>::new());
    }
}
