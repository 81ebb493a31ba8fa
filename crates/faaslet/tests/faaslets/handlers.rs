//! Handlers: components that answer requests, asked once or more often, limited and ended as every function is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use driver_testkit::handler;
use faaslet::function::Untimed;
use faaslet::park::Parked;
use faaslet::stdin::Stdin;
use faaslet::{EngineSettings, Exchange, FaasletEngine, Function, Grants, StartError, Store};
use measure_core::base::clock::PhaseClock;
use measure_core::base::ids::FunctionId;
use measure_core::contract::exchange::Request;
use tempfile::TempDir;

fn engine() -> FaasletEngine {
    FaasletEngine::new(EngineSettings {
        instances: 5,
        deadline: Duration::from_millis(300),
        tick: Duration::from_millis(1),
        ..EngineSettings::default()
    })
    .expect("an engine")
}

fn words(text: &str) -> Request {
    Request {
        method: "POST".to_owned(),
        body: text.as_bytes().to_vec(),
        headers: vec![("X-Words".to_owned(), "many".to_owned())],
        ..Request::default()
    }
}

fn exchange(request: &Request) -> Arc<Exchange> {
    Arc::new(Exchange::new(request, None).expect("a request"))
}

/// The handler `wasm`, installed in a store and loaded from there, asked as `exchange` says.
fn installed(wasm: &[u8], exchange: &Arc<Exchange>, stdin: Option<Arc<Stdin>>) -> Function {
    let dir = TempDir::new().expect("a directory");
    let store = Store::at(dir.path().join("store"));
    let id = FunctionId::new("demo", "it").expect("an id");
    let engine = engine();
    store.upload(&engine, &id, wasm).expect("installed");
    let grants = Grants {
        exchange: Some(exchange.clone()),
        stdin,
        ..Grants::default()
    };
    Function::load(&engine, &store, &id, grants).expect("loaded")
}

fn failure(fields: &str, before: &str) -> String {
    let asked = exchange(&Request::default());
    asked.ask_more(4);
    let function = installed(&handler(fields, before), &asked, None);
    match function.start(&mut Untimed) {
        Err(error) => error.to_string(),
        Ok(()) => panic!("it went well"),
    }
}

#[test]
fn a_handler_answers_each_request_of_an_instance() {
    let asked = exchange(&words("one two\nthree"));
    asked.keep();
    asked.ask_more(2);
    let function = installed(&handler("", ""), &asked, None);
    assert!(function.is_handler());
    function.start(&mut Untimed).expect("answered");
    let responses = asked.take_responses();
    assert_eq!(responses.len(), 3);
    for response in &responses {
        assert_eq!(response.status, 200);
        assert_eq!(response.content_type.as_deref(), Some("text/plain"));
        assert_eq!(response.body.kept, b"3 words\n");
    }
    assert_eq!(asked.take_phases().len(), 2);
    assert!(asked.take_responses().is_empty());
}

#[test]
fn its_phases_sum_and_one_ends_with_the_first_byte() {
    let asked = exchange(&Request::default());
    asked.ask_more(3);
    let function = installed(&handler("", ""), &asked, None);
    let mut clock = PhaseClock::start();
    function.start(&mut clock).expect("answered");
    let first = clock.finish();
    let names: Vec<&str> = first.phases.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["wasi", "instance", "first-byte", "run", "drop"]);
    assert_eq!(
        first.phases.iter().map(|p| p.1).sum::<u64>(),
        first.total_ns
    );
    for phases in asked.take_phases() {
        let names: Vec<&str> = phases.phases.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["first-byte", "run"]);
        assert_eq!(
            phases.phases.iter().map(|p| p.1).sum::<u64>(),
            phases.total_ns
        );
    }
}

/// A body of many pieces: the handler waits for it piece by piece.
#[test]
fn a_large_body_is_read_whole() {
    let asked = exchange(&words(&"word ".repeat(100_000)));
    asked.keep();
    let function = installed(&handler("", ""), &asked, None);
    function.start(&mut Untimed).expect("answered");
    assert_eq!(asked.take_responses()[0].body.kept, b"100000 words\n");
}

#[test]
fn one_that_never_answers_is_late() {
    let begun = Instant::now();
    let said = failure("", "(loop $l (br $l))");
    assert!(said.contains("deadline"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn one_whose_answer_never_ends_is_late() {
    let endless = "(local.set $response (call $new-response (call $new-fields)))
        (call $body (local.get $response) (i32.const 4096))
        (local.set $body (call $handle-of))
        (call $set (local.get $outparam) (i32.const 0) (local.get $response)
            (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
        (call $write-to (local.get $body) (i32.const 4096))
        (local.set $out (call $handle-of))
        (loop $more
            (call $write (local.get $out) (i32.const 8192) (i32.const 4096) (i32.const 4096))
            (br_if $more (i32.eqz (i32.load8_u (i32.const 4096)))))";
    let said = failure("", endless);
    assert!(
        said.contains("deadline") || said.contains("--disk-limit"),
        "{said}"
    );
}

#[test]
fn what_is_no_answer_is_told() {
    let said = failure("", "return");
    assert!(said.contains("returned without an answer"), "{said}");
    let said = failure("", "unreachable");
    assert!(
        said.contains("trap") && said.contains("unreachable"),
        "{said}"
    );
    // Case 3 of the error code: destination-unavailable.
    let refuses =
        "(call $set (local.get $outparam) (i32.const 1) (i32.const 3) (i32.const 0) (i64.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) return";
    let said = failure("", refuses);
    assert!(said.contains("answered with the error"), "{said}");
    // It dies at its third request.
    let said = failure(
        "(global $n (mut i32) (i32.const 0))",
        "(global.set $n (i32.add (global.get $n) (i32.const 1)))
        (if (i32.eq (global.get $n) (i32.const 3)) (then unreachable))",
    );
    assert!(said.contains("trap"), "{said}");
}

/// One that exits well at its first request.
const EXITS: &str = r#"(component
    (import "wasi:http/types@0.2.0" (instance $http
        (export "incoming-request" (type (sub resource))) (export "response-outparam" (type (sub resource)))))
    (alias export $http "incoming-request" (type $request))
    (alias export $http "response-outparam" (type $outparam))
    (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
    (core func $exit (canon lower (func $exit "exit")))
    (core module $handler (import "h" "exit" (func $exit (param i32)))
        (func (export "handle") (param i32 i32) (call $exit (i32.const 0))))
    (core instance $handler (instantiate $handler (with "h" (instance (export "exit" (func $exit))))))
    (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
        (canon lift (core func $handler "handle")))
    (instance $exported (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $exported)))"#;

#[test]
fn an_exit_is_no_answer() {
    let wasm = wat::parse_str(EXITS).expect("a component");
    let function = installed(&wasm, &exchange(&Request::default()), None);
    match function.start(&mut Untimed) {
        Err(StartError::Answer { cause, .. }) => assert!(cause.contains("exited"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_of_another_status_is_a_failed_start_unless_it_is_kept() {
    let asked = Exchange::new(&Request::default(), Some(201)).expect("a request");
    let asked = Arc::new(asked);
    let function = installed(&handler("", ""), &asked, None);
    match function.start(&mut Untimed) {
        Err(StartError::Answer { cause, .. }) => {
            assert_eq!(cause, "it answered with status 200 instead of 201");
        }
        other => panic!("{other:?}"),
    }
    asked.keep();
    function.start(&mut Untimed).expect("others look at it");
}

#[test]
fn nothing_survives_from_one_start_to_the_next_but_from_one_request() {
    // Its answers are 1, 2, 3 words: what it has counted is kept between requests of one instance.
    let fields = "(global $n (mut i32) (i32.const 0))";
    let before = "(global.set $n (i32.add (global.get $n) (i32.const 1)))
        (if (i32.gt_u (global.get $n) (i32.const 2)) (then unreachable))";
    let asked = exchange(&Request::default());
    asked.ask_more(1);
    let function = installed(&handler(fields, before), &asked, None);
    for _ in 0..5 {
        function.start(&mut Untimed).expect("two requests each");
    }
    asked.ask_more(2);
    assert!(function.start(&mut Untimed).is_err());
}

#[test]
fn parked_handlers_have_answered_and_wait() {
    let (stdin, release) = Stdin::pipe().expect("a pipe");
    let asked = exchange(&words("a b"));
    asked.keep();
    let function = installed(&handler("", ""), &asked, Some(stdin.clone()));
    let mut parked = Parked::park(&[function], &stdin, release, None, 5).expect("blocked");
    assert_eq!(asked.take_responses().len(), 5);
    // Longer than their deadline.
    std::thread::sleep(Duration::from_millis(400));
    parked.release().expect("to their end");
}
