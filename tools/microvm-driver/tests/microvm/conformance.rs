//! What this driver relies on of Firecracker's API: status codes, fault messages, which call may follow which.
//! The same tests run against the in-repo server and, where one is found, against the real Firecracker, so that
//! the one answers as the other does. Lines `CONFORMANCE:` say which of the two it was, `SKIPPED:` why it was only one.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use driver_testkit::{PATIENCE, eventually};
use microvm_driver::firecracker::api::{Connection, Request, Response};
use microvm_driver::firecracker::requests::{self, Boot, Snapshot};
use microvm_driver::guest::elf;
use microvm_driver::guest::flat::Function;
use microvm_driver::limit::Limit;
use serde_json::{Value, json};

use crate::common::Server;

const AFTER_START: &str = "The requested operation is not supported after starting the microVM.";
const BEFORE_START: &str = "The requested operation is not supported before starting the microVM.";

/// A started server and a connection to it.
struct Session {
    child: Child,
    api: Connection,
    limit: Limit,
}

impl Session {
    fn start(server: &Server, name: &str) -> Self {
        let socket = server.directory().join(name);
        let child = Command::new(&server.path)
            .args(["--level", "Error", "--api-sock"])
            .arg(&socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server");
        let limit = Limit::after(PATIENCE);
        let api = Connection::open(&socket, &limit, || false).expect("it listens");
        Self {
            child,
            api: api.expect("a connection"),
            limit,
        }
    }

    fn ask(&mut self, request: &Request) -> Response {
        self.api.exchange(request, &self.limit).expect("an answer")
    }

    fn done(&mut self, request: &Request) {
        let response = self.ask(request);
        assert_eq!(
            (response.status, response.body.as_str()),
            (204, ""),
            "{request:?}"
        );
    }

    /// Asks and expects the fault `message`, or one that begins so if it ends with `...`.
    fn fault(&mut self, request: &Request, message: &str) {
        let response = self.ask(request);
        assert_eq!(response.status, 400, "{request:?}");
        let body: Value = serde_json::from_str(&response.body).expect("JSON");
        let said = body["fault_message"].as_str().expect("a message");
        match message.strip_suffix("...") {
            Some(begin) => assert!(said.starts_with(begin), "{said}"),
            None => assert_eq!(said, message),
        }
    }

    fn value(&mut self, path: &str) -> Value {
        let response = self.ask(&Request::get(path));
        assert_eq!(response.status, 200, "{path}");
        serde_json::from_str(&response.body).expect("JSON")
    }

    fn state(&mut self) -> String {
        self.value("/")["state"]
            .as_str()
            .expect("a state")
            .to_owned()
    }

    fn boot(&mut self, boot: &Boot) {
        for request in &boot.configure {
            self.done(request);
        }
        self.done(&boot.start);
    }

    /// Reads the guest's output up to `word`.
    fn hear(&mut self, word: &str) {
        let output = self.child.stdout.as_mut().expect("its output");
        let mut said = Vec::new();
        let mut byte = [0];
        while !String::from_utf8_lossy(&said)
            .lines()
            .any(|line| line == word)
        {
            assert_eq!(output.read(&mut byte).expect("read"), 1, "no {word}");
            said.push(byte[0]);
        }
    }

    fn send(&mut self, byte: u8) {
        let input = self.child.stdin.as_mut().expect("its input");
        input.write_all(&[byte]).expect("sent");
    }

    /// Its exit code, which comes by itself.
    fn code(&mut self) -> Option<i32> {
        let mut code = None;
        eventually("the server ends", || {
            code = self.child.try_wait().expect("waited");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn flat(server: &Server, name: &str, function: Function, ready: bool) -> PathBuf {
    let path = server.directory().join(name);
    fs::write(&path, elf::image(&function.code(ready))).expect("written");
    path
}

fn load(state: &Path, memory: &Path) -> Request {
    Snapshot {
        state: state.to_owned(),
        memory: memory.to_owned(),
    }
    .load()
}

on_both!("firecracker" =>
    a_new_server_says_what_it_is_and_keeps_its_configuration,
    what_is_wrong_is_refused_with_the_reason,
    calls_out_of_order_are_refused,
    what_is_no_kernel_does_not_start,
    a_guest_is_paused_saved_and_restored,
);

fn a_new_server_says_what_it_is_and_keeps_its_configuration(server: &Server) {
    let mut session = Session::start(server, "new");
    let information = session.value("/");
    assert_eq!(information["app_name"], "Firecracker");
    assert_eq!(information["state"], "Not started");
    assert_eq!(
        information["vmm_version"],
        session.value("/version")["firecracker_version"]
    );
    let machine = session.value("/machine-config");
    assert_eq!(
        (&machine["vcpu_count"], &machine["mem_size_mib"]),
        (&json!(1), &json!(128))
    );
    let machine = json!({ "vcpu_count": 2, "mem_size_mib": 64 });
    session.done(&Request::put("/machine-config", &machine));
    let machine = session.value("/machine-config");
    assert_eq!(
        (&machine["vcpu_count"], &machine["mem_size_mib"]),
        (&json!(2), &json!(64))
    );
}

fn what_is_wrong_is_refused_with_the_reason(server: &Server) {
    const JSON: &str = "An error occurred when deserializing the json body of a request: ";
    let mut session = Session::start(server, "wrong");
    let machine = |vcpus: u32, mib: u32| json!({ "vcpu_count": vcpus, "mem_size_mib": mib });
    let wrong = [
            ("/machine-config", machine(0, 128), "Machine config error: The number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.".to_owned()),
            ("/machine-config", machine(1, 0), "Machine config error: The memory size (MiB) is either 0, or not a multiple of the configured page size.".to_owned()),
            ("/machine-config", json!({ "vcpu_count": 1 }), format!("{JSON}missing field `mem_size_mib` at line 1 column 16.")),
            ("/machine-config", json!({ "x": 1 }), format!("{JSON}unknown field `x`, expected one of `vcpu_count`, ...")),
            ("/boot-source", json!({}), format!("{JSON}missing field `kernel_image_path` at line 1 column 2.")),
            ("/boot-source", json!({ "kernel_image_path": "/nonexistent" }), "Boot source error: The kernel file cannot be opened: No such file or directory (os error 2)".to_owned()),
            ("/boot-source", json!({ "kernel_image_path": "/etc/passwd", "initrd_path": "/nonexistent" }), "Boot source error: The initrd file cannot be opened due to invalid path or invalid permissions. No such file or directory (os error 2)".to_owned()),
            ("/drives/rootfs", json!({ "drive_id": "other", "path_on_host": "/nonexistent", "is_root_device": true }), "The id from the path does not match the id from the body!".to_owned()),
            ("/drives/rootfs", json!({ "drive_id": "rootfs", "path_on_host": "/nonexistent", "is_root_device": true, "is_read_only": true }), "Drive config error: Unable to create the virtio block device: ...".to_owned()),
            ("/actions", json!({ "action_type": "InstanceStop" }), format!("{JSON}unknown variant `InstanceStop`, expected one of ...")),
            ("/nope", json!({}), "Invalid request method and/or path: PUT nope.".to_owned()),
        ];
    for (path, body, message) in wrong {
        session.fault(&Request::put(path, &body), &message);
    }
    session.fault(
        &Request::get("/nope"),
        "Invalid request method and/or path: GET nope.",
    );
    // All of that on one connection, and nothing of it has started anything.
    assert_eq!(session.state(), "Not started");
}

fn calls_out_of_order_are_refused(server: &Server) {
    let mut session = Session::start(server, "order");
    let start = Request::put("/actions", &json!({ "action_type": "InstanceStart" }));
    session.fault(
        &start,
        "Start microvm error: Cannot start microvm without kernel configuration.",
    );
    session.fault(&requests::pause(), BEFORE_START);
    let snapshot = Snapshot::below(server.directory());
    session.fault(&snapshot.create(), BEFORE_START);
    session.done(&Request::put(
        "/machine-config",
        &json!({ "vcpu_count": 1, "mem_size_mib": 16 }),
    ));
    session.fault(&snapshot.load(), "Load snapshot error: Loading a microVM snapshot not allowed after configuring boot-specific resources.");
    // That one was no failure of a load: the server lives on.
    let image = flat(server, "park", Function::Park, false);
    session.boot(&Boot::flat(&image, 16));
    session.hear("hello");
    assert_eq!(session.state(), "Running");
    let after = [
        start,
        Request::put(
            "/machine-config",
            &json!({ "vcpu_count": 1, "mem_size_mib": 16 }),
        ),
        Request::put("/boot-source", &json!({ "kernel_image_path": image })),
        snapshot.load(),
    ];
    for request in &after {
        session.fault(request, AFTER_START);
    }
    session.fault(&snapshot.create(), "Create snapshot error: Cannot save the microVM state: Operation not allowed: save/restore unavailable while running");
    session.send(b'x');
    assert_eq!(session.code(), Some(0));
}

fn what_is_no_kernel_does_not_start(server: &Server) {
    let mut session = Session::start(server, "no-kernel");
    session.done(&Request::put(
        "/boot-source",
        &json!({ "kernel_image_path": "/etc/passwd" }),
    ));
    let start = Request::put("/actions", &json!({ "action_type": "InstanceStart" }));
    session.fault(&start, "Start microvm error: System configuration error: Cannot load kernel due to invalid memory configuration or invalid kernel image: ...");
}

fn a_guest_is_paused_saved_and_restored(server: &Server) {
    let snapshot = Snapshot::below(server.directory());
    let image = flat(server, "ready", Function::Noop, true);
    let mut first = Session::start(server, "first");
    first.boot(&Boot::flat(&image, 16));
    first.hear("ready");
    for _ in 0..2 {
        first.done(&requests::pause());
        assert_eq!(first.state(), "Paused");
    }
    let nowhere = Snapshot::below(Path::new("/nonexistent"));
    first.fault(&nowhere.create(), "Create snapshot error: Cannot perform open on the snapshot backing file: No such file or directory (os error 2)");
    first.done(&snapshot.create());
    assert_eq!(
        fs::metadata(&snapshot.memory).expect("a file").len(),
        16 << 20
    );
    first.done(&requests::resume());
    assert_eq!(first.state(), "Running");
    first.send(b'\n');
    first.hear("hello");
    assert_eq!(first.code(), Some(0));
    // The second begins where the first was saved.
    let mut second = Session::start(server, "second");
    second.done(&snapshot.load());
    assert_eq!(second.state(), "Running");
    second.fault(&snapshot.load(), AFTER_START);
    second.send(b'\n');
    second.hear("hello");
    assert_eq!(second.code(), Some(0));
    refused_snapshots(server, &snapshot);
}

/// Broken snapshots, each for a server of its own, which ends after the answer.
fn refused_snapshots(server: &Server, snapshot: &Snapshot) {
    const FAILED: &str = "Load snapshot error: Failed to restore from snapshot: ";
    let nowhere = Path::new("/nonexistent");
    let half = |whole: &Path, name: &str| {
        let path = server.directory().join(name);
        let bytes = fs::read(whole).expect("read");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        path
    };
    let half_state = half(&snapshot.state, "half-state");
    let half_memory = half(&snapshot.memory, "half-memory");
    let broken = [
        (
            nowhere,
            snapshot.memory.as_path(),
            "Failed to get snapshot state from file: Failed to open snapshot file: No such file or directory (os error 2)",
        ),
        (
            &half_state,
            &snapshot.memory,
            "Failed to get snapshot state from file: Failed to load snapshot state from file: ...",
        ),
        (
            &snapshot.state,
            nowhere,
            "Failed to load guest memory: Error creating guest memory from file: Failed to load guest memory: No such file or directory (os error 2)",
        ),
        (
            &snapshot.state,
            &half_memory,
            "Failed to load guest memory: Error creating guest memory from file: ...",
        ),
    ];
    for (number, (state, memory, why)) in broken.into_iter().enumerate() {
        let mut session = Session::start(server, &format!("broken-{number}"));
        session.fault(&load(state, memory), &format!("{FAILED}{why}"));
        assert_eq!(session.code(), Some(1), "{why}");
    }
}
