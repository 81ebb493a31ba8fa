//! Functions that are handlers, in containers: started, asked as soon as they listen, and removed.
//!
//! A container without a network of docker's has a loopback device, which is reached from within its network namespace; one on the
//! bridge is asked at its address there, from the engine's namespace, as its neighbours would.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use measure_core::base::clock::PhaseClock;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::handler::{HttpOrDriverError, Question, Talk, ports_of};
use measure_core::driver_kit::http_client::Place;

use crate::api::Api;
use crate::container::{self, StartError};
use crate::engine::cgroups;

/// The first worker's port, the next one has the next: on the rung that shares the engine's network they must not meet.
const FIRST_PORT: u16 = 8000;

/// How long the engine may take to know of the end of a container that has closed its connections.
const END: Duration = Duration::from_secs(2);
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(20);

/// Phases of asking a container.
pub mod phase {
    /// Asking the engine for its address.
    pub const INSPECT: &str = "inspect";
}

/// The port that worker `worker`'s container is told.
#[must_use]
pub fn port_of(worker: usize) -> u16 {
    FIRST_PORT.saturating_add(u16::try_from(worker).unwrap_or(u16::MAX))
}

/// What containers are asked, and how they are reached.
#[derive(Debug)]
pub struct Asking {
    /// The request.
    pub question: Question,
    /// What the container of each worker is made of.
    pub bodies: Vec<ContainerCreateBody>,
    /// Process of the engine, in whose network namespace the bridge is; nothing where containers are not on one.
    pub bridge_of: Option<i32>,
    /// Below it each container has a cgroup, in an engine of our own.
    pub groups: Option<PathBuf>,
}

/// A container that runs.
struct Reached {
    place: Place,
    pid: i32,
}

impl Asking {
    /// Where the container `id` of worker `worker` listens.
    async fn reach(
        &self,
        api: &Api,
        (id, worker): (&str, usize),
        clock: &mut PhaseClock,
    ) -> Result<Reached, StartError> {
        let port = port_of(worker);
        let seen = self
            .groups
            .as_ref()
            .map(|groups| cgroups::processes(&groups.join(id)));
        let seen = seen.and_then(|pids| pids.first().copied());
        if self.bridge_of.is_none()
            && let Some(pid) = seen
        {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            return Ok(Reached {
                place: place_in(pid, address)?,
                pid,
            });
        }
        let inspected = api.docker.inspect_container(id, None);
        let container = api.call("inspect", inspected).await?;
        clock.lap(phase::INSPECT);
        // An engine of our own counts processes from its own first one, where another has the number.
        let told = container.state.as_ref().and_then(|state| state.pid);
        let told = told.and_then(|pid| i32::try_from(pid).ok());
        let told = told.filter(|pid| *pid > 0 && self.groups.is_none());
        let Some(pid) = seen.or(told) else {
            let ended = ended(api, id).await?;
            return Err(self.gone(ended.as_ref()));
        };
        let (host, ip) = match self.bridge_of {
            Some(engine) => (engine, address_of(&container).ok_or_else(no_address)?),
            None => (pid, Ipv4Addr::LOCALHOST.into()),
        };
        let place = place_in(host, SocketAddr::from((ip, port)))?;
        Ok(Reached { place, pid })
    }

    /// That `container` has ended, if it is known how.
    fn gone(&self, container: Option<&ContainerInspectResponse>) -> StartError {
        let state = container.and_then(|container| container.state.as_ref());
        let code = state.and_then(|state| state.exit_code);
        let words = match code {
            Some(code) => format!("ended with exit code {code} before it had answered"),
            None => "ended before it had answered".to_owned(),
        };
        DriverError::StartFailed(format!("{} {words}", self.question.function)).into()
    }

    /// Has the started container `id` answer its first request, and does with it what `then` does.
    ///
    /// # Errors
    /// It does not answer as it should.
    pub async fn asked<T>(
        &self,
        api: &Api,
        (id, worker): (&str, usize),
        clock: &mut PhaseClock,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<T, StartError> {
        let Reached { place, pid } = self.reach(api, (id, worker), clock).await?;
        let alive = || fs::exists(format!("/proc/{pid}")).unwrap_or(true);
        let error = match self.question.asked(&place, &alive, clock, then) {
            Ok(done) => return Ok(done),
            Err(HttpOrDriverError::Driver(error)) => return Err(error.into()),
            Err(HttpOrDriverError::Http(error)) => error,
        };
        if error.may_be_its_end()
            && let Some(container) = ended(api, id).await?
        {
            return Err(self.gone(Some(&container)));
        }
        Err(self.question.failure(&error, &ports_of(pid), "").into())
    }

    /// One container from `create` to `remove`, asked in between.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start<T>(
        &self,
        api: &Api,
        (name, worker): (&str, usize),
        clock: &mut PhaseClock,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<T, StartError> {
        let id = container::create(api, self.body(worker), name).await?;
        clock.lap("create");
        let asked = self.start_created(api, (&id, worker), clock, then).await;
        let removed = container::remove(api, &id, true).await;
        clock.lap("remove");
        removed?;
        asked
    }

    /// A container that has been created, asked.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_created<T>(
        &self,
        api: &Api,
        (id, worker): (&str, usize),
        clock: &mut PhaseClock,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<T, StartError> {
        container::start(api, id).await?;
        clock.lap("start");
        self.asked(api, (id, worker), clock, then).await
    }

    /// What the container of `worker` is made of.
    #[must_use]
    pub fn body(&self, worker: usize) -> ContainerCreateBody {
        let body = self.bodies.get(worker).or(self.bodies.first());
        body.cloned().unwrap_or_default()
    }
}

/// The container `id` when the engine knows that it has ended, which is a little after its process has; `None` if it runs on.
async fn ended(api: &Api, id: &str) -> Result<Option<ContainerInspectResponse>, StartError> {
    let begun = Instant::now();
    loop {
        let inspected = api.docker.inspect_container(id, None);
        let container = api.call("inspect", inspected).await?;
        let running = container.state.as_ref().and_then(|state| state.running);
        if running == Some(false) {
            return Ok(Some(container));
        }
        if begun.elapsed() >= END {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn place_in(pid: i32, address: SocketAddr) -> Result<Place, StartError> {
    let path = format!("/proc/{pid}/ns/net");
    let namespace = File::open(&path).map_err(|e| DriverError::Unavailable {
        why: format!("the network namespace of a container cannot be entered ({path}: {e})"),
        mend: "run as root, on the host of the engine".to_owned(),
    })?;
    Ok(Place {
        address,
        namespace: Some(namespace),
    })
}

/// The first address that a container has on any network.
fn address_of(container: &ContainerInspectResponse) -> Option<IpAddr> {
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    let addresses = networks
        .values()
        .filter_map(|network| network.ip_address.as_ref());
    addresses.filter_map(|text| text.parse().ok()).next()
}

fn no_address() -> StartError {
    DriverError::StartFailed("its container has no address on docker's bridge".to_owned()).into()
}
