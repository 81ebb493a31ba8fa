//! The rung of the jailer: a monitor in a root directory of its own, as a user of its own, and nothing of it left. Against
//! the in-repo server and, where one is found and can run a guest in a jail, the real Firecracker with its jailer.

mod common;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use common::{Server, check, command, run, start, unavailable, with};
use driver_testkit::{alive, eventually, left, skipped};
use measure_core::base::exit::Exit;
use measure_core::contract::protocol::Message;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

const RUNG: &str = "firecracker-jailed";
const FIRST_USER: u32 = 1_900_000_000;

/// The servers whose jailer can be driven here.
fn servers(test: &str) -> Vec<Server> {
    if !geteuid().is_root() {
        skipped(test, "the jailer needs root");
        return Vec::new();
    }
    let jails = |server: &Server| match unavailable(RUNG, &with(server, &[])) {
        Some(why) if server.is_real => {
            skipped(format!("{test}, {}", server.name), why);
            false
        }
        why => {
            assert_eq!(why, None);
            true
        }
    };
    Server::all().into_iter().filter(jails).collect()
}

#[test]
fn starts_in_jails_have_phases_that_sum() {
    for server in servers("jailed starts") {
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
        check(&run(&with(&server, &arguments)), 6, &names);
    }
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

#[test]
fn a_jailed_monitor_has_a_root_and_a_user_of_its_own_and_no_capability() {
    for server in servers("what a jail is") {
        let hold = ["--memory-mib", "16", "hold", "2", "--rung", RUNG];
        let mut driver = start(&with(&server, &hold));
        driver.until(|m| matches!(m, Message::Parked { workers: 2 }));
        let jails = jails(&left::directories_of(driver.pid()));
        assert_eq!(jails.len(), 2, "{jails:?}");
        let mut users = Vec::new();
        for pid in driver.children() {
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
        assert_eq!(left::directories_of(driver.pid()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_killed_driver_leaves_nothing_that_clean_does_not_remove() {
    for server in servers("a killed driver and its jails") {
        let hold = ["--memory-mib", "16", "hold", "2", "--rung", RUNG];
        let mut driver = start(&with(&server, &hold));
        driver.until(|m| matches!(m, Message::Parked { .. }));
        let inmates = driver.children();
        assert_eq!(inmates.len(), 2);
        driver.signal(Signal::SIGKILL);
        driver.child.wait().expect("ended");
        let output = run(&["clean"]);
        output.expect(0);
        eventually("its monitors end", || !inmates.iter().any(|&p| alive(p)));
        assert_eq!(left::directories_of(driver.pid()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_signal_ends_jailed_monitors_and_removes_their_jails() {
    for server in servers("a signal and jails") {
        let hold = ["--memory-mib", "16", "hold", "2", "--rung", RUNG];
        let mut driver = start(&with(&server, &hold));
        driver.until(|m| matches!(m, Message::Parked { .. }));
        let inmates = driver.children();
        driver.signal(Signal::SIGTERM);
        assert_eq!(driver.code(), Some(Exit::Terminated as i32));
        assert!(!inmates.iter().any(|&p| alive(p)));
        assert_eq!(left::directories_of(driver.pid()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_missing_jailer_is_told_with_the_way_to_one() {
    let server = Server::double();
    fs::remove_file(server.path.with_file_name("jailer")).expect("removed");
    let mut driver = command(&with(&server, &["info", "--rung", RUNG]));
    driver
        .env("PATH", "/nonexistent")
        .env_remove("FIRECRACKER_JAILER");
    let output = driver_testkit::run(driver);
    let text = output.stdout;
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
    assert_eq!(output.code, Some(Exit::Unavailable as i32));
    assert!(
        output.stderr.contains("/nonexistent/jailer"),
        "{}",
        output.stderr
    );
}
