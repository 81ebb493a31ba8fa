//! Engines of someone else's.

use std::collections::HashMap;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use crate::common::{daemon, driver, ended_with, ends, start, turn, word};
use bollard::models::ContainerCreateBody;
use docker_driver::api::Client;
use docker_driver::container;
use driver_testkit::run;
use measure_core::base::label::LABEL;

#[test]
fn an_engine_elsewhere_that_is_absent_or_refuses_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let deaf = dir.path().join("deaf.sock");
    let listener = UnixListener::bind(&deaf).unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for url in [
        &*format!("unix://{}/none.sock", dir.path().display()),
        &format!("unix://{}", deaf.display()),
        "tcp://127.0.0.1:1",
        "ftp://x",
    ] {
        let words = format!("--docker-host {url} time 1 --rung docker-none");
        run(driver(&words))
            .expect(3)
            .says("no docker engine answers at");
    }
}

#[test]
fn an_engine_elsewhere_keeps_its_other_containers() {
    let Some(_turn) = turn() else { return };
    // One driver's engine is another's foreign engine.
    let mut holder = start("hold 1 --gated --rung docker-none");
    let scope = holder.scope();
    holder.until_ready();
    let (host, image) = (
        word(&scope.includes, "unix://"),
        word(&scope.includes, "sha256:"),
    );
    let client = Client::connect(host, Duration::from_secs(30)).unwrap();
    let create = |name: &str, label: Option<&str>| {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            labels: label.map(|pid| HashMap::from([(LABEL.to_owned(), pid.to_owned())])),
            ..ContainerCreateBody::default()
        };
        client
            .run(container::create(&client.api, body, name))
            .unwrap()
    };
    let exists = |id: &str| {
        client
            .call("inspect", client.api.docker.inspect_container(id, None))
            .is_ok()
    };
    let stranger = create("stranger", None);
    let orphan = create("orphan", Some(&i32::MAX.to_string()));
    let there = |words: &str| ends(&format!("--docker-host {host} {words}"), 0);
    let ended = there("time 2 --rung docker-none");
    assert_eq!(ended.says("stranger").samples().len(), 2);
    let includes = &ended.scope().includes;
    assert!(
        includes.contains("foreign") && includes.contains("not in it"),
        "{includes}"
    );
    let roots = &ended.scope().roots;
    assert_eq!(roots[..], [daemon(&scope).as_raw()]);
    there("hold 2 --rung docker-none");
    assert!(exists(&stranger) && exists(&orphan));
    there("clean");
    assert!(exists(&stranger) && !exists(&orphan));
    // A name that is taken is the engine's refusal, and ours to remove is only what we made.
    client
        .run(container::remove(&client.api, &stranger, true))
        .unwrap();
    drop(client);
    ended_with(holder.end(), 0);
}
