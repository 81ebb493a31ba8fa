//! The command line.

use std::fs;
use std::path::PathBuf;

use measure_core::base::exit::{self, Exit};
use measure_core::base::stdout::print;
use structopt::StructOpt;

use crate::error::PostLinkError;
use crate::module::{Passes, rewrite};

const EXAMPLES: &str = "EXAMPLES:
    wasm-post-link linked.wasm function.wasm
    wasm-post-link --copies 1 linked.wasm function.wasm  # loops as they are";

/// Rewrites a linked Wasm module for ahead-of-time compilers: several turns of outer loops are made at once, vectors that a loop's last turn loaded are not loaded
/// again, innermost loops are unrolled, neighbouring accesses share an address, and minima and maxima of integers become
/// branches. It computes the same, bit for bit. Prints what was done.
#[derive(Debug, StructOpt)]
#[structopt(name = "wasm-post-link", after_help = exit::after_help(EXAMPLES))]
pub struct Options {
    /// The linked module
    #[structopt(parse(from_os_str))]
    pub input: PathBuf,
    /// Where the new module goes
    #[structopt(parse(from_os_str))]
    pub output: PathBuf,
    /// Do not say what was done
    #[structopt(short, long)]
    pub quiet: bool,
    /// Leave addresses as they are
    #[structopt(long)]
    pub no_addresses: bool,
    /// The most turns of a loop around innermost ones that are made at once, up to 16; 1 leaves
    /// them one after the other
    #[structopt(long, default_value = "4")]
    pub jam: usize,
    /// Load in each turn of a loop what the last one had
    #[structopt(long)]
    pub no_carry: bool,
    /// Compute minima and maxima that a loop carries along without a branch
    #[structopt(long)]
    pub no_extremes: bool,
    /// The most copies of an innermost loop; 1 unrolls nothing
    #[structopt(long, default_value = "16")]
    pub copies: usize,
    /// The most operators that all copies of a loop may have
    #[structopt(long, default_value = "400")]
    pub operators: usize,
}

/// Does what the command line asks for.
///
/// # Errors
/// The module cannot be read, is not valid, or the new one cannot be written.
pub fn run(options: &Options) -> Result<Exit, PostLinkError> {
    let wasm = fs::read(&options.input).map_err(|source| PostLinkError::Read {
        path: options.input.clone(),
        source,
    })?;
    let passes = Passes {
        copies: options.copies,
        operators: options.operators,
        addresses: !options.no_addresses,
        jam: options.jam,
        carry: !options.no_carry,
        extremes: !options.no_extremes,
    };
    let (new, done) = rewrite(&wasm, passes).map_err(|source| PostLinkError::Rewrite {
        path: options.input.clone(),
        source,
    })?;
    fs::write(&options.output, &new).map_err(|source| PostLinkError::Write {
        path: options.output.clone(),
        source,
    })?;
    if options.quiet {
        return Ok(Exit::Ok);
    }
    print(format!(
        "{}: {} loops jammed, {} loops unrolled, {} loads carried over, {} accesses share an address, {} extremes by branch, {} -> {} bytes\n",
        options.output.display(),
        done.jammed,
        done.loops,
        done.carried,
        done.accesses,
        done.branches,
        wasm.len(),
        new.len()
    ))
    .map_err(|source| PostLinkError::Write {
        path: "standard output".into(),
        source,
    })?;
    Ok(Exit::Ok)
}
