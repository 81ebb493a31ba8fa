//! What a function was granted of the host that the engine runs on.
//!
//! An engine of the driver's own has a network of its own, from which the host is not to be seen; somebody else's is mostly in the host's, where a
//! container on the bridge does not reach the host's loopback. For each port of `host.internal` that a function was granted, in the same
//! `grants.json` or `function.toml` as for Faaslets, there is a listener where containers can reach it, and a proxy of this process
//! goes on from there to the host's loopback. Containers find it by that name: on the bridge it is their gateway, with the engine's network its loopback.
//! Unlike Faaslets they are held to nothing else by this: docker's networks are what they are.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::thread;

use granted_network::{Grant, HOST_END, Limits, Proxy};
use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::base::trust;
use measure_core::contract::network_grant::network_of_manifest;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::refusals::no_network;
use measure_core::driver_kit::stored_function::StoredFunction;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
    sockopt,
};

use crate::api::Client;
use crate::backend::Backend;
use crate::foreign::Foreign;
use crate::kinds::Kind;

/// The networks to whose gateway containers on the bridge have a way: docker's, and what podman has in its place.
const BRIDGES: [&str; 2] = ["bridge", "podman"];

/// What containers find of it, as long as this is.
#[derive(Debug)]
pub(crate) struct Granted {
    _proxy: Proxy,
    /// The ports, in words.
    pub(crate) words: String,
    /// By which address they find it, as docker wants it.
    pub(crate) extra_host: String,
}

/// Where the engine's network is, and what is to listen in it.
struct Side {
    /// A process that is in it; `None` where it is ours.
    of: Option<i32>,
    /// Where what containers send to the host arrives.
    listens_at: Option<Ipv4Addr>,
    /// By what they address it.
    address: String,
}

/// What `function` was granted, if it was granted anything of this host.
///
/// # Errors
/// It was, and `kind` has no network, or there is no way to this host from where the engine is.
/// The manifest is none or not to be trusted, or a port is taken in the engine's network.
pub(crate) fn open(
    function: &FunctionId,
    kind: &Kind,
    backend: &Backend,
    client: &Client,
) -> Result<Option<Granted>, DriverError> {
    let grants = grants_of(function)?;
    if grants.is_empty() {
        return Ok(None);
    }
    if kind.network == "none" {
        let why = format!("a container of `{}` has none", kind.id);
        return Err(no_network(function, &why));
    }
    let is_private = matches!(backend, Backend::Private(_));
    if is_private && let Some(other) = grants.iter().find(|grant| grant.host() != HOST_END) {
        eprintln!(
            "note: {function} was granted {other}, which no container of the driver's own engine can reach"
        );
    }
    let of_host = || grants.iter().filter(|grant| grant.host() == HOST_END);
    let ports: Vec<u16> = of_host().map(Grant::port).collect();
    if ports.is_empty() && !is_private {
        return Ok(None);
    }
    let words: Vec<String> = of_host().map(Grant::to_string).collect();
    let side = Side::of(kind, backend, client)?;
    let listeners = thread::scope(|scope| {
        // It ends in the namespace that it enters.
        let thread = scope.spawn(|| side.listen(&ports));
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let proxy = Proxy::start(listeners, Limits::default())
        .map_err(|e| DriverError::failed("cannot start the proxy of the granted network", e))?;
    Ok(Some(Granted {
        _proxy: proxy,
        words: words.join(", "),
        extra_host: format!("{HOST_END}:{}", side.address),
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

impl Side {
    fn of(kind: &Kind, backend: &Backend, client: &Client) -> Result<Self, DriverError> {
        let of = match backend {
            Backend::Private(engine) => Some(engine.init_pid()),
            Backend::Foreign(foreign) => network_of(foreign)?,
        };
        let at_loopback = kind.network == "host";
        Ok(match (backend, of) {
            _ if at_loopback => Self {
                of,
                // In our own network it is there already.
                listens_at: of.map(|_| Ipv4Addr::UNSPECIFIED),
                address: Ipv4Addr::LOCALHOST.to_string(),
            },
            (Backend::Private(_), _) => Self {
                of,
                listens_at: Some(Ipv4Addr::UNSPECIFIED),
                address: "host-gateway".to_owned(),
            },
            (Backend::Foreign(_), of) => {
                let gateway = gateway(client)?;
                Self {
                    of,
                    // In our own network nobody else is to reach it.
                    listens_at: Some(of.map_or(gateway, |_| Ipv4Addr::UNSPECIFIED)),
                    address: gateway.to_string(),
                }
            }
        })
    }

    fn listen(&self, ports: &[u16]) -> Result<Vec<(TcpListener, SocketAddrV4)>, DriverError> {
        let Some(at) = self.listens_at else {
            return Ok(Vec::new());
        };
        if let Some(pid) = self.of {
            let path = format!("/proc/{pid}/ns/net");
            let namespace = File::open(&path)
                .map_err(|e| DriverError::failed(format!("cannot open {path}"), e))?;
            setns(namespace, CloneFlags::CLONE_NEWNET)
                .map_err(|e| DriverError::failed("cannot enter the engine's network", e))?;
        }
        let mut listeners = Vec::new();
        for &port in ports {
            match listener(SocketAddrV4::new(at, port)) {
                Ok(found) => {
                    listeners.push((found, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)));
                }
                // Of this host itself: what listens at all its addresses needs nobody in between.
                Err(Errno::EADDRINUSE) if self.of.is_none() => {}
                Err(error) => {
                    let what = format!("cannot listen at port {port} of the engine's network");
                    return Err(DriverError::failed(what, io::Error::from(error)));
                }
            }
        }
        Ok(listeners)
    }
}

/// A daemon of `foreign`, in whose network its containers' gateway is; nothing if that is ours.
fn network_of(foreign: &Foreign) -> Result<Option<i32>, DriverError> {
    let unavailable = || DriverError::Unavailable {
        why: format!(
            "the engine at {} is not on this host, or not to be seen, so that nothing leads from its containers to {HOST_END}",
            foreign.host()
        ),
        mend: "run as root on the engine's host, or leave out --docker-host".into(),
    };
    let daemon = foreign.daemon().ok_or_else(unavailable)?;
    let inode = |of: &str| fs::metadata(format!("/proc/{of}/ns/net")).map(|meta| meta.ino());
    let theirs = inode(&daemon.to_string()).map_err(|_| unavailable())?;
    let own = inode("self").map_err(|e| DriverError::failed("cannot see our own network", e))?;
    Ok((theirs != own).then_some(daemon))
}

/// The gateway of containers on the bridge.
fn gateway(client: &Client) -> Result<Ipv4Addr, DriverError> {
    let of = |name: &str| {
        let network = client.call("network", client.api.docker.inspect_network(name, None));
        let mut configs = network.ok()?.ipam?.config?.into_iter();
        configs.find_map(|config| gateway_of(config.gateway.as_deref(), config.subnet.as_deref()))
    };
    let found = BRIDGES.into_iter().find_map(of);
    found.ok_or_else(|| DriverError::Unavailable {
        why: "the engine names no gateway of its bridge by which a container could reach this host"
            .into(),
        mend: "take docker-host, whose containers are in the engine's network".into(),
    })
}

/// The gateway that is named, else the first address of the subnet: an engine takes that one where it is told no other, and may not say so.
fn gateway_of(named: Option<&str>, subnet: Option<&str>) -> Option<Ipv4Addr> {
    if let Some(gateway) = named.filter(|text| !text.is_empty()) {
        return gateway.parse().ok();
    }
    let (network, _) = subnet?.split_once('/')?;
    let network: Ipv4Addr = network.parse().ok()?;
    network.to_bits().checked_add(1).map(Ipv4Addr::from_bits)
}

/// Listens at `address`, which a bridge may not have before its first container starts.
fn listener(address: SocketAddrV4) -> Result<TcpListener, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::IpFreebind, &true)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(address))?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_the_one_that_is_named_or_the_first_of_its_subnet() {
        let of = |named, subnet| gateway_of(named, subnet).map(|found| found.to_string());
        let subnet = Some("172.17.0.0/16");
        assert_eq!(
            of(Some("172.17.0.9"), subnet).as_deref(),
            Some("172.17.0.9")
        );
        assert_eq!(of(None, subnet).as_deref(), Some("172.17.0.1"));
        assert_eq!(of(Some(""), subnet).as_deref(), Some("172.17.0.1"));
        for none in [
            None,
            Some("fd00::/64"),
            Some("172.17.0.0"),
            Some("255.255.255.255/32"),
        ] {
            assert_eq!(of(None, none), None);
        }
    }

    #[test]
    fn an_address_that_no_device_has_yet_can_be_listened_at() {
        let address = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 0);
        let first = listener(address).expect("bound");
        let port = first.local_addr().expect("an address").port();
        let again = listener(SocketAddrV4::new(*address.ip(), port));
        assert_eq!(again.err(), Some(Errno::EADDRINUSE));
    }
}
