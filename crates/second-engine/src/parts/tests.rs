use super::*;

const PROGRAM: &str = r#"
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (memory (export "memory") 2 9) (table 5 funcref) (elem (i32.const 1) $resume)
    (func $resume (export "resume") (drop (ref.func $taking)))
    (func $taking (export "taking") (param i32))"#;

fn wasm(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {PROGRAM} {fields})")).expect("a module")
}

#[test]
fn what_a_start_begins_with_is_told_and_not_in_the_code() {
    let wasm = wasm(
        r#"(global i32 (i32.const 4)) (global (mut i64) (i64.const -2)) (global (mut v128) (v128.const i64x2 1 2))
        (global (mut funcref) (ref.func $taking))
        (start $first) (func $first) (func (export "_start") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)))
        (data $named (i32.const 8) "abc") (data $d "kept") (data (i32.const -1) "x")"#,
    );
    let parts = Parts::read(&wasm).expect("parts");
    assert_eq!((parts.memory_pages, parts.memory_pages_max), (2, Some(9)));
    assert_eq!(parts.globals, [u128::from(u64::MAX - 1), (2 << 64) + 1]);
    assert_eq!(parts.global_indices, [1, 2]);
    let bytes: Vec<_> = parts.data.iter().map(|s| (s.offset, s.bytes)).collect();
    assert_eq!(bytes, [(8, &b"abc"[..]), (u32::MAX, b"x")]);
    assert_eq!((parts.begin, parts.entry), (Some(3), 4));
    assert_eq!(parts.entries, [1, 3, 4]);
    assert_eq!(parts.table_elements, (5, 0));

    wasmparser::validate(&parts.code).expect("valid");
    let code = Interface::read(&parts.code).expect("an interface");
    assert_eq!(
        (code.memories[0].initial, code.memories[0].maximum),
        (0, None)
    );
    let names: Vec<&str> = code.exports.iter().map(|export| &*export.name).collect();
    let functions = ["entry1", "entry2", "entry3", "entry4"];
    assert_eq!(names[..4], functions);
    assert_eq!(names[4..], ["memory", "global1", "global2"]);
    assert!(start_function(&parts.code).expect("read").is_none());
    assert!(!parts.code.windows(3).any(|bytes| bytes == b"abc"));
    assert!(parts.code.windows(4).any(|bytes| bytes == b"kept"));
    // Functions keep their names, data that is not here has none.
    assert!(parts.code.windows(6).any(|bytes| bytes == b"taking"));
    assert!(!parts.code.windows(5).any(|bytes| bytes == b"named"));
}

#[test]
fn only_code_is_known_by_its_digest() {
    let digest = |fields: &str| Parts::read(&wasm(fields)).expect("parts").digest;
    let one = digest(
        r#"(global (mut i32) (i32.const 1)) (func (export "_start")) (data (i32.const 0) "a")"#,
    );
    let same = r#"(global (mut i32) (i32.const 2)) (func (export "_start") (export "again"))
        (data (i32.const 0) "b") (data (i32.const 7) "c")"#;
    assert_eq!(one, digest(same));
    // As a snapshot has it.
    let empty = r#"(global (mut i32) (i32.const 2)) (func (export "_start")) (data "") (data (i32.const 7) "c")"#;
    assert_eq!(one, digest(empty));
    for other in [
        r#"(global (mut i32) (i32.const 1)) (func (export "_start") (nop))"#,
        r#"(global i32 (i32.const 1)) (func (export "_start"))"#,
        r#"(global (mut i64) (i64.const 1)) (func (export "_start"))"#,
        r#"(global (mut i32) (i32.const 1)) (func (export "_start")) (data "a")"#,
    ] {
        assert_ne!(one, digest(other), "{other}");
    }
}

#[test]
fn what_only_code_could_work_out_is_refused() {
    for (fields, why) in [
        (
            r#"(global (mut i32) (i32.add (i32.const 1) (i32.const 2))) (func (export "_start"))"#,
            "global",
        ),
        (r#"(func (export "_start") (param i32))"#, "_start"),
        ("", "_start"),
    ] {
        let wasm = wasm(fields);
        let refused = Parts::read(&wasm).expect_err("refused").to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert!(Parts::read(b"\0asm\x01\0\0\0\x07").is_err());
}
