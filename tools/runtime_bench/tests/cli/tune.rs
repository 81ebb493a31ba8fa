//! `tune` on a host that is a tree of files: what it sets, and that it puts back what it found, byte for byte, wherever
//! it was killed. It never touches the host that these tests run on.

mod host;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use driver_testkit::eventually;
use measure_core::base::exit::Exit;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, geteuid, mkfifo};

use host::{CPU, HUGE_PAGES, Host, files, said};

fn kill_9(mut child: Child) {
    // It may have ended, which is one of the moments at which it may be killed.
    let _ = child.kill();
    child.wait().expect("ended");
}

#[test]
fn what_is_found_is_set_and_put_back_byte_for_byte() {
    let host = Host::new();
    let before = host.all();
    let text = host.expect(&["status"], Exit::Ok);
    for words in [
        "schedutil and powersave, would be set to performance",
        "always, would be set to madvise",
        "not tuned",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(host.all(), before, "`status` changes nothing");
    let text = host.expect(&["on"], Exit::Ok);
    assert!(
        text.contains("schedutil and powersave -> performance"),
        "{text}"
    );
    // What is not to be set is as it was; address-space randomisation above all.
    for [file, _, quiet] in files() {
        assert_eq!(host.get(&file), quiet, "{file}");
    }
    let text = host.expect(&["status"], Exit::Ok);
    assert!(
        text.contains("\ntuned: ") && text.contains("performance, quiet"),
        "{text}"
    );
    let text = host.expect(&["off"], Exit::Ok);
    assert!(text.contains("as it was found"), "{text}");
    assert_eq!(host.all(), before);
    let text = host.expect(&["off"], Exit::Ok);
    assert!(text.contains("nothing to put back"), "{text}");
    host.expect_restored(&before);
}

#[test]
fn a_second_on_keeps_what_the_first_found() {
    let host = Host::new();
    let mut before = host.all();
    host.expect(&["on"], Exit::Ok);
    // A device that has come since, and a setting that someone has changed.
    host.set("proc/irq/30/smp_affinity_list", "3\n");
    before.insert(host.path("proc/irq/30/smp_affinity_list"), b"3\n".to_vec());
    host.set(HUGE_PAGES, "never\n");
    let text = host.expect(&["on"], Exit::Ok);
    assert!(text.contains("performance already"), "{text}");
    assert_eq!(host.get("proc/irq/30/smp_affinity_list"), "0\n");
    // And one that has gone.
    fs::remove_dir_all(host.path("proc/irq/9")).expect("removed");
    before.remove(&host.path("proc/irq/9/smp_affinity_list"));
    host.expect_restored(&before);
}

/// Opens a pipe for `text` to be read from, once.
fn feed(pipe: &Path, text: &str) {
    fs::write(pipe, text).expect("read by tune");
}

#[test]
fn killed_half_way_it_is_put_back() {
    let host = Host::new();
    let before = host.all();
    // A file that says nothing until it is fed, and takes nothing until it is read: there it stops.
    let pipe = host.path(HUGE_PAGES);
    fs::remove_file(&pipe).expect("removed");
    mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe");
    let tune = host.tune(&["on"]).spawn().expect("the tool");
    feed(&pipe, "always\n");
    eventually("what was found is kept", || host.state().exists());
    feed(&pipe, "always\n");
    let governor = format!("{CPU}/cpufreq/policy0/scaling_governor");
    assert_eq!(host.get(&governor), "performance\n");
    assert_eq!(host.get("proc/irq/0/smp_affinity_list"), "0-3\n");
    kill_9(tune);
    fs::remove_file(&pipe).expect("removed");
    host.set(HUGE_PAGES, "always\n");
    let text = host.expect(&["status"], Exit::Ok);
    assert!(text.contains("\ntuned: "), "{text}");
    host.expect_restored(&before);
}

#[test]
fn killed_at_any_moment_it_is_put_back() {
    let host = Host::new();
    let before = host.all();
    for moment in 0..40 {
        // The first moments are those before anything is written, the last those after.
        let wait = Duration::from_micros(moment * 150);
        let tune = host.tune(&["on"]).spawn().expect("the tool");
        thread::sleep(wait);
        kill_9(tune);
        if moment % 2 == 1 {
            host.expect(&["on"], Exit::Ok);
            let tune = host.tune(&["off"]).spawn().expect("the tool");
            thread::sleep(wait);
            kill_9(tune);
        }
        host.expect_restored(&before);
    }
}

#[test]
fn what_a_host_does_not_have_is_said_and_no_error() {
    let host = Host(tempfile::tempdir().expect("a directory"));
    host.set(&format!("{CPU}/online"), "0\n");
    host.set(&format!("{CPU}/smt/control"), "notsupported\n");
    host.set("proc/irq/0/smp_affinity_list", "0\n");
    host.set("proc/sys/kernel/randomize_va_space", "0\n");
    host.set("proc/7/comm", "irqbalance\n");
    let before = host.all();
    for command in ["status", "on"] {
        let text = host.expect(&[command], Exit::Ok);
        for words in [
            "governor       unavailable: no cpufreq policy",
            "turbo          unavailable: neither intel_pstate/no_turbo nor cpufreq/boost",
            "huge pages     unavailable: this kernel has no transparent huge pages",
            "interrupts     unavailable: one processor",
            "SMT siblings   unavailable: smt/control says `notsupported`",
            "warning: irqbalance runs",
            "warning: address-space randomisation is not fully on",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
    assert_eq!(host.all(), before);
    host.expect_restored(&before);
}

#[test]
fn without_root_it_says_so() {
    let mut answers = Vec::new();
    for command in ["on", "off", "status"] {
        let mut tune = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
        tune.args(["tune", command]);
        if geteuid().is_root() {
            tune.uid(65534).gid(65534);
        }
        match tune.output() {
            Ok(output) => answers.push((output.status.code(), said(&output))),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return eprintln!("SKIPPED: tune without root: no other user may run it: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    for (code, text) in &answers[..2] {
        assert_eq!(*code, Some(Exit::Unavailable as i32), "{text}");
        assert!(text.contains("run it as root"), "{text}");
    }
    let (code, text) = &answers[2];
    assert_eq!(*code, Some(0), "{text}");
}

#[test]
fn what_cannot_be_put_back_is_named_and_kept() {
    let host = Host::new();
    let before = host.all();
    host.expect(&["on"], Exit::Ok);
    let boost = format!("{CPU}/cpufreq/boost");
    fs::remove_file(host.path(&boost)).expect("removed");
    fs::create_dir(host.path(&boost)).expect("made");
    let text = host.expect(&["off"], Exit::Failed);
    assert!(
        text.contains("cpufreq/boost to `1`: Is a directory"),
        "{text}"
    );
    assert!(text.contains("try `tune off` again"), "{text}");
    assert_eq!(host.get(HUGE_PAGES), "always\n", "the rest is put back");
    fs::remove_dir(host.path(&boost)).expect("removed");
    host.set(&boost, "0\n");
    host.expect_restored(&before);
}

#[test]
fn a_file_of_what_was_found_that_others_wrote_is_not_believed() {
    let host = Host::new();
    host.expect(&["on"], Exit::Ok);
    let state = fs::read_to_string(host.state()).expect("kept");
    let tuned = host.all();
    host.set("etc/shadow", "secret\n");
    let foreign = state.replace("proc/irq/9/smp_affinity_list", "etc/shadow");
    let newer = state.replace(r#""schema": 1"#, r#""schema": 2"#);
    for (text, mode, words) in [
        (&*state, 0o666, "others than its owner may write"),
        (&*foreign, 0o644, "never changes"),
        (&*newer, 0o644, "form 2"),
        (&state[..state.len() / 2], 0o644, "a reboot puts"),
        ("", 0o644, "a reboot puts"),
    ] {
        fs::write(host.state(), text).expect("written");
        fs::set_permissions(host.state(), Permissions::from_mode(mode)).expect("set");
        for command in [&["off"][..], &["on"], &["run", "--", "true"]] {
            let said = host.expect(command, Exit::Failed);
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(host.all(), tuned, "nothing was changed");
    }
    assert_eq!(host.get("etc/shadow"), "secret\n");
}

#[test]
fn what_an_earlier_boot_had_is_forgotten() {
    let host = Host::new();
    host.expect(&["on"], Exit::Ok);
    host.set("proc/sys/kernel/random/boot_id", "second\n");
    host.set(HUGE_PAGES, "never\n");
    let before = host.all();
    let text = host.expect(&["off"], Exit::Ok);
    assert!(text.contains("booted since"), "{text}");
    host.expect_restored(&before);
}

#[test]
fn one_at_a_time() {
    let host = Host::new();
    host.expect_restored(&host.all());
    let lock = File::open(host.path("run/faasm-bench/tune.lock")).expect("made");
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|e| e.1);
    let text = host.expect(&["on"], Exit::Busy);
    assert!(text.contains("another `runtime_bench tune`"), "{text}");
    assert_eq!(host.get(HUGE_PAGES), "always\n");
}

#[test]
fn a_command_runs_on_a_quiet_host_that_is_put_back() {
    let host = Host::new();
    let before = host.all();
    let huge_pages = host.path(HUGE_PAGES);
    let script = format!("cat {}; exit 4", huge_pages.display());
    let output = host.tune(&["run", "--", "sh", "-c", &script]).output();
    let output = output.expect("the tool");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!(output.stdout, b"madvise\n", "its output is its own");
    assert_eq!(host.all(), before);
    let text = host.expect(&["run", "--", "/nonexistent/program"], Exit::Usage);
    assert!(text.contains("cannot run /nonexistent/program"), "{text}");
    assert_eq!(host.all(), before);
    // Of our tools' exit codes each comes through, of others' none.
    for (code, exit) in [("8", Exit::Slower), ("9", Exit::Failed)] {
        host.expect(&["run", "--", "sh", "-c", &format!("exit {code}")], exit);
    }
    // A host that was tuned before stays so.
    host.expect(&["on"], Exit::Ok);
    host.expect(&["run", "--", "true"], Exit::Ok);
    assert_eq!(host.get(HUGE_PAGES), "madvise\n");
    host.expect_restored(&before);
}

#[test]
fn a_signal_ends_the_command_and_a_kill_leaves_what_off_puts_back() {
    for (signal, exit) in [
        (Signal::SIGTERM, Some(Exit::Terminated)),
        (Signal::SIGINT, Some(Exit::Interrupted)),
        (Signal::SIGKILL, None),
    ] {
        let host = Host::new();
        let before = host.all();
        let ready = host.path("ready");
        // Its process group is its own, as a terminal's would be: Ctrl-C goes to all of it.
        let script = format!("echo $$ >{}; exec sleep 1000", ready.display());
        let mut tune = host.tune(&["run", "--", "sh", "-c", &script]);
        let mut tune = tune.process_group(0).spawn().expect("the tool");
        eventually("the command runs", || {
            fs::read_to_string(&ready).is_ok_and(|text| text.ends_with('\n'))
        });
        let command = Pid::from_raw(host.get("ready").trim().parse().expect("its id"));
        assert_eq!(host.get(HUGE_PAGES), "madvise\n");
        let pid = Pid::from_raw(tune.id().cast_signed());
        let target = match signal {
            Signal::SIGINT => Pid::from_raw(-pid.as_raw()),
            _ => pid,
        };
        kill(target, signal).expect("sent");
        let status = tune.wait().expect("ended");
        assert_eq!(status.code(), exit.map(|exit| exit as i32), "{signal}");
        if exit.is_some() {
            assert_eq!(host.all(), before, "{signal}");
        } else {
            kill(command, Signal::SIGKILL).expect("it lives on");
            assert_eq!(host.get(HUGE_PAGES), "madvise\n");
        }
        host.expect_restored(&before);
    }
}
