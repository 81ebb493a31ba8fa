//! Network namespaces on the real kernel: what they are, and who is refused. Every test runs on a thread of its own with a network
//! and a mount namespace of its own, so a pool of the host's is neither seen nor touched.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use faaslet::netns::{
    Config, Ensured, Namespace, NetnsError, Pool, Range, ensure_persistent, enter, persistent_name,
};
use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::interrupt;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, raise};
use nix::unistd::geteuid;

pub(crate) const NOTHING: Option<&str> = None;

/// Runs `test` with a network of its own and an empty `/run`; says so where that cannot be had.
pub(crate) fn sandboxed(name: &str, test: impl FnOnce() + Send + 'static) {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: {name}: network namespaces need root");
        return;
    }
    let outcome = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(NOTHING, "/", NOTHING, private, NOTHING)?;
        for (kind, at) in [("tmpfs", "/run"), ("sysfs", "/sys")] {
            mount(Some(kind), at, Some(kind), MsFlags::empty(), NOTHING)?;
        }
        test();
        nix::Result::Ok(())
    })
    .join();
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("SKIPPED: {name}: no namespaces to test in: {error}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn own_network() -> PathBuf {
    fs::read_link("/proc/thread-self/ns/net").expect("own network namespace")
}

pub(crate) fn devices() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir("/sys/class/net")
        .expect("devices")
        .map(|entry| entry.expect("a device").file_name())
        .map(|name| name.into_string().expect("a name"))
        .filter(|name| name.starts_with("fbench"))
        .collect();
    names.sort();
    names
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn create() -> Namespace {
    Namespace::create(&Config::default()).expect("a namespace")
}

pub(crate) fn pool(n: usize) -> Pool {
    Pool::open_with(n, &Config::default()).expect("a pool")
}

pub(crate) fn ensure(n: usize) -> Ensured {
    let mut last = 0;
    let ensured = ensure_persistent(n, &Config::default(), &mut |done, of| {
        assert_eq!((done, of), (last + 1, n));
        last = done;
    })
    .expect("a pool");
    assert_eq!(last, n);
    ensured
}

pub(crate) fn path_of(index: u32) -> PathBuf {
    Path::new("/run/netns").join(persistent_name(index))
}

pub(crate) fn rename(device: &str) {
    let alias = format!("/sys/class/net/{device}/ifalias");
    fs::write(alias, "somebody else's").expect("renamed");
}

/// A listener inside `namespace`: a socket belongs to where it was made.
pub(crate) fn listen_inside(namespace: &Namespace) -> TcpListener {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter(namespace.fd()).expect("entered");
            TcpListener::bind((namespace.addresses().1, 0)).expect("bound")
        });
        inside.join().expect("a listener")
    })
}

/// A connection from the host end to the inside end. A link carries a moment after it was brought up.
fn connect(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address: SocketAddr = listener.local_addr().expect("an address");
    let deadline = Instant::now() + Duration::from_secs(30);
    let client = loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < deadline, "no connection: {error}"),
        }
    };
    (client, listener.accept().expect("accepted").0)
}

#[test]
fn traffic_flows_both_ways_and_the_thread_stays_where_it_was() {
    sandboxed("traffic", || {
        let before = own_network();
        let namespace = create();
        assert_eq!(own_network(), before);
        let (mut host, mut inside) = connect(&listen_inside(&namespace));
        let host_address = host.local_addr().expect("an address").ip();
        assert_eq!(host_address, IpAddr::V4(namespace.addresses().0));
        host.write_all(b"ping").expect("sent");
        let mut received = [0; 4];
        inside.read_exact(&mut received).expect("received");
        assert_eq!(&received, b"ping");
        inside.write_all(b"pong").expect("sent");
        host.read_exact(&mut received).expect("received");
        assert_eq!(&received, b"pong");
        let cost = namespace.cost();
        for part in [
            cost.unshare_ns,
            cost.veth_ns,
            cost.shaping_ns,
            cost.addresses_ns,
        ] {
            assert!(part > 0, "{cost:?}");
        }
        namespace.remove().expect("removed");
        assert_eq!(devices(), Vec::<String>::new());
        assert_eq!(own_network(), before);
    });
}

#[test]
fn the_inside_has_loopback_and_a_default_route() {
    sandboxed("inside", || {
        let namespace = create();
        let gateway = u32::from_ne_bytes(namespace.addresses().0.octets());
        enter(namespace.fd()).expect("entered");
        let routes = fs::read_to_string("/proc/thread-self/net/route").expect("routes");
        let default = format!("eth0\t00000000\t{gateway:08X}");
        assert!(routes.contains(&default), "{routes}");
        let loopback = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let here = loopback.local_addr().expect("an address");
        TcpStream::connect(here).expect("loopback is up");
    });
}

/// How long `bytes` take from `from` to `to`.
fn transfer(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| from.write_all(&vec![1; bytes]).expect("sent"));
        to.read_exact(&mut vec![0; bytes]).expect("received");
    });
    start.elapsed()
}

#[test]
fn shaping_limits_both_directions() {
    sandboxed("shaping", || {
        const BYTES: usize = 1_000_000;
        let config = Config {
            rate_bits_per_s: 8_000_000,
            ..Config::default()
        };
        let namespace = Namespace::create(&config).expect("a namespace");
        let (mut host, mut inside) = connect(&listen_inside(&namespace));
        let took = [
            transfer(&mut host, &mut inside, BYTES),
            transfer(&mut inside, &mut host, BYTES),
        ];
        // 1 s at 8 Mbit/s, less one burst: a lower bound, whatever else the host does.
        let limit = Duration::from_millis(900);
        assert!(took.iter().all(|&direction| direction > limit), "{took:?}");
    });
}

#[test]
fn many_threads_make_distinct_ones() {
    sandboxed("threads", || {
        let made = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let namespace = create();
                        made.lock().expect("a list").push(namespace);
                    }
                });
            }
        });
        assert_eq!(devices().len(), 80);
        drop(made);
        eventually("they vanish", || devices().is_empty());
    });
}

#[test]
fn a_range_that_the_host_routes_elsewhere_is_refused() {
    sandboxed("range", || {
        // Loopback, once up, has the route 127.0.0.0/8.
        let namespace = create();
        enter(namespace.fd()).expect("entered");
        let config = Config {
            range: "127.128.0.0/16".parse::<Range>().expect("a range"),
            ..Config::default()
        };
        let error = Pool::open_with(1, &config).expect_err("refused");
        assert!(matches!(error, NetnsError::RangeTaken { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("127.0.0.0/8"), "{text}");
        assert!(text.contains("FAASM_BENCH_NETNS_RANGE"), "{text}");
    });
}

#[test]
fn too_many_persistent_ones_are_refused() {
    let error = ensure_persistent(5000, &Config::default(), &mut |_, _| {}).expect_err("refused");
    assert_eq!(error.exit(), Exit::Usage, "{error}");
}

#[test]
fn without_permission_the_error_says_what_to_do() {
    sandboxed("permission", || {
        // The bare system call, as it concerns this thread alone.
        // SAFETY: takes three numbers.
        let outcome = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(outcome, 0);
        for error in [
            Namespace::create(&Config::default()).expect_err("refused"),
            ensure_persistent(1, &Config::default(), &mut |_, _| {}).expect_err("refused"),
        ] {
            assert_eq!(error.exit(), Exit::Unavailable, "{error}");
            let text = error.to_string();
            assert!(text.contains("CAP_NET_ADMIN"), "{text}");
            assert!(text.contains("run as root"), "{text}");
        }
    });
}

const CHILD: &str = "NETNS_TEST_CHILD";

/// `test` of this file in a process of its own.
fn child(test: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().expect("this executable"));
    child
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::null());
    child
}

/// Not a test of its own: what [`nothing_is_left_after_a_kill`] starts and kills. Each of the pool's namespaces gets one end of a pair,
/// whose other end lies where that test looks.
#[test]
fn child_that_holds_a_pool() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let pool = pool(3);
    for i in 0..3 {
        let fd = pool.fd(i);
        thread::scope(|scope| {
            scope.spawn(|| {
                enter(fd).expect("entered");
                let pid = std::process::id();
                let pair = format!("link add seen type veth peer name fbench-{i} netns {pid}");
                let made = Command::new("ip").args(pair.split(' ')).status();
                assert!(made.expect("iproute2").success());
            });
        });
    }
    thread::sleep(Duration::from_secs(600));
}

#[test]
fn nothing_is_left_after_a_kill() {
    sandboxed("kill", || {
        let mut child = child("netns::child_that_holds_a_pool")
            .spawn()
            .expect("a child");
        eventually("the child holds its pool", || devices().len() == 3);
        child.kill().expect("killed");
        child.wait().expect("reaped");
        eventually("its namespaces vanish", || devices().is_empty());
    });
}

/// Not a test of its own: what [`a_signal_ends_the_making_at_the_next_one`] starts.
#[test]
fn child_that_is_told_to_end() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    interrupt::install().expect("caught");
    raise(Signal::SIGTERM).expect("sent");
    let error = Pool::open_with(2, &Config::default()).expect_err("no pool");
    assert!(matches!(error, NetnsError::Interrupted), "{error}");
    assert_eq!(error.exit(), Exit::Terminated);
}

#[test]
fn a_signal_ends_the_making_at_the_next_one() {
    sandboxed("signal", || {
        let ended = child("netns::child_that_is_told_to_end").status();
        assert!(ended.expect("a child").success());
    });
}
