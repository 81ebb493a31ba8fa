//! The rung of the jailer: a monitor in a root directory of its own, as a user of its own, and nothing of it left. Against
//! the in-repo server and, where one is found and can run a guest in a jail, the real Firecracker with its jailer.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use driver_testkit::{alive, eventually, left, run as run_command};
use measure_core::base::exit::Exit;
use nix::sys::signal::Signal;

use crate::common::{Server, assert_failed, assert_nothing_left, assert_says, assert_starts, run};

const RUNG: &str = "firecracker-jailed";
const FIRST_USER: u32 = 1_900_000_000;

on_both!(super::RUNG =>
    starts_in_jails_have_phases_that_sum,
    a_jailed_monitor_has_a_root_and_a_user_of_its_own_and_no_capability,
    a_killed_driver_leaves_nothing_that_clean_does_not_remove,
    a_signal_ends_jailed_monitors_and_removes_their_jails,
);

fn starts_in_jails_have_phases_that_sum(server: &Server) {
    let ended = server.run("--memory-mib 16 time 6 --workers 2 --rung firecracker-jailed");
    let phases = "jail spawn api-ready configure start first-output exit";
    assert_starts(&ended, 6, phases);
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
    let driver = server.hold(2, RUNG);
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
    let ended = driver.end();
    ended.expect(0);
    assert_nothing_left(ended.pid);
}

fn a_killed_driver_leaves_nothing_that_clean_does_not_remove(server: &Server) {
    let mut driver = server.hold(2, RUNG);
    let inmates = driver.children();
    assert_eq!(inmates.len(), 2);
    driver.signal(Signal::SIGKILL);
    driver.code();
    run("clean").expect(0);
    eventually("its monitors end", || !inmates.iter().any(|&p| alive(p)));
    assert_eq!(left::directories_of(driver.pid()), Vec::<PathBuf>::new());
}

fn a_signal_ends_jailed_monitors_and_removes_their_jails(server: &Server) {
    let mut driver = server.hold(2, RUNG);
    driver.signal(Signal::SIGTERM);
    assert_eq!(driver.code(), Some(Exit::Terminated as i32));
    assert_nothing_left(driver.pid());
}

#[test]
fn a_missing_jailer_is_told_with_the_way_to_one_on_the_double() {
    let Some(server) = Server::double() else {
        return;
    };
    fs::remove_file(server.path.with_file_name("jailer")).expect("removed");
    let mut info = server.driver("info --rung firecracker-jailed");
    let ended = run_command(info.env("PATH", "/nonexistent"));
    let way = ["no jailer beside", "ansible/firecracker.yml", "--jailer"];
    assert_says(&ended.stdout, &way);
    let ended = server.run("--jailer /nonexistent/jailer time 1 --rung firecracker-jailed");
    assert_failed(&ended, Exit::Unavailable, "/nonexistent/jailer");
}
