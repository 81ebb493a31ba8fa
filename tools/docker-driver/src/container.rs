//! One container from `create` to `remove`: what `docker run --rm` does.

use std::collections::HashMap;

use bollard::container::AttachContainerResults;
use bollard::errors::Error as BollardError;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::TryStreamExt;
use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::label::{LABEL, Owner};
use measure_core::driver_kit::{DriverError, PARKABLE};
use tokio::io::AsyncWriteExt;

use crate::api::{Api, ApiError};

/// Why a start failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine refused, hung or is gone.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The function ended with another exit code than 0.
    #[error("exit code {code} of {function}")]
    ExitCode {
        /// The function, as `user/function`.
        function: String,
        /// The code.
        code: i64,
    },
    /// The function was asked for its answer and did not end.
    #[error("{function} did not end within {seconds} s (timeout_s of its function.toml); killed")]
    NoAnswer {
        /// The function, as `user/function`.
        function: String,
        /// How long it had.
        seconds: u64,
    },
    /// The function was asked for its answer and filled its container.
    #[error("{function} wrote more than {} MiB into its container; killed", limit_bytes >> 20)]
    WroteTooMuch {
        /// The function, as `user/function`.
        function: String,
        /// How much it may write.
        limit_bytes: u64,
    },
    /// The function is a handler, and did not answer as it should, or cannot be reached.
    #[error(transparent)]
    Handler(#[from] DriverError),
    /// The function ended although it was to stay blocked.
    #[error(
        "{function} ended by itself with exit code {code}, it cannot be parked: {}",
        PARKABLE
    )]
    EndedByItself {
        /// The function, as `user/function`.
        function: String,
        /// The code.
        code: i64,
    },
}

/// What containers are made of.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Image id.
    pub image: String,
    /// What it runs: a program by its path in the image, and its arguments; as the image says if nothing.
    pub command: Vec<String>,
    /// `NAME=VALUE`, beside docker's own.
    pub environment: Vec<String>,
    /// `none`, `host` or `bridge`.
    pub network: &'static str,
    /// An OCI runtime that the engine knows, where it is not to take its default.
    pub runtime: Option<&'static str>,
    /// Its standard input stays open until someone attaches to it and goes.
    pub open_stdin: bool,
    /// Names that it finds, beside those that docker gives it: `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// The group below which the engine is to make its own; the engine's default if `None`.
    pub cgroup_parent: Option<String>,
    /// Value of our label: the driver.
    pub owner: Owner,
}

impl Spec {
    /// As the engine wants it; all that is not said is docker's default, as for `docker run`.
    #[must_use]
    pub fn body(&self) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: (!self.command.is_empty()).then(|| self.command.clone()),
            env: (!self.environment.is_empty()).then(|| self.environment.clone()),
            labels: Some(HashMap::from([(LABEL.to_owned(), self.owner.to_string())])),
            open_stdin: Some(self.open_stdin),
            stdin_once: Some(self.open_stdin),
            host_config: Some(HostConfig {
                network_mode: Some(self.network.to_owned()),
                runtime: self.runtime.map(str::to_owned),
                cgroup_parent: self.cgroup_parent.clone(),
                extra_hosts: (!self.extra_hosts.is_empty()).then(|| self.extra_hosts.clone()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}

/// Creates a container and returns its id.
///
/// # Errors
/// See [`ApiError`].
pub async fn create(api: &Api, body: ContainerCreateBody, name: &str) -> Result<String, ApiError> {
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    let created = api.docker.create_container(Some(options), body);
    api.call("create", created).await.map(|created| created.id)
}

/// Starts a created container.
///
/// # Errors
/// See [`ApiError`].
pub async fn start(api: &Api, id: &str) -> Result<(), ApiError> {
    api.call("start", api.docker.start_container(id, None))
        .await
}

/// Waits until a started container is not running, and checks its exit code.
///
/// # Errors
/// It is not 0, or see [`ApiError`].
pub async fn wait_for_end(api: &Api, id: &str, function: &str) -> Result<(), StartError> {
    // Asked after `start` has returned, so a container that has ended already answers at once, and
    // none can end unseen between two calls.
    let options = WaitContainerOptionsBuilder::default()
        .condition("not-running")
        .build();
    let ended = api.docker.wait_container(id, Some(options));
    let first = async {
        tokio::pin!(ended);
        match ended.try_next().await {
            Ok(Some(ended)) => Ok(ended.status_code),
            Ok(None) => Err(BollardError::IOError {
                err: std::io::ErrorKind::UnexpectedEof.into(),
            }),
            Err(BollardError::DockerContainerWaitError { code, .. }) => Ok(code),
            Err(error) => Err(error),
        }
    };
    match api.call("wait", first).await? {
        0 => Ok(()),
        code => Err(StartError::ExitCode {
            function: function.to_owned(),
            code,
        }),
    }
}

/// Removes a container, with its anonymous volumes as `--rm` does; `force` kills it first.
///
/// # Errors
/// See [`ApiError`].
pub async fn remove(api: &Api, id: &str, force: bool) -> Result<(), ApiError> {
    let options = RemoveContainerOptionsBuilder::default()
        .v(true)
        .force(force)
        .build();
    api.call("remove", api.docker.remove_container(id, Some(options)))
        .await
}

/// Kills a container that goes on by itself, and waits for its end: it can be started again then.
///
/// # Errors
/// See [`ApiError`].
pub async fn kill(api: &Api, id: &str) -> Result<(), ApiError> {
    api.call("kill", api.docker.kill_container(id, None))
        .await?;
    match wait_for_end(api, id, "").await {
        Err(StartError::Api(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Closes the standard input of a container that nothing has been attached to yet.
///
/// # Errors
/// See [`ApiError`].
pub async fn close_stdin(api: &Api, id: &str) -> Result<(), ApiError> {
    let options = AttachContainerOptionsBuilder::default()
        .stdin(true)
        .stream(true)
        .build();
    let attach = async {
        let mut attached = api.docker.attach_container(id, Some(options)).await?;
        attached.input.shutdown().await?;
        Ok(())
    };
    api.call("attach", attach).await
}

/// Attaches to the standard input of a container that has not been started; what is written there is its function's.
async fn attach_stdin(api: &Api, id: &str) -> Result<AttachContainerResults, ApiError> {
    let options = AttachContainerOptionsBuilder::default()
        .stdin(true)
        .stream(true)
        .build();
    let attached = api.docker.attach_container(id, Some(options));
    api.call("attach", attached).await
}

/// Writes all that the function reads. One that reads less ends before, which is its own affair.
async fn write_stdin(mut attached: AttachContainerResults, bytes: &[u8]) {
    if attached.input.write_all(bytes).await.is_ok() {
        let _ = attached.input.shutdown().await;
    }
}

/// A cold start: phases `create`, `start`, `run`, `remove`. Nothing of the container is left, whatever
/// happened, unless the engine cannot be reached.
///
/// # Errors
/// See [`StartError`].
pub async fn cold_start(
    api: &Api,
    body: ContainerCreateBody,
    name: &str,
    (function, stdin): (&str, Option<&[u8]>),
) -> Result<Phases, StartError> {
    let mut clock = PhaseClock::start();
    let id = create(api, body, name).await?;
    clock.lap("create");
    let ran = run_to_end(api, &id, (function, stdin), &mut clock).await;
    let removed = remove(api, &id, ran.is_err()).await;
    clock.lap("remove");
    // A container that could not be removed is the worse fault.
    removed?;
    ran?;
    Ok(clock.finish())
}

/// A start of a container that was created beforehand and stays: phases `start`, `run`.
///
/// # Errors
/// See [`StartError`].
pub async fn precreated_start(
    api: &Api,
    id: &str,
    (function, stdin): (&str, Option<&[u8]>),
) -> Result<Phases, StartError> {
    let mut clock = PhaseClock::start();
    run_to_end(api, id, (function, stdin), &mut clock).await?;
    Ok(clock.finish())
}

async fn run_to_end(
    api: &Api,
    id: &str,
    (function, stdin): (&str, Option<&[u8]>),
    clock: &mut PhaseClock,
) -> Result<(), StartError> {
    let Some(stdin) = stdin else {
        start(api, id).await?;
        clock.lap("start");
        wait_for_end(api, id, function).await?;
        clock.lap("run");
        return Ok(());
    };
    let attached = attach_stdin(api, id).await?;
    start(api, id).await?;
    clock.lap("start");
    let (_, ended) = tokio::join!(
        write_stdin(attached, stdin),
        wait_for_end(api, id, function)
    );
    ended?;
    clock.lap("run");
    Ok(())
}
