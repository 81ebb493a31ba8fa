//! Reading and writing `function.toml`, and what is wrong with one.

use std::path::{Component, Path};

use toml::{Table, Value};

use super::{Expect, FunctionFile, Handler};
use crate::base::ids;
use crate::base::range::{OutOfRange, in_range};

/// A function that answers later than this is none that is measured.
const MAX_TIMEOUT_S: u64 = 3600;
/// Directories of any root file system that are no function's to cover.
const TAKEN: [&str; 7] = ["/", "/bin", "/dev", "/function", "/lib", "/proc", "/sys"];

/// Why a text is no `function.toml`.
#[derive(Debug, thiserror::Error)]
pub enum FunctionFileError {
    /// It is no TOML, or a value is of another type.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A key that does not exist, with the nearest that does.
    #[error("{0}")]
    UnknownKey(String),
    /// A value that cannot be.
    #[error("{key}: {why}")]
    Value {
        /// Where it stands.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A number that makes no sense.
    #[error(transparent)]
    Range(#[from] OutOfRange),
}

fn wrong(key: &str, why: impl Into<String>) -> FunctionFileError {
    FunctionFileError::Value {
        key: key.to_owned(),
        why: why.into(),
    }
}

impl FunctionFile {
    /// Reads the file's content.
    ///
    /// # Errors
    /// See [`FunctionFileError`].
    pub fn parse(text: &str) -> Result<Self, FunctionFileError> {
        let table: Table = toml::from_str(text)?;
        known_keys("", &table, &keys(&full()))?;
        for (name, value) in [
            ("expect", keys(&full_expect())),
            (
                "handler",
                keys(&Handler {
                    request: Some("x".into()),
                    ..Handler::default()
                }),
            ),
        ] {
            if let Some(Value::Table(inner)) = table.get(name) {
                known_keys(&format!("{name}."), inner, &value)?;
            }
        }
        let file: Self = toml::from_str(text)?;
        file.check()?;
        Ok(file)
    }

    /// As a file, without what is as it is anyway.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Plain data with string keys always serialises.
        toml::to_string(self).unwrap_or_default()
    }

    /// Whether every value can be.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), FunctionFileError> {
        in_range("timeout_s", self.timeout_s, 1..=MAX_TIMEOUT_S)?;
        if let Some(Err(error)) = self
            .name
            .as_ref()
            .map(|name| name.parse::<ids::FunctionId>())
        {
            return Err(wrong("name", error.to_string()));
        }
        self.check_texts()?;
        for (key, path) in [
            ("native", &self.native),
            ("wasm", &self.wasm),
            ("python", &self.python),
            ("source", &self.source),
            ("stdin", &self.stdin),
            ("files", &self.files),
        ] {
            if path
                .as_ref()
                .is_some_and(|path| path.as_os_str().is_empty())
            {
                return Err(wrong(key, "an empty path"));
            }
        }
        self.check_places()?;
        self.network
            .iter()
            .try_for_each(|grant| check_grant(grant))?;
        let files = self.expect.iter().flat_map(|expect| expect.files.keys());
        for path in files {
            if self.output_at.is_none() {
                return Err(wrong(
                    "expect.files",
                    "there are none without output_at, the directory that the function may write to",
                ));
            }
            if !is_plain(Path::new(path)) {
                return Err(wrong(
                    "expect.files",
                    format!("`{path}` is no path below output_at"),
                ));
            }
        }
        Ok(())
    }

    /// What no program can be given.
    fn check_texts(&self) -> Result<(), FunctionFileError> {
        let texts = self.args.iter().map(|arg| ("args", arg));
        let values = self.env.values().map(|value| ("env", value));
        for (key, text) in texts.chain(values) {
            if text.contains('\0') {
                return Err(wrong(
                    key,
                    "a text with a zero byte, which no program can be given",
                ));
            }
        }
        for name in self.env.keys() {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(wrong("env", format!("`{name}` is no variable's name")));
            }
        }
        Ok(())
    }

    /// Where no directory of a function can lie.
    fn check_places(&self) -> Result<(), FunctionFileError> {
        check_place("files_at", &self.files_at)?;
        if let Some(at) = &self.output_at {
            check_place("output_at", at)?;
            let (files, output) = (Path::new(&self.files_at), Path::new(at));
            if files.starts_with(output) || output.starts_with(files) {
                return Err(wrong(
                    "output_at",
                    format!(
                        "`{at}` and files_at `{}` lie one in the other",
                        self.files_at
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// With every key that there is.
fn full() -> FunctionFile {
    let text = || Some("x".into());
    FunctionFile {
        name: Some("x/x".into()),
        kind: super::Kind::Handler,
        native: text(),
        wasm: text(),
        python: text(),
        image: Some("x".into()),
        source: text(),
        args: vec!["x".into()],
        stdin: text(),
        files: text(),
        files_at: "x".into(),
        output_at: Some("x".into()),
        network: vec!["x".into()],
        timeout_s: 0,
        varies: vec!["x".into()],
        env: [("x".to_owned(), String::new())].into(),
        expect: Some(full_expect()),
        handler: Some(Handler::default()),
    }
}

fn full_expect() -> Expect {
    Expect {
        stdout: Some(String::new()),
        exit_code: Some(0),
        files: [("x".to_owned(), String::new())].into(),
    }
}

fn keys(value: &impl serde::Serialize) -> Vec<String> {
    let table = Table::try_from(value).unwrap_or_default();
    table.into_iter().map(|(key, _)| key).collect()
}

fn known_keys(at: &str, table: &Table, known: &[String]) -> Result<(), FunctionFileError> {
    match table.keys().find(|key| !known.contains(key)) {
        None => Ok(()),
        Some(key) => {
            let known: Vec<String> = known.iter().map(|k| format!("{at}{k}")).collect();
            let message = ids::unknown("key", &format!("{at}{key}"), &known);
            Err(FunctionFileError::UnknownKey(message))
        }
    }
}

/// Whether a directory of a function may lie at `at`.
fn check_place(key: &str, at: &str) -> Result<(), FunctionFileError> {
    let path = Path::new(at);
    let plain = path.strip_prefix("/").is_ok_and(is_plain) && !at.contains(['\0', ':', '{', '}']);
    let taken = TAKEN.iter().any(|taken| match *taken {
        "/" => at == "/",
        taken => path.starts_with(taken),
    });
    match plain && !taken {
        true => Ok(()),
        false => Err(wrong(
            key,
            format!(
                "`{at}` can be no directory of a function: an absolute path that is not below {}",
                TAKEN[1..].join(", ")
            ),
        )),
    }
}

fn is_plain(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn check_grant(grant: &str) -> Result<(), FunctionFileError> {
    let good = grant.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains(char::is_whitespace)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    match good {
        true => Ok(()),
        false => Err(wrong(
            "network",
            format!("`{grant}` is not of the form HOST:PORT, for example 127.0.0.1:6379"),
        )),
    }
}

#[cfg(test)]
mod tests {
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
network = ["127.0.0.1:6379", "[::1]:80"]
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
        };
        assert_eq!(file.args_at(places), ["-n", "/h/f/names", "/h/o/{x}"]);
        assert_eq!(
            file.env_at(file.own_places())[0],
            ("DATA".into(), "/srv/data".into())
        );
        let empty = FunctionFile::parse("").expect("nothing is said");
        assert_eq!(empty, FunctionFile::default());
        assert_eq!(empty.to_toml(), "");
        let handler =
            FunctionFile::parse("kind = 'handler'\n[handler]\nport_env = 'P'").expect("right");
        assert_eq!(handler.kind, Kind::Handler);
        assert_eq!(handler.handler.expect("there").path, "/");
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
            ("zzzzzzzzzzzz = 1", "there are: "),
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
            ("network = ['localhost:0']", "HOST:PORT"),
            ("kind = 'server'", "program"),
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
}
