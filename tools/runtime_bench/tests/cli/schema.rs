//! `schema`, as far as it can be looked at without a validator (tests/peers.rs has one).

use std::process::Command;

use measure_core::base::exit::Exit;
use serde_json::Value;

fn schema(words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
        .arg("schema")
        .args(words)
        .output()
        .expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn each_record_has_a_schema_that_names_its_fields() {
    let (code, names, _) = schema(&[]);
    assert_eq!(code, 0);
    for (record, field) in [
        ("sample", "rung"),
        ("run", "parts"),
        ("environment", "engines"),
        ("summary", "tables"),
        ("isolation", "rungs"),
        ("load", "latency"),
        ("history", "series"),
        ("compare", "differences"),
        ("fleet", "trouble"),
    ] {
        assert!(names.contains(record), "{names}");
        let (code, text, said) = schema(&[record]);
        assert_eq!(code, 0, "{said}");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert!(schema["properties"][field].is_object(), "{record}: {text}");
        assert!(
            schema["$schema"]
                .as_str()
                .is_some_and(|s| s.contains("json-schema.org"))
        );
    }
    let (code, _, said) = schema(&["sampel"]);
    assert_eq!(code, Exit::Usage as i32);
    assert!(said.contains("did you mean `sample`?"), "{said}");
}
