//! Functions that serve HTTP, as processes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use driver_testkit::{alive, functions, skipped};
use measure_core::base::exit::Exit;
use measure_core::contract::answer::Answer;
use measure_core::contract::protocol::Message;

use crate::common::Bench;

/// What each handler is, beside the example: an own beginning, and whether the example follows.
const HANDLERS: [(&str, &str, bool); 5] = [
    ("good", "", true),
    (
        "elsewhere",
        "#include <stdlib.h>\n#define getenv(name) \"18999\"\n",
        true,
    ),
    (
        "third",
        "#include <unistd.h>\nstatic int answers;\nstatic ssize_t third(int to, const void *text, size_t bytes)\n{ if (++answers == 3) _exit(7); return write(to, text, bytes); }\n#define write third\n",
        true,
    ),
    (
        "silent",
        "#include <arpa/inet.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) { struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv(\"PORT\")))};\nint s = socket(AF_INET, SOCK_STREAM, 0); bind(s, (struct sockaddr *)&here, sizeof here); listen(s, 9); for (;;) pause(); }\n",
        false,
    ),
    (
        "gone",
        "#include <stdio.h>\nint main(void) { fprintf(stderr, \"no configuration\\n\"); return 3; }\n",
        false,
    ),
];

const TOML: &str = "kind = 'handler'\nnative = 'native'\ntimeout_s = 1\n[handler]\nrequest = 'request'\n[expect]\nstatus = 200\n";

/// A store with the handlers; `None`, with a word why, where they cannot be built.
fn bench() -> Option<Bench> {
    let bench = Bench::new()?;
    let example = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../functions/examples/handler/handler.c")
        .canonicalize()
        .expect("the example");
    for (name, beginning, follows) in HANDLERS {
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
        fs::write(dir.join("function.toml"), TOML).expect("written");
        fs::write(dir.join("request"), "one two three").expect("written");
    }
    Some(bench)
}

#[test]
fn a_start_is_timed_to_its_answer_and_its_end() {
    let Some(bench) = bench() else { return };
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
    let Some(bench) = bench() else { return };
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
    let Some(bench) = bench() else { return };
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
    let Some(bench) = bench() else { return };
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

#[test]
fn rungs_that_cannot_ask_say_so() {
    let Some(bench) = bench() else { return };
    bench
        .run("time 1 --rung native --function test/good")
        .expect(Exit::Unavailable as i32)
        .says("gives no {port}");
}
