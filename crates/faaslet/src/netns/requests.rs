//! The netlink requests that a namespace is made of.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage, State,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::config::{INSIDE_IFINDEX, INSIDE_NAME, host_end_name, host_ifindex};
use super::socket::Request;

const LOOPBACK_IFINDEX: u32 = 1;
/// One queue each way: the default is one per possible CPU, which costs memory and time and buys a
/// single-threaded function nothing.
const QUEUES: u32 = 1;
const PAIR_PREFIX_LEN: u8 = 31;

/// The veth pair `index`: its host end where the socket is, its other end in `inside`.
pub(super) fn veth(index: u32, inside: BorrowedFd<'_>) -> Vec<Request> {
    let end = |ifindex, name: String| {
        let mut message = link(ifindex);
        message.attributes = vec![
            LinkAttribute::IfName(name),
            LinkAttribute::NumTxQueues(QUEUES),
            LinkAttribute::NumRxQueues(QUEUES),
        ];
        message
    };
    let mut peer = end(INSIDE_IFINDEX, INSIDE_NAME.into());
    peer.attributes
        .push(LinkAttribute::NetNsFd(inside.as_raw_fd()));
    let mut host = end(host_ifindex(index), host_end_name(index));
    host.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    let message = RouteNetlinkMessage::NewLink(host);
    vec![create("cannot create a veth pair", message)]
}

/// Address, mark and state of the host end.
pub(super) fn host_end(index: u32, address: Ipv4Addr, alias: String) -> Vec<Request> {
    let ifindex = host_ifindex(index);
    let mut mark = without_ipv6(ifindex);
    mark.attributes.push(LinkAttribute::IfAlias(alias));
    vec![
        set_link("cannot mark the host end", mark),
        add_address(ifindex, address, PAIR_PREFIX_LEN),
        up("cannot bring the host end up", ifindex),
    ]
}

/// What the host end is like.
pub(super) fn look_at_host_end(index: u32) -> Request {
    Request {
        what: "cannot look at the host end",
        message: RouteNetlinkMessage::GetLink(link(host_ifindex(index))),
        flags: 0,
    }
}

/// Whether `link` is one that sends; also if that cannot be told.
pub(super) fn carries(link: Option<&RouteNetlinkMessage>) -> bool {
    let Some(RouteNetlinkMessage::NewLink(link)) = link else {
        return true;
    };
    let state = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::OperState(state) => Some(*state),
            _ => None,
        });
    state.is_none_or(|state| state == State::Up)
}

/// Loopback up, and `addresses` at it.
pub(super) fn loopback(addresses: &[Ipv4Addr]) -> Vec<Request> {
    let up = up("cannot bring loopback up", LOOPBACK_IFINDEX);
    let addresses = addresses
        .iter()
        .map(|&address| add_address(LOOPBACK_IFINDEX, address, 32));
    std::iter::once(up).chain(addresses).collect()
}

/// A route by `gateway` to `target`, or to everything.
fn route(target: Option<Ipv4Addr>, gateway: Ipv4Addr) -> Request {
    let mut route = RouteMessage::default();
    route.header.address_family = AddressFamily::Inet;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Universe;
    route.header.kind = RouteType::Unicast;
    route.attributes = vec![
        RouteAttribute::Gateway(RouteAddress::Inet(gateway)),
        RouteAttribute::Oif(INSIDE_IFINDEX),
    ];
    if let Some(target) = target {
        route.header.destination_prefix_length = 32;
        let destination = RouteAttribute::Destination(RouteAddress::Inet(target));
        route.attributes.push(destination);
    }
    create("cannot add a route", RouteNetlinkMessage::NewRoute(route))
}

/// Loopback, address, state and routes of the inside: to `targets` alone, or, where there are none, a default route.
pub(super) fn inside_end(
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    targets: &[Ipv4Addr],
) -> Vec<Request> {
    let mut requests = vec![
        up("cannot bring loopback up", LOOPBACK_IFINDEX),
        set_link(
            "cannot configure the inside end",
            without_ipv6(INSIDE_IFINDEX),
        ),
        add_address(INSIDE_IFINDEX, address, PAIR_PREFIX_LEN),
        up("cannot bring the inside end up", INSIDE_IFINDEX),
    ];
    if targets.is_empty() {
        requests.push(route(None, gateway));
    }
    requests.extend(targets.iter().map(|&target| route(Some(target), gateway)));
    requests
}

/// No automatic IPv6 address: it would be the one thing on the link that we did not choose, and its
/// duplicate detection is work that goes on after the start.
fn without_ipv6(ifindex: u32) -> LinkMessage {
    let mut message = link(ifindex);
    message.attributes = vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(
        vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)],
    )])];
    message
}

/// The device of this index, nothing said of it.
fn link(ifindex: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    message
}

/// Something that must not be there yet.
fn create(what: &'static str, message: RouteNetlinkMessage) -> Request {
    Request {
        what,
        message,
        flags: NLM_F_CREATE | NLM_F_EXCL,
    }
}

fn set_link(what: &'static str, message: LinkMessage) -> Request {
    Request {
        what,
        message: RouteNetlinkMessage::SetLink(message),
        flags: 0,
    }
}

fn up(what: &'static str, ifindex: u32) -> Request {
    let mut message = link(ifindex);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    set_link(what, message)
}

fn add_address(ifindex: u32, address: Ipv4Addr, prefix_len: u8) -> Request {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = prefix_len;
    message.header.index = ifindex;
    message.attributes = vec![
        AddressAttribute::Local(IpAddr::V4(address)),
        AddressAttribute::Address(IpAddr::V4(address)),
    ];
    create(
        "cannot add an address",
        RouteNetlinkMessage::NewAddress(message),
    )
}

/// Removal of the veth pair `index`, asked for at its host end.
pub(super) fn delete_veth(index: u32) -> Vec<Request> {
    vec![Request {
        what: "cannot remove a veth pair",
        message: RouteNetlinkMessage::DelLink(link(host_ifindex(index))),
        flags: 0,
    }]
}

// The library has no tbf; these are the constants and structs of linux/pkt_sched.h.
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const TC_LINKLAYER_ETHERNET: u8 = 1;
/// What may be sent at once: as much as goes out in this part of a second, but no less than [`MIN_BURST_BYTES`].
const BURSTS_PER_S: u64 = 1000;
const MIN_BURST_BYTES: u64 = 16 * 1024;
/// What waits at most; what comes then is dropped.
const QUEUE_BYTES: u32 = 1 << 20;
const ROOT_HANDLE: TcHandle = TcHandle { major: 1, minor: 0 };

/// tbf at the root of the host end of pair `index`: shapes what goes into the namespace.
pub(super) fn shape_host_end(index: u32, rate_bits_per_s: u64) -> Vec<Request> {
    shape(host_ifindex(index), rate_bits_per_s)
}

/// tbf at the root of the inside end: shapes what comes out of the namespace.
pub(super) fn shape_inside_end(rate_bits_per_s: u64) -> Vec<Request> {
    shape(INSIDE_IFINDEX, rate_bits_per_s)
}

/// A token bucket. A qdisc with classes takes filters, for each of which the kernel walks a list of those of all namespaces, so that
/// making one would take longer the more there are.
fn shape(ifindex: u32, rate_bits_per_s: u64) -> Vec<Request> {
    let mut message = TcMessage::with_index(ifindex.cast_signed());
    message.header.handle = ROOT_HANDLE;
    message.header.parent = TcHandle::ROOT;
    let options = TcAttribute::Options(token_bucket(rate_bits_per_s));
    message.attributes = vec![TcAttribute::Kind("tbf".into()), options];
    vec![create(
        "cannot attach a tbf qdisc",
        RouteNetlinkMessage::NewQueueDiscipline(message),
    )]
}

fn token_bucket(rate_bits_per_s: u64) -> Vec<TcOption> {
    let rate = (rate_bits_per_s / 8).max(1);
    let mut options = vec![
        (TCA_TBF_PARMS, tbf_qopt(rate)),
        (TCA_TBF_BURST, burst_bytes(rate).to_ne_bytes().to_vec()),
    ];
    if u32::try_from(rate).is_err() {
        options.push((TCA_TBF_RATE64, rate.to_ne_bytes().to_vec()));
    }
    options
        .into_iter()
        .map(|(kind, bytes)| TcOption::Other(DefaultNla::new(kind, bytes)))
        .collect()
}

/// `struct tc_tbf_qopt`, without a peak rate; the burst is said in bytes beside it.
fn tbf_qopt(rate_bytes_per_s: u64) -> Vec<u8> {
    let ratespec = |rate: u32| {
        let mut bytes = vec![0, TC_LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0];
        bytes.extend(rate.to_ne_bytes());
        bytes
    };
    let mut bytes = ratespec(u32::try_from(rate_bytes_per_s).unwrap_or(u32::MAX));
    bytes.extend(ratespec(0));
    let (buffer, mtu) = (0u32, 0u32);
    for word in [QUEUE_BYTES, buffer, mtu] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes
}

fn burst_bytes(rate_bytes_per_s: u64) -> u32 {
    let bytes = (rate_bytes_per_s / BURSTS_PER_S).max(MIN_BURST_BYTES);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_struct_has_the_kernels_size() {
        assert_eq!(tbf_qopt(125_000_000).len(), 36);
    }

    #[test]
    fn a_burst_lasts_a_millisecond_or_holds_a_few_packets() {
        assert_eq!(burst_bytes(125_000_000), 125_000);
        assert_eq!(u64::from(burst_bytes(125_000)), MIN_BURST_BYTES);
        assert_eq!(burst_bytes(u64::MAX), u32::MAX);
    }

    #[test]
    fn a_link_carries_once_it_is_up_or_cannot_be_told() {
        let in_state = |state: Option<State>| {
            let mut message = link(7);
            message
                .attributes
                .extend(state.map(LinkAttribute::OperState));
            carries(Some(&RouteNetlinkMessage::NewLink(message)))
        };
        assert!(in_state(Some(State::Up)) && in_state(None) && carries(None));
        for state in [State::Down, State::LowerLayerDown, State::Unknown] {
            assert!(!in_state(Some(state)), "{state:?}");
        }
    }

    #[test]
    fn rates_beyond_32_bits_are_given_in_64() {
        assert_eq!(token_bucket(1_000_000_000).len(), 2);
        assert_eq!(token_bucket(100_000_000_000).len(), 3);
    }
}
