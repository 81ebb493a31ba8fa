//! Functions that serve HTTP, in containers.

use std::fs;
use std::path::Path;

use driver_testkit::functions;
use measure_core::contract::protocol::Message;

use crate::common::{driver, ended_with, ends, home, processes_named, start, turn};

/// The example handler in the shared home, or with `beginning` before its source.
fn handler(name: &str, beginning: &str) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../functions/examples/handler/handler.c")
        .canonicalize()
        .expect("the example");
    let dir = home().join("store/test").join(name);
    fs::create_dir_all(&dir).unwrap();
    let source = dir.join("source.c");
    let text = format!("{beginning}#include \"{}\"\n", example.display());
    fs::write(&source, text).unwrap();
    assert!(
        functions::compile_native(&source, &dir.join("native")),
        "{}",
        functions::NO_MUSL
    );
    let toml =
        "kind = 'handler'\nnative = 'native'\ntimeout_s = 2\n[handler]\nrequest = 'request'\n";
    fs::write(dir.join("function.toml"), toml).unwrap();
    fs::write(dir.join("request"), "one two").unwrap();
}

const FULL: [&str; 7] = [
    "create",
    "start",
    "listen",
    "poll",
    "first-byte",
    "body",
    "remove",
];

#[test]
fn a_container_is_asked_whatever_its_network() {
    let Some(_turn) = turn() else { return };
    handler("good", "");
    let on_bridge = [&FULL[..2], &["inspect"], &FULL[2..]].concat();
    let precreated = [&FULL[1..6], &["kill"]].concat();
    for (rung, phases) in [
        ("docker-none", &FULL[..]),
        ("docker-host", &FULL),
        ("docker-bridge", &on_bridge),
        ("docker-precreated", &precreated),
    ] {
        let line = format!("--rung {rung} --function test/good");
        ends(&format!("time 2 --workers 2 {line}"), 0).made_starts(2, phases);
        let asked = ends(&format!("time 5 --warmup 1 --requests {line}"), 0);
        asked.made_starts(6, &["first-byte", "body"]);
        let said = ends(&format!("run {line}"), 0).messages();
        let answered = said.iter().any(|message| match message {
            Message::Answer(answer) => {
                answer.responses.len() == 3 && answer.responses[0].body.kept == b"2 words\n"
            }
            _ => false,
        });
        assert!(answered, "{rung}: {said:?}");
    }
}

#[test]
fn parked_containers_have_answered_and_go_with_the_driver() {
    let Some(_turn) = turn() else { return };
    handler("good", "");
    let mut holder = start("hold 2 --gated --rung docker-none --function test/good");
    let scope = holder.scope();
    holder.until_ready();
    holder.go();
    assert_eq!(holder.until_parked(), 2);
    assert_eq!(processes_named(&scope.cgroups["memory"], "good").len(), 2);
    ended_with(holder.end(), 0);
}

#[test]
fn one_that_does_not_answer_is_told() {
    let Some(_turn) = turn() else { return };
    handler(
        "elsewhere",
        "#include <stdlib.h>\n#define getenv(name) \"18999\"\n",
    );
    for rung in ["docker-none", "docker-bridge"] {
        let line = format!("time 1 --rung {rung} --function test/elsewhere");
        ends(&line, 4).says("but on port 18999");
    }
    let gone = "#include <unistd.h>\nstatic int gone(void) { _exit(5); }\n#define accept(a, b, c) gone()\n";
    handler("gone", gone);
    ends("time 1 --rung docker-none --function test/gone", 4)
        .says("exit code 5 before it had answered");
    let suspended = driver_testkit::run(driver(
        "time 1 --rung docker-unpause --function test/elsewhere",
    ));
    assert_ne!(suspended.code, Some(0));
}
