//! The image `faasm/noop`: built once, kept as a tar archive, loaded into each engine that lacks it.

pub mod archive;
mod archive_error;
pub mod base;
pub mod base_choice;
pub mod build;
pub mod built;
mod contents;
pub mod context;
pub mod extra;
pub mod function;
mod layer;
pub mod named;

use std::fs;
use std::io;
use std::time::Duration;

use measure_core::base::files::replace_file;
use measure_core::base::home;
use measure_core::base::lock::FileLock;
use measure_core::base::trust;
use measure_core::driver_kit::DriverError;

use crate::api::Client;
use base_choice::BaseChoice;
use built::{Built, archive, note, present};
use context::Context;

/// How long another process may build it.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// The image of the store's present functions; builds it if there is none or it is stale.
///
/// # Errors
/// A native function is missing, or the image cannot be built.
pub fn ensure(choice: BaseChoice, rebuild: bool) -> Result<Built, DriverError> {
    let context = Context::read()?;
    let usable = || present().filter(|built| built.serves(&context.key, choice));
    if let (Some(built), false) = (usable(), rebuild) {
        return Ok(built);
    }
    let dir = home::images();
    let failed =
        |e: io::Error| DriverError::failed(format!("cannot write to {}", dir.display()), e);
    fs::create_dir_all(&dir).map_err(failed)?;
    let _lock = FileLock::take(&dir.join("faasm-noop.lock"), BUILD_LIMIT)?;
    // Another process may have built it meanwhile.
    if let (Some(built), false) = (usable(), rebuild) {
        return Ok(built);
    }
    eprintln!("note: building the image faasm/noop (`make build-noop` does it beforehand)");
    let built = build::build(&context, choice, &archive())?;
    let text = serde_json::to_vec_pretty(&built).map_err(|e| failed(e.into()))?;
    replace_file(&note(), &text).map_err(failed)?;
    Ok(built)
}

/// Loads the image into the engine unless it has it; whether it had to.
///
/// # Errors
/// The archive is missing or damaged, or the engine refuses it.
pub fn provide(client: &Client, built: &Built) -> Result<bool, DriverError> {
    let inspect = || {
        client.call(
            "inspect image",
            client.api.docker.inspect_image(&built.image),
        )
    };
    match inspect() {
        Ok(_) => return Ok(false),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(DriverError::EngineLost(error.to_string())),
    }
    let path = archive();
    let bytes = match trust::read(&path) {
        Err(error) if error.is_not_found() => {
            return Err(DriverError::Failed(format!(
                "{error} (`make build-noop` makes it)"
            )));
        }
        read => read?,
    };
    build::load(client, bytes).map_err(|e| {
        DriverError::failed(
            format!(
                "cannot load {} (`make build-noop` makes it anew)",
                path.display()
            ),
            e,
        )
    })?;
    inspect().map(|_| true).map_err(|_| {
        DriverError::Failed(format!(
            "{} does not hold the image {}: remove it and run `make build-noop`",
            path.display(),
            built.image
        ))
    })
}
