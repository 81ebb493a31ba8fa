//! `isolation` over real drivers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use isolation::catalogue::probe_named;
use isolation::cell::Cell;
use isolation::facts::HostFacts;
use isolation::home::{Home, built};
use isolation::letters::{self, differences};
use isolation::outcome::Outcome;
use isolation::plant::Plant;
use isolation::record::{Found, RungFound};
use measure_core::base::exit::Exit;
use measure_core::base::{home, label};
use nix::sys::signal::Signal;

use crate::tool::{
    Place, Running, can_run, code, ended, host, is_busy, run, says, stdout, tool, wait_until,
};

/// Whether the probes are built and may do what they do; says so if not.
fn can_probe(test: &str) -> bool {
    let victim = built(&home::root(), "victim");
    let why = if !nix::unistd::geteuid().is_root() {
        "it needs root".to_owned()
    } else if !victim.is_file() {
        format!("no {}, run `make isolation-probes`", victim.display())
    } else {
        return true;
    };
    eprintln!("SKIPPED: {test}: {why}");
    false
}

fn rung<'a>(found: &'a Found, id: &str) -> &'a RungFound {
    let mut rungs = found.rungs.iter();
    rungs
        .find(|r| r.rung == id)
        .expect("a rung that was asked for")
}

fn reached(rung: &RungFound) -> Vec<&str> {
    let cells = rung
        .cells
        .iter()
        .filter(|(_, cell)| **cell == Cell::Reached);
    cells.map(|(id, _)| id.as_str()).collect()
}

#[test]
fn a_process_reaches_the_host_and_a_faaslet_does_not() {
    const TEST: &str = "a process and a Faaslet, probed";
    if !can_probe(TEST)
        || !can_run(TEST, "process-driver", "process")
        || !can_run(TEST, "faasm-driver", "faaslet")
    {
        return;
    }
    let place = Place::new();
    let to = place.dir.path().to_string_lossy();
    let arguments = [
        "isolation",
        "--rungs",
        "thread,process,faaslet",
        "--no-neighbours",
        "--output",
        &to,
    ];
    let output = run(&arguments);
    ended(&output, Exit::Ok);
    let found = Found::read(place.dir.path()).expect("results");
    assert_eq!(found.ended, None);
    let process = rung(&found, "process");
    for id in [
        "read-shadow",
        "read-planted",
        "write-outside",
        "signal-process",
        "read-process-memory",
        "reach-loopback",
    ] {
        assert!(
            reached(process).contains(&id),
            "{id}: {}",
            process.cells[id]
        );
    }
    assert!(matches!(process.cells["fork"], Cell::NotTried { .. }));
    let thread = rung(&found, "thread");
    assert!(
        thread
            .cells
            .values()
            .all(|cell| matches!(cell, Cell::NotTried { .. }))
    );
    let faaslet = rung(&found, "faaslet");
    assert!(reached(faaslet).is_empty(), "{:?}", reached(faaslet));
    assert_eq!(letters::found(faaslet), "M?NFSP");
    // The directory that it was given holds a link that leads outside.
    assert!(matches!(
        faaslet.cells["follow-link"],
        Cell::Contained { .. }
    ));
    let text = stdout(&output);
    assert!(
        text.contains("process states M (address space), but read-process-memory reached"),
        "{text}"
    );
    assert!(
        fs::read_to_string(place.dir.path().join("isolation.svg"))
            .is_ok_and(|svg| svg.contains("faaslet"))
    );

    let again = run(&["report", &to]);
    assert_eq!(stdout(&again), text);
    let twice = run(&arguments);
    ended(&twice, Exit::Usage);
}

#[test]
fn a_container_is_told_from_its_host() {
    const TEST: &str = "runc, probed";
    if !can_probe(TEST) || !can_run(TEST, "process-driver", "runc") {
        return;
    }
    let place = Place::new();
    let to = place.dir.path().to_string_lossy();
    let output = run(&[
        "isolation",
        "--rungs",
        "runc",
        "--no-neighbours",
        "--output",
        &to,
    ]);
    ended(&output, Exit::Ok);
    let found = Found::read(place.dir.path()).expect("results");
    let runc = rung(&found, "runc");
    assert!(differences(runc).is_empty(), "{:?}", differences(runc));
    assert_eq!(runc.cells["capabilities"].number(), Some(3));
    assert_eq!(runc.cells["no-new-privileges"].number(), Some(1));
    assert!(runc.processes.iter().any(|process| process.name == "runc"));
}

#[test]
fn an_entry_that_promises_too_much_is_named() {
    const TEST: &str = "an entry of one's own, probed";
    if !can_probe(TEST) || !can_run(TEST, "process-driver", "process") {
        return;
    }
    let place = Place::new();
    let entries = place.dir.path().join("runtimes.toml");
    let entry = "[[runtime]]\nid = \"boast\"\nsummary = \"a plain process\"\ncommand = [\"{function}\"]\n\
                 version = []\nwarm = \"nothing\"\ninstall = \"nothing\"\nisolation = { files = \"a promise\" }\n";
    fs::write(&entries, entry).expect("written");
    let results = place.dir.path().join("results");
    let output = tool()
        .args([
            "isolation",
            "--rungs",
            "boast",
            "--probes",
            "read-planted,mount",
            "--no-neighbours",
            "--output",
        ])
        .arg(&results)
        .env("FAASM_BENCH_RUNTIMES", &entries)
        .output()
        .expect("the tool");
    if is_busy(TEST, &output) {
        return;
    }
    ended(&output, Exit::Ok);
    let text = stdout(&output);
    assert!(
        text.contains("boast states F (a promise), but read-planted reached"),
        "{text}"
    );
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let unknown = run(&["isolation", "--probes", "mound"]);
    ended(&unknown, Exit::Usage);
    says(&unknown, "did you mean `mount`?");

    let place = Place::new();
    let output = tool()
        .args(["isolation", "--rungs", "process", "--output"])
        .arg(place.dir.path().join("results"))
        .env(home::HOME_VARIABLE, place.dir.path())
        .output()
        .expect("the tool");
    if code(&output) != Exit::Busy as i32 {
        ended(&output, Exit::Unavailable);
        says(&output, "make isolation-probes");
    }
}

#[test]
fn an_interrupt_leaves_nothing_but_what_was_found() {
    const TEST: &str = "probes, interrupted";
    if !can_probe(TEST) || !can_run(TEST, "process-driver", "process") {
        return;
    }
    let place = Place::new();
    let child = tool()
        .args(["isolation", "--rungs", "process,native", "--output"])
        .arg(place.dir.path())
        .spawn()
        .expect("the tool");
    let child = Running(child);
    let planted = || planted_by(child.pid());
    if !wait_until(Duration::from_secs(20), || planted() > 0) {
        eprintln!("SKIPPED: {TEST}: another run measures on this host, try again");
        return;
    }
    // While drivers are at work.
    wait_until(Duration::from_secs(10), || {
        !child.drivers().is_empty() && planted() > 0
    });
    let pid = child.pid();
    child.signal(Signal::SIGINT);
    let output = child.end();
    ended(&output, Exit::Interrupted);
    assert_eq!(planted_by(pid), 0);
    assert!(
        Found::read(place.dir.path())
            .expect("results")
            .ended
            .is_some()
    );
}

/// How many directories process `pid` has planted.
fn planted_by(pid: i32) -> usize {
    let prefix = label::name(pid, "isolation");
    let entries = fs::read_dir(home::runtime())
        .into_iter()
        .flatten()
        .flatten();
    let named = |path: &Path| {
        path.file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(&prefix))
    };
    entries.filter(|entry| named(&entry.path())).count()
}

/// Whether the probes that connect are built as components, and a Faaslet can have a network; says so if not.
fn can_probe_granted(test: &str) -> bool {
    if !can_probe(test) || !can_run(test, "faasm-driver", "faaslet-netns") {
        return false;
    }
    let granted = built(&home::root(), "reach-host").with_file_name("granted.wasm");
    if !granted.is_file() {
        eprintln!(
            "SKIPPED: {test}: no {}, run `make isolation-probes`",
            granted.display()
        );
        return false;
    }
    true
}

#[test]
fn what_a_function_is_granted_lets_nothing_else_out() {
    const TEST: &str = "a function with a network, probed";
    if !can_probe_granted(TEST) || !home::store().join("demo/fetch").is_dir() {
        return;
    }
    let place = Place::new();
    let to = place.dir.path().to_string_lossy();
    let arguments = |function| {
        [
            "isolation",
            "--rungs",
            "process,faaslet",
            "--probes",
            "reach-loopback,reach-host",
            "--no-neighbours",
            "--function",
            function,
            "--output",
            &to,
        ]
    };
    let output = run(&arguments("demo/nowhere"));
    ended(&output, Exit::Usage);
    let output = run(&arguments("demo/fetch"));
    ended(&output, Exit::Ok);
    let found = Found::read(place.dir.path()).expect("results");
    assert_eq!(found.function.as_deref(), Some("demo/fetch"));
    assert!(!found.granted.is_empty());
    for id in ["reach-loopback", "reach-host"] {
        assert_eq!(rung(&found, "process").cells[id], Cell::Reached, "{id}");
        let how = "no way there".to_owned();
        let cell = &rung(&found, "faaslet").cells[id];
        assert_eq!(*cell, Cell::Contained { how }, "{id}");
    }
    let text = stdout(&output);
    assert!(text.contains("Asked for demo/fetch"), "{text}");
}

#[test]
fn a_component_reaches_the_listener_that_it_is_granted() {
    const TEST: &str = "a granted listener, probed";
    if !can_probe_granted(TEST) {
        return;
    }
    let _host = host();
    let plant = Plant::new(&HostFacts::gather(), &home::root()).expect("planted");
    let own = plant.place().join("home");
    let mut own = Home::make(own, &home::root()).expect("a home");
    let probe = probe_named("reach-host").expect("a probe");
    let parameters = plant.parameters(probe, 0);
    let port = parameters.split_once("port=").expect("a port").1;
    let port = port.split(';').next().expect("a port");
    let grant = format!("host.internal:{port}").parse().expect("a grant");
    own.grant_network(&[grant]).expect("granted");
    plant.arm(&own).expect("armed");
    for (id, outcome) in [
        ("reach-host", Outcome::Reached),
        ("reach-loopback", Outcome::Unreachable),
    ] {
        let driver = Path::new(env!("CARGO_BIN_EXE_runtime_bench")).with_file_name("faasm-driver");
        let mut command = std::process::Command::new(driver);
        let function = format!("demo/{id}");
        command.env(home::HOME_VARIABLE, own.root());
        command.args(["time", "1", "--rung", "faaslet", "--function", &function]);
        let said = driver_testkit::run(command);
        let code = said.samples()[0].exit_code;
        assert_eq!(code, Some(outcome as i32), "{id}: {said:?}");
    }
}
