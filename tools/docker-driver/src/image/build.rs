//! Building the image in an engine of ours.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use bollard::body_full;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ImportImageOptionsBuilder,
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::TryStreamExt;
use measure_core::base::files::beside;
use measure_core::base::label::LABEL;
use measure_core::driver_kit::DriverError;

use super::base;
use super::base_choice::BaseChoice;
use super::built::{ALPINE, Base, Built, LOCAL, TAG, key_on};
use super::context::Context;
use crate::api::{ApiError, Client};
use crate::engine::{Engine, Setup, not_interrupted};

/// How long a registry may take to deliver Alpine (4 MB).
const PULL_LIMIT: Duration = Duration::from_secs(20);
/// How long loading, building and saving may take.
const BUILD_LIMIT: Duration = Duration::from_secs(120);
/// Where the host's own engine listens, which may have Alpine.
const HOST_ENGINE: &str = "unix:///var/run/docker.sock";

/// Builds the image of `context` in an engine of its own and saves it to `tar`.
///
/// # Errors
/// No engine, no base, or the build failed.
pub fn build(context: &Context, choice: BaseChoice, tar: &Path) -> Result<Built, DriverError> {
    // In the host's network, so that a registry can be reached; nothing of it is changed.
    let engine = Engine::start(&Setup::default())?;
    let client =
        Client::connect(&engine.host(), BUILD_LIMIT).map_err(|e| engine.lost(&e.to_string()))?;
    let failed = |what: &str| {
        let what = what.to_owned();
        let engine = &engine;
        move |error: ApiError| match error {
            ApiError::Refused { .. } | ApiError::Interrupted(_) => DriverError::failed(what, error),
            lost => engine.lost(&lost.to_string()),
        }
    };
    let base = provide_base(&client, choice)?;
    not_interrupted("the image was built")?;
    let built = client.run(async {
        let body = context
            .tar()
            .map_err(|e| DriverError::failed("cannot pack the build context", e))?;
        let options = BuildImageOptionsBuilder::default()
            .t(TAG)
            .rm(true)
            .forcerm(true)
            .nocache(true)
            .networkmode("none")
            .buildargs(&HashMap::from([("BASE", base.reference.as_str())]))
            .labels(&HashMap::from([(LABEL, "image")]))
            .build();
        let api = &client.api;
        let steps = api
            .docker
            .build_image(options, None, Some(body_full(body.into())));
        api.call("build", check_steps(steps))
            .await
            .map_err(failed("cannot build the image"))?;
        let image = api
            .call("inspect image", api.docker.inspect_image(TAG))
            .await
            .map_err(failed("the built image is not there"))?;
        save(&client, tar)
            .await
            .map_err(|e| DriverError::failed(format!("cannot write {}", tar.display()), e))?;
        Ok::<_, DriverError>(image.id.unwrap_or_default())
    })?;
    not_interrupted("the image was built")?;
    Ok(Built {
        key: key_on(&base, &context.key),
        image: built,
        base,
        functions: context.functions(),
    })
}

/// A build's errors come as lines of a stream that itself ends well.
pub(super) async fn check_steps<S>(steps: S) -> Result<(), bollard::errors::Error>
where
    S: futures_util::Stream<Item = Result<bollard::models::BuildInfo, bollard::errors::Error>>,
{
    tokio::pin!(steps);
    while let Some(step) = steps.try_next().await? {
        if let Some(error) = step.error_detail {
            let error = error.message.unwrap_or_else(|| "unknown".into());
            return Err(bollard::errors::Error::DockerStreamError { error });
        }
    }
    Ok(())
}

async fn save(client: &Client, path: &Path) -> io::Result<()> {
    let new = beside(path)?;
    let mut file = new.as_file();
    let stream = client.api.docker.export_image(TAG);
    let written = client
        .api
        .call("save image", async {
            tokio::pin!(stream);
            while let Some(bytes) = stream.try_next().await? {
                file.write_all(&bytes)?;
            }
            Ok(())
        })
        .await;
    written.map_err(io::Error::other)?;
    file.sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn provide_base(client: &Client, choice: BaseChoice) -> Result<Base, DriverError> {
    if choice == BaseChoice::Local {
        return local_base(client, "asked for");
    }
    let why = match alpine(client) {
        Ok(base) => return Ok(base),
        Err(why) => why,
    };
    if choice == BaseChoice::Alpine {
        return Err(DriverError::Unavailable {
            why: format!("no {ALPINE}: {why}"),
            mend: "reach a registry, load the image into the host's docker, or take --base local"
                .into(),
        });
    }
    eprintln!("note: no {ALPINE} ({why}): building on a local musl + busybox base");
    local_base(
        client,
        &format!("neither a registry nor a local image had {ALPINE}"),
    )
}

/// Why there is no Alpine to build on.
#[derive(Debug, thiserror::Error)]
enum AlpineError {
    #[error(transparent)]
    Pull(#[from] ApiError),
    #[error("pulled, but not there")]
    NotThere,
}

/// Alpine from this engine, from the host's, or from a registry.
fn alpine(client: &Client) -> Result<Base, AlpineError> {
    let found = |origin: &str| {
        let image = client
            .call("inspect image", client.api.docker.inspect_image(ALPINE))
            .ok()?;
        let digest = image
            .repo_digests
            .and_then(|all| all.into_iter().next())
            .or(image.id)?;
        Some(Base {
            reference: ALPINE.into(),
            what: format!("{ALPINE} ({origin})"),
            digest,
        })
    };
    if let Some(base) = found("local image") {
        return Ok(base);
    }
    if copy_from_host(client)
        && let Some(base) = found("image of the host's docker")
    {
        return Ok(base);
    }
    eprintln!(
        "note: pulling {ALPINE} (at most {} s)",
        PULL_LIMIT.as_secs()
    );
    let (name, tag) = ALPINE.split_once(':').unwrap_or((ALPINE, "latest"));
    let options = CreateImageOptionsBuilder::default()
        .from_image(name)
        .tag(tag)
        .build();
    let pull = client
        .api
        .docker
        .create_image(Some(options), None, None)
        .try_for_each(|_| async { Ok(()) });
    client.run(client.api.call_for("pull", PULL_LIMIT, pull))?;
    found("registry").ok_or(AlpineError::NotThere)
}

/// Copies Alpine out of the host's own engine, which is only read.
fn copy_from_host(client: &Client) -> bool {
    let Ok(host) = Client::connect(HOST_ENGINE, Duration::from_secs(5)) else {
        return false;
    };
    if host
        .call("inspect image", host.api.docker.inspect_image(ALPINE))
        .is_err()
    {
        return false;
    }
    let saved = host.call("save image", async {
        let mut bytes = Vec::new();
        let stream = host.api.docker.export_image(ALPINE);
        tokio::pin!(stream);
        while let Some(part) = stream.try_next().await? {
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    });
    saved.is_ok_and(|bytes| load(client, bytes).is_ok())
}

/// Loads a saved image.
///
/// # Errors
/// The engine refuses it.
pub fn load(client: &Client, tar: Vec<u8>) -> Result<(), ApiError> {
    let options = ImportImageOptionsBuilder::default().quiet(true).build();
    let steps = client
        .api
        .docker
        .import_image(options, body_full(tar.into()), None);
    client.run(
        client
            .api
            .call_for("load image", BUILD_LIMIT, check_steps(steps)),
    )
}

fn local_base(client: &Client, why: &str) -> Result<Base, DriverError> {
    let local = base::make_base()?;
    let (repo, tag) = LOCAL.split_once(':').unwrap_or((LOCAL, "latest"));
    import(client, repo, tag, local.tar)
        .map_err(|e| DriverError::failed("cannot import the local base image", e))?;
    Ok(Base {
        reference: LOCAL.into(),
        digest: local.digest,
        what: format!("{} ({why})", local.what),
    })
}

/// Has the engine make an image of one layer.
fn import(client: &Client, repository: &str, tag: &str, layer: Vec<u8>) -> Result<(), ApiError> {
    let options = CreateImageOptionsBuilder::default()
        .from_src("-")
        .repo(repository)
        .tag(tag)
        .build();
    let steps = client
        .api
        .docker
        .create_image(Some(options), Some(body_full(layer.into())), None)
        .try_for_each(|_| async { Ok(()) });
    client.call("import", steps)
}

/// The id of the image `repository:key`, made of one layer if the engine has it not. It stays in the engine's store for
/// the next, in place of any other of `repository`.
///
/// # Errors
/// The layer cannot be made, or the engine refuses it.
pub fn provide_layer(
    client: &Client,
    repository: &str,
    key: &str,
    layer: impl FnOnce() -> io::Result<Vec<u8>>,
) -> Result<String, DriverError> {
    let name = format!("{repository}:{key}");
    let find = || {
        let found = client.call("inspect image", client.api.docker.inspect_image(&name));
        found.ok().and_then(|image| image.id)
    };
    if let Some(id) = find() {
        return Ok(id);
    }
    remove_all(client, repository);
    let layer =
        layer().map_err(|e| DriverError::failed(format!("cannot make the image {name}"), e))?;
    import(client, repository, key, layer)
        .map_err(|e| DriverError::failed(format!("cannot import the image {name}"), e))?;
    find().ok_or_else(|| DriverError::Failed(format!("{name} was imported and is not there")))
}

/// Removes the images of `repository`; what cannot be removed is left.
fn remove_all(client: &Client, repository: &str) {
    let options = ListImagesOptionsBuilder::default()
        .filters(&HashMap::from([("reference", vec![repository])]))
        .build();
    let images = client.call("list images", client.api.docker.list_images(Some(options)));
    for image in images.unwrap_or_default() {
        remove(client, &image.id);
    }
}

/// Removes the image `id`; if that cannot be, it is left.
pub fn remove(client: &Client, id: &str) {
    let options = RemoveImageOptionsBuilder::default().force(true).build();
    let removal = client.api.docker.remove_image(id, Some(options), None);
    let _ = client.call("remove image", removal);
}
