//! Many containers at once, each blocked inside its function's `main`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::models::ContainerCreateBody;
use futures_util::StreamExt;
use futures_util::stream;
use measure_core::base::interrupt;
use procfs::process::Process;

use crate::api::{Api, ApiError, Client};
use crate::container::{self, StartError};
use crate::engine::cgroups;

/// How long a started container may take to get to the blocking call of its `main`.
const BLOCK_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(2);

/// How to tell that a container is blocked inside its `main`.
#[derive(Debug, Clone)]
pub enum Blocked {
    /// Its process, found through its cgroup below this one, runs the function's executable and sleeps.
    Seen(PathBuf),
    /// The engine says that it runs: all that can be known where its groups are not to be seen.
    Said,
}

/// What is parked, and how.
#[derive(Debug)]
pub struct Parking<'a> {
    /// What each container is made of.
    pub body: &'a ContainerCreateBody,
    /// `user/function`.
    pub function: &'a str,
    /// Prefix of the containers' names.
    pub name: &'a str,
    /// How many calls are under way at once.
    pub at_once: usize,
    /// How to tell.
    pub blocked: Blocked,
}

/// Parks `count` containers; the ids of those that are parked go to `parked` as they come.
///
/// # Errors
/// The first failure; containers under way then are left behind for the engine's end to remove.
pub fn park(
    client: &Client,
    parking: &Parking<'_>,
    count: usize,
    parked: &mut Vec<String>,
) -> Result<(), StartError> {
    let first = parked.len();
    client.run(async {
        let mut starts = stream::iter(first..first + count)
            .map(|index| park_one(&client.api, parking, index))
            .buffer_unordered(parking.at_once);
        while let Some(id) = starts.next().await {
            parked.push(id?);
            stop_if_interrupted("park")?;
        }
        Ok(())
    })
}

async fn park_one(api: &Api, parking: &Parking<'_>, index: usize) -> Result<String, StartError> {
    let name = format!("{}-{index}", parking.name);
    let id = container::create(api, parking.body.clone(), &name).await?;
    container::start(api, &id).await?;
    let deadline = Instant::now() + BLOCK_LIMIT;
    while !is_blocked(api, parking, &id).await? {
        if Instant::now() > deadline {
            return Err(ApiError::Hung {
                call: "park",
                limit: BLOCK_LIMIT,
            }
            .into());
        }
        stop_if_interrupted("park")?;
        tokio::time::sleep(POLL).await;
    }
    Ok(id)
}

fn stop_if_interrupted(call: &'static str) -> Result<(), ApiError> {
    match interrupt::received() {
        Some(_) => Err(ApiError::Interrupted(call)),
        None => Ok(()),
    }
}

async fn is_blocked(api: &Api, parking: &Parking<'_>, id: &str) -> Result<bool, StartError> {
    if let Blocked::Seen(groups) = &parking.blocked {
        let command = parking.body.cmd.as_deref().unwrap_or_default();
        let path = command.first().map(String::as_str).unwrap_or_default();
        let mut pids = group_names(id).flat_map(|name| cgroups::processes(&groups.join(name)));
        let seen = pids.any(|pid| sleeps_in(pid, Path::new(path)));
        if seen {
            return Ok(true);
        }
    }
    // Not seen yet, or not to be seen: it may have ended.
    let state = api
        .call("inspect", api.docker.inspect_container(id, None))
        .await?
        .state
        .unwrap_or_default();
    if state.running != Some(true) {
        return Err(StartError::EndedByItself {
            function: parking.function.to_owned(),
            code: state.exit_code.unwrap_or(-1),
        });
    }
    Ok(matches!(parking.blocked, Blocked::Said))
}

/// What container `id`'s group may be called: by docker and podman, with cgroups made by themselves and by systemd, and where podman has
/// crun make one more within.
fn group_names(id: &str) -> impl Iterator<Item = String> {
    [
        id.to_owned(),
        format!("docker-{id}.scope"),
        format!("libpod-{id}"),
        format!("libpod-{id}/container"),
        format!("libpod-{id}.scope"),
        format!("libpod-{id}.scope/container"),
    ]
    .into_iter()
}

/// Whether process `pid` runs the executable `path` (of its own root) and sleeps.
fn sleeps_in(pid: i32, path: &Path) -> bool {
    let runs = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == path);
    let stat = Process::new(pid).and_then(|process| process.stat());
    runs && stat.is_ok_and(|stat| stat.state == 'S')
}

/// Releases the parked containers: closes their standard input, waits until their `main` has
/// returned, checks the exit code and removes them. Those that are gone are taken out of `parked`.
///
/// # Errors
/// The first failure, after all have been tried.
pub fn release(
    client: &Client,
    function: &str,
    at_once: usize,
    parked: &mut Vec<String>,
) -> Result<(), StartError> {
    let mut first_error = None;
    let ids = parked.clone();
    client.run(async {
        let mut ends = stream::iter(&ids)
            .map(|id| async move { (id, release_one(&client.api, id, function).await) })
            .buffer_unordered(at_once);
        while let Some((id, ended)) = ends.next().await {
            if !matches!(ended, Err(StartError::Api(_))) {
                parked.retain(|other| other != id);
            }
            if let Err(error) = ended {
                let hopeless = matches!(
                    error,
                    StartError::Api(ApiError::Lost { .. } | ApiError::Interrupted(_))
                );
                first_error.get_or_insert(error);
                if hopeless {
                    break;
                }
            }
        }
    });
    first_error.map_or(Ok(()), Err)
}

async fn release_one(api: &Api, id: &str, function: &str) -> Result<(), StartError> {
    container::close_stdin(api, id).await?;
    let ended = container::wait_for_end(api, id, function).await;
    container::remove(api, id, ended.is_err()).await?;
    ended
}
