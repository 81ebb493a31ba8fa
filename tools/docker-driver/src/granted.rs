//! What a function was granted of the host that the engine runs on.
//!
//! An engine of the driver's own has a network of its own, from which the host is not to be seen. For each port of `host.internal` that a
//! function was granted, in the same `grants.json` or `function.toml` as for Faaslets, there is a listener in it, and a proxy of this process
//! goes on from there to the host's loopback. Containers find it by that name: on the bridge it is their gateway, with the engine's network its loopback.
//! Unlike Faaslets they are held to nothing else by this: docker's networks are what they are.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::thread;

use granted_network::{Grant, HOST_END, Limits, Proxy};
use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::base::trust;
use measure_core::contract::network_grant::network_of_manifest;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::refusals::no_network;
use measure_core::driver_kit::stored_function::StoredFunction;
use nix::sched::{CloneFlags, setns};

use crate::backend::Backend;
use crate::engine::Engine;
use crate::kinds::Kind;

/// What containers find of it, as long as this is.
#[derive(Debug)]
pub(crate) struct Granted {
    _proxy: Proxy,
    /// The ports, in words.
    pub(crate) words: String,
    /// By which address they find it, as docker wants it.
    pub(crate) extra_host: String,
}

/// What `function` was granted, if it was granted anything and the engine is our own.
///
/// # Errors
/// It was, and `kind` has no network.
/// The manifest is none or not to be trusted, or a port is taken in the engine's network.
pub(crate) fn open(
    function: &FunctionId,
    kind: &Kind,
    backend: &Backend,
) -> Result<Option<Granted>, DriverError> {
    let grants = grants_of(function)?;
    if grants.is_empty() {
        return Ok(None);
    }
    if kind.network == "none" {
        let why = format!("a container of `{}` has none", kind.id);
        return Err(no_network(function, &why));
    }
    let Backend::Private(engine) = backend else {
        return Ok(None);
    };
    if let Some(other) = grants.iter().find(|grant| grant.host() != HOST_END) {
        eprintln!(
            "note: {function} was granted {other}, which no container of the driver's own engine can reach"
        );
    }
    let of_host = || grants.iter().filter(|grant| grant.host() == HOST_END);
    let ports: Vec<u16> = of_host().map(Grant::port).collect();
    let words: Vec<String> = of_host().map(Grant::to_string).collect();
    let listeners = thread::scope(|scope| {
        // It ends in the namespace that it enters.
        let thread = scope.spawn(|| listen_in(engine, &ports));
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let proxy = Proxy::start(listeners, Limits::default())
        .map_err(|e| DriverError::failed("cannot start the proxy of the granted network", e))?;
    let address = match kind.network {
        "host" => "127.0.0.1",
        _ => "host-gateway",
    };
    Ok(Some(Granted {
        _proxy: proxy,
        words: words.join(", "),
        extra_host: format!("{HOST_END}:{address}"),
    }))
}

fn grants_of(function: &FunctionId) -> Result<Vec<Grant>, DriverError> {
    let dir = home::store()
        .join(function.user())
        .join(function.function());
    if let Some(stored) = StoredFunction::read(&dir)? {
        let grants = stored.file.network_grants();
        return grants.map_err(|e| DriverError::Usage(e.to_string()));
    }
    let path = dir.join("grants.json");
    let text = match trust::read(&path) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(DriverError::failed("cannot read what was granted", error)),
    };
    network_of_manifest(&text)
        .map_err(|e| DriverError::failed(format!("{} is no manifest", path.display()), e))
}

fn listen_in(
    engine: &Engine,
    ports: &[u16],
) -> Result<Vec<(TcpListener, SocketAddrV4)>, DriverError> {
    let path = format!("/proc/{}/ns/net", engine.init_pid());
    let namespace =
        File::open(&path).map_err(|e| DriverError::failed(format!("cannot open {path}"), e))?;
    setns(namespace, CloneFlags::CLONE_NEWNET)
        .map_err(|e| DriverError::failed("cannot enter the engine's network", e))?;
    let listener = |&port: &u16| {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map_err(|e| {
            DriverError::failed(
                format!("cannot listen at port {port} of the engine's network"),
                e,
            )
        })?;
        Ok((listener, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))
    };
    ports.iter().map(listener).collect()
}
