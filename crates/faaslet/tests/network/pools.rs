//! The pool of namespaces that outlives a process: found again, mended, locked, and removed alone, in tests
//! that run as those of [`crate::netns`] do.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use faaslet::netns::{
    Config, Ensured, Namespace, Pool, ensure_persistent, enter, host_end_name, remove_orphans,
    remove_persistent,
};
use measure_core::base::exit::{Exit, HasExit};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::netns::{
    NOTHING, create, devices, ensure, eventually, listen_inside, path_of, pool, rename, sandboxed,
};

#[test]
fn the_persistent_pool_is_idempotent_and_mends_itself() {
    sandboxed("idempotent", || {
        let only = |kept, added, repaired| Ensured {
            kept,
            added,
            repaired,
        };
        assert_eq!(ensure(3), only(0, 3, 0));
        assert_eq!(ensure(6), only(3, 3, 0));
        assert_eq!(ensure(6), only(6, 0, 0));
        // A name without its mount, as after a reboot; a name that is gone, its namespace held by someone;
        // an inside without an address.
        umount2(&path_of(0), MntFlags::MNT_DETACH).expect("unmounted");
        let held = File::open(path_of(1)).expect("a namespace");
        umount2(&path_of(1), MntFlags::MNT_DETACH).expect("unmounted");
        fs::remove_file(path_of(1)).expect("removed");
        let damaged = File::open(path_of(2)).expect("a namespace");
        thread::spawn(move || {
            enter(damaged.as_fd()).expect("entered");
            take_address_away();
        })
        .join()
        .expect("damaged");
        eventually("the unmounted one is gone", || devices().len() == 5);
        assert_eq!(ensure(6), only(3, 0, 3));
        drop(held);
        assert_eq!(ensure(6), only(6, 0, 0));
        let pool = pool(6);
        assert_eq!(pool.persistent(), 6);
        drop(pool);
        assert_eq!(remove_persistent().expect("removed").len(), 6);
        assert_eq!(devices(), Vec::<String>::new());
        assert!(!Path::new("/run/netns").exists());
        assert_eq!(remove_persistent().expect("nothing to do").len(), 0);
    });
}

/// Sets the inside end's address to 0.0.0.0, which removes it.
fn take_address_away() {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // SAFETY: all of `ifreq` may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"eth0") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_addr.sa_family = libc::sa_family_t::try_from(libc::AF_INET).expect("2");
    // SAFETY: the descriptor is open, and SIOCSIFADDR takes an `ifreq` with an IPv4 address.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const request) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn another_rate_is_not_taken_for_the_one_wanted() {
    sandboxed("other configuration", || {
        ensure(2);
        let slow = Config {
            rate_bits_per_s: 1_000_000,
            ..Config::default()
        };
        let pool = Pool::open_with(2, &slow).expect("a pool");
        assert_eq!((pool.namespaces().len(), pool.persistent()), (2, 0));
        let ensured = ensure_persistent(2, &slow, &mut |_, _| {}).expect("a pool");
        assert_eq!(ensured.repaired, 2);
    });
}

#[test]
fn a_pool_grows_with_anonymous_ones_and_locks_what_it_uses() {
    sandboxed("pool", || {
        ensure(2);
        let first = pool(5);
        assert_eq!((first.namespaces().len(), first.persistent()), (5, 2));
        let words = first.describe();
        assert!(
            words.contains("5 network namespaces (2 persistent)"),
            "{words}"
        );
        let second = pool(2);
        assert_eq!(second.persistent(), 0);
        let all = first.namespaces().iter().chain(second.namespaces());
        let distinct: HashSet<_> = all.map(Namespace::addresses).collect();
        assert_eq!(distinct.len(), 7);
        assert_eq!(devices().len(), 2, "those of the persistent ones");
        let error = remove_persistent().expect_err("in use");
        assert_eq!(error.exit(), Exit::Busy, "{error}");
        drop((first, second));
        assert_eq!(pool(2).persistent(), 2);
        remove_persistent().expect("removed");
    });
}

#[test]
fn only_ours_is_removed() {
    sandboxed("foreign", || {
        ensure(2);
        // Somebody else's namespace and device beside ours.
        let foreign = create();
        let path = Path::new("/run/netns/foreign");
        File::create(path).expect("a file");
        let source = format!("/proc/self/fd/{}", foreign.fd().as_raw_fd());
        mount(Some(&*source), path, NOTHING, MsFlags::MS_BIND, NOTHING).expect("mounted");
        let device = host_end_name(foreign.index());
        rename(&device);
        drop(foreign);
        assert_eq!(remove_persistent().expect("removed").len(), 2);
        assert!(remove_orphans().expect("nothing to do").is_empty());
        assert!(path.exists());
        assert_eq!(devices(), [device]);
        let still = File::open(path).expect("a namespace");
        enter(still.as_fd()).expect("it lives");
    });
}

#[test]
fn a_foreign_device_in_the_way_is_left_alone() {
    sandboxed("foreign device", || {
        ensure(1);
        let device = host_end_name(0);
        rename(&device);
        let error = ensure_persistent(1, &Config::default(), &mut |_, _| {}).expect_err("refused");
        assert!(error.to_string().contains("not ours"), "{error}");
        assert_eq!(devices(), [device]);
    });
}

/// Whether something answers at `address` from inside `namespace`.
fn reaches(namespace: &Namespace, address: SocketAddr) -> bool {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter(namespace.fd()).expect("entered");
            TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok()
        });
        inside.join().expect("an answer")
    })
}

#[test]
fn from_a_pools_namespace_neither_the_host_nor_a_neighbour_is_reached() {
    sandboxed("apart", || {
        // A host that passes packets on and listens wherever it is asked.
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forwarding");
        let lone = create();
        let host = TcpListener::bind("0.0.0.0:0").expect("bound");
        let port = host.local_addr().expect("an address").port();
        let at = |address| SocketAddr::new(IpAddr::V4(address), port);
        eventually("the control reaches the host", || {
            reaches(&lone, at(lone.addresses().0))
        });
        let pool = pool(2);
        assert_eq!(pool.persistent(), 0);
        let [first, second] = pool.namespaces() else {
            panic!("two were asked for");
        };
        let neighbour = listen_inside(second);
        let neighbour = neighbour.local_addr().expect("an address");
        assert!(reaches(second, neighbour), "the listener answers");
        assert!(!reaches(first, neighbour));
        for address in [
            first.addresses().0,
            second.addresses().0,
            lone.addresses().0,
        ] {
            assert!(!reaches(first, at(address)), "{address}");
        }
    });
}
