//! A namespace of ours against the same namespace by way of `rtnetlink`: the same links, addresses and route. No shaping, of
//! which that crate has no builder. Only making it is timed: removing it is one request, and the kernel's time.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use faaslet::netns::{Config, Namespace, host_end_name};
use measure_core::base::clock::now_ns;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoVeth, LinkAttribute, LinkMessage,
};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::runtime::{Builder, Runtime};

use super::{Outcome, line};

const ROUNDS: usize = 150;
/// Beyond the pairs of ours: an index, as large as a name has room for, and a range of its own.
const INDEX: u32 = 99_999_999;
const HOST_IFINDEX: u32 = 0x0ea0_0000;
const INSIDE_IFINDEX: u32 = 100;
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const INSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

fn own_namespace() -> Outcome<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// A connection from the calling thread's namespace.
fn connect(runtime: &Runtime) -> Outcome<Handle> {
    let _context = runtime.enter();
    let (connection, handle, _) = rtnetlink::new_connection()?;
    runtime.spawn(connection);
    Ok(handle)
}

fn without_ipv6(link: LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec> {
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    link.append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(
        vec![mode],
    )]))
}

fn index(index: u32) -> LinkMessageBuilder<LinkUnspec> {
    LinkUnspec::new_with_index(index)
}

fn queues<T>(link: LinkMessageBuilder<T>) -> LinkMessageBuilder<T> {
    link.append_extra_attribute(LinkAttribute::NumTxQueues(1))
        .append_extra_attribute(LinkAttribute::NumRxQueues(1))
}

fn pair(namespace: &OwnedFd) -> LinkMessage {
    let peer = queues(index(INSIDE_IFINDEX).name("eth0"))
        .setns_by_fd(namespace.as_raw_fd())
        .build();
    queues(LinkVeth::new(&host_end_name(INDEX), "eth0").index(HOST_IFINDEX))
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build()
}

/// A namespace as [`Namespace::create`] makes it.
fn theirs(runtime: &Runtime) -> Outcome<(OwnedFd, Handle)> {
    let host = connect(runtime)?;
    let own = own_namespace()?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let made = connect(runtime).and_then(|inside| Ok((inside, own_namespace()?)));
    setns(own.as_fd(), CloneFlags::CLONE_NEWNET)?;
    let (inside, namespace) = made?;
    runtime.block_on(async {
        host.link().add(pair(&namespace)).execute().await?;
        let marked = without_ipv6(index(HOST_IFINDEX)).alias("faasm-bench overhead");
        host.link().set(marked.build()).execute().await?;
        let (address, prefix_len) = (host.address(), 31);
        address
            .add(HOST_IFINDEX, IpAddr::V4(HOST), prefix_len)
            .execute()
            .await?;
        let up = index(HOST_IFINDEX).up().build();
        host.link().set(up).execute().await?;

        inside.link().set(index(1).up().build()).execute().await?;
        let plain = without_ipv6(index(INSIDE_IFINDEX)).build();
        inside.link().set(plain).execute().await?;
        let address = inside.address();
        address
            .add(INSIDE_IFINDEX, IpAddr::V4(INSIDE), prefix_len)
            .execute()
            .await?;
        let up = index(INSIDE_IFINDEX).up().build();
        inside.link().set(up).execute().await?;
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(HOST)
            .output_interface(INSIDE_IFINDEX)
            .build();
        inside.route().add(route).execute().await
    })?;
    Ok((namespace, host))
}

pub(crate) fn compare() -> Outcome<()> {
    let config = Config {
        rate_bits_per_s: 0,
        ..Config::from_env()?
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begun = now_ns();
        let namespace = Namespace::create(&config)?;
        let made = now_ns();
        namespace.remove()?;
        let begun_theirs = now_ns();
        let (namespace, host) = theirs(&runtime)?;
        let made_theirs = now_ns();
        runtime.block_on(host.link().del(HOST_IFINDEX).execute())?;
        drop(namespace);
        if round > 0 {
            ours.push((made - begun) as f64);
            peer.push((made_theirs - begun_theirs) as f64);
        }
    }
    line("a network namespace / rtnetlink", 1.0, &ours, &peer, "");
    Ok(())
}
