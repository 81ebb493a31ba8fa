//! What a function of the store is, as its `function.toml` says: on which sides it exists, what it is given, and what it
//! should answer. A user writes such a file beside the sources (docs/your-function.md); `runtime_bench add` writes another,
//! whose paths are those of the store, beside what it has installed. Drivers read that one.

mod parse;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::exchange::Request;
use super::network_grant::{HOST_END, NetworkGrant, NetworkGrantError};

pub use parse::FunctionFileError;

/// The file's name.
pub const FILE: &str = "function.toml";
/// Stands in arguments and values of variables for where the function finds its files.
pub const FILES_PLACE: &str = "{files}";
/// The same of the directory that it may write to.
pub const OUTPUT_PLACE: &str = "{output}";
/// The same of the port that a native handler is to listen on.
pub const PORT_PLACE: &str = "{port}";

/// The same of the host's end of the network that it is granted.
pub const HOST_PLACE: &str = "{host}";

const FILES_AT: &str = "/files";
const TIMEOUT_S: u64 = 10;

/// What a function is. All paths are relative to the file's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FunctionFile {
    /// Its id, `user/function`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it runs to its end or answers requests.
    #[serde(skip_serializing_if = "Kind::is_program")]
    pub kind: Kind,
    /// Executable of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<PathBuf>,
    /// The program, found on PATH, that runs `native` where that is a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// A preview-1 command or a component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wasm: Option<PathBuf>,
    /// Script of CPython.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<PathBuf>,
    /// An image: a `docker save` or OCI archive, or what the host's docker calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// C or C++, or a directory of it, or a Cargo package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
    /// Its arguments, without the program's name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// What it reads from its standard input; without, that is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<PathBuf>,
    /// A directory that it may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<PathBuf>,
    /// Where it finds that directory, on rungs with file systems of their own.
    #[serde(skip_serializing_if = "is_files_at")]
    pub files_at: String,
    /// Where it finds a directory that it may write to, empty before its first start; without, it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_at: Option<String>,
    /// What it may connect to, each as `HOST:PORT`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<String>,
    /// How long one run may take when its answer is asked for.
    #[serde(skip_serializing_if = "is_timeout_s")]
    pub timeout_s: u64,
    /// What of its answer varies by nature: `time`, `pid`, `random`, or a regular expression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub varies: Vec<String>,
    /// Its environment; nothing is inherited.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What it should answer; without, all rungs should answer as the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// How requests reach it, if it is a handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<Handler>,
}

/// How a function works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// From `main` to its end.
    #[default]
    Program,
    /// Answers requests until it is ended.
    Handler,
}

impl Kind {
    fn is_program(&self) -> bool {
        *self == Self::Program
    }
}

/// What a function should answer. What is not said may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// All of its standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// Its exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Of a handler: the status of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Of a handler: all of its answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Content of files in the directory that it may write to, by their paths there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// How requests reach a handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Handler {
    /// The variable that tells a native handler its port; `{port}` in arguments and values stands for it too.
    pub port_env: String,
    /// Method of the request; without, it is POST if there is a body, else GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path of the request, and query.
    pub path: String,
    /// Body of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<PathBuf>,
    /// Headers of the request, beside `Host` and `Content-Length`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Handler {
    /// What it is asked, with `body`.
    #[must_use]
    pub fn request_with(&self, body: Vec<u8>) -> Request {
        let usual = if self.request.is_some() {
            "POST"
        } else {
            "GET"
        };
        let headers = self.headers.iter();
        Request {
            method: self.method.clone().unwrap_or_else(|| usual.to_owned()),
            path: self.path.clone(),
            headers: headers.map(|(k, v)| (k.clone(), v.clone())).collect(),
            body,
        }
    }
}

impl Default for Handler {
    fn default() -> Self {
        Self {
            port_env: "PORT".to_owned(),
            method: None,
            path: "/".to_owned(),
            request: None,
            headers: BTreeMap::new(),
        }
    }
}

impl Default for FunctionFile {
    fn default() -> Self {
        Self {
            name: None,
            kind: Kind::Program,
            native: None,
            interpreter: None,
            wasm: None,
            python: None,
            image: None,
            source: None,
            args: Vec::new(),
            stdin: None,
            files: None,
            files_at: FILES_AT.to_owned(),
            output_at: None,
            network: Vec::new(),
            timeout_s: TIMEOUT_S,
            varies: Vec::new(),
            env: BTreeMap::new(),
            expect: None,
            handler: None,
        }
    }
}

fn is_files_at(at: &str) -> bool {
    at == FILES_AT
}

fn is_timeout_s(seconds: &u64) -> bool {
    *seconds == TIMEOUT_S
}

/// Where a function finds what it is given, which differs from rung to rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places<'a> {
    /// The directory that it may read.
    pub files: &'a str,
    /// The directory that it may write to.
    pub output: &'a str,
    /// The host's end of the network that it is granted.
    pub host: &'a str,
    /// The port that it is to listen on, if it is a handler that serves one.
    pub port: Option<u16>,
}

impl Places<'_> {
    fn fill(&self, text: &str) -> String {
        let text = text
            .replace(FILES_PLACE, self.files)
            .replace(OUTPUT_PLACE, self.output)
            .replace(HOST_PLACE, self.host);
        match self.port {
            Some(port) => text.replace(PORT_PLACE, &port.to_string()),
            None => text,
        }
    }
}

impl FunctionFile {
    /// What it may connect to.
    ///
    /// # Errors
    /// Something of it cannot be granted; of a file that was checked, nothing.
    pub fn network_grants(&self) -> Result<Vec<NetworkGrant>, NetworkGrantError> {
        self.network.iter().map(|grant| grant.parse()).collect()
    }

    /// The places that it names itself, for rungs with file systems of their own.
    #[must_use]
    pub fn own_places(&self) -> Places<'_> {
        Places {
            files: &self.files_at,
            output: self.output_at.as_deref().unwrap_or_default(),
            host: HOST_END,
            port: None,
        }
    }

    /// Its arguments where it finds its files at `places`.
    #[must_use]
    pub fn args_at(&self, places: Places<'_>) -> Vec<String> {
        self.args.iter().map(|arg| places.fill(arg)).collect()
    }

    /// Its environment where it finds its files at `places`.
    #[must_use]
    pub fn env_at(&self, places: Places<'_>) -> Vec<(String, String)> {
        let filled = |(name, value): (&String, &String)| (name.clone(), places.fill(value));
        let port = places.port.zip(self.served());
        let told = port.map(|(port, handler)| (handler.port_env, port.to_string()));
        self.env.iter().map(filled).chain(told).collect()
    }

    /// How requests reach it; `None` of a program.
    #[must_use]
    pub fn served(&self) -> Option<Handler> {
        let is_handler = self.kind == Kind::Handler;
        is_handler.then(|| self.handler.clone().unwrap_or_default())
    }

    /// Whether there is anything of it to run.
    #[must_use]
    pub fn has_a_side(&self) -> bool {
        self.native.is_some()
            || self.wasm.is_some()
            || self.python.is_some()
            || self.image.is_some()
            || self.source.is_some()
    }
}
