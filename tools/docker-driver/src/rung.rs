//! The docker rungs.

use std::time::Duration;

use measure_core::base::clock::Phases;
use measure_core::base::ids::{self, FunctionId};
use measure_core::base::label::Owner;
use measure_core::contract::answer::Answer;
use measure_core::contract::function::FunctionFile;
use measure_core::contract::{Description, Probe, Scope};
use measure_core::driver_kit::handler::Question;
use measure_core::driver_kit::{DriverError, Plan, Purpose, Rung};

use crate::api::{ApiError, Client};
use crate::backend::Backend;
use crate::container::Spec;
use crate::engine::{Engine, not_interrupted, programs};
use crate::foreign::Foreign;
use crate::handler::{Asking, port_of};
use crate::image::built::{self, Built};
use crate::image::context::path_in_image;
use crate::image::function::FunctionImage;
use crate::image::{self, base_choice::BaseChoice, extra};
use crate::kinds::{Content, Kind};
use crate::options::Options;
use crate::prepared::Prepared;
use crate::{granted, probe};

/// Docker's bridge has no more ports.
const MAX_WORKERS: usize = 1000;

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

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            format!("network {}", self.kind.network),
            "process id, mount, IPC, UTS namespaces; no user namespace".into(),
            "docker's default seccomp profile and capabilities".into(),
            match &self.options.docker_host {
                Some(host) => format!("cgroup and log driver of the engine at {host}"),
                None => "cgroup driver cgroupfs, log driver json-file".into(),
            },
        ];
        if let Some(granted) = self.prepared.as_ref().and_then(Prepared::granted) {
            settings.push(format!("{}{granted}", Description::NETWORK_GRANTED));
        }
        if self.kind.content != Content::Noop {
            settings.push("its image is one layer, made and imported beforehand".into());
            return settings;
        }
        settings.push(built::present().map_or_else(
            || "image faasm/noop is not built yet".to_owned(),
            |built| built.in_words(),
        ));
        settings
    }

    /// Fails where a start gives its function no standard input, and this one wants some.
    fn require_can_give(
        &self,
        function: &FunctionId,
        own: Option<&FunctionImage>,
    ) -> Result<(), DriverError> {
        let stored = own.and_then(|own| own.stored.as_ref());
        if self.kind.way.resumes()
            && let Some(stored) = stored
        {
            stored
                .require_program("a start lets a container go on that is suspended in its main")?;
        }
        if !self.kind.way.resumes() || own.is_none_or(|own| own.stdin.is_none()) {
            return Ok(());
        }
        Err(DriverError::Unavailable {
            why: format!(
                "a start of {} lets its container go on by closing its standard input, which {function} is to read",
                self.kind.id
            ),
            mend: "take another rung".into(),
        })
    }

    /// The image that is run, in the engine of `client`: its id, and what it is in words.
    fn provide(
        &self,
        client: &Client,
        own: Option<&FunctionImage>,
        built: Option<&Built>,
    ) -> Result<(String, String), DriverError> {
        if let Some(own) = own {
            let id = own.provide(client)?;
            let words = own.in_words(&id);
            return Ok((id, words));
        }
        match built {
            Some(built) if self.kind.content == Content::Noop => {
                image::provide(client, built)?;
                Ok((built.image.clone(), built.in_words()))
            }
            _ => {
                let id = extra::provide(client, self.kind.content)?;
                let words = format!("image {id}, one layer without a base");
                Ok((id, words))
            }
        }
    }

    /// What the containers are asked, if the function is a handler.
    fn asking(
        &self,
        plan: &Plan,
        own: Option<&FunctionImage>,
        spec: &Spec,
        backend: &Backend,
    ) -> Result<Option<Asking>, DriverError> {
        let Some(stored) = own.and_then(|own| own.stored.as_ref()) else {
            return Ok(None);
        };
        let Some(question) = Question::to_stored(&plan.function.to_string(), stored)? else {
            return Ok(None);
        };
        let body = |worker| {
            let own = FunctionImage::from_function(&plan.function, Some(port_of(worker)))?;
            let given = own.map(|own| (own.command, own.environment));
            let (command, environment) = given.unwrap_or_default();
            let spec = Spec {
                command,
                environment,
                open_stdin: false,
                ..spec.clone()
            };
            Ok(spec.body())
        };
        let bodies = (0..plan.workers.max(1)).map(body);
        let on_bridge = self.kind.network == "bridge";
        let (engine, groups) = match backend {
            Backend::Private(engine) => {
                let mut controllers = ["memory", "unified"].iter();
                let groups = controllers.find_map(|name| engine.container_groups(name));
                (engine.scope().roots.first().copied(), groups)
            }
            // Its bridge is in the network of this host, if it is reached at all.
            Backend::Foreign(_) => (i32::try_from(std::process::id()).ok(), None),
        };
        Ok(Some(Asking {
            question,
            bodies: bodies.collect::<Result<_, DriverError>>()?,
            bridge_of: engine.filter(|_| on_bridge),
            groups,
        }))
    }

    /// Makes the engine, or connects to the foreign one.
    fn open_backend(&self) -> Result<(Backend, Client), DriverError> {
        if let Some(host) = &self.options.docker_host {
            let unreachable = |e: ApiError| foreign_unavailable(host, &e);
            let client = Client::connect(host, self.options.limit()).map_err(unreachable)?;
            let foreign = Foreign::open(&client, host).map_err(unreachable)?;
            return Ok((Backend::Foreign(foreign), client));
        }
        let engine = Engine::start(&self.kind.setup())?;
        let client = Client::connect(&engine.host(), self.options.limit())
            .map_err(|e| engine.lost(&e.to_string()))?;
        Ok((Backend::Private(engine), client))
    }
}

impl Rung for DockerRung {
    fn describe(&self) -> Description {
        let engine = match &self.options.docker_host {
            Some(host) => foreign_version(host),
            None => programs::versions().to_owned(),
        };
        Description {
            rung: self.kind.id.into(),
            summary: self.kind.summary(),
            engine,
            cold: self.kind.cold().into(),
            warm: self.kind.warm().into(),
            isolation: self.kind.isolation(),
            settings: self.settings(),
            max_workers: MAX_WORKERS,
            default_function: self.kind.function().into(),
        }
    }

    fn probe(&self) -> Probe {
        let Some(host) = &self.options.docker_host else {
            return probe::private_engine(&self.kind);
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
        let function = plan.function.to_string();
        let own = FunctionImage::from_function(&plan.function, Some(port_of(0)))?;
        self.require_can_give(&plan.function, own.as_ref())?;
        let built = match &own {
            Some(_) => None,
            None => Some(image::ensure(BaseChoice::Auto, false)?),
        };
        if let Some(built) = &built {
            known(&function, built)?;
        }
        let (backend, client) = self.open_backend()?;
        let granted = granted::open(&plan.function, &self.kind, &backend, &client)?;
        let (image, words) = self.provide(&client, own.as_ref(), built.as_ref())?;
        let facts = engine_facts(&client);
        not_interrupted("the engine was prepared")?;
        let spec = Spec {
            image: image.clone(),
            command: match &own {
                Some(own) => own.command.clone(),
                None => vec![path_in_image(&function)],
            },
            environment: own
                .as_ref()
                .map_or_else(Vec::new, |own| own.environment.clone()),
            network: self.kind.network,
            runtime: self.kind.runtime,
            open_stdin: plan.purpose == Purpose::Hold
                || self.kind.way.resumes()
                || own.as_ref().is_some_and(|own| own.stdin.is_some()),
            extra_hosts: granted.iter().map(|g| g.extra_host.clone()).collect(),
            cgroup_parent: backend.cgroup_parent(),
            owner: Owner::this_process(),
        };
        let asking = self.asking(plan, own.as_ref(), &spec, &backend)?;
        let mut prepared = Prepared::new(backend, client, function, spec.body(), self.kind.way);
        prepared.keep_granted(granted);
        let made = own.as_ref().is_some_and(FunctionImage::is_made_here);
        if let Some(asking) = asking {
            prepared.ask(asking);
        }
        if self.kind.content != Content::Noop || made {
            prepared.remove_at_end(image);
        }
        if let Some(stdin) = own.and_then(|own| own.stdin) {
            prepared.give_stdin(stdin);
        }
        if plan.purpose == Purpose::Time {
            prepared.make_workers(plan.workers)?;
        }
        let mut scope = prepared.scope();
        scope.includes = format!("{}; {words}; {facts}", scope.includes);
        self.prepared = Some(prepared);
        Ok(scope)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        self.prepared
            .as_ref()
            .ok_or_else(not_prepared)?
            .cold_start(worker)
    }

    fn answer_requests(
        &self,
        worker: usize,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), DriverError> {
        self.prepared
            .as_ref()
            .ok_or_else(not_prepared)?
            .answer_requests(worker, count, each)
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let at_once = self.options.park_at_once;
        self.prepared
            .as_mut()
            .ok_or_else(not_prepared)?
            .park(count, at_once)
    }

    fn answer(&mut self, function: &FunctionId) -> Result<Answer, DriverError> {
        let own = FunctionImage::from_function(function, None)?;
        let stored = own.and_then(|own| own.stored);
        // Only a handler is asked by a worker.
        let is_handler = stored.as_ref().is_some_and(|s| s.file.served().is_some());
        self.prepare(&Plan {
            function: function.clone(),
            workers: usize::from(is_handler),
            purpose: Purpose::Time,
        })?;
        let default = || Duration::from_secs(FunctionFile::default().timeout_s);
        let limit = stored
            .as_ref()
            .map_or_else(default, |stored| stored.timeout());
        let output_at = stored.as_ref().and_then(|s| s.file.output_at.as_deref());
        let prepared = self.prepared.take().ok_or_else(not_prepared)?;
        prepared.answer(output_at, limit)
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

/// Whether the image has the function.
fn known(function: &str, built: &Built) -> Result<(), DriverError> {
    if built.functions.iter().any(|f| f == function) {
        return Ok(());
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
