//! `ansible/fleet.yml` on hosts of its own making: Debian systems on this machine, each with its own network and sshd. They share
//! a kernel, so they measure in turn, and `tune` works on a kernel of files that each of them has.

mod fleet;
mod host;
mod inventory;
mod tree;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use driver_testkit::playbooks::{expect, said};

use fleet::Fleet;
use host::Host;

/// Waits until `holds`: until then a host has to be provided for, and has to have measured.
#[track_caller]
fn in_minutes(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(900);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to be: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs `command` while `meanwhile` does something to the hosts.
fn during(mut command: Command, meanwhile: impl FnOnce()) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.expect("it runs");
    let waiting = std::thread::spawn(move || child.wait_with_output().expect("it ends"));
    let outcome = catch_unwind(AssertUnwindSafe(meanwhile));
    let output = waiting.join().expect("it ends");
    if let Err(panic) = outcome {
        println!("{}", said(&output));
        resume_unwind(panic);
    }
    output
}

/// The line of the summary about `host`.
#[track_caller]
fn summary<'a>(text: &'a str, host: &str) -> &'a str {
    let start = format!("\"{host} (container): ");
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with(&start));
    line.unwrap_or_else(|| panic!("{host} is not named: {text}"))
}

#[test]
fn each_host_gives_what_it_has_and_is_left_as_it_was() {
    let Some(mut fleet) = Fleet::new("a fleet of hosts") else {
        return;
    };
    fleet.add("fragile");
    fleet.add("whole");
    fleet.add("bare").without_docker();
    fleet.add("stranger").let_in("# nobody");
    for host in &mut fleet.hosts {
        host.boot();
    }
    let found: Vec<_> = fleet.hosts.iter().map(Host::files).collect();
    let whole = format!(
        "fleet_packages='[\"docker.io\",\"iptables\",\"{}\"]'",
        tree::AT_HAND
    );
    let own = [("bare", "fleet_packages=[]"), ("whole", &*whole)];
    let playbook = fleet.playbook(&own, &[]);
    let fragile = fleet.host("fragile");
    let output = during(playbook, || {
        let samples = "/opt/faasm-bench-fleet/run/fragile/samples.jsonl";
        in_minutes("it measures", || {
            let samples = fs::read_to_string(fragile.path(samples));
            samples.is_ok_and(|text| text.lines().count() > 1)
        });
        assert!(fragile.is_tuned());
        fragile.kill();
    });
    let text = expect(&output, false);
    println!("{text}");

    assert!(
        summary(&text, "fragile").contains("FAILED: lost in mid-run"),
        "{text}"
    );
    assert!(
        summary(&text, "stranger").contains("Permission denied (publickey"),
        "{text}"
    );
    let named = format!("installed and left: {}", tree::AT_HAND);
    assert!(summary(&text, "whole").contains(&named), "{text}");
    assert!(
        text.contains("of 4 hosts not well: fragile, stranger"),
        "{text}"
    );
    for (host, docker) in [("whole", true), ("bare", false)] {
        assert!(summary(&text, host).contains("measured in"), "{text}");
        let record = fleet.record(host);
        assert_eq!(record["trouble"], "");
        let (is_whole, said) = fleet.validate(host);
        assert!(is_whole, "{said}");
        assert_eq!(record["seed"], 1);
        let report = fleet.file(host, "report.md");
        assert_eq!(
            report.contains("dockerd"),
            !docker || report.contains("unavailable"),
            "{report}"
        );
        let samples = fleet.file(host, "samples.jsonl");
        let is_measured =
            |line: &str| line.contains("docker-none") && line.contains("\"isolated\"");
        assert_eq!(
            samples.lines().any(is_measured),
            docker,
            "{host}: {samples}"
        );
        assert!(
            samples
                .lines()
                .any(|line| line.contains("\"thread\"") && line.contains("\"isolated\""))
        );
    }
    assert!(!fleet.results().join("fragile").exists());
    // Side by side: what each has, and why the others have nothing.
    let joined = fleet.file("", "hosts.md");
    for words in [
        "- whole: ",
        "- bare: ",
        "- fragile: nothing: lost in mid-run",
        "- stranger: nothing: not reached: ",
        "unavailable: ",
    ] {
        assert!(joined.contains(words), "{words}: {joined}");
    }
    assert!(fleet.file("", "hosts.html").contains("Several hosts"));
    fleet.host("whole").expect_untuned();
    fleet.host("bare").expect_untuned();
    // Packages aside.
    same_files(&found[2], &fleet.host("bare").files());
    let packages = [
        "usr/",
        "etc/",
        "var/lib/dpkg",
        "var/cache",
        "var/log/dpkg.log",
        "var/log/apt",
        "var/lib/apt",
        "var/lib/systemd",
        "var/lib/pam",
    ];
    let kept = |files: &[String]| {
        let is_of_a_package = |line: &String| {
            packages
                .iter()
                .any(|place| line.trim_start_matches('/').starts_with(place))
        };
        files
            .iter()
            .filter(|line| !is_of_a_package(line))
            .cloned()
            .collect::<Vec<_>>()
    };
    same_files(&kept(&found[1]), &kept(&fleet.host("whole").files()));
    the_second_call_does_what_is_missing(&mut fleet, &own, &found[0]);
}

#[track_caller]
fn same_files(before: &[String], after: &[String]) {
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "gone: {gone:#?}, new: {new:#?}"
    );
}

/// The fragile host is back, as it was when it lost its power, and the stranger is none any more: its line is cut while its results come.
fn the_second_call_does_what_is_missing(fleet: &mut Fleet, own: &[(&str, &str)], found: &[String]) {
    let (key, results) = (fleet.key.clone(), fleet.results());
    let measured = fs::metadata(results.join("whole/samples.jsonl"))
        .expect("samples")
        .modified();
    fleet.host("fragile").boot();
    let stranger = fleet.host("stranger");
    stranger.kill();
    stranger.let_in(&key);
    stranger.boot();
    // Small parts, so that there are many.
    let playbook = fleet.playbook(own, &["fleet_part_bytes=4000".to_owned()]);
    let stranger = fleet.host("stranger");
    let output = during(playbook, || {
        let parts = results.join("stranger.partial/parts");
        let arrived = || fs::read_dir(&parts).into_iter().flatten().count();
        in_minutes("the first parts come", || arrived() >= 2);
        stranger.set_line("down");
        std::thread::sleep(Duration::from_secs(20));
        stranger.set_line("up");
    });
    let text = expect(&output, false);
    println!("{text}");
    assert!(
        summary(&text, "fragile").contains("FAILED: ended in mid-run"),
        "{text}"
    );
    assert!(summary(&text, "stranger").contains("measured in"), "{text}");
    assert!(summary(&text, "whole").contains("there already"), "{text}");
    assert!(summary(&text, "bare").contains("there already"), "{text}");
    assert!(text.contains("of 4 hosts not well: fragile"), "{text}");
    let again = fs::metadata(results.join("whole/samples.jsonl"))
        .expect("samples")
        .modified();
    assert_eq!(
        again.expect("a time"),
        measured.expect("a time"),
        "it was not measured again"
    );
    // What it had when it lost its power, as it was written.
    let samples = fleet.file("fragile", "samples.jsonl");
    assert!(samples.lines().count() > 1, "{samples}");
    assert_ne!(fleet.record("fragile")["trouble"], "");
    let (is_whole, said) = fleet.validate("fragile");
    assert!(
        !is_whole && said.contains("fleet.json: not whole: "),
        "{said}"
    );
    assert!(
        fleet
            .file("stranger", "samples.jsonl")
            .contains("docker-none")
    );
    assert!(!results.join("stranger.partial").exists());
    for host in ["fragile", "stranger"] {
        fleet.host(host).expect_untuned();
    }
    same_files(found, &fleet.host("fragile").files());
}
