use proptest::prelude::*;

use super::super::{Kind, Places};
use super::*;

const FULL: &str = r#"
name = "mine/hello"
native = "hello"
wasm = "hello.wasm"
args = ["-n", "{files}/names", "{output}/{x}"]
stdin = "in put.txt"
files = "data"
files_at = "/srv/data"
output_at = "/out"
network = ["host.internal:6379", "db.example.org:80"]
timeout_s = 3
varies = ["time", "run [0-9]+"]

[env]
LANG = "C"
DATA = "{files}"

[expect]
stdout = "hello\n"
exit_code = 0
[expect.files]
"a/b.txt" = "x"
"#;

fn refused(text: &str) -> String {
    FunctionFile::parse(text).expect_err(text).to_string()
}

#[test]
fn all_keys_are_read_and_written_again() {
    let file = FunctionFile::parse(FULL).expect("right");
    assert_eq!(file.stdin.as_deref(), Some(Path::new("in put.txt")));
    assert_eq!(FunctionFile::parse(&file.to_toml()).expect("its own"), file);
    let places = Places {
        files: "/h/f",
        output: "/h/o",
        host: "127.0.0.1",
        port: None,
    };
    assert_eq!(file.args_at(places), ["-n", "/h/f/names", "/h/o/{x}"]);
    assert_eq!(
        file.env_at(file.own_places())[0],
        ("DATA".into(), "/srv/data".into())
    );
    let asks = FunctionFile::parse("args = ['{host}:1']").expect("right");
    assert_eq!(asks.args_at(places), ["127.0.0.1:1"]);
    assert_eq!(asks.args_at(asks.own_places()), ["host.internal:1"]);
    let empty = FunctionFile::parse("").expect("nothing is said");
    assert_eq!(empty, FunctionFile::default());
    assert_eq!(empty.to_toml(), "");
    let handler =
        FunctionFile::parse("kind = 'handler'\n[handler]\nport_env = 'P'").expect("right");
    assert_eq!(handler.kind, Kind::Handler);
    assert_eq!(handler.served().expect("there").path, "/");
    let served = Places {
        port: Some(8000),
        ..handler.own_places()
    };
    assert_eq!(handler.env_at(served), [("P".into(), "8000".into())]);
    let told = FunctionFile::parse("kind = 'handler'\nargs = ['--port={port}']").expect("right");
    assert_eq!(told.args_at(served), ["--port=8000"]);
    assert_eq!(told.args_at(told.own_places()), ["--port={port}"]);
}

#[test]
fn unknown_keys_are_told_the_nearest() {
    for (text, words) in [
        (
            "natvie = 'x'",
            "unknown key `natvie`, did you mean `native`?",
        ),
        ("[expect]\nstduot = 'x'", "did you mean `expect.stdout`?"),
        (
            "[handler]\nprot_env = 'x'",
            "did you mean `handler.port_env`?",
        ),
        ("zzzzzzzzzzzz = 1", "the nearest of "),
    ] {
        let error = refused(text);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn values_that_cannot_be_are_named() {
    for (text, words) in [
        ("args = 'x'", "args"),
        ("args = [\"a\\u0000\"]", "zero byte"),
        ("env = { 'a=b' = 'x' }", "no variable's name"),
        ("name = 'hello'", "user/function"),
        ("native = ''", "an empty path"),
        ("timeout_s = 0", "timeout_s"),
        ("files_at = 'files'", "absolute path"),
        ("files_at = '/proc/x'", "/proc"),
        ("files_at = '/a/../b'", "absolute path"),
        ("output_at = '/files/x'", "one in the other"),
        ("network = ['localhost']", "HOST:PORT"),
        ("network = ['127.0.0.1:80']", "host.internal"),
        ("kind = 'server'", "program"),
        ("[handler]\npath = '/'", "kind = \"handler\""),
        ("[expect]\nstatus = 200", "kind = \"handler\""),
        ("kind = 'handler'\n[handler]\npath = 'x'", "begins with /"),
        ("kind = 'handler'\n[handler]\nmethod = 'A B'", "no method"),
        (
            "kind = 'handler'\n[handler.headers]\nHost = 'x'",
            "no header that can be given",
        ),
        (
            "kind = 'handler'\n[handler.headers]\nx = \"a\\r\\nb\"",
            "cannot be sent",
        ),
        (
            "kind = 'handler'\n[handler]\nport_env = ''",
            "no variable's name",
        ),
        ("[expect.files]\nx = ''", "output_at"),
        (
            "output_at = '/o'\n[expect.files]\n'../x' = ''",
            "below output_at",
        ),
        ("[", "TOML"),
    ] {
        let error = refused(text);
        assert!(error.contains(words), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = FunctionFile::parse(&text);
    }

    #[test]
    fn arguments_survive_the_file(args in prop::collection::vec("[^\\x00]{0,20}", 0..5)) {
        let file = FunctionFile { args, ..FunctionFile::default() };
        prop_assert_eq!(FunctionFile::parse(&file.to_toml()).expect("its own"), file);
    }
}
