//! The docker rungs.

use std::process;
use std::time::Duration;

use measure_core::clock::Phases;
use measure_core::driver::{
    Description, DriverError, Isolation, Plan, Probe, Purpose, Rung, Scope,
};
use measure_core::ids;

use crate::api::{ApiError, Client};
use crate::container::Spec;
use crate::engine::{Engine, Network, not_interrupted};
use crate::foreign::Foreign;
use crate::image::{self, Built, build::BaseChoice};
use crate::prepared::{Backend, Prepared};
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
            hardware: String::new(),
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
        let facts = engine_facts(&client);
        not_interrupted("the engine was prepared")?;
        let spec = Spec {
            image: built.image.clone(),
            function: function.clone(),
            network: self.kind.network,
            open_stdin: plan.purpose == Purpose::Hold,
            owner: process::id().cast_signed(),
        };
        let mut prepared = Prepared::new(backend, client, function, spec.body());
        if plan.purpose == Purpose::Time {
            prepared.make_workers(plan.workers, self.kind.precreated)?;
        }
        let mut scope = prepared.scope();
        scope.includes = format!("{}; {}; {facts}", scope.includes, built.in_words());
        self.prepared = Some(prepared);
        Ok(scope)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        self.prepared
            .as_ref()
            .ok_or_else(not_prepared)?
            .cold_start(worker)
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let at_once = self.options.park_at_once;
        self.prepared
            .as_mut()
            .ok_or_else(not_prepared)?
            .park(count, at_once)
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let at_once = self.options.park_at_once;
        self.prepared
            .as_mut()
            .map_or(Ok(()), |prepared| prepared.release(at_once))
    }
}

fn not_prepared() -> DriverError {
    DriverError::Failed("the rung is not prepared".into())
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

/// What the engine says of itself, since a default may differ from host to host.
fn engine_facts(client: &Client) -> String {
    let Ok(info) = client.call("info", client.api.docker.info()) else {
        return "the engine says nothing of itself".into();
    };
    let word = |value: Option<String>| value.unwrap_or_else(|| "unknown".into());
    format!(
        "storage {}, log {}, cgroup driver {} (version {}), security {}",
        word(info.driver),
        word(info.logging_driver),
        word(info.cgroup_driver.map(|driver| driver.to_string())),
        word(info.cgroup_version.map(|version| version.to_string())),
        info.security_options.unwrap_or_default().join(" "),
    )
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
