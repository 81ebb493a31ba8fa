//! What components may import, and what one is told that imports something else.

use faaslet::{EngineSettings, FaasletError, Grants, Store};
use measure_core::base::ids::FunctionId;
use tempfile::TempDir;

use crate::common::engine_with;
use crate::components::{engine, installed, running, start};

/// Accepted before it is compiled, and linked when it is loaded.
#[test]
fn every_interface_of_wasi_0_2_can_be_imported_in_any_of_its_versions() {
    let interfaces = [
        (
            "cli",
            "environment exit stdin stdout stderr terminal-input terminal-output terminal-stdin terminal-stdout terminal-stderr",
        ),
        ("clocks", "monotonic-clock wall-clock"),
        ("filesystem", "preopens types"),
        ("http", "outgoing-handler types"),
        ("io", "error poll streams"),
        ("random", "insecure insecure-seed random"),
        (
            "sockets",
            "instance-network ip-name-lookup network tcp tcp-create-socket udp udp-create-socket",
        ),
    ];
    for patch in [0, 6, 99] {
        let mut imports = String::new();
        for (package, names) in interfaces {
            for name in names.split(' ') {
                imports += &format!(r#"(import "wasi:{package}/{name}@0.2.{patch}" (instance))"#);
            }
        }
        let text = format!(
            r#"(component {imports}
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.{patch}" (instance $run)))"#
        );
        let wasm = wat::parse_str(text).expect("a component");
        start(&installed(&engine(), &wasm, Grants::default())).expect("well");
    }
}

#[test]
fn what_is_not_offered_is_named_with_the_nearest() {
    let dir = TempDir::new().expect("a directory");
    let store = Store::at(dir.path().join("store"));
    let id = FunctionId::new("demo", "it").expect("an id");
    let refused = |wat: &str| {
        let wasm = wat::parse_str(wat).expect("a component");
        match store.upload(&engine(), &id, &wasm) {
            Err(FaasletError::Refused { cause, .. }) => cause,
            other => panic!("{other:?}"),
        }
    };
    for (wat, words) in [
        (
            r#"(component (import "wasi:cli/enviroment@0.2.0" (instance)))"#,
            "the nearest is `wasi:cli/environment`",
        ),
        (
            r#"(component (import "wasi:cli/environment@0.3.0" (instance)))"#,
            "version 0.2 is offered",
        ),
        (
            r#"(component (import "my:own/thing" (instance)))"#,
            "`my:own/thing`, which is not offered",
        ),
        ("(component)", "it exports no interface"),
        (
            r#"(component (core module (memory 5000)))"#,
            "must export `wasi:cli/run` or `wasi:http/incoming-handler`",
        ),
    ] {
        let said = refused(wat);
        assert!(said.contains(words), "{wat}: {said}");
    }
    assert!(store.list().expect("read").is_empty(), "nothing is left");
    // A program whose memory begins above the limit, and what is no component at all.
    let small = engine_with(EngineSettings {
        instances: 1,
        memory_limit_bytes: 128 << 10,
        ..EngineSettings::default()
    });
    let wasm = running("");
    let said = store.upload(&small, &id, &wasm).expect_err("too large");
    assert!(said.to_string().contains("--memory-limit"), "{said}");
    let said = store.upload(&engine(), &id, &wasm[..wasm.len() / 2]);
    assert!(
        said.expect_err("half of it")
            .to_string()
            .contains("component")
    );
}
