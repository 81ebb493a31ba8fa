//! The command line.

use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::exit::{self, Exit};
use structopt::StructOpt;

use crate::error::ComponentError;
use crate::make::{Wit, component_of};

const EXAMPLES: &str = "EXAMPLES:
    wasm-component linked.wasm function.wasm
    wasm-component --wit functions/sockets.wit fetch.wasm function.wasm  # a program that connects by wasi:sockets";

/// Makes a component for WASI 0.2 of a linked program for WASI preview 1, which may import more than that has if a WIT file says what it
/// is.
#[derive(Debug, StructOpt)]
#[structopt(name = "wasm-component", after_help = exit::after_help(EXAMPLES))]
pub struct Options {
    /// The linked module
    #[structopt(parse(from_os_str))]
    pub input: PathBuf,
    /// Where the component goes
    #[structopt(parse(from_os_str))]
    pub output: PathBuf,
    /// What it imports beside preview 1: a WIT file with one world
    #[structopt(long, name = "FILE", parse(from_os_str))]
    pub wit: Option<PathBuf>,
}

/// Does what the command line asks for.
///
/// # Errors
/// A file cannot be read, the module is no component's, or the component cannot be written.
pub fn run(options: &Options) -> Result<Exit, ComponentError> {
    let unread = |path: &Path, source| ComponentError::Read {
        path: path.to_owned(),
        source,
    };
    let module = fs::read(&options.input).map_err(|e| unread(&options.input, e))?;
    let wit = match &options.wit {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|e| unread(path, e))?;
            Some((path.to_string_lossy(), text))
        }
        None => None,
    };
    let wit = wit.as_ref().map(|(path, text)| Wit { path, text });
    let component = component_of(&module, wit).map_err(|source| ComponentError::Unfit {
        path: options.input.clone(),
        source,
    })?;
    fs::write(&options.output, component).map_err(|source| ComponentError::Write {
        path: options.output.clone(),
        source,
    })?;
    Ok(Exit::Ok)
}
