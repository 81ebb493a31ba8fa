//! Components: programs and handlers for version 0.2 of WASI, by the interfaces of `wasmtime-wasi` and `wasmtime-wasi-http`.
//!
//! They run where preview-1 programs do, on a thread in its seat, with the same grants and limits; engine, deadline and WASI are others
//! ([`runtime`], [`host`], `docs/components.md`).

mod file_streams;
mod files;
mod hooks;
mod host;
mod listed;
mod opened;
mod requests;
mod runtime;
mod sockets;
mod streams;
mod world;

use std::sync::Arc;

use measure_core::base::clock::PhaseClock;
use measure_core::base::words;
use measure_core::contract::exchange::Request;
use wasmtime::component::{Component, Linker};
use wasmtime::{Store as WasmStore, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup, tcp_create_socket};
use wasmtime_wasi::p2::bindings::{Command, CommandPre};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};

use crate::budget::Budget;
use crate::deadline::{Code, Deadlines, Watch};
use crate::engine::FaasletEngine;
use crate::error::{FaasletError, SetupError, StartError, Stop};
use crate::exchange::Exchange;
use crate::given::Given;
use crate::grants::Grants;
use crate::laps::{Laps, phase};
use crate::names::NAME_CHARS;
use crate::stdin::Stdin;
use files::HasFiles;
use host::{ComponentHost, RESOURCES_MAX};
use requests::{Heard, NoAnswer};
use sockets::HasSockets;
use streams::Input;

pub(crate) use runtime::Components;
pub(crate) use world::{Unfit, World, WorldKind, is_component};

/// What a component may hand over in one call, which is copied to the host's side before it is looked at.
const HANDED_OVER_BYTES_MAX: usize = 8 << 20;
/// So many frames are named in the message of a trap.
const NAMED: usize = 6;

/// A component that is a program or a handler, ready to be instantiated.
enum Pre {
    Command(CommandPre<ComponentHost>),
    Handler(ProxyPre<ComponentHost>),
}

/// An instance of it.
enum Instance {
    Command(Command),
    Handler(Proxy),
}

impl Pre {
    async fn instantiate(
        &self,
        store: &mut WasmStore<ComponentHost>,
    ) -> wasmtime::Result<Instance> {
        Ok(match self {
            Self::Command(pre) => Instance::Command(pre.instantiate_async(store).await?),
            Self::Handler(pre) => Instance::Handler(pre.instantiate_async(store).await?),
        })
    }
}

/// A component that is a program or a handler, loaded.
pub(crate) struct ComponentProgram {
    engine: FaasletEngine,
    components: Arc<Components>,
    pre: Pre,
    exchange: Arc<Exchange>,
    grants: Arc<Given>,
    stdin: Option<Input>,
    /// It has none of which the deadline's signal could know.
    code: Arc<Code>,
}

impl ComponentProgram {
    /// What `component`, called `what` in errors, holds, which says `world` of itself.
    ///
    /// # Errors
    /// It imports what is not offered, or is neither program nor handler.
    pub(crate) fn new(
        engine: &FaasletEngine,
        what: &str,
        component: &Component,
        world: &World,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        let components = engine.components()?.clone();
        let kind = world.kind().map_err(|e| FaasletError::refused(what, e))?;
        let refused = |e: wasmtime::Error| FaasletError::refused(what, format!("{e:#}"));
        let pre = linker(&components)
            .and_then(|linker| linker.instantiate_pre(component))
            .and_then(|pre| match kind {
                WorldKind::Command => CommandPre::new(pre).map(Pre::Command),
                WorldKind::Handler => ProxyPre::new(pre).map(Pre::Handler),
            })
            .map_err(refused)?;
        let exchange = match &grants.exchange {
            Some(exchange) => exchange.clone(),
            None => Arc::new(Exchange::new(&Request::default(), None)?),
        };
        let stdin = grants.stdin.clone().map(|stdin| input(&components, stdin));
        Ok(Self {
            engine: engine.clone(),
            components,
            pre,
            exchange,
            grants: Arc::new(Given::new(grants, engine.budget(), world.memory_bytes)),
            stdin,
            code: Arc::default(),
        })
    }

    pub(crate) fn is_handler(&self) -> bool {
        matches!(self.pre, Pre::Handler(_))
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        self.engine.budget()
    }

    /// One start on the calling thread.
    ///
    /// # Errors
    /// It did not end well, or could not begin.
    pub(crate) fn start(&self, clock: &mut impl Laps) -> Result<(), StartError> {
        let mut store = self.new_store()?;
        clock.lap(phase::WASI);
        let watch = store.data().host.watch.clone();
        let watched = self.engine.deadlines().keep(&watch);
        let instance = self.instantiate(&watch, &mut store);
        clock.lap(phase::INSTANCE);
        let result = match instance {
            Ok(instance) => {
                let outcome = match instance {
                    Instance::Command(command) => self.run(&watch, &mut store, &command),
                    Instance::Handler(proxy) => self.serve(&watch, &mut store, &proxy, clock),
                };
                clock.lap(phase::RUN);
                outcome.or_else(|error| self.failure(&error, store.data_mut(), true))
            }
            Err(error) => {
                clock.lap(phase::RUN);
                self.failure(&error, store.data_mut(), false)
            }
        };
        drop(watched);
        drop(store);
        clock.lap(phase::DROP);
        result
    }

    fn instantiate(
        &self,
        watch: &Watch,
        store: &mut WasmStore<ComponentHost>,
    ) -> wasmtime::Result<Instance> {
        self.components.drive(watch, self.pre.instantiate(store))
    }

    fn run(
        &self,
        watch: &Watch,
        store: &mut WasmStore<ComponentHost>,
        command: &Command,
    ) -> wasmtime::Result<()> {
        let ended = self
            .components
            .drive(watch, command.wasi_cli_run().call_run(store))?;
        // It has but one way to say that it failed.
        ended.map_err(|()| I32Exit(1).into())
    }

    /// Has `proxy` answer its first request, and then as many as it is to; what comes of these is in the [`Exchange`]. One that is to
    /// be parked waits between its first request and the next that never comes.
    fn serve(
        &self,
        watch: &Watch,
        store: &mut WasmStore<ComponentHost>,
        proxy: &Proxy,
        clock: &mut impl Laps,
    ) -> wasmtime::Result<()> {
        let first = self.ask(watch, store, proxy)?;
        clock.lap_at(phase::FIRST_BYTE, first.first_byte_ns);
        self.take(first)?;
        if let Some(stdin) = &self.grants.stdin {
            stdin.will_wait();
            watch.pause(|| stdin.wait_for_end())?;
        }
        for _ in 0..self.exchange.more() {
            // Each request has as long as a start has.
            watch.pause(|| ())?;
            let mut own = PhaseClock::start();
            let heard = self.ask(watch, store, proxy)?;
            own.lap_at(phase::FIRST_BYTE, heard.first_byte_ns);
            own.lap(phase::RUN);
            self.take(heard)?;
            self.exchange.note_phases(own.finish());
        }
        Ok(())
    }

    fn ask(
        &self,
        watch: &Watch,
        store: &mut WasmStore<ComponentHost>,
        proxy: &Proxy,
    ) -> wasmtime::Result<Heard> {
        let (request, keeps) = (self.exchange.request(), self.exchange.keeps());
        self.components
            .drive(watch, requests::ask(store, proxy, request, keeps))
    }

    /// Looks at an answer, and keeps it if it is to be kept.
    fn take(&self, heard: Heard) -> wasmtime::Result<()> {
        if let Some(words) = self.exchange.wrong_status(heard.status) {
            return Err(NoAnswer::Status(words).into());
        }
        if self.exchange.keeps() {
            self.exchange.note_response(heard.into_response());
        }
        Ok(())
    }

    fn new_store(&self) -> Result<WasmStore<ComponentHost>, StartError> {
        let settings = self.engine.settings();
        let watch = Deadlines::watch_component(&self.code, settings.deadline);
        let mut stdin = self.stdin.clone();
        if self.grants.stdin_file.is_some() {
            let opened = self.grants.stdin_of_start().map_err(SetupError::Stdin)?;
            stdin = opened.map(|opened| input(&self.components, opened));
        }
        let host = ComponentHost::new(&self.grants, settings, watch, stdin.as_ref())?;
        let mut store = WasmStore::new(self.components.engine(), host);
        store.limiter(|host| host);
        store.set_hostcall_fuel(HANDED_OVER_BYTES_MAX);
        store.set_max_component_handles(RESOURCES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            store.data().host.watch.in_time()?;
            Ok(UpdateDeadline::Continue(1))
        });
        Ok(store)
    }

    /// What an error of the engine, or of a call to the host, means; exit code 0 is none.
    #[cold]
    fn failure(
        &self,
        error: &wasmtime::Error,
        host: &mut ComponentHost,
        began: bool,
    ) -> Result<(), StartError> {
        if let Some(&I32Exit(code)) = error.downcast_ref() {
            return match code {
                0 if self.is_handler() => Err(StartError::Answer {
                    cause: NoAnswer::Exit.to_string(),
                    note: host.note(),
                }),
                0 => Ok(()),
                code => Err(StartError::ExitCode {
                    code,
                    note: host.note(),
                }),
            };
        }
        match error.downcast_ref::<Stop>() {
            Some(Stop::Interrupted) => return Err(StartError::Interrupted),
            Some(Stop::Deadline) if self.engine.deadlines().cut_short() => {
                return Err(StartError::Interrupted);
            }
            Some(Stop::Deadline) => return Err(StartError::Deadline(host.host.deadline)),
            None => {}
        }
        let note = host.note();
        if let Some(none) = error.downcast_ref::<NoAnswer>() {
            let cause = none.to_string();
            return Err(StartError::Answer { cause, note });
        }
        if began || error.downcast_ref::<Trap>().is_some() {
            let cause = named(error);
            return Err(StartError::Trap { cause, note });
        }
        let said = error.root_cause().to_string();
        Err(match host.host.over_budget() {
            Some(over) => SetupError::Budget(over),
            None if note.is_empty() => SetupError::Instance(said),
            None => SetupError::Instance(format!("{said}; {note}")),
        }
        .into())
    }
}

fn input(components: &Components, stdin: Arc<Stdin>) -> Input {
    let _entered = components.waiting().enter();
    Input::new(stdin)
}

/// What components may import.
fn linker(components: &Components) -> wasmtime::Result<Linker<ComponentHost>> {
    let mut linker = Linker::new(components.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    types::add_to_linker::<_, HasFiles>(&mut linker, ComponentHost::files)?;
    preopens::add_to_linker::<_, HasFiles>(&mut linker, ComponentHost::files)?;
    ip_name_lookup::add_to_linker::<_, HasSockets>(&mut linker, ComponentHost::sockets)?;
    tcp_create_socket::add_to_linker::<_, HasSockets>(&mut linker, ComponentHost::sockets)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// The cause of a trap and the innermost functions it came from, each called by the next.
fn named(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return cause;
    };
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => format!("`{}`", words::name(name, NAME_CHARS)),
        None => format!("function[{}]", frame.func_index()),
    };
    let mut names: Vec<String> = trace.frames().iter().take(NAMED).map(name).collect();
    if trace.frames().len() > NAMED {
        names.push("...".to_owned());
    }
    if names.is_empty() {
        return cause;
    }
    format!("{cause} in {}", names.join(" < "))
}
