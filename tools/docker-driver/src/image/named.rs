//! Images that a user names as an engine calls them: those that it has, and those that it pulls.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt;
use measure_core::driver_kit::DriverError;

use super::archive::Archive;
use super::build::remove;
use crate::api::{ApiError, Client};
use crate::engine::{Engine, Setup};

/// Where the host's own engine listens.
const HOST_ENGINE: &str = "unix:///var/run/docker.sock";
/// How long a registry may take to deliver an image.
const PULL_LIMIT: Duration = Duration::from_secs(480);
/// What an image of no said tag is pulled by: without one, an engine pulls them all.
const DEFAULT_TAG: &str = "latest";
/// How to come by an image that is not to be had.
const MEND: &str = "load it into an engine and name that by --docker-host, or give an archive (`docker save`) or the directory of an OCI layout";

/// Keeps the image `reference` as the archive `to`: from the engine at `host`, else the host's own, else one of ours in the host's
/// network, which has none and pulls it. Returns its id.
///
/// # Errors
/// No engine has it or can pull it, it is for another machine, or the file cannot be written.
pub fn save(
    reference: &str,
    host: Option<&str>,
    limit: Duration,
    to: &Path,
) -> Result<String, DriverError> {
    if let Some(host) = host {
        let client = Client::connect(host, limit).map_err(|e| unavailable(reference, host, &e))?;
        return save_from(&client, host, reference, to);
    }
    if let Ok(client) = Client::connect(HOST_ENGINE, limit) {
        return save_from(&client, HOST_ENGINE, reference, to);
    }
    let engine = Engine::start(&Setup::default()).map_err(|error| DriverError::Unavailable {
        why: format!(
            "`{reference}` is no file, no docker engine answers at {HOST_ENGINE}, and none of our own starts that could pull it ({error})"
        ),
        mend: MEND.into(),
    })?;
    let host = engine.host();
    let client = Client::connect(&host, limit).map_err(|e| engine.lost(&e.to_string()))?;
    let id = save_from(&client, "an engine of our own", reference, to)?;
    // Its store is kept, and it was there for this alone.
    remove(&client, &id);
    Ok(id)
}

fn unavailable(reference: &str, host: &str, error: &ApiError) -> DriverError {
    DriverError::Unavailable {
        why: format!("`{reference}` is no file, and no docker engine answers at {host} ({error})"),
        mend: MEND.into(),
    }
}

fn save_from(
    client: &Client,
    engine: &str,
    reference: &str,
    to: &Path,
) -> Result<String, DriverError> {
    let inspect = || client.call("inspect image", client.api.docker.inspect_image(reference));
    match inspect() {
        Ok(_) => {}
        Err(error) if error.is_not_found() => pull(client, engine, reference)?,
        Err(ApiError::Refused { message, .. }) => {
            return Err(DriverError::Usage(format!(
                "`{reference}` is no file, and no name of an image: {message}"
            )));
        }
        Err(error) => return Err(DriverError::EngineLost(error.to_string())),
    }
    export(client, reference, to)?;
    Ok(Archive::examine(to)?.id)
}

fn pull(client: &Client, engine: &str, reference: &str) -> Result<(), DriverError> {
    let (name, tag) = parted(reference);
    let options = CreateImageOptionsBuilder::default()
        .from_image(name)
        .tag(tag)
        .build();
    let pulled = client
        .api
        .docker
        .create_image(Some(options), None, None)
        .try_for_each(|step| async move {
            // Some errors come as steps of a stream that itself ends well.
            match step.error_detail.and_then(|detail| detail.message) {
                Some(error) => Err(bollard::errors::Error::DockerStreamError { error }),
                None => Ok(()),
            }
        });
    let pulled = client.run(client.api.call_for("pull", PULL_LIMIT, pulled));
    pulled.map_err(|error| DriverError::Unavailable {
        why: format!(
            "`{reference}` is no file, and {engine} neither has it nor can pull it ({error})"
        ),
        mend: MEND.into(),
    })
}

/// Name, and tag or digest, of an image.
fn parted(reference: &str) -> (&str, &str) {
    if let Some(parts) = reference.split_once('@') {
        return parts;
    }
    match reference.rsplit_once(':') {
        // A colon before the last slash is that of a registry's port.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, DEFAULT_TAG),
    }
}

fn export(client: &Client, reference: &str, to: &Path) -> Result<(), DriverError> {
    let failed = |e: io::Error| DriverError::failed(to.display(), e);
    let mut file = File::create(to).map_err(failed)?;
    let mut written = Ok(());
    let stream = client.api.docker.export_image(reference);
    let saved = client.call("save image", async {
        tokio::pin!(stream);
        while let Some(bytes) = stream.try_next().await? {
            written = file.write_all(&bytes);
            if written.is_err() {
                break;
            }
        }
        Ok(())
    });
    written.map_err(failed)?;
    saved.map_err(|e| DriverError::failed(format!("cannot save {reference}"), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_told_from_a_registry_s_port() {
        for (reference, parts) in [
            ("alpine", ("alpine", "latest")),
            ("alpine:3", ("alpine", "3")),
            ("host:5000/a/b", ("host:5000/a/b", "latest")),
            ("host:5000/a/b:1", ("host:5000/a/b", "1")),
            ("a@sha256:00", ("a", "sha256:00")),
        ] {
            assert_eq!(parted(reference), parts);
        }
    }
}
