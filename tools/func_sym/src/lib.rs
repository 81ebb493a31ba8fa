//! From the names that a profile shows to the functions of the source.
//!
//! Compiled Wasm has generated names: `wasm[0]::function[7]::kernel_3mm`, or `wasm[0]::function[7]` where the
//! module was stripped. A profile shows them as they are, but with jitdump the name alone where there is one.
//! Real names come from the module's name section, and from its exports where that was stripped. See
//! `docs/profiling.md`.
//!
//! Design constraints:
//! * generated names, offsets and sizes come from the compiled code itself, not from what we know of the
//!   compiler;
//! * the stream that is annotated may be anything: its other bytes pass unchanged and are not collected.

mod annotate;
mod code;
mod error;
mod lines;
mod module;
mod table;

use std::io;
use std::path::PathBuf;

use faaslet::settings::MAX_MEMORY_LIMIT_BYTES;
use faaslet::{EngineSettings, FaasletEngine, Store};
use measure_core::base::exit::{Exit, after_help};
use measure_core::base::home;
use measure_core::base::ids::{self, FunctionId};
use measure_core::base::stdout;
use structopt::StructOpt;

pub use code::CodeError;
pub use error::{SymError, Unreadable};

use module::WasmModule;
use table::{Columns, Table};

/// The file beside the function.
pub const SYMBOLS: &str = "function.symbols";
/// What may be left out before a function's name.
const PREFIXES: [&str; 3] = ["", "poly_", "bench_"];

const EXAMPLES: &str = "\
EXAMPLES:
    func_sym polybench 3mm                           (polybench/poly_3mm)
    func_sym --sizes --lines demo noop
    perf report -i perf.data.wasm --stdio | func_sym --annotate polybench 3mm

OUTPUT:
    wasm[0]::function[7]::kernel_3mm = kernel_3mm    a line per function
    then, after tabs, its offset in the compiled code and its size in bytes (--sizes), and the
    line of the source (--lines). `?` stands for what the module does not tell. The same lines
    are kept in function.symbols beside the function in the store.
";

/// Says which function is behind each generated name in a profile of compiled Wasm
#[derive(Debug, StructOpt)]
#[structopt(name = "func_sym", after_help = after_help(EXAMPLES))]
pub struct Options {
    /// Whose function it is
    #[structopt(name = "USER")]
    user: String,
    /// Its name; a prefix poly_ or bench_ may be left out
    #[structopt(name = "FUNCTION")]
    function: String,
    /// Every piece of compiled code, with its offset and size in bytes
    #[structopt(long)]
    sizes: bool,
    /// Where each function begins in the source, if the module has debug info (build with -g)
    #[structopt(long)]
    lines: bool,
    /// Copies standard input to standard output and replaces generated names; nothing is kept
    #[structopt(long, conflicts_with_all = &["sizes", "lines"])]
    annotate: bool,
    /// Function store [default: store/ below $FAASM_BENCH_HOME, or below build/ of the checkout]
    #[structopt(long, parse(from_os_str))]
    store: Option<PathBuf>,
}

/// Does what the command line says.
///
/// # Errors
/// No such function, a store that is not to be trusted, or the output cannot be written.
pub fn run(options: &Options) -> Result<Exit, SymError> {
    let store = Store::at(options.store.clone().unwrap_or_else(home::store));
    let id = match resolve(&store, &options.user, &options.function) {
        // Only the checkout's own store is built into.
        Err(SymError::Usage(_))
            if options.store.is_none() && built(&options.user, &options.function)? =>
        {
            resolve(&store, &options.user, &options.function)
        }
        found => found,
    }?;
    let table = table_of(&store, &id)?;
    if options.annotate {
        let (input, output) = (io::stdin().lock(), io::stdout().lock());
        annotate::copy(&table, input, output)?;
        return Ok(Exit::Ok);
    }
    let columns = Columns {
        sizes: options.sizes,
        lines: options.lines,
    };
    let text = table.text(columns);
    print(&text)?;
    advise(&table, columns, &id);
    store
        .write_beside(&id, SYMBOLS, text.as_bytes())
        .map_err(SymError::NotKept)?;
    Ok(Exit::Ok)
}

/// Builds the kernel of PolyBench that `name` of `user` means and that is not in the store yet; whether there is one.
fn built(user: &str, name: &str) -> Result<bool, SymError> {
    if user != poly_bench::columns::USER {
        return Ok(false);
    }
    for prefix in PREFIXES {
        if poly_bench::build_module(&format!("{prefix}{name}")).map_err(SymError::Build)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The function that `name` of `user` means.
fn resolve(store: &Store, user: &str, name: &str) -> Result<FunctionId, SymError> {
    let known = store.list()?;
    let usage = |e: ids::FunctionIdError| SymError::Usage(e.to_string());
    for prefix in PREFIXES {
        let id = FunctionId::new(user, &format!("{prefix}{name}")).map_err(usage)?;
        if known.contains(&id) {
            return Ok(id);
        }
    }
    let mut users: Vec<String> = known.iter().map(|id| id.user().to_owned()).collect();
    users.dedup();
    let place = store.root().display();
    if !users.iter().any(|u| u == user) {
        let message = ids::unknown("user", user, &users);
        return Err(SymError::Usage(format!("{message} in {place}")));
    }
    let functions: Vec<String> = known
        .iter()
        .filter(|id| id.user() == user)
        .map(|id| id.function().to_owned())
        .collect();
    // The nearest is that of the full name.
    let prefix = PREFIXES.iter().rev().find(|prefix| {
        !name.starts_with(*prefix) && functions.iter().any(|f| f.starts_with(*prefix))
    });
    let full = format!("{}{name}", prefix.unwrap_or(&""));
    let message = ids::unknown("function", &full, &functions);
    Err(SymError::Usage(format!("{message} of {user} in {place}")))
}

fn table_of(store: &Store, id: &FunctionId) -> Result<Table, SymError> {
    let unreadable = |source: Unreadable| SymError::Unreadable {
        what: id.to_string(),
        source,
    };
    // The same code as every run's; only what may be loaded differs.
    let engine = FaasletEngine::new(EngineSettings {
        instances: 1,
        memory_limit_bytes: MAX_MEMORY_LIMIT_BYTES,
        ..EngineSettings::default()
    })?;
    let compiled = store.load(&engine, id)?;
    let image = compiled
        .serialize()
        .map_err(|e| unreadable(Unreadable::Engine(format!("{e:#}"))))?;
    table_of_code(&store.wasm(id)?, &image).map_err(unreadable)
}

fn table_of_code(wasm: &[u8], image: &[u8]) -> Result<Table, Unreadable> {
    let module = WasmModule::parse(wasm)?;
    Ok(Table::new(code::symbols(image)?, &module))
}

/// The text of the table of a module and its compiled code, whatever these are: what is fuzzed.
///
/// # Errors
/// One of them is none.
#[doc(hidden)]
pub fn table_of_bytes(wasm: &[u8], image: &[u8]) -> Result<String, Unreadable> {
    let columns = Columns {
        sizes: true,
        lines: true,
    };
    table_of_code(wasm, image).map(|table| table.text(columns))
}

/// What the table lacks and how to have it.
fn advise(table: &Table, columns: Columns, id: &FunctionId) {
    let (unnamed, functions) = table.unnamed();
    if unnamed > 0 {
        eprintln!(
            "{id}: {unnamed} of {functions} functions have no name: the module is stripped; link it without -Wl,--strip-all"
        );
    }
    if let Some(trouble) = table.trouble() {
        eprintln!("{id}: {trouble}");
    }
    if columns.lines && !table.has_lines() {
        eprintln!("{id}: no debug info: compile it with -g and link it without -Wl,--strip-debug");
    }
}

fn print(text: &str) -> Result<(), SymError> {
    stdout::print(text).map_err(SymError::Output)?;
    Ok(())
}
