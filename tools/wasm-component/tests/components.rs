//! Components of small modules, and what none can be made of.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use wasm_component::{Wit, component_of};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// The part of `wasi:sockets` that demo functions use.
const SOCKETS: Wit<'_> = Wit {
    path: "sockets.wit",
    text: include_str!("../../../functions/sockets.wit"),
};

/// A program that ends, and imports what is given.
fn program(imports: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "_start")))"#
    );
    wat::parse_str(text).expect("a module")
}

/// What `component`, which is valid, imports and exports.
fn names(component: &[u8]) -> (Vec<String>, Vec<String>) {
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(component)
        .expect("valid");
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("read") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                let names = section.into_iter().map(|import| import.expect("read"));
                imports.extend(names.map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                let names = section.into_iter().map(|export| export.expect("read"));
                exports.extend(names.map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

#[test]
fn a_program_of_preview_1_becomes_a_command() {
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#;
    let component = component_of(&program(exit), None).expect("a component");
    let (imports, exports) = names(&component);
    assert!(
        imports
            .iter()
            .any(|name| name.starts_with("wasi:cli/exit@0.2")),
        "{imports:?}"
    );
    assert!(
        exports
            .iter()
            .any(|name| name.starts_with("wasi:cli/run@0.2")),
        "{exports:?}"
    );
}

#[test]
fn what_a_wit_file_names_may_be_imported_and_nothing_else() {
    let module = program(
        r#"(import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func (param i32 i32)))"#,
    );
    let component = component_of(&module, Some(SOCKETS)).expect("a component");
    let (imports, _) = names(&component);
    assert!(
        imports
            .iter()
            .any(|name| name.starts_with("wasi:sockets/tcp-create-socket@0.2")),
        "{imports:?}"
    );
    let error = component_of(&module, None)
        .expect_err("unknown")
        .to_string();
    assert!(
        error.contains("tcp-create-socket") && error.contains("--wit FILE"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_read_made_or_written_is_said_with_its_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("written");
        path
    };
    let module = file("module.wasm", &program(""));
    let text = file("text.wasm", b"no module");
    let wit = file("broken.wit", b"package a:b; world {");
    let absent = dir.path().join("absent.wasm");
    let out = dir.path().join("out.wasm");
    let nowhere = dir.path().join("nowhere/out.wasm");
    let cases: [(&Path, &Path, Option<&Path>, i32, &str); 4] = [
        (&absent, &out, None, 1, "absent.wasm"),
        (&text, &out, None, 1, "text.wasm"),
        (&module, &out, Some(&wit), 1, "broken.wit"),
        (&module, &nowhere, None, 5, "nowhere"),
    ];
    for (input, output, wit, code, says) in cases {
        let mut command = Command::cargo_bin("wasm-component").expect("built");
        command.args([input, output]);
        if let Some(wit) = wit {
            command.arg("--wit").arg(wit);
        }
        let ended = command.assert().code(code);
        let said = String::from_utf8_lossy(&ended.get_output().stderr).into_owned();
        assert!(said.contains(says), "{said}");
    }
    assert!(!out.exists());
}
