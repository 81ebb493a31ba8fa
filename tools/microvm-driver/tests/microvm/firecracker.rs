//! The Firecracker rungs, on the real driver: what a start does when all goes well, and what is refused.

use std::fs;
use std::path::Path;

use driver_testkit::run as run_command;
use measure_core::base::exit::Exit;
use measure_core::base::home;
use tempfile::TempDir;

use crate::common::{
    Server, assert_failed, assert_nothing_left, assert_says, assert_starts, driver, run,
};

const BOOT: &str = "spawn api-ready configure start first-output exit";
const RESTORE: &str = "spawn api-ready restore first-output exit";
const LINUX: &str = "spawn api-ready configure start first-output run exit";
const LINUX_RESTORE: &str = "spawn api-ready restore first-output run exit";

on_both!("firecracker" =>
    starts_have_phases_that_sum,
    held_guests_stay_until_standard_input_closes,
    only_what_blocks_can_be_held,
);

fn starts_have_phases_that_sum(server: &Server) {
    for (rung, phases) in [("firecracker", BOOT), ("firecracker-restore", RESTORE)] {
        let ended = server.run(&format!("--memory-mib 16 time 6 --workers 2 --rung {rung}"));
        assert_starts(&ended, 6, phases);
    }
}

fn held_guests_stay_until_standard_input_closes(server: &Server) {
    for rung in ["firecracker", "firecracker-restore"] {
        let driver = server.hold(3, rung);
        assert_eq!(driver.children().len(), 3, "{rung}");
        let ended = driver.end();
        ended.expect(0);
        assert_nothing_left(ended.pid);
    }
}

fn only_what_blocks_can_be_held(server: &Server) {
    let ended = server.run("hold 1 --rung firecracker --function demo/noop");
    assert_failed(&ended, Exit::StartFailed, "instead of staying blocked");
}

/// A home with what a Linux guest needs, as far as the in-repo server looks at it.
fn linux_home() -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    for (path, content) in [
        ("microvm/vmlinux", "\x7fELF, a kernel"),
        ("microvm/init", "init"),
        ("store/demo/noop/native", "noop"),
        ("store/demo/park/native", "park"),
    ] {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, content).expect("written");
    }
    home
}

#[test]
fn linux_guests_boot_from_an_initrd_or_a_disk_on_the_double() {
    let Some(server) = Server::double() else {
        return;
    };
    let home = linux_home();
    let at = home.path().join("microvm");
    let (kernel, init) = (at.join("vmlinux"), at.join("init"));
    let (kernel, init) = (kernel.display(), init.display());
    let starts = [
        (String::new(), "firecracker-linux", LINUX),
        (format!("--kernel {kernel}"), "firecracker", LINUX),
        (
            format!("--kernel {kernel} --rootfs {init}"),
            "firecracker",
            LINUX,
        ),
        (
            format!("--kernel {kernel} --initrd {init}"),
            "firecracker-restore",
            LINUX_RESTORE,
        ),
    ];
    for (options, rung, phases) in starts {
        let mut command = server.driver(&format!("{options} time 2 --rung {rung}"));
        let ended = run_command(command.env(home::HOME_VARIABLE, home.path()));
        assert_starts(&ended, 2, phases);
    }
}

#[test]
fn linux_boots_on_real_firecracker() {
    let rung = "firecracker-linux";
    if let Some(server) = Server::real_for(rung, "linux_boots") {
        assert_starts(&server.run("time 2 --rung firecracker-linux"), 2, LINUX);
    }
}

#[test]
fn options_that_fit_nothing_are_usage_errors() {
    for (options, rest, words) in [
        (
            "--kernel /k --initrd /i --rootfs /r",
            "firecracker",
            "one root",
        ),
        ("--rootfs /x", "firecracker", "need a --kernel"),
        ("--memory-mib 1", "firecracker", "it must be 4 to"),
        ("--timeout 0", "firecracker", "it must be 1 to"),
        ("", "firecraker", "did you mean `firecracker`?"),
        ("", "kvm-flt", "did you mean `kvm-flat`?"),
        ("", "firecracker --function noop", "user/function"),
    ] {
        let ended = run(&format!("{options} time 1 --rung {rest}"));
        assert_failed(&ended, Exit::Usage, words);
    }
}

#[test]
fn a_function_without_a_flat_guest_is_refused_on_the_double() {
    let Some(server) = Server::double() else {
        return;
    };
    let ended = server.run("time 1 --rung firecracker --function polybench/poly_3mm");
    assert_failed(&ended, Exit::Usage, "--kernel");
}

#[test]
fn a_missing_firecracker_is_told_with_the_way_to_one() {
    let mut info = driver("info --rung firecracker");
    let ended = run_command(info.env("PATH", "/nonexistent"));
    let way = ["firecracker is not on PATH", "ansible/firecracker.yml"];
    assert_says(&ended.expect(0).stdout, &way);
    let ended = run("--firecracker /nonexistent/fc time 1 --rung firecracker");
    assert_failed(&ended, Exit::Unavailable, "/nonexistent/fc");
}

#[test]
fn an_initrd_is_written_for_a_function() {
    let home = linux_home();
    let file = home.path().join("noop.cpio");
    let write = |function: &str, file: &Path| {
        let mut command = driver(&format!("initrd {} --function {function}", file.display()));
        run_command(command.env(home::HOME_VARIABLE, home.path()))
    };
    write("demo/noop", &file).expect(0);
    assert!(fs::read(&file).expect("written").starts_with(b"070701"));
    assert_failed(&write("demo/nope", &file), Exit::Usage, "make functions");
}
