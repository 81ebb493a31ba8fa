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
            ("handler", keys(&full_handler())),
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
        self.check_handler()?;
        self.network_grants()
            .map_err(|e| wrong("network", e.to_string()))?;
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

    /// What no request can hold, and what only a handler has.
    fn check_handler(&self) -> Result<(), FunctionFileError> {
        let Some(handler) = self.served() else {
            return match (&self.handler, &self.expect) {
                (Some(_), _) => Err(wrong(
                    "handler",
                    "only a handler is asked: kind = \"handler\"",
                )),
                (None, Some(Expect { status, body, .. })) if status.is_some() || body.is_some() => {
                    Err(wrong(
                        "expect",
                        "only a handler answers with a status and a body: kind = \"handler\"",
                    ))
                }
                _ => Ok(()),
            };
        };
        let token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
        if handler.method.is_some_and(|method| !token(&method)) {
            return Err(wrong(
                "handler.method",
                "it is no method of HTTP, as GET is",
            ));
        }
        let path = &handler.path;
        if !path.starts_with('/') || path.bytes().any(|b| !b.is_ascii_graphic()) {
            return Err(wrong(
                "handler.path",
                format!("`{path}` is no path of a request: it begins with / and holds no space"),
            ));
        }
        let (own, variable) = (["host", "content-length"], &handler.port_env);
        for (name, value) in &handler.headers {
            if !token(name) || own.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(wrong(
                    "handler.headers",
                    format!("`{name}` is no header that can be given"),
                ));
            }
            if value.bytes().any(|b| b < b' ' || b == 127) {
                return Err(wrong(
                    "handler.headers",
                    format!("the value of `{name}` cannot be sent"),
                ));
            }
        }
        if variable.is_empty() || variable.contains(['=', '\0']) {
            return Err(wrong(
                "handler.port_env",
                format!("`{variable}` is no variable's name"),
            ));
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
        interpreter: Some("x".into()),
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
        handler: Some(full_handler()),
    }
}

fn full_handler() -> Handler {
    Handler {
        method: Some("x".into()),
        request: Some("x".into()),
        headers: [("x".to_owned(), String::new())].into(),
        ..Handler::default()
    }
}

fn full_expect() -> Expect {
    Expect {
        stdout: Some(String::new()),
        exit_code: Some(0),
        status: Some(0),
        body: Some(String::new()),
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

/// Of method and header names (RFC 9110, 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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

#[cfg(test)]
mod tests;
