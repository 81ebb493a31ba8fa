//! Options of the commands.

use std::path::PathBuf;

use structopt::StructOpt;

use crate::engines::Engines;

/// Brings a function of yours: its sides are checked, compiled and kept in the store, then each rung runs it once and says what it
/// answered. docs/your-function.md goes through it step by step.
///
/// EXAMPLES:
///     runtime_bench add mine/hello --source hello.c            both sides by clang
///     runtime_bench add mine/hello --native hello --wasm hello.wasm --args one,two
///     runtime_bench add mine/count --source count/ --stdin words.txt
///     runtime_bench add mine/order --python order.py --files orders --args '{files}/order.json'
///     runtime_bench add functions/examples/hello               as its function.toml says
///     runtime_bench time --function mine/hello --rungs process,faaslet,docker-none
#[derive(Debug, StructOpt)]
#[structopt(verbatim_doc_comment)]
pub struct AddOptions {
    /// What it is to be called, user/function; or a directory with a function.toml that says everything
    #[structopt(name = "USER/NAME")]
    pub(super) what: String,
    /// Its native side: an executable of this machine; the loader and libraries of a dynamic one come along
    #[structopt(long, name = "NATIVE", parse(from_os_str))]
    pub(super) native: Option<PathBuf>,
    /// What runs its native side, where that is a script: a program on PATH, which does not come along
    #[structopt(long, name = "PROGRAM", requires = "NATIVE")]
    pub(super) interpreter: Option<String>,
    /// Its Wasm side
    #[structopt(long, name = "WASM", parse(from_os_str))]
    pub(super) wasm: Option<PathBuf>,
    /// A script: natively and as Wasm by the same CPython, and from a snapshot of it
    #[structopt(long, name = "SCRIPT", parse(from_os_str))]
    pub(super) python: Option<PathBuf>,
    /// An image for the docker rungs: an archive (docker save, OCI), the directory of an OCI layout, or what an engine calls it
    /// (that of --docker-host, the host's, or one of ours, which pulls it)
    #[structopt(long, name = "IMAGE")]
    pub(super) image: Option<String>,
    /// C or C++, a directory of it, or a Cargo package: compiled to both sides
    #[structopt(long, name = "SOURCE", parse(from_os_str))]
    pub(super) source: Option<PathBuf>,
    /// Its arguments, separated by commas; {files} and {output} stand for its directories
    #[structopt(
        long,
        name = "ARG,...",
        require_delimiter = true,
        allow_hyphen_values = true
    )]
    pub(super) args: Vec<String>,
    /// One argument, commas and all; may be given several times, after those of --args
    #[structopt(long, name = "ARG", number_of_values = 1, allow_hyphen_values = true)]
    pub(super) arg: Vec<String>,
    /// A variable of its environment; may be given several times
    #[structopt(long, name = "NAME=VALUE", number_of_values = 1)]
    pub(super) env: Vec<String>,
    /// A directory that it may read, at /files (process: where it lies)
    #[structopt(long, name = "FILES", parse(from_os_str))]
    pub(super) files: Option<PathBuf>,
    /// It is given an empty directory to write to, there; what it writes is part of its answer
    #[structopt(long, name = "PATH")]
    pub(super) output_at: Option<String>,
    /// What it reads from its standard input
    #[structopt(long, name = "STDIN", parse(from_os_str))]
    pub(super) stdin: Option<PathBuf>,
    /// It answers requests: a component for wasi:http/proxy, and a program that serves HTTP on the port that $PORT says
    #[structopt(long)]
    pub(super) handler: bool,
    /// Body of the request that it is asked, which makes it a handler; method, path and headers are said in a function.toml
    #[structopt(long, name = "BODY", parse(from_os_str))]
    pub(super) request: Option<PathBuf>,
    /// What it may connect to, HOST:PORT; may be given several times
    #[structopt(long, name = "HOST:PORT", number_of_values = 1)]
    pub(super) network: Vec<String>,
    /// What of its answer varies by nature: time, pid, random, or a regular expression; may be given several times
    #[structopt(long, name = "WHAT", number_of_values = 1)]
    pub(super) varies: Vec<String>,
    /// Seconds that one run may take when its answer is asked for [default: 10]
    #[structopt(long, name = "SECONDS")]
    pub(super) timeout: Option<u64>,
    /// In place of the one that has this name
    #[structopt(long)]
    pub(super) replace: bool,
    #[structopt(flatten)]
    pub(super) on: OnRungs,
}

// Which rungs run the function. A doc comment would take the place of the commands' own in their --help.
#[derive(Debug, StructOpt)]
pub struct OnRungs {
    /// Only these rungs, separated by commas [default: one of each kind]
    #[structopt(long, name = "RUNG,...", require_delimiter = true)]
    pub(super) rungs: Option<Vec<String>>,
    /// Every rung of every driver
    #[structopt(long, conflicts_with = "RUNG,...")]
    pub(super) all: bool,
    #[structopt(flatten)]
    pub(super) engines: Engines,
}

/// Options of `show` and `remove`.
#[derive(Debug, StructOpt)]
pub struct NameOptions {
    /// The function
    #[structopt(name = "USER/NAME")]
    pub(super) function: String,
}

/// Options of `test`.
#[derive(Debug, StructOpt)]
pub struct TestOptions {
    /// The function
    #[structopt(name = "USER/NAME")]
    pub(super) function: String,
    #[structopt(flatten)]
    pub(super) on: OnRungs,
}

/// Times a function natively and as Wasm, run by run, after comparing what both sides answer.
///
/// EXAMPLES:
///     runtime_bench compute mine/hello 10 10
///     runtime_bench compute mine/hello 10 10 -- --also wasm-wasm2c
#[derive(Debug, StructOpt)]
#[structopt(verbatim_doc_comment)]
pub struct ComputeOptions {
    /// The function
    #[structopt(name = "USER/NAME")]
    pub(super) function: String,
    /// Native runs, each in a process of its own
    #[structopt(name = "NATIVE")]
    pub(super) native: u32,
    /// Wasm runs, each in an engine's process of its own
    #[structopt(name = "WASM")]
    pub(super) wasm: u32,
    /// Options of function_bench (see its --help), after two dashes
    #[structopt(name = "OPTION", last = true)]
    pub(super) more: Vec<String>,
}
