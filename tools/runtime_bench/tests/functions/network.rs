//! Functions that were granted something of the network, on rungs that reach it each in its own way.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use driver_testkit::functions::{NO_MUSL, NO_WASI, compile_component, compile_native, demo_source};
use driver_testkit::{EngineElsewhere, skipped};
use granted_network::key_value::KeyValueServer;
use measure_core::base::exit::Exit;

use crate::home::{Home, rungs_here};

/// `mine/fetch`, native and as a component, described in the directory `fetch`.
fn bring(test: &str, home: &Home, port: u16, network: &str) -> bool {
    let source = demo_source("fetch");
    if !compile_native(&source, &home.place("fetch/fetch")) {
        skipped(test, NO_MUSL);
        return false;
    }
    let Some(component) = compile_component(&source, &home.place("fetch.linked")) else {
        skipped(test, NO_WASI);
        return false;
    };
    fs::write(home.place("fetch/fetch.wasm"), component).expect("written");
    let toml = format!(
        "name = \"mine/fetch\"\nnative = \"fetch\"\nwasm = \"fetch.wasm\"\nargs = [\"{{host}}\", \"{port}\"]\nnetwork = [{network}]\n"
    );
    home.write("fetch/function.toml", &toml);
    true
}

#[test]
fn the_same_is_fetched_on_every_rung_with_a_network_and_rows_say_who_was_granted_it() {
    const TEST: &str = "a function that fetches";
    let home = Home::make();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let server = KeyValueServer::start(listener).expect("a server");
    let port = server.address().port();
    let grant = format!("host.internal:{port}");
    if !bring(TEST, &home, port, &format!("\"{grant}\"")) {
        return;
    }
    let rungs = rungs_here(
        TEST,
        &home,
        &[
            ("process-driver", "process"),
            ("faasm-driver", "faaslet"),
            ("faasm-driver", "faaslet-pooled"),
            ("docker-driver", "docker-bridge"),
        ],
    );
    if rungs.is_empty() {
        return;
    }
    let all = rungs.join(",");
    let said = home
        .run(&["add", "fetch", "--rungs", &all])
        .expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "1024 bytes");
    }
    let without = [
        ("process-driver", "unshare"),
        ("process-driver", "runc"),
        ("docker-driver", "docker-none"),
    ];
    let without = rungs_here(TEST, &home, &without);
    let said = home
        .run(&[
            "test",
            "mine/fetch",
            "--rungs",
            &[vec!["process"], without.clone()].concat().join(","),
        ])
        .expect(Exit::Ok);
    for rung in &without {
        let row = said.row(rung);
        assert!(
            row.contains("cannot: mine/fetch is granted the network"),
            "{row}"
        );
    }
    let (said, samples) = home.time("mine/fetch", &all, 2);
    let said = said.expect(Exit::Ok);
    assert!(!samples.is_empty());
    let mut granted = rungs.clone();
    granted.retain(|rung| *rung != "process");
    if !granted.is_empty() {
        said.says(&format!(
            "network granted to {}: {grant}",
            granted.join(", ")
        ));
    }
}

#[test]
fn containers_of_an_engine_elsewhere_find_this_hosts_ports() {
    const TEST: &str = "a function that fetches, on an engine elsewhere";
    let home = Home::make();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let server = KeyValueServer::start(listener).expect("a server");
    let port = server.address().port();
    let grant = format!("\"host.internal:{port}\"");
    if !bring(TEST, &home, port, &grant) {
        return;
    }
    let rungs = ["docker-bridge", "docker-host"];
    let here = rungs_here(TEST, &home, &rungs.map(|rung| ("docker-driver", rung)));
    if here.len() < rungs.len() {
        return;
    }
    let driver = Path::new(env!("CARGO_BIN_EXE_runtime_bench")).with_file_name("docker-driver");
    let elsewhere = EngineElsewhere::start(&driver, "docker-bridge");
    let words = ["add", "fetch", "--docker-host", &elsewhere.url, "--rungs"];
    let said = home.run(&[&words[..], &["docker-bridge,docker-host"]].concat());
    let said = said.expect(Exit::Ok);
    for rung in rungs {
        said.ready(rung, "1024 bytes");
    }
}

#[test]
fn without_a_grant_a_faaslet_has_no_way_where_a_process_has_one() {
    const TEST: &str = "a function without a grant";
    let home = Home::make();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let server = KeyValueServer::start(listener).expect("a server");
    if !bring(TEST, &home, server.address().port(), "") {
        return;
    }
    let rungs = rungs_here(
        TEST,
        &home,
        &[("process-driver", "process"), ("faasm-driver", "faaslet")],
    );
    if rungs.len() < 2 {
        return;
    }
    let said = home.run(&["add", "fetch", "--rungs", &rungs.join(",")]);
    let said = said.expect(Exit::StartFailed);
    said.ready("process", "1024 bytes");
    said.says("its name is not granted");
}
