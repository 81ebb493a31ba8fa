//! What functions are granted of the network.

use std::fs;

use driver_testkit::left;
use measure_core::base::label;

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
