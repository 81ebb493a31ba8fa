//! The docker rungs.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use measure_core::clock::Phases;
use measure_core::driver::{
    Description, DriverError, Isolation, Plan, Probe, Purpose, Rung, Scope,
};
use measure_core::{ids, interrupt, label};

use crate::api::{ApiError, Client};
use crate::container::{self, Spec, StartError};
use crate::engine::{Engine, Network, not_interrupted};
use crate::foreign::{self, Foreign};
use crate::image::{self, Built, build::BaseChoice};
use crate::park::{self, Blocked, Parking};
use crate::{Options, probe};

/// Docker's bridge has no more ports.
const MAX_WORKERS: usize = 1000;

/// Which rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Ladder id.
    pub id: &'static str,
    /// Docker's network.
    pub network: &'static str,
    /// Only started; created beforehand.
    pub precreated: bool,
}

/// The rungs, in order.
pub const KINDS: [Kind; 4] = [
    Kind {
        id: "docker-none",
        network: "none",
        precreated: false,
    },
    Kind {
        id: "docker-host",
        network: "host",
        precreated: false,
    },
    Kind {
        id: "docker-bridge",
        network: "bridge",
        precreated: false,
    },
    Kind {
        id: "docker-precreated",
        network: "none",
        precreated: true,
    },
];

/// A docker rung, with its engine once prepared.
#[derive(Debug)]
pub struct DockerRung {
    kind: Kind,
    options: Options,
    prepared: Option<Prepared>,
}

#[derive(Debug)]
enum Backend {
    Private(Engine),
    Foreign(Foreign),
}

/// Fields are dropped in order: clients before the engine.
#[derive(Debug)]
struct Prepared {
    workers: Vec<Mutex<Worker>>,
    client: Mutex<Client>,
    backend: Backend,
    function: String,
    body: ContainerCreateBody,
    names: AtomicU64,
    parked: Vec<String>,
    precreated: bool,
}

#[derive(Debug)]
struct Worker {
    client: Client,
    /// The container that was created beforehand.
    container: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DockerRung {
    /// A rung that has made nothing yet.
    #[must_use]
    pub fn new(kind: Kind, options: Options) -> Self {
        Self {
            kind,
            options,
            prepared: None,
        }
    }

    fn prepared(&self) -> Result<&Prepared, DriverError> {
        self.prepared
            .as_ref()
            .ok_or_else(|| DriverError::Failed("the rung is not prepared".into()))
    }

    fn isolation(&self) -> Isolation {
        let network = match self.kind.network {
            "host" => "none: that of the engine",
            "bridge" => "network namespace, veth pair on a bridge, NAT",
            _ => "network namespace with nothing but loopback",
        };
        Isolation {
            memory: "address space, cgroup".into(),
            cpu: "cgroup".into(),
            network: network.into(),
            files: "mount namespace, overlay file system".into(),
            syscalls: "seccomp, docker's default profile".into(),
            capabilities: "all but docker's default set dropped".into(),
        }
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            format!("network {}", self.kind.network),
            "process id, mount, IPC, UTS namespaces; no user namespace".into(),
            "docker's default seccomp profile and capabilities".into(),
            "cgroup driver cgroupfs, log driver json-file".into(),
        ];
        settings.push(image::present().map_or_else(
            || "image faasm/noop is not built yet".to_owned(),
            |built| built.in_words(),
        ));
        settings
    }

    /// Makes the engine, or connects to the foreign one.
    fn open_backend(&self) -> Result<(Backend, Client), DriverError> {
        if let Some(host) = &self.options.docker_host {
            let unreachable = |e: ApiError| foreign_unavailable(host, &e);
            let client = Client::connect(host, self.options.limit()).map_err(unreachable)?;
            let foreign = Foreign::open(&client, host).map_err(unreachable)?;
            return Ok((Backend::Foreign(foreign), client));
        }
        let engine = Engine::start(Network::Own)?;
        let client = Client::connect(&engine.host(), self.options.limit())
            .map_err(|e| engine.lost(&e.to_string()))?;
        Ok((Backend::Private(engine), client))
    }
}

impl Rung for DockerRung {
    fn describe(&self) -> Description {
        let cold = if self.kind.precreated {
            "engine up, image loaded, container created and stopped beforehand and started again each time: mounts, \
             namespaces, cgroups, shim and processes are new at each start, the writable layer is kept"
        } else {
            "engine up, image loaded and in the page cache; the container, its mounts, namespaces, cgroups, shim and \
             processes are new at each start and removed at its end"
        };
        let engine = match &self.options.docker_host {
            Some(host) => foreign_version(host),
            None => probe::versions().to_owned(),
        };
        let what = if self.kind.precreated {
            "start of a container created beforehand"
        } else {
            "full path of docker run --rm: API, dockerd, containerd, shim, runc"
        };
        Description {
            rung: self.kind.id.into(),
            summary: format!("{what}, network {}", self.kind.network),
            engine,
            cold: cold.into(),
            isolation: self.isolation(),
            settings: self.settings(),
            max_workers: MAX_WORKERS,
            default_function: "demo/noop".into(),
        }
    }

    fn probe(&self) -> Probe {
        let Some(host) = &self.options.docker_host else {
            return probe::private_engine();
        };
        match Client::connect(host, Duration::from_secs(5)) {
            Ok(_) => probe::image(),
            Err(error) => match foreign_unavailable(host, &error) {
                DriverError::Unavailable { why, mend } => Probe::Unavailable { why, mend },
                _ => Probe::Ready,
            },
        }
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        if plan.workers > MAX_WORKERS {
            return Err(DriverError::Usage(format!(
                "{} containers at once, at most {MAX_WORKERS} fit on docker's bridge",
                plan.workers
            )));
        }
        let built = image::ensure(BaseChoice::Auto, false)?;
        let function = known(&plan.function.to_string(), &built)?;
        let (backend, client) = self.open_backend()?;
        image::provide(&client, &built)?;
        not_interrupted("the engine was prepared")?;
        let spec = Spec {
            image: built.image.clone(),
            function: function.clone(),
            network: self.kind.network,
            open_stdin: plan.purpose == Purpose::Hold,
            owner: process::id().cast_signed(),
        };
        let mut prepared = Prepared {
            workers: Vec::new(),
            client: Mutex::new(client),
            backend,
            function,
            body: spec.body(),
            names: AtomicU64::new(0),
            parked: Vec::new(),
            precreated: self.kind.precreated && plan.purpose == Purpose::Time,
        };
        if plan.purpose == Purpose::Time {
            prepared.make_workers(plan.workers)?;
        }
        let mut scope = match &prepared.backend {
            Backend::Private(engine) => engine.scope(),
            Backend::Foreign(foreign) => foreign.scope(),
        };
        scope.includes = format!("{}; {}", scope.includes, built.in_words());
        self.prepared = Some(prepared);
        Ok(scope)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        let prepared = self.prepared()?;
        let worker = prepared
            .workers
            .get(worker)
            .map(lock)
            .ok_or_else(|| DriverError::Failed(format!("there is no worker {worker}")))?;
        let api = &worker.client.api;
        let outcome = if let Some(id) = &worker.container {
            worker
                .client
                .run(container::precreated_start(api, id, &prepared.function))
        } else {
            let (body, name) = (prepared.body.clone(), prepared.name());
            worker
                .client
                .run(container::cold_start(api, body, &name, &prepared.function))
        };
        outcome.map_err(|error| prepared.fault(error))
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let at_once = self.options.park_at_once;
        let prepared = self
            .prepared
            .as_mut()
            .ok_or_else(|| DriverError::Failed("the rung is not prepared".into()))?;
        let blocked = match &prepared.backend {
            Backend::Private(engine) => ["memory", "unified"]
                .iter()
                .find_map(|controller| engine.container_groups(controller))
                .map_or(Blocked::Said, Blocked::Seen),
            Backend::Foreign(_) => Blocked::Said,
        };
        let name = prepared.name();
        let parking = Parking {
            body: &prepared.body,
            function: &prepared.function,
            name: &name,
            at_once,
            blocked,
        };
        let parked = park::park(
            &lock(&prepared.client),
            &parking,
            count,
            &mut prepared.parked,
        );
        parked.map_err(|error| {
            prepared.give_up();
            prepared.fault(error)
        })
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let at_once = self.options.park_at_once;
        let Some(prepared) = &mut self.prepared else {
            return Ok(());
        };
        // After a signal no one waits for hundreds of good ends: the engine's end kills them all.
        if interrupt::received().is_some() {
            return Ok(());
        }
        let released = park::release(
            &lock(&prepared.client),
            &prepared.function,
            at_once,
            &mut prepared.parked,
        );
        released.map_err(|error| prepared.fault(error))
    }
}

impl Prepared {
    fn name(&self) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        label::name(process::id().cast_signed(), &number.to_string())
    }

    fn make_workers(&mut self, count: usize) -> Result<(), DriverError> {
        for _ in 0..count {
            let client = lock(&self.client)
                .another()
                .map_err(|e| self.fault(e.into()))?;
            let container = if self.precreated {
                let created = client.run(container::create(
                    &client.api,
                    self.body.clone(),
                    &self.name(),
                ));
                Some(created.map_err(|e| self.fault(e.into()))?)
            } else {
                None
            };
            self.workers.push(Mutex::new(Worker { client, container }));
        }
        Ok(())
    }

    /// Says that containers may be left that only the engine's end removes.
    fn give_up(&self) {
        if let Backend::Private(engine) = &self.backend {
            engine.mark_unclean();
        }
    }

    /// The contract's error for a failed start.
    fn fault(&self, error: StartError) -> DriverError {
        let api = match error {
            StartError::Api(api) => api,
            wrong => return DriverError::StartFailed(wrong.to_string()),
        };
        match (api, &self.backend) {
            (error @ ApiError::Refused { .. }, _) => DriverError::StartFailed(error.to_string()),
            (ApiError::Interrupted(call), _) => {
                self.give_up();
                DriverError::Failed(format!("interrupted during `{call}`"))
            }
            (error, Backend::Private(engine)) => {
                engine.mark_unclean();
                engine.lost(&error.to_string())
            }
            (error, Backend::Foreign(_)) => DriverError::EngineLost(error.to_string()),
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let removed = match &self.backend {
            Backend::Foreign(_) => {
                foreign::remove_ours(&lock(&self.client), Some(process::id().cast_signed()))
                    .map(drop)
            }
            Backend::Private(engine) if !self.parked.is_empty() => {
                engine.mark_unclean();
                Ok(())
            }
            Backend::Private(_) => self.workers.iter().try_for_each(|worker| {
                let worker = lock(worker);
                let Some(id) = &worker.container else {
                    return Ok(());
                };
                let removed = worker
                    .client
                    .run(container::remove(&worker.client.api, id, true));
                removed.map_err(|e| {
                    self.give_up();
                    DriverError::failed("cannot remove a container", e)
                })
            }),
        };
        if let (Err(error), Backend::Foreign(_)) = (removed, &self.backend) {
            eprintln!(
                "warning: {error}; `docker-driver clean` with the same --docker-host tries again"
            );
        }
    }
}

/// The function's id, if the image has it.
fn known(function: &str, built: &Built) -> Result<String, DriverError> {
    if built.functions.iter().any(|f| f == function) {
        return Ok(function.to_owned());
    }
    Err(DriverError::Usage(ids::unknown(
        "function",
        function,
        &built.functions,
    )))
}

fn foreign_unavailable(host: &str, error: &ApiError) -> DriverError {
    DriverError::Unavailable {
        why: format!("no docker engine answers at {host}: {error}"),
        mend: "start it, or leave out --docker-host for an engine of the driver's own".into(),
    }
}

fn foreign_version(host: &str) -> String {
    let version = Client::connect(host, Duration::from_secs(5))
        .ok()
        .and_then(|client| client.call("version", client.api.docker.version()).ok())
        .and_then(|version| version.version);
    format!(
        "docker {} at {host}",
        version.as_deref().unwrap_or("(no answer)")
    )
}
