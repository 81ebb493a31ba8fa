//! Engines of someone else's.

use std::collections::HashMap;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use crate::common::{assert_clean, can_run, daemon, driver, start, turn, word};
use bollard::models::ContainerCreateBody;
use docker_driver::api::Client;
use docker_driver::container;
use driver_testkit::run;
use measure_core::base::label::LABEL;
use measure_core::contract::protocol::Message;

#[test]
fn an_engine_elsewhere_that_is_absent_or_refuses_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let deaf = dir.path().join("deaf.sock");
    let listener = UnixListener::bind(&deaf).unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for (url, text) in [
        (
            format!("unix://{}/none.sock", dir.path().display()),
            "no docker engine answers at",
        ),
        (
            format!("unix://{}", deaf.display()),
            "no docker engine answers at",
        ),
        (
            "tcp://127.0.0.1:1".to_owned(),
            "no docker engine answers at",
        ),
        ("ftp://x".to_owned(), "no docker engine answers at"),
    ] {
        let ended = run(driver(&[
            "--docker-host",
            &url,
            "time",
            "1",
            "--rung",
            "docker-none",
        ]));
        ended.expect(3);
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    }
}

#[test]
fn an_engine_elsewhere_keeps_its_other_containers() {
    if !can_run("an_engine_elsewhere_keeps_its_other_containers") {
        return;
    }
    let _turn = turn();
    // One driver's engine is another's foreign engine.
    let mut holder = start(&["hold", "1", "--gated", "--rung", "docker-none"]);
    let scope = holder.scope();
    holder.until(|line| matches!(line, Message::Ready));
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
    let ended = run(driver(&[
        "--docker-host",
        host,
        "time",
        "2",
        "--rung",
        "docker-none",
    ]));
    ended.expect(0);
    assert_eq!(ended.samples().len(), 2);
    assert!(ended.stderr.contains("stranger"), "{}", ended.stderr);
    let includes = &ended.scope().includes;
    assert!(
        includes.contains("foreign") && includes.contains("not in it"),
        "{includes}"
    );
    let roots = &ended.scope().roots;
    assert_eq!(roots[..], [daemon(&scope).as_raw()]);
    let parked = run(driver(&[
        "--docker-host",
        host,
        "hold",
        "2",
        "--rung",
        "docker-none",
    ]));
    parked.expect(0);
    assert!(exists(&stranger) && exists(&orphan));
    let clean = driver(&["--docker-host", host, "clean"]).output().unwrap();
    assert!(
        clean.status.success(),
        "{}",
        String::from_utf8_lossy(&clean.stderr)
    );
    assert!(exists(&stranger) && !exists(&orphan));
    // A name that is taken is the engine's refusal, and ours to remove is only what we made.
    client
        .run(container::remove(&client.api, &stranger, true))
        .unwrap();
    drop(client);
    let ended = holder.end();
    ended.expect(0);
    assert_clean(ended.pid);
}
