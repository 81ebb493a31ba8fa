//! What functions are granted of the network.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::Stdio;

use driver_testkit::{eventually, functions, left, skipped};
use granted_network::key_value::{KeyValueServer, value};
use measure_core::base::label;
use measure_core::contract::protocol::Message;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, gethostname};

use crate::common::{Bench, assert_mentions, ready_rungs};
use crate::modules as m;

#[test]
fn every_seat_of_a_granted_function_reaches_what_is_granted_and_nothing_is_left() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    bench.ok("grant demo/noop --network host.internal:6379 --network 198.51.100.7:80");
    for rung in ready_rungs("a granted network") {
        if rung.starts_with("proto-") || rung == "wasm" {
            continue;
        }
        let ran = bench.ok(&format!("time 3 --workers 2 --rung {rung}"));
        assert_eq!(ran.samples().len(), 3, "{rung}");
        let includes = ran.scope().includes.clone();
        let says = [
            "host.internal:6379, 198.51.100.7:80 can be reached",
            "(0 persistent)",
        ];
        // What each start makes has no pool.
        let says = if rung.ends_with("-new") {
            &says[..1]
        } else {
            &says[..]
        };
        assert_mentions(&includes, says);
        assert_eq!(left::behind(ran.pid), Vec::<String>::new(), "{rung}");
        let devices = fs::read_dir("/sys/class/net").expect("devices").flatten();
        let mut aliases = devices.map(|device| fs::read_to_string(device.path().join("ifalias")));
        let ours = |alias: std::io::Result<String>| {
            alias.is_ok_and(|alias| label::owner(&alias) == Some(label::Owner::of_pid(ran.pid)))
        };
        assert!(
            !aliases.any(ours),
            "{rung}: a device in the host's namespace"
        );
    }
}

#[test]
fn a_start_without_a_namespace_is_given_no_network() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    bench.ok("grant demo/noop --network host.internal:6379");
    bench.fails(
        3,
        "time 1 --rung wasm",
        &["no namespace", "start it as a faaslet"],
    );
    bench.ok("grant demo/noop");
    bench.ok("time 1 --rung wasm");
}

#[test]
fn what_is_no_host_and_port_is_not_granted() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    for (grant, says) in [
        ("localhost:80", "host.internal"),
        ("db.example.org", "names no port"),
        ("[::1]:80", "no IPv6"),
        ("db.example.org:99999", "no number from 1 to 65535"),
    ] {
        bench.fails(2, &format!("grant demo/noop --network {grant}"), &[says]);
    }
    let manifest = bench.function_dir("noop").join("grants.json");
    assert!(!manifest.exists());
    fs::write(
        &manifest,
        r#"{"network": [{"host": "127.0.0.1", "port": 80}]}"#,
    )
    .expect("a file");
    bench.fails(1, "time 1 --rung wasm", &["grants.json", "host.internal"]);
}

#[test]
fn a_granted_name_that_has_no_address_is_named() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    if !ready_rungs("a name without address")
        .iter()
        .any(|rung| rung == "faaslet")
    {
        return;
    }
    bench.ok("grant demo/noop --network nowhere.invalid:80");
    bench.fails(
        3,
        "time 1 --rung faaslet",
        &["nowhere.invalid", "correct the grant"],
    );
}

/// The component `demo/fetch`, uploaded; none where it cannot be compiled.
fn bench_with_fetch(test: &str) -> Option<Bench> {
    let bench = Bench::new();
    let source = functions::demo_source("fetch");
    let scratch = bench.home.path().join("fetch.linked");
    let Some(component) = functions::compile_component(&source, &scratch) else {
        skipped(test, functions::NO_WASI);
        return None;
    };
    bench.upload("fetch", &component).expect(0);
    Some(bench)
}

/// The rungs that run components and give them a seat.
fn component_rungs(test: &str) -> Vec<String> {
    let mut rungs = ready_rungs(test);
    rungs.retain(|rung| rung != "wasm" && !rung.starts_with("proto-") && !rung.contains("llvm"));
    rungs
}

fn server_at(address: Ipv4Addr) -> KeyValueServer {
    let listener = TcpListener::bind((address, 0)).expect("a port");
    KeyValueServer::start(listener).expect("a server")
}

/// Grants `demo/fetch` what `network` says and has it ask `host` at `port`.
fn grant_fetch(bench: &Bench, network: &str, host: &str, port: u16) {
    bench.ok(&format!(
        "grant demo/fetch {network} --arg fetch --arg {host} --arg {port}"
    ));
}

#[test]
fn a_granted_component_fetches_from_the_hosts_end_on_every_rung() {
    const TEST: &str = "a component that fetches";
    let Some(bench) = bench_with_fetch(TEST) else {
        return;
    };
    let server = server_at(Ipv4Addr::LOCALHOST);
    let port = server.address().port();
    let network = format!("--network host.internal:{port}");
    grant_fetch(&bench, &network, "host.internal", port);
    for rung in component_rungs(TEST) {
        let ran = bench.ok(&format!(
            "time 20 --workers 2 --rung {rung} --function demo/fetch"
        ));
        assert_eq!(ran.samples().len(), 20, "{rung}");
        assert_eq!(left::behind(ran.pid), Vec::<String>::new(), "{rung}");
        let ran = bench.ok(&format!("run --rung {rung} --function demo/fetch"));
        let sum = value().iter().fold(0_u32, |sum, &byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        assert_mentions(&ran.stdout, &[&format!("1024 bytes, {sum:08x}")]);
    }
}

#[test]
fn what_is_not_granted_is_not_reached_and_the_reason_is_said() {
    const TEST: &str = "what is not granted";
    let Some(bench) = bench_with_fetch(TEST) else {
        return;
    };
    if !component_rungs(TEST).iter().any(|rung| rung == "faaslet") {
        return;
    }
    let (server, other) = (
        server_at(Ipv4Addr::LOCALHOST),
        server_at(Ipv4Addr::UNSPECIFIED),
    );
    let (port, other) = (server.address().port(), other.address().port());
    let network = format!("--network host.internal:{port} --network 198.51.100.7:80");
    let not_granted = "it is not granted";
    for (host, port, says) in [
        // What listens there answers on the host, as the first test of this file has it.
        ("host.internal", other, "its port is not granted"),
        ("127.0.0.1", port, "nothing listens there"),
        ("127.0.0.1", other, "nothing listens there"),
        ("198.51.100.7", 81, "its port is not granted"),
        ("198.51.100.8", 80, not_granted),
        ("10.232.0.2", other, not_granted),
        ("db.example.org", 80, "its name is not granted"),
        ("localhost", port, "its name is not granted"),
    ] {
        grant_fetch(&bench, &network, host, port);
        bench.fails(4, "time 1 --rung faaslet --function demo/fetch", &[says]);
    }
    grant_fetch(&bench, "", "host.internal", port);
    bench.fails(
        4,
        "time 1 --rung faaslet --function demo/fetch",
        &["its name is not granted"],
    );
    grant_fetch(&bench, "", "127.0.0.1", port);
    for rung in ["faaslet", "faaslet-netns"] {
        bench.fails(
            4,
            &format!("time 1 --rung {rung} --function demo/fetch"),
            &["not granted"],
        );
    }
}

#[test]
fn a_granted_name_is_looked_up_and_reached() {
    const TEST: &str = "a granted name";
    let Some(bench) = bench_with_fetch(TEST) else {
        return;
    };
    if !component_rungs(TEST).iter().any(|rung| rung == "faaslet") {
        return;
    }
    let name = gethostname()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let found = (&*name, 0).to_socket_addrs().into_iter().flatten();
    let own = found.map(|found| found.ip()).find_map(|ip| match ip {
        IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
        _ => None,
    });
    let Some(own) = own else {
        return skipped(
            TEST,
            format!(
                "{name}, this host's name, has no address but loopback; give it one in /etc/hosts"
            ),
        );
    };
    let server = server_at(own);
    let port = server.address().port();
    grant_fetch(&bench, &format!("--network {name}:{port}"), &name, port);
    bench.ok("time 3 --rung faaslet --function demo/fetch");
}

#[test]
fn nothing_granted_is_left_after_a_kill() {
    let bench = Bench::with(&[("park", m::PARK)]);
    if !component_rungs("a kill with something granted")
        .iter()
        .any(|rung| rung == "faaslet")
    {
        return;
    }
    bench.ok("grant demo/park --network host.internal:6379");
    let mut running = bench.start("hold 5 --rung faaslet");
    running.until_parked();
    let pid = running.pid();
    let mut namespaces = namespaces_of(pid);
    for ours in namespaces_of(std::process::id().cast_signed()) {
        namespaces.remove(&ours);
    }
    // One of each worker, and the hub.
    assert_eq!(namespaces.len(), 6, "{namespaces:?}");
    running.signal(Signal::SIGKILL);
    running.child.wait().expect("an end");
    bench.ok("clean");
    assert_eq!(left::behind(pid), Vec::<String>::new());
    eventually("nobody holds a namespace of its", || {
        let processes = fs::read_dir("/proc").expect("processes").flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.flat_map(namespaces_of)
            .all(|held| !namespaces.contains(&held))
    });
}

#[test]
fn a_seat_has_a_namespace_if_something_is_granted_or_the_rung_says_so() {
    let bench = Bench::with(&[("park", m::PARK)]);
    let rungs = ready_rungs("namespaces of seats");
    let ours = namespaces_of(std::process::id().cast_signed());
    for (rung, granted, count, warm) in [
        ("faaslet", false, 0, "seat (cgroup)"),
        // The one that their host ends lie in besides, or the hub.
        ("faaslet-netns", false, 4, "seat (cgroup, namespace)"),
        ("faaslet", true, 4, "seat (cgroup, namespace)"),
        ("faaslet-netns", true, 4, "seat (cgroup, namespace)"),
    ] {
        if !rungs.iter().any(|ready| ready == rung) {
            continue;
        }
        let network = if granted {
            "--network host.internal:6379"
        } else {
            ""
        };
        bench.ok(&format!("grant demo/park {network}"));
        let mut running = bench.start(&format!("hold 3 --rung {rung}"));
        let said = running.until(|line| matches!(line, Message::Scope { .. }));
        let Message::Scope {
            description, scope, ..
        } = said
        else {
            unreachable!("just looked at");
        };
        assert!(description.warm.contains(warm), "{rung}: {description:?}");
        let words = description.network_granted();
        assert_eq!(words, granted.then_some("host.internal:6379"), "{rung}");
        let none = scope.includes.contains("no network namespace");
        assert_eq!(none, count == 0, "{rung}: {}", scope.includes);
        running.until_parked();
        let theirs = namespaces_of(running.pid());
        assert_eq!(theirs.difference(&ours).count(), count, "{rung}");
        running.end().expect(0);
    }
}

/// The network namespaces that threads of process `pid` are in, and those that it has open.
fn namespaces_of(pid: i32) -> BTreeSet<String> {
    let process = Path::new("/proc").join(pid.to_string());
    let entries = |dir: &str| fs::read_dir(process.join(dir)).into_iter().flatten();
    let entered = entries("task").flatten().map(|t| t.path().join("ns/net"));
    let open = entries("fd").flatten().map(|fd| fd.path());
    let links = entered
        .chain(open)
        .filter_map(|path| fs::read_link(path).ok());
    links
        .filter_map(|link| link.into_os_string().into_string().ok())
        .filter(|link| link.starts_with("net:["))
        .collect()
}

#[test]
fn the_key_value_server_answers_until_a_signal_comes() {
    let bench = Bench::new();
    let mut child = bench
        .command("key-value --port 0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the driver starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    let address = line.split_whitespace().last().expect("an address");
    let mut stream = TcpStream::connect(address).expect("connected");
    stream
        .write_all(b"*2\r\n$3\r\nGET\r\n$8\r\nkilobyte\r\n")
        .expect("asked");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).expect("answered");
    assert_eq!(&answer, b"$1024\r\n");
    let pid = Pid::from_raw(child.id().cast_signed());
    kill(pid, Signal::SIGTERM).expect("signalled");
    assert_eq!(child.wait().expect("an end").code(), Some(143));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    bench.fails(1, &format!("key-value --port {port}"), &["cannot listen"]);
}
