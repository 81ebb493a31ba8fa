//! The work.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::error::UnfitError;

/// What a module imports beside preview 1: a WIT text with one world.
#[derive(Debug, Clone, Copy)]
pub struct Wit<'a> {
    /// What errors call it.
    pub path: &'a str,
    /// The text.
    pub text: &'a str,
}

/// The component that runs the program `module`, which is a linked module with a `_start` for preview 1 of WASI.
///
/// # Errors
/// It is no such module, or imports what is in none of the two.
pub fn component_of(module: &[u8], wit: Option<Wit<'_>>) -> Result<Vec<u8>, UnfitError> {
    let mut module = module.to_vec();
    if let Some(wit) = wit {
        describe(&mut module, wit)?;
    }
    let adapter = WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
    ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|e| UnfitError::Module {
            cause: format!("{e:#}"),
        })
}

/// Notes in `module` what its imports mean.
fn describe(module: &mut Vec<u8>, wit: Wit<'_>) -> Result<(), UnfitError> {
    let mut resolve = Resolve::default();
    let world = resolve
        .push_source(wit.path, wit.text)
        .and_then(|package| resolve.select_world(&[package], None))
        .map_err(|e| UnfitError::Wit {
            path: wit.path.to_owned(),
            cause: format!("{e:#}"),
        })?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).map_err(|e| {
        UnfitError::Module {
            cause: format!("{e:#}"),
        }
    })
}
