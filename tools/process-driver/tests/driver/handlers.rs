//! Functions that serve HTTP, as processes.

use std::time::{Duration, Instant};

use driver_testkit::alive;
use measure_core::base::exit::Exit;
use measure_core::contract::answer::Answer;
use measure_core::contract::protocol::Message;

use crate::common::Bench;

#[test]
fn a_start_is_timed_to_its_answer_and_its_end() {
    let Some(bench) = Bench::with_handlers() else {
        return;
    };
    let phases = ["spawn", "listen", "poll", "first-byte", "body", "reap"];
    let ended = bench.run("time 10 --warmup 2 --workers 2 --rung process --function test/good");
    ended.expect(0).made_starts(14, &phases);
    let ended = bench.run("time 20 --warmup 5 --rung process --function test/good --requests");
    ended.expect(0).made_starts(25, &["first-byte", "body"]);
    assert_eq!(ended.batch().starts, 20);
    bench
        .run("time 1 --rung process --function test/good --requests --workers 2")
        .expect(Exit::Usage as i32)
        .says("--workers 1");
}

#[test]
fn it_is_asked_three_times_what_it_answers() {
    let Some(bench) = Bench::with_handlers() else {
        return;
    };
    let ended = bench.run("run --rung process --function test/good");
    let said = ended.expect(0).messages();
    let answer = said.iter().find_map(|message| match message {
        Message::Answer(answer) => Some(answer),
        _ => None,
    });
    let Answer { responses, .. } = answer.expect("an answer");
    assert_eq!(responses.len(), 3);
    for response in responses {
        assert_eq!(response.status, 200);
        assert_eq!(response.content_type.as_deref(), Some("text/plain"));
        assert_eq!(response.body.kept, b"3 words\n");
    }
}

#[test]
fn held_handlers_have_answered_and_are_ended_with_the_driver() {
    let Some(bench) = Bench::with_handlers() else {
        return;
    };
    let mut driver = bench.start("hold 3 --rung process --function test/good");
    assert_eq!(driver.until_parked(), 3);
    let children = driver.children();
    assert_eq!(children.len(), 3);
    assert!(children.iter().all(|&pid| alive(pid)));
    driver.end().expect(0);
    assert!(!children.into_iter().any(alive));
}

#[test]
fn what_does_not_answer_is_told_and_nothing_of_it_is_left() {
    let Some(bench) = Bench::with_handlers() else {
        return;
    };
    for (name, words) in [
        (
            "elsewhere",
            &["nothing listened on", "but on port 18999", "PORT"][..],
        ),
        ("silent", &["no answer within 1 s"]),
        (
            "gone",
            &["exit code 3 before it had answered", "no configuration"],
        ),
    ] {
        let begun = Instant::now();
        let ended = bench.run(&format!("time 1 --rung process --function test/{name}"));
        let ended = ended.expect(Exit::StartFailed as i32);
        for words in words {
            ended.says(words);
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}");
    }
    // It answers two requests of each process.
    let ended = bench.run("time 6 --rung process --function test/third --requests");
    let samples = ended.expect(Exit::StartFailed as i32).samples();
    let failed: Vec<&str> = samples.iter().filter_map(|s| s.error.as_deref()).collect();
    assert_eq!((samples.len(), failed.len()), (6, 3));
    assert!(
        failed
            .iter()
            .all(|e| e.contains("exit code 7 before it had answered")),
        "{failed:?}"
    );
    bench
        .run("time 1 --rung process --function test/third")
        .expect(0);
}
