//! Functions that serve HTTP, started by runtimes: in the host's network, and in namespaces that runtimes make.

use measure_core::base::exit::Exit;
use measure_core::contract::protocol::Message;

use crate::common::Bench;
use crate::ready;

/// Rungs that start handlers, each with whether these have a network namespace of their own.
const RUNGS: [(&str, bool); 6] = [
    ("native", false),
    ("bubblewrap", true),
    ("runc", true),
    ("crun", true),
    ("podman", true),
    ("systemd-nspawn", true),
];

const HOST: [&str; 6] = ["spawn", "listen", "poll", "first-byte", "body", "reap"];
const INSIDE: [&str; 7] = [
    "spawn",
    "listen",
    "poll",
    "first-byte",
    "body",
    "end",
    "reap",
];

#[test]
fn a_handler_is_started_asked_and_ended() {
    let Some(bench) = Bench::with_handlers() else {
        return;
    };
    for (rung, inside) in RUNGS {
        if !ready(&bench, rung) {
            continue;
        }
        let line = format!("--rung {rung} --function test/good");
        let phases = if inside { &INSIDE[..] } else { &HOST };
        let ended = bench.run(&format!("time 4 --workers 2 {line}"));
        ended.expect(0).made_starts(4, phases).left_nothing();
        let ended = bench.run(&format!("time 5 --warmup 1 --requests {line}"));
        ended.expect(0).made_starts(6, &["first-byte", "body"]);
        ended.left_nothing();
        let ended = bench.run(&format!("run {line}"));
        let answered = ended.expect(0).messages().into_iter().any(|message| {
            matches!(message, Message::Answer(answer)
                if answer.responses.len() == 3 && answer.responses[0].body.kept == b"3 words\n")
        });
        assert!(answered, "{rung}: {ended:?}");
        ended.left_nothing();
    }
}

#[test]
fn held_handlers_have_answered_and_go_with_the_driver() {
    let Some(bench) = Bench::with_handlers() else {
        return;
    };
    for (rung, _) in RUNGS {
        if !ready(&bench, rung) {
            continue;
        }
        let mut driver = bench.start(&format!("hold 2 --rung {rung} --function test/good"));
        assert_eq!(driver.until_parked(), 2, "{rung}");
        driver.end().expect(0).left_nothing();
    }
}

#[test]
fn what_does_not_answer_is_told_and_nothing_of_it_is_left() {
    let Some(bench) = Bench::with_handlers() else {
        return;
    };
    // With a tree of its own, with a container to remove, and in the host's network.
    for rung in ["native", "bubblewrap", "runc"] {
        if !ready(&bench, rung) {
            continue;
        }
        for (name, words) in [
            ("elsewhere", "but on port 18999"),
            ("gone", "before it had answered"),
        ] {
            let ended = bench.run(&format!("time 1 --rung {rung} --function test/{name}"));
            ended.expect(Exit::StartFailed as i32).says(words);
            ended.left_nothing();
        }
    }
}

#[test]
fn rungs_that_cannot_ask_say_why() {
    let Some(bench) = Bench::with_handlers() else {
        return;
    };
    let own = "[[runtime]]\nid = 'own'\ncommand = ['{function}']\nisolation = {}\n";
    let bench = bench.with_runtimes(own);
    for (rung, words) in [
        ("unshare", "no device that is up"),
        ("runsc", "gVisor's own kernel"),
        ("own", "does not say how (`handlers`)"),
    ] {
        if rung == "own" || ready(&bench, rung) {
            bench
                .run(&format!("time 1 --rung {rung} --function test/good"))
                .expect(Exit::Unavailable as i32)
                .says(words);
        }
    }
}
