//! Containers that were granted a port of the host.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use driver_testkit::{functions, run, skipped};
use granted_network::key_value::KeyValueServer;

use crate::common::{compile, driver_at, ends_at, make_store, turn};

/// Where `demo/fetch` asks unless it is told otherwise.
const PORT: u16 = 6379;

#[test]
fn a_granted_port_of_the_host_is_found_on_each_network_that_there_is() {
    let Some(_turn) = turn() else { return };
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)) {
        Ok(listener) => listener,
        Err(error) => return skipped("a granted port", format!("port {PORT}: {error}")),
    };
    let _server = KeyValueServer::start(listener).unwrap();
    let home = tempfile::tempdir().unwrap();
    make_store(home.path());
    let source = fs::read_to_string(functions::demo_source("fetch")).unwrap();
    compile(home.path(), "fetch", &source);
    let fetch = |rung: &str| format!("time 2 --rung {rung} --function demo/fetch");
    // Without a grant there is no way to the host from the engine's network.
    run(driver_at(home.path(), &fetch("docker-bridge"))).expect(4);
    let grants = home.path().join("store/demo/fetch/grants.json");
    let text = format!(r#"{{"network": [{{"host": "host.internal", "port": {PORT}}}]}}"#);
    fs::write(&grants, text).unwrap();
    for rung in ["docker-bridge", "docker-host"] {
        let ended = ends_at(home.path(), &fetch(rung), 0);
        assert_eq!(ended.samples().len(), 2, "{rung}");
    }
    run(driver_at(home.path(), &fetch("docker-none")))
        .expect(3)
        .says("a container of `docker-none` has none");
    fs::write(
        &grants,
        r#"{"network": [{"host": "localhost", "port": 1}]}"#,
    )
    .unwrap();
    let ended = run(driver_at(home.path(), &fetch("docker-bridge")));
    ended.expect(1).says("host.internal");
}
