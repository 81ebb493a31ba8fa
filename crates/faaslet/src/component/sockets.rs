//! Sockets of a component that was granted something of the network, and the names that it may look up.
//!
//! A socket lies in the network namespace of the thread that makes it, which is the start's own. Where it may connect to is no question
//! here: from that namespace nothing leads anywhere but to what was granted ([`Hub`](crate::netns::Hub)). It may not listen, and there is
//! no UDP.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::vec;

use granted_network::Reach;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, ErrorCode, IpAddress, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup, tcp_create_socket};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, TcpSocket, subscribe};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};

use super::opened::Opened;

/// Sockets that a start may have at once: more than the proxy carries connections for it.
const SOCKETS_MAX: usize = 64;

/// Whether a socket may be used so.
fn is_offered(
    _: SocketAddr,
    how: SocketAddrUse,
) -> Pin<Box<dyn Future<Output = bool> + Send + Sync>> {
    let offered = matches!(how, SocketAddrUse::TcpBind | SocketAddrUse::TcpConnect);
    Box::pin(async move { offered })
}

/// Has `builder` offer sockets, if anything is granted.
pub(super) fn offer(builder: &mut WasiCtxBuilder, reach: Option<&Reach>) {
    builder.allow_udp(false).allow_tcp(reach.is_some());
    if reach.is_some() {
        builder.socket_addr_check(is_offered);
    }
}

/// Which sockets a start has, by their handles.
#[derive(Default)]
pub(super) struct Made(BTreeSet<u32>);

/// Where the linker finds [`Sockets`].
pub(super) struct HasSockets;

impl HasData for HasSockets {
    type Data<'a> = Sockets<'a>;
}

/// What of `wasi:sockets` is done here: making sockets, which are counted, and looking names up, which asks nobody.
pub(super) struct Sockets<'a> {
    pub(super) theirs: WasiSocketsCtxView<'a>,
    pub(super) reach: Option<&'a Reach>,
    pub(super) made: &'a mut Made,
    pub(super) opened: &'a mut Opened,
}

impl Sockets<'_> {
    /// Takes those out of the count that are gone.
    fn count_anew(&mut self) {
        let table = &*self.theirs.table;
        let is_there = |&handle: &u32| {
            let socket = Resource::<TcpSocket>::new_borrow(handle);
            table.get(&socket).is_ok()
        };
        let before = self.made.0.len();
        self.made.0.retain(is_there);
        for _ in self.made.0.len()..before {
            self.opened.put_out();
        }
    }
}

/// All theirs; both of the others tell errors by it.
impl network::Host for Sockets<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.theirs.convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.theirs.network_error_code(error)
    }
}

impl network::HostNetwork for Sockets<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.theirs, network)
    }
}

impl tcp_create_socket::Host for Sockets<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.count_anew();
        if self.made.0.len() >= SOCKETS_MAX || self.opened.make_room().is_err() {
            return Err(ErrorCode::NewSocketLimit.into());
        }
        let socket = tcp_create_socket::Host::create_tcp_socket(&mut self.theirs, family);
        match &socket {
            Ok(socket) => drop(self.made.0.insert(socket.rep())),
            Err(_) => self.opened.put_out(),
        }
        socket
    }
}

/// Addresses of a name, yet to be handed over. Their handle is one of a [`ResolveAddressStream`](ip_name_lookup::ResolveAddressStream),
/// which nobody else can make.
struct Found(vec::IntoIter<IpAddr>);

type Stream = Resource<ip_name_lookup::ResolveAddressStream>;

fn found(stream: &Stream) -> Resource<Found> {
    Resource::new_borrow(stream.rep())
}

#[async_trait]
impl Pollable for Found {
    /// They are known.
    async fn ready(&mut self) {}
}

impl ip_name_lookup::Host for Sockets<'_> {
    /// A granted name has the addresses that it had when the run began, a number itself; no other is looked up.
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Stream> {
        self.theirs.table.get(&network)?;
        let reach = self.reach.ok_or(ErrorCode::AccessDenied)?;
        let addresses: Vec<IpAddr> = match (name.parse(), reach.addresses_of(&name)) {
            (Ok(address), _) => vec![address],
            (Err(_), Some(granted)) => granted.iter().map(|&address| address.into()).collect(),
            (Err(_), None) => return Err(ErrorCode::AccessDenied.into()),
        };
        let found = self.theirs.table.push(Found(addresses.into_iter()))?;
        Ok(Resource::new_own(found.rep()))
    }
}

impl ip_name_lookup::HostResolveAddressStream for Sockets<'_> {
    fn resolve_next_address(&mut self, stream: Stream) -> SocketResult<Option<IpAddress>> {
        let Found(addresses) = self.theirs.table.get_mut(&found(&stream))?;
        Ok(addresses.next().map(IpAddress::from))
    }

    fn subscribe(&mut self, stream: Stream) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.theirs.table, found(&stream))
    }

    fn drop(&mut self, stream: Stream) -> wasmtime::Result<()> {
        self.theirs
            .table
            .delete(Resource::<Found>::new_own(stream.rep()))?;
        Ok(())
    }
}
