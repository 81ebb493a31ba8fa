//! The rung of the jailer: a monitor in a root directory of its own, as a user of its own, and nothing of it left. Against
//! the in-repo server and, where one is found and can run a guest in a jail, the real Firecracker with its jailer.

mod common;
#[macro_use]
#[path = "common/on_both.rs"]
mod on_both;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use common::{
    Running, Server, alive, check, children, code, command, directories, errors, eventually, run,
    unavailable, with,
};
use measure_core::base::exit::Exit;
use measure_core::contract::protocol::Message;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

const RUNG: &str = "firecracker-jailed";
const FIRST_USER: u32 = 1_900_000_000;

on_both!(
    starts_in_jails_have_phases_that_sum,
    a_jailed_monitor_has_a_root_and_a_user_of_its_own_and_no_capability,
    a_killed_driver_leaves_nothing_that_clean_does_not_remove,
    a_signal_ends_jailed_monitors_and_removes_their_jails,
);

/// Whether `server`'s jailer can be driven here; says why `test` goes without.
fn jails_can_be_made(server: &Server, test: &str) -> bool {
    let engine = if server.is_real {
        "real Firecracker"
    } else {
        "the double"
    };
    let why = if geteuid().is_root() {
        unavailable(RUNG, &with(server, &[]))
    } else {
        Some("the jailer needs root".to_owned())
    };
    let Some(why) = why else { return true };
    assert!(
        server.is_real || !geteuid().is_root(),
        "the double in a jail: {why}"
    );
    eprintln!("SKIPPED: {test}: {engine}: {why}");
    false
}

fn starts_in_jails_have_phases_that_sum(server: &Server) {
    if !jails_can_be_made(server, "starts_in_jails_have_phases_that_sum") {
        return;
    }
    let arguments = [
        "--memory-mib",
        "16",
        "time",
        "6",
        "--workers",
        "2",
        "--rung",
        RUNG,
    ];
    let names = [
        "jail",
        "spawn",
        "api-ready",
        "configure",
        "start",
        "first-output",
        "exit",
    ];
    check(&run(&with(server, &arguments)), 6, &names);
}

/// The root directory of each jail of the driver's.
fn jails(directories: &[PathBuf]) -> Vec<PathBuf> {
    let below = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let monitors = directories.iter().flat_map(|dir| below(&dir.join("jails")));
    let jails = monitors.flat_map(|monitor| below(&monitor));
    jails.map(|jail| jail.join("root")).collect()
}

fn a_jailed_monitor_has_a_root_and_a_user_of_its_own_and_no_capability(server: &Server) {
    if !jails_can_be_made(
        server,
        "a_jailed_monitor_has_a_root_and_a_user_of_its_own_and_no_capability",
    ) {
        return;
    }
    let hold = ["--memory-mib", "16", "hold", "2", "--rung", RUNG];
    let mut driver = Running::start(&with(server, &hold));
    driver.until(|m| matches!(m, Message::Parked { workers: 2 }));
    let jails = jails(&directories(driver.pid()));
    assert_eq!(jails.len(), 2, "{jails:?}");
    let mut users = Vec::new();
    for pid in children(driver.pid()) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.expect(name)
                .split_whitespace()
                .next()
                .expect("a value")
        };
        users.push(field("Uid:").parse::<u32>().expect("a user id"));
        assert_eq!(field("CapEff:"), "0000000000000000");
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let place = |path: &Path| fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
        assert!(jails.iter().any(|jail| place(jail) == place(&root)));
        let device = fs::metadata(root.join("dev/kvm")).expect("a device");
        assert!(device.file_type().is_char_device());
        // Shared by all jails, written by none.
        let image = fs::metadata(root.join("flat")).expect("the guest");
        assert_eq!((image.uid(), image.mode() & 0o777), (0, 0o644));
        assert!(image.nlink() >= 2);
    }
    users.sort_unstable();
    assert_eq!(users, [FIRST_USER, FIRST_USER + 1]);
    driver.input = None;
    assert_eq!(driver.code(), Some(0));
    assert_eq!(directories(driver.pid()), Vec::<PathBuf>::new());
}

fn a_killed_driver_leaves_nothing_that_clean_does_not_remove(server: &Server) {
    if !jails_can_be_made(
        server,
        "a_killed_driver_leaves_nothing_that_clean_does_not_remove",
    ) {
        return;
    }
    let hold = ["--memory-mib", "16", "hold", "2", "--rung", RUNG];
    let mut driver = Running::start(&with(server, &hold));
    driver.until(|m| matches!(m, Message::Parked { .. }));
    let inmates = children(driver.pid());
    assert_eq!(inmates.len(), 2);
    driver.signal(Signal::SIGKILL);
    driver.child.wait().expect("ended");
    let output = run(&["clean"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    eventually("its monitors end", || !inmates.iter().any(|&p| alive(p)));
    assert_eq!(directories(driver.pid()), Vec::<PathBuf>::new());
}

fn a_signal_ends_jailed_monitors_and_removes_their_jails(server: &Server) {
    if !jails_can_be_made(
        server,
        "a_signal_ends_jailed_monitors_and_removes_their_jails",
    ) {
        return;
    }
    let hold = ["--memory-mib", "16", "hold", "2", "--rung", RUNG];
    let mut driver = Running::start(&with(server, &hold));
    driver.until(|m| matches!(m, Message::Parked { .. }));
    let inmates = children(driver.pid());
    driver.signal(Signal::SIGTERM);
    assert_eq!(driver.code(), Some(Exit::Terminated as i32));
    assert!(!inmates.iter().any(|&p| alive(p)));
    assert_eq!(directories(driver.pid()), Vec::<PathBuf>::new());
}

#[test]
fn a_missing_jailer_is_told_with_the_way_to_one() {
    let server = Server::double();
    fs::remove_file(server.path.with_file_name("jailer")).expect("removed");
    let output = command(&with(&server, &["info", "--rung", RUNG]))
        .env("PATH", "/nonexistent")
        .env_remove("FIRECRACKER_JAILER")
        .output()
        .expect("the driver");
    let text = String::from_utf8_lossy(&output.stdout);
    for words in ["no jailer beside", "ansible/firecracker.yml", "--jailer"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let time = [
        "--jailer",
        "/nonexistent/jailer",
        "time",
        "1",
        "--rung",
        RUNG,
    ];
    let output = run(&with(&server, &time));
    assert_eq!(code(&output), Exit::Unavailable as i32);
    assert!(
        errors(&output).contains("/nonexistent/jailer"),
        "{}",
        errors(&output)
    );
}
