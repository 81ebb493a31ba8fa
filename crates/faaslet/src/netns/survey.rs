//! What of ours, and of others', the kernel has already.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::config::{Config, INSIDE_IFINDEX, Range, host_end_name, host_ifindex, persistent_alias};
use super::enter::{open_socket, socket_in};
use super::error::NetnsError;
use super::socket::Netlink;

/// A network device.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) alias: String,
    up: bool,
    shaped: bool,
}

/// The devices and addresses of one network namespace, by interface index.
pub(super) struct Survey {
    pub(super) links: HashMap<u32, Link>,
    addresses: HashSet<(u32, Ipv4Addr)>,
}

impl Survey {
    /// Those of the calling thread's namespace.
    pub(super) fn of_host() -> Result<Self, NetnsError> {
        Self::through(&mut open_socket()?)
    }

    fn through(socket: &mut Netlink) -> Result<Self, NetnsError> {
        let links = socket
            .dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))
            .map_err(cannot_list)?;
        let mut request = AddressMessage::default();
        request.header.family = AddressFamily::Inet;
        let addresses = socket
            .dump(RouteNetlinkMessage::GetAddress(request))
            .map_err(cannot_list)?;
        Ok(Self {
            links: links.into_iter().filter_map(link).collect(),
            addresses: addresses.into_iter().filter_map(address).collect(),
        })
    }

    fn is_complete(&self, ifindex: u32, address: Ipv4Addr, config: &Config) -> bool {
        let shaped = |link: &Link| link.shaped == (config.rate_bits_per_s > 0);
        self.addresses.contains(&(ifindex, address))
            && self
                .links
                .get(&ifindex)
                .is_some_and(|link| link.up && shaped(link))
    }

    /// Whether the host end of persistent namespace `index` is there as `config` wants it.
    pub(super) fn has_host_end(&self, index: u32, config: &Config) -> bool {
        let ifindex = host_ifindex(index);
        self.is_complete(ifindex, config.range.pair(index).0, config)
            && self.links[&ifindex].alias == persistent_alias(index, config)
    }

    /// The device that stands where the host end of pair `index` would be, by name or interface index.
    pub(super) fn in_place_of(&self, index: u32) -> Option<&Link> {
        self.links.get(&host_ifindex(index)).or_else(|| {
            let name = host_end_name(index);
            self.links.values().find(|link| link.name == name)
        })
    }
}

/// Whether the inside of namespace `index` is as `config` wants it.
pub(super) fn inside_is_complete(
    namespace: BorrowedFd<'_>,
    index: u32,
    config: &Config,
) -> Result<bool, NetnsError> {
    let mut socket = socket_in(namespace)?;
    let survey = Survey::through(&mut socket)?;
    let (gateway, address) = config.range.pair(index);
    let loopback_up = survey.links.get(&1).is_some_and(|link| link.up);
    let default_route = routes(&mut socket)?.iter().any(|route| {
        route.header.destination_prefix_length == 0
            && route
                .attributes
                .contains(&RouteAttribute::Gateway(RouteAddress::Inet(gateway)))
    });
    Ok(loopback_up && default_route && survey.is_complete(INSIDE_IFINDEX, address, config))
}

/// Makes sure that no route of the host, other than its default route and those to our own pairs, leads
/// into our address range.
///
/// # Errors
/// The route in the way, or the kernel does not list them.
pub(super) fn check_range(config: &Config) -> Result<(), NetnsError> {
    let ours = host_ifindex(0)..host_ifindex(config.range.pairs());
    for route in routes(&mut open_socket()?)? {
        let device = route.attributes.iter().find_map(|a| match a {
            RouteAttribute::Oif(ifindex) => Some(*ifindex),
            _ => None,
        });
        let destination = route.attributes.iter().find_map(|a| match a {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => {
                Some(Range::new(*address, route.header.destination_prefix_length))
            }
            _ => None,
        });
        if let Some(destination) = destination
            && destination.overlaps(&config.range)
            && !device.is_some_and(|ifindex| ours.contains(&ifindex))
        {
            return Err(NetnsError::RangeTaken {
                range: config.range.to_string(),
                route: destination.to_string(),
            });
        }
    }
    Ok(())
}

fn routes(socket: &mut Netlink) -> Result<Vec<RouteMessage>, NetnsError> {
    let mut request = RouteMessage::default();
    request.header.address_family = AddressFamily::Inet;
    let routes = socket
        .dump(RouteNetlinkMessage::GetRoute(request))
        .map_err(cannot_list)?;
    Ok(routes
        .into_iter()
        .filter_map(|object| match object {
            RouteNetlinkMessage::NewRoute(route) => Some(route),
            _ => None,
        })
        .collect())
}

fn cannot_list(error: io::Error) -> NetnsError {
    NetnsError::os("cannot list network devices, addresses or routes", error)
}

fn link(object: RouteNetlinkMessage) -> Option<(u32, Link)> {
    let RouteNetlinkMessage::NewLink(message) = object else {
        return None;
    };
    let mut link = Link {
        up: message.header.flags.contains(LinkFlags::Up),
        ..Link::default()
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::IfAlias(alias) => link.alias = alias,
            LinkAttribute::Qdisc(kind) => link.shaped = kind == "tbf",
            _ => {}
        }
    }
    Some((message.header.index, link))
}

fn address(object: RouteNetlinkMessage) -> Option<(u32, Ipv4Addr)> {
    let RouteNetlinkMessage::NewAddress(message) = object else {
        return None;
    };
    message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(IpAddr::V4(address)) => Some((message.header.index, *address)),
        _ => None,
    })
}
