//! Namespaces from which granted hosts and ports are reached, and nothing else, on the real kernel. Nothing is made in the host's own
//! namespace but for the control.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use faaslet::NetworkGrant;
use faaslet::netns::{Config, Hub, Namespace, Pool, enter};
use nix::unistd::geteuid;

const LONG: Duration = Duration::from_secs(30);
/// How long something is waited for that must not come.
const SHORT: Duration = Duration::from_millis(300);

fn is_root(test: &str) -> bool {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: {test}: network namespaces need root");
    }
    geteuid().is_root()
}

/// Answers each connection at `address` with `name`, in the calling thread's namespace; its port.
fn server(address: Ipv4Addr, name: &'static str) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(name.as_bytes());
        }
    });
    port
}

fn inside<T: Send>(namespace: &Namespace, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter(namespace.fd()).unwrap();
            work()
        });
        inside.join().unwrap()
    })
}

fn ask(address: SocketAddrV4, within: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::V4(address), within)?;
    stream.set_read_timeout(Some(LONG))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What answers at `address` from inside. A link carries a moment after it was brought up.
fn answer(namespace: &Namespace, address: SocketAddrV4) -> String {
    let begun = Instant::now();
    loop {
        match inside(namespace, || ask(address, LONG)) {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < LONG, "{address}: {error}"),
        }
    }
}

fn grant(port: u16) -> NetworkGrant {
    NetworkGrant::new("host.internal", port).unwrap()
}

fn host_end(hub: &Hub) -> Ipv4Addr {
    hub.reach().addresses_of("host.internal").unwrap()[0]
}

/// An address of this host that is not loopback.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) => Some(address),
        std::net::IpAddr::V6(_) => None,
    }
}

#[test]
fn the_granted_port_answers_and_nothing_else_does() {
    if !is_root("the_granted_port_answers") {
        return;
    }
    let granted = server(Ipv4Addr::LOCALHOST, "granted");
    let open = server(Ipv4Addr::UNSPECIFIED, "open to all");
    let hub = Hub::open(&[grant(granted)], &Config::default()).unwrap();
    let pool = Pool::open_at(&hub, 2).unwrap();
    let [first, second] = pool.namespaces() else {
        panic!("two were asked for");
    };
    let end = host_end(&hub);
    for namespace in [first, second] {
        assert_eq!(
            answer(namespace, SocketAddrV4::new(end, granted)),
            "granted"
        );
    }
    let neighbour = inside(second, || server(second.addresses().1, "a neighbour"));
    let of_neighbour = SocketAddrV4::new(second.addresses().1, neighbour);
    assert_eq!(answer(second, of_neighbour), "a neighbour");
    let mut others = vec![
        ("another port of the host", SocketAddrV4::new(end, open)),
        (
            "the veth's host end",
            SocketAddrV4::new(first.addresses().0, open),
        ),
        (
            "the granted port there",
            SocketAddrV4::new(first.addresses().0, granted),
        ),
        (
            "the host's loopback",
            SocketAddrV4::new(Ipv4Addr::LOCALHOST, granted),
        ),
        ("another namespace", of_neighbour),
        (
            "its host end",
            SocketAddrV4::new(second.addresses().0, granted),
        ),
        ("another machine", "198.51.100.1:80".parse().unwrap()),
    ];
    others.extend(own_address().map(|own| ("the host's address", SocketAddrV4::new(own, open))));
    for (what, address) in others {
        let reached = inside(first, || ask(address, SHORT));
        assert!(reached.is_err(), "{what}, {address}: {reached:?}");
    }
}

#[test]
fn without_a_hub_what_the_host_offers_to_all_is_reached() {
    if !is_root("without_a_hub") {
        return;
    }
    // The control of the test above: the same server, found from a namespace whose host end is the host's.
    let open = server(Ipv4Addr::UNSPECIFIED, "open to all");
    let namespace = Namespace::create(&Config::default()).unwrap();
    let address = SocketAddrV4::new(namespace.addresses().0, open);
    assert_eq!(answer(&namespace, address), "open to all");
    namespace.remove().unwrap();
}

#[test]
fn a_namespace_made_for_one_start_reaches_the_same_and_is_removed_from_the_hub() {
    if !is_root("a_namespace_made_for_one_start") {
        return;
    }
    let granted = server(Ipv4Addr::LOCALHOST, "granted");
    let hub = Hub::open(&[grant(granted)], &Config::default()).unwrap();
    let namespace = thread::scope(|scope| {
        let maker = scope.spawn(|| Namespace::create_at(&hub).unwrap());
        maker.join().unwrap()
    });
    let address = SocketAddrV4::new(host_end(&hub), granted);
    assert_eq!(answer(&namespace, address), "granted");
    let kept = inside(&namespace, || TcpListener::bind("127.0.0.1:0").map(drop));
    kept.unwrap();
    namespace.remove_at(&hub).unwrap();
}

/// How many segments of `stream` were sent again.
fn sent_again(stream: &TcpStream) -> u32 {
    // SAFETY: plain numbers, of which zeros are a value.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).unwrap();
    // SAFETY: `info` is as long as `length` says, and outlives the call.
    let outcome = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    assert_eq!(outcome, 0);
    info.tcpi_total_retrans
}

#[test]
fn who_connects_from_a_new_namespace_is_answered_at_the_first_try() {
    if !is_root("who_connects_from_a_new_namespace") {
        return;
    }
    let granted = server(Ipv4Addr::LOCALHOST, "granted");
    let hub = Hub::open(&[grant(granted)], &Config::default()).unwrap();
    let address = SocketAddr::V4(SocketAddrV4::new(host_end(&hub), granted));
    let of_new_one = |_| {
        let namespace = thread::scope(|scope| {
            let maker = scope.spawn(|| Namespace::create_at(&hub).unwrap());
            maker.join().unwrap()
        });
        let again = inside(&namespace, || {
            sent_again(&TcpStream::connect_timeout(&address, LONG).unwrap())
        });
        namespace.remove_at(&hub).unwrap();
        again
    };
    let again: Vec<u32> = (0..9).map(of_new_one).collect();
    // A host that stands still for a second has one sent again, too.
    assert!(again.iter().filter(|&&n| n > 0).count() < 5, "{again:?}");
}

#[test]
fn a_function_that_floods_the_proxy_keeps_nobody_else_from_it() {
    if !is_root("a_function_that_floods_the_proxy") {
        return;
    }
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let granted = server(Ipv4Addr::LOCALHOST, "granted");
    let grants = [grant(silent.local_addr().unwrap().port()), grant(granted)];
    let hub = Hub::open(&grants, &Config::default()).unwrap();
    let pool = Pool::open_at(&hub, 2).unwrap();
    let end = host_end(&hub);
    let flooded = SocketAddrV4::new(end, grants[0].port());
    let flood = inside(&pool.namespaces()[0], || {
        let connect = || TcpStream::connect_timeout(&flooded.into(), LONG);
        let begun = Instant::now();
        let mut open = Vec::new();
        while open.len() < 200 {
            assert!(begun.elapsed() < LONG);
            open.extend(connect().ok());
        }
        open
    });
    let begun = Instant::now();
    while hub.proxy().carried() + hub.proxy().refused() < 200 {
        assert!(begun.elapsed() < LONG, "{:?}", hub.proxy());
        thread::sleep(Duration::from_millis(2));
    }
    assert!(hub.proxy().carried() <= 32, "{:?}", hub.proxy());
    let other = answer(&pool.namespaces()[1], SocketAddrV4::new(end, granted));
    assert_eq!(other, "granted");
    drop(flood);
    // Their target ends none of them; the next start in that seat is not to wait for it.
    let begun = Instant::now();
    let own = SocketAddrV4::new(end, granted);
    while answer(&pool.namespaces()[0], own) != "granted" {
        assert!(begun.elapsed() < LONG, "{:?}", hub.proxy());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_address_that_namespaces_have_themselves_cannot_be_granted() {
    let config = Config::default();
    for host in ["10.232.0.7", "10.233.255.255"] {
        let grants = [NetworkGrant::new(host, 80).unwrap()];
        let error = Hub::open(&grants, &config).unwrap_err().to_string();
        let says = error.contains(host) && error.contains("FAASM_BENCH_NETNS_RANGE");
        assert!(says, "{error}");
    }
}

#[test]
fn a_name_without_address_is_said_before_anything_is_made() {
    let grants = [NetworkGrant::new("nowhere.invalid", 80).unwrap()];
    let error = Hub::open(&grants, &Config::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("nowhere.invalid") && error.contains("correct the grant"),
        "{error}"
    );
}
