//! Handlers: the same request to every rung, and the answers compared.

use std::fs;
use std::path::Path;

use driver_testkit::functions::{NO_MUSL, compile_native};
use driver_testkit::{handler, skipped};
use measure_core::base::exit::Exit;
use measure_core::base::home;

use crate::home::{Home, LIGHT, rungs_here};

const RUNGS: [(&str, &str); 10] = [
    ("process-driver", "process"),
    ("process-driver", "wasmtime-serve"),
    ("process-driver", "native"),
    ("process-driver", "bubblewrap"),
    ("process-driver", "runc"),
    ("faasm-driver", "wasm"),
    ("faasm-driver", "faaslet"),
    ("docker-driver", "docker-none"),
    ("docker-driver", "docker-bridge"),
    ("process-driver", "jco-serve"),
];

fn example(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/examples");
    dir.join(name).to_string_lossy().into_owned()
}

#[test]
fn the_example_answers_the_same_on_every_rung_and_is_timed() {
    const TEST: &str = "example handler";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &RUNGS);
    let said = home
        .run(&["add", &example("handler"), "--rungs", &rungs.join(",")])
        .expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "200 9 words");
    }
    let light: Vec<&str> = rungs
        .into_iter()
        .filter(|rung| !["native", "docker-none", "docker-bridge"].contains(rung))
        .collect();
    let (said, samples) = home.time("examples/handler", &light.join(","), 2);
    said.expect(Exit::Ok).says("first byte, isolated");
    let count = |rung: &str, words: &str| {
        let of_rung = format!("\"rung\":\"{rung}\"");
        let found = samples
            .iter()
            .filter(|l| l.contains(&of_rung) && l.contains(words));
        found.count()
    };
    for rung in light {
        assert!(count(rung, "\"metric\":\"first_byte_ns\"") >= 2, "{rung}");
        let requests = count(rung, "\"measure\":\"request\",\"phase\":\"total\"");
        assert!(requests >= 60, "{rung}: {requests}");
    }
    let report = fs::read_to_string(home.place("results/report.md")).expect("a report");
    assert!(
        report.contains("### A handler: its first byte, and a request"),
        "{report}"
    );
}

#[test]
fn handlers_made_by_others_tools() {
    for (name, made, needs) in [
        ("handler-python", "python", "python/native/version"),
        ("handler-javascript", "javascript", ""),
    ] {
        let wasm = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../build/handlers")
            .join(format!("{made}.wasm"));
        if !wasm.is_file() {
            skipped(
                format!("example {name}"),
                "its component is not made: make functions-handlers",
            );
            continue;
        }
        if !needs.is_empty() && !home::root().join(needs).is_file() {
            skipped(
                format!("example {name}"),
                "CPython is not built: make python",
            );
            continue;
        }
        let home = match needs.is_empty() {
            true => Home::make(),
            false => Home::with_python(),
        };
        let rungs = rungs_here(name, &home, &[RUNGS[0], RUNGS[5], RUNGS[6]]);
        let said = home
            .run(&[
                "add",
                &example(name),
                "--replace",
                "--rungs",
                &rungs.join(","),
            ])
            .expect(Exit::Ok);
        for rung in rungs {
            said.ready(rung, "4990");
        }
        home.run(&["remove", &format!("examples/{name}")])
            .expect(Exit::Ok);
    }
}

/// Answers as its path says, byte by byte.
const BY_PATH: &str = r#"
import os, socket
ANSWERS = {
    "/old": b"HTTP/1.0 200 OK\r\n\r\nold",
    "/kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nkept",
    "/parts": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\npar\r\n2\r\nts\r\n0\r\nX: y\r\n\r\n",
    "/none": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/same": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "/moved": b"HTTP/1.1 302 Found\r\nLocation: /old\r\nContent-Length: 5\r\n\r\nmoved",
    "/goon": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoon",
    "/many": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"Content-Length: 4\r\n\r\nmany",
    "/fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 4\r\n\r\nfold",
    "/half": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "/two": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\ntwo",
    "/else": b"ICY 200 OK\r\n\r\n",
}
ENDS = ["/old", "/half"]
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("", int(os.environ["PORT"])))
listener.listen()
while True:
    stream, _ = listener.accept()
    while True:
        request = b""
        while b"\r\n\r\n" not in request:
            more = stream.recv(4096)
            if not more:
                break
            request += more
        if not request:
            break
        path = request.split(b" ")[1].decode()
        stream.sendall(ANSWERS[path])
        if path in ENDS:
            break
    stream.close()
"#;

#[test]
fn servers_of_every_kind_are_understood_or_told_why_not() {
    const TEST: &str = "servers of every kind";
    if measure_core::base::programs::on_path("python3").is_none() {
        return skipped(TEST, "no python3");
    }
    let home = Home::make();
    home.write("any/server.py", BY_PATH);
    let add = |path: &str, method: &str| {
        let file = format!(
            "name = 'mine/any'\nkind = 'handler'\nnative = 'server.py'\ninterpreter = 'python3'\ntimeout_s = 5\n[handler]\npath = '{path}'\nmethod = '{method}'\n"
        );
        home.write("any/function.toml", &file);
        home.run(&["add", "any", "--replace", "--rungs", "process"])
    };
    for (path, answer) in [
        ("/old", "200 old"),
        ("/kept", "200 kept"),
        ("/parts", "200 parts"),
        ("/none", "204"),
        ("/same", "304"),
        ("/moved", "302 moved"),
        ("/goon", "200 goon"),
        ("/many", "200 many"),
        ("/fold", "200 fold"),
    ] {
        add(path, "GET").expect(Exit::Ok).ready("process", answer);
    }
    // That a server ends once nobody asks it any more is no cause.
    for (path, words) in [
        ("/half", "it closed the connection after 4 of 100 bytes"),
        (
            "/two",
            "it answered two lengths of its body, 3 and 4 (Content-Length)",
        ),
        ("/else", "it answered what is no HTTP"),
    ] {
        add(path, "GET").expect(Exit::StartFailed).says(words);
    }
}

/// A component that is a handler, with what it does before it answers.
fn component(home: &Home, name: &str, fields: &str, before: &str) -> String {
    let path = home.place(name);
    fs::write(&path, handler(fields, before)).expect("written");
    path.to_string_lossy().into_owned()
}

#[test]
fn a_component_for_requests_is_a_handler_by_itself() {
    let home = Home::make();
    let rungs = rungs_here("a handler by itself", &home, &LIGHT);
    let wasm = component(&home, "words.wasm", "", "");
    home.write("body", "a b c");
    let said = home
        .run(&[
            "add",
            "mine/words",
            "--wasm",
            &wasm,
            "--rungs",
            "wasm,proto-faaslet",
        ])
        .expect(Exit::Ok);
    said.ready("wasm", "200 0 words");
    let row = said.row("proto-faaslet");
    assert!(
        row.contains("cannot: ") && row.contains("it is a component"),
        "{row}"
    );
    let said = home
        .run(&[
            "add",
            "mine/words",
            "--wasm",
            &wasm,
            "--request",
            "body",
            "--replace",
            "--rungs",
            &rungs.join(","),
        ])
        .expect(Exit::Ok);
    said.ready("wasm", "200 3 words");
    if rungs.contains(&"process") {
        let row = said.row("process");
        assert!(row.contains("has no native"), "{row}");
    }
    home.run(&["show", "mine/words"]).says("kind = \"handler\"");
    home.run(&["compute", "mine/words", "1", "1"])
        .expect(Exit::Usage)
        .says("mine/words answers requests");
}

#[test]
fn what_is_wrong_with_a_handler_is_told() {
    let home = Home::make();
    for (name, fields, before, words) in [
        ("late", "", "(loop $l (br $l))", "deadline"),
        ("none", "", "return", "returned without an answer"),
        (
            "third",
            "(global $n (mut i32) (i32.const 0))",
            "(global.set $n (i32.add (global.get $n) (i32.const 1)))
            (if (i32.eq (global.get $n) (i32.const 3)) (then unreachable))",
            "trap",
        ),
        (
            "varies",
            "(global $n (mut i32) (i32.const 0))",
            "(global.set $n (i32.add (global.get $n) (i32.const 1)))
            (i32.store8 (i32.const 1089) (i32.add (i32.const 96) (global.get $n)))",
            "to request 2 and to the first one: it answers differently each time",
        ),
    ] {
        let wasm = component(&home, &format!("{name}.wasm"), fields, before);
        let id = format!("mine/{name}");
        let said = home.run(&[
            "add",
            &id,
            "--wasm",
            &wasm,
            "--timeout",
            "1",
            "--rungs",
            "wasm",
        ]);
        said.expect(Exit::StartFailed).says(words);
    }
    let text = r#"(component (import "wasi:http/typse@0.2.0" (instance)))"#;
    home.write("unknown.wat", text);
    let said = home.run(&["add", "mine/unknown", "--wasm", "unknown.wat"]);
    assert_ne!(said.code, 0);
    said.says("the nearest is `wasi:http/types`");
    home.write("broken.wat", "(component");
    home.run(&["add", "mine/broken", "--wasm", "broken.wat"])
        .expect(Exit::Usage)
        .says("is no text of Wasm");
}

#[test]
fn a_native_handler_that_dies_or_listens_elsewhere_is_told() {
    const TEST: &str = "what is wrong with a native handler";
    let home = Home::make();
    let rungs = [
        ("process-driver", "process"),
        ("process-driver", "runc"),
        ("docker-driver", "docker-none"),
    ];
    let rungs = rungs_here(TEST, &home, &rungs);
    let third = "#include <unistd.h>\nstatic int answers;\nstatic ssize_t third(int to, const void *text, size_t bytes)\n{ if (++answers == 3) _exit(7); return write(to, text, bytes); }\n#define write third\n";
    let elsewhere = "#include <stdlib.h>\n#define getenv(name) \"18999\"\n";
    for (name, beginning, words) in [
        ("third", third, "ended"),
        ("elsewhere", elsewhere, "but on port 18999"),
    ] {
        let text = format!("{beginning}#include \"{}/handler.c\"\n", example("handler"));
        let source = home.write(&format!("{name}.c"), &text);
        if !compile_native(&source, &home.place(name)) {
            return skipped(TEST, NO_MUSL);
        }
        let id = format!("mine/{name}");
        let all = rungs.join(",");
        let said = home.run(&[
            "add",
            &id,
            "--native",
            name,
            "--handler",
            "--timeout",
            "2",
            "--rungs",
            &all,
        ]);
        let said = said.expect(Exit::StartFailed);
        for rung in &rungs {
            let row = said.row(rung);
            assert!(row.contains("failed: ") && row.contains(words), "{row}");
        }
    }
}

#[test]
fn one_that_is_expected_to_answer_otherwise_is_told_and_not_timed() {
    const TEST: &str = "another answer of a handler";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &LIGHT);
    if rungs.len() < 2 {
        return;
    }
    let wasm = component(
        &home,
        "words.wasm",
        "",
        "(i32.store8 (i32.const 1089) (i32.const 87))",
    );
    let source = format!("{}/handler.c", example("handler"));
    let toml = format!(
        "name = 'mine/other'\nkind = 'handler'\nsource = '{source}'\nwasm = '{wasm}'\n[expect]\nbody = \"0 words\\n\"\n"
    );
    home.write("other/function.toml", &toml);
    let said = home.run(&["add", "other", "--rungs", "process,wasm"]);
    let said = said.expect(Exit::StartFailed);
    said.ready("process", "200 0 words");
    let row = said.row("wasm");
    assert!(
        row.contains("in line 1: `0 Words` instead of `0 words`"),
        "{row}"
    );
    let (said, samples) = home.time("mine/other", "process,wasm", 1);
    said.expect(Exit::StartFailed).says("another answer");
    assert!(
        !samples
            .iter()
            .any(|l| l.contains("\"rung\":\"wasm\"") && l.contains("back-to-back"))
    );
}
