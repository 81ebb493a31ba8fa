//! Functions that are components, on every rung that takes them.

use driver_testkit::{component, handler, left};
use measure_core::contract::protocol::Message;

use crate::common::{Bench, assert_mentions, is_tried, module, ready_rungs};
use crate::hostile::deadline;
use crate::modules as m;

/// With `demo/<name>` for each: the fields of its module, and what it runs.
fn bench_with(programs: &[(&str, &str, &str)]) -> Bench {
    let bench = Bench::new();
    for (name, fields, body) in programs {
        bench.upload(name, &component(1, fields, body)).expect(0);
    }
    bench
}

fn noop() -> Vec<u8> {
    component(1, "", "")
}

/// The rungs that start from a function itself, by the first engine: the second compiles modules.
fn rungs(test: &str) -> Vec<String> {
    let mut rungs = ready_rungs(test);
    rungs.retain(|rung| !rung.starts_with("proto") && !rung.contains("llvm"));
    rungs
}

#[test]
fn a_component_has_the_phases_of_every_function() {
    let bench = bench_with(&[("noop", "", "")]);
    for rung in rungs("components") {
        let ran = bench.ok(&format!("time 10 --rung {rung} --warmup 2 --workers 2"));
        for sample in &ran.samples() {
            for phase in ["wasi", "instance", "run", "drop"] {
                let mut names = sample.phases.iter().map(|(name, _)| name);
                assert!(names.any(|name| name == phase), "{rung}: {sample:?}");
            }
        }
    }
}

/// Each way to misbehave: name, fields, what it runs, and what is said of it.
const CASES: &[(&str, &str, &str, &[&str])] = &[
    ("fails", "", "(call $fail)", &["exit code 1"]),
    ("endless", "", "(loop $l (br $l))", &["deadline", "50ms"]),
    (
        "sleeper",
        "",
        "(call $sleep (i64.const 8640000000000000))",
        &["deadline", "50ms"],
    ),
    (
        "memory-bomb",
        "",
        "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        &["trap", "denied", "memory", "8388608"],
    ),
    (
        "table-bomb",
        "(table 1 funcref)",
        "(loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 4096)) (i32.const -1)))) unreachable",
        &["trap", "denied", "table"],
    ),
    (
        "trap",
        "(func $boom unreachable)",
        "(call $boom)",
        &["trap", "unreachable", "boom"],
    ),
    (
        "early",
        "(func $early unreachable) (start $early)",
        "",
        &["trap", "unreachable", "early"],
    ),
    (
        "recursion",
        "(func $deeper (call $deeper) (call $deeper))",
        "(call $deeper)",
        &["trap", "stack exhausted"],
    ),
    (
        "bounds",
        "",
        "(drop (i32.load (i32.const 0x7fffffff)))",
        &["trap", "out of bounds"],
    ),
    (
        "complains",
        r#"(data (i32.const 100) "out of\1b[31m luck")"#,
        "(call $complain (i32.const 100) (i32.const 16)) (call $fail)",
        &["exit code 1", "out of", "luck"],
    ),
];

#[test]
fn each_start_that_goes_wrong_is_told_and_the_driver_goes_on() {
    let programs = CASES
        .iter()
        .map(|&(name, fields, body, _)| (name, fields, body));
    let programs: Vec<_> = programs.collect();
    let bench = bench_with(&programs);
    for rung in rungs("hostile components") {
        if rung.contains("new") {
            continue;
        }
        for (name, _, _, says) in CASES {
            if !is_tried(&rung, name, &["fails", "endless", "memory-bomb", "trap"]) {
                continue;
            }
            let options = format!("--deadline {} --memory-limit 8", deadline(name));
            let line = format!("time 2 --rung {rung} --function demo/{name} {options}");
            let ran = bench.fails(4, &line, says);
            assert_eq!(ran.samples().len(), 2, "{rung} {name}");
            for sample in ran.samples() {
                assert_mentions(&sample.error.expect("an error"), says);
            }
            assert!(!ran.stderr.contains('\x1b'), "{:?}", ran.stderr);
        }
    }
}

#[test]
fn parked_components_wait_inside_and_end_when_released() {
    let bench = bench_with(&[(
        "park",
        "",
        "(loop $more (br_if $more (i32.ne (call $read (i64.const 100)) (i32.const -1))))",
    )]);
    for rung in rungs("parked components") {
        let mut running = bench.start(&format!("hold 20 --rung {rung} --gated"));
        let pid = running.pid();
        running.until(|m| matches!(m, Message::Ready));
        running.go();
        running.until(|m| matches!(m, Message::Parked { workers: 20 }));
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{rung}: {ended:?}");
        assert_eq!(left::cgroups_of(pid).len(), 0);
    }
}

#[test]
fn a_component_is_installed_replaced_and_kept_like_a_module() {
    let bench = Bench::new();
    let as_component = noop();
    for (bytes, says) in [
        (&as_component, "installed"),
        (&as_component, "unchanged"),
        (&module(m::NOOP), "replaced"),
        (&as_component, "replaced"),
    ] {
        assert_mentions(&bench.upload("noop", bytes).expect(0).stdout, &[says]);
        bench.ok("time 2 --rung wasm");
    }
    assert_mentions(&bench.ok("codegen").stdout, &["up to date"]);
    assert_mentions(&bench.ok("list").stdout, &["demo/noop"]);
    for line in [
        "codegen --snapshot demo/noop",
        "time 1 --rung proto-faaslet",
    ] {
        let ran = bench.run(line);
        assert!(ran.code != Some(0), "{ran:?}");
        // Without the rights for a seat, the rung is what is missing.
        if ran.code != Some(3) {
            assert_mentions(&ran.stderr, &["it is a component", "componentize-py"]);
        }
    }
}

#[test]
fn what_cannot_run_is_refused_before_it_is_installed() {
    let bench = Bench::new();
    for (wat, says) in [
        (
            r#"(component (import "wasi:cli/stdot@0.2.0" (instance)))"#,
            "the nearest is `wasi:cli/stdout`",
        ),
        ("(component)", "wasi:cli/run"),
        (
            r#"(component (import "wasi:cli/run@0.2.0" (instance)))"#,
            "wasi:cli/run",
        ),
    ] {
        let ran = bench.upload("bad", &module(wat));
        assert_mentions(&ran.expect(1).stderr, &[says]);
    }
    let mut broken = noop();
    let end = broken.len() - 100;
    broken[2000..end].fill(0xff);
    bench.upload("bad", &broken).expect(1);
    assert!(!bench.function_dir("bad").exists());
}

#[test]
fn a_handler_is_asked_and_then_asked_again() {
    let bench = Bench::new();
    bench.upload("handler", &handler("", "")).expect(0);
    bench.upload("noop", &noop()).expect(0);
    for rung in rungs("handlers") {
        let line = format!("time 5 --rung {rung} --function demo/handler --warmup 2");
        for sample in &bench.ok(&line).samples() {
            let mut names = sample.phases.iter().map(|(name, _)| name);
            assert!(names.any(|name| name == "first-byte"), "{rung}: {sample:?}");
        }
        let asked = bench.ok(&format!("{line} --requests"));
        let samples = asked.samples();
        assert_eq!(samples.iter().filter(|s| !s.warmup).count(), 5, "{rung}");
        for sample in &samples {
            let names: Vec<&str> = sample.phases.iter().map(|(name, _)| &**name).collect();
            assert_eq!(names, ["first-byte", "run"], "{rung}");
        }
        let refused = bench.run(&format!(
            "time 5 --rung {rung} --function demo/noop --requests"
        ));
        assert_mentions(&refused.expect(2).stderr, &["is no handler"]);
    }
}

#[test]
fn a_handler_that_dies_at_request_three_fails_there_and_another_goes_on() {
    let bench = Bench::new();
    let dies = handler(
        "(global $n (mut i32) (i32.const 0))",
        "(global.set $n (i32.add (global.get $n) (i32.const 1)))
        (if (i32.eq (global.get $n) (i32.const 3)) (then unreachable))",
    );
    bench.upload("dies", &dies).expect(0);
    let ran = bench.run("time 10 --rung wasm --function demo/dies --requests");
    let ran = ran.expect(4);
    let samples = ran.samples();
    assert_eq!(samples.len(), 10);
    let failed: Vec<_> = samples.iter().filter_map(|s| s.error.as_deref()).collect();
    assert_eq!(failed.len(), 5, "every second");
    assert!(
        failed.iter().all(|error| error.contains("trap")),
        "{failed:?}"
    );
}
