//! `report` over records of several hosts, beside published figures, and on a disk that is full.

use std::fs;
use std::panic;
use std::path::Path;
use std::process::{Command, Output};

use driver_testkit::skipped;
use measure_core::base::exit::Exit;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

fn report(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
        .arg("report")
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("it starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Eight processes of three isolated starts of `faaslet`, and of docker, which takes two hundred times as long.
fn starts(ns: u64) -> String {
    let mut lines = String::new();
    for (rung, ns) in [("faaslet", ns), ("docker-none", 200 * ns)] {
        for process in 1..=8 {
            for order in 0..3 {
                let value = ns + ns / 100 * ((process + order) % 7);
                lines += &format!(
                    "{{\"schema\":2,\"run\":\"r\",\"rung\":\"{rung}\",\"function\":\"demo/noop\",\"measure\":\"isolated\",\"phase\":\"total\",\"metric\":\"wall_ns\",\"value\":{value},\"n\":1,\"workers\":1,\"process\":{process},\"block\":{process},\"order\":{order},\"seed\":7}}\n"
                );
            }
        }
    }
    lines
}

fn run(dir: &Path, name: &str, samples: &str) {
    fs::create_dir(dir.join(name)).expect("made");
    fs::write(dir.join(name).join("samples.jsonl"), samples).expect("written");
}

#[test]
fn runs_of_several_hosts_are_joined_and_one_without_figures_is_named() {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    run(dir, "fast", &starts(50_000));
    run(dir, "slow", &starts(90_000));
    run(dir, "empty", "");
    std::os::unix::fs::symlink("slow", dir.join("latest")).expect("linked");
    let hosts = ["fast", "slow", "empty", "absent", "latest"];
    let output = report(dir, &[&hosts[..], &["--output", "joined"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let listed = fs::read_to_string(dir.join("joined/hosts.md")).expect("written");
    assert_eq!(listed.matches("\n- ").count(), 4, "each once: {listed}");
    for words in [
        "200 [",
        "not told apart",
        "empty: nothing",
        "absent: nothing: cannot read",
    ] {
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    }
    for file in ["hosts.html", "hosts.md"] {
        assert!(dir.join("joined").join(file).is_file(), "{file}");
    }
    assert!(
        !dir.join("fast/report.md").exists(),
        "nothing in them is written"
    );
    let output = report(dir, &["empty", "absent"]);
    assert_eq!(
        output.status.code(),
        Some(Exit::Failed as i32),
        "{}",
        said(&output)
    );
}

#[test]
fn hosts_of_a_fleet_have_their_names_there_and_why_one_has_nothing_is_said() {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    let record = |host: &str, trouble: &str| {
        let record = serde_json::json!({ "host": host, "kind": "laptop", "key": "6b", "trouble": trouble, "seed": 1 });
        fs::write(dir.join(host).join("fleet.json"), record.to_string()).expect("written");
    };
    run(dir, "one", &starts(50_000));
    record("one", "");
    run(dir, "cut", &starts(90_000));
    record("cut", "not done within 60 s");
    fs::create_dir(dir.join("away")).expect("made");
    record("away", "not reached: no route");
    let output = report(dir, &["one", "cut", "away", "--output", "."]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let page = fs::read_to_string(dir.join("hosts.md")).expect("a page");
    for words in [
        "- one: no environment.json; kind laptop\n",
        "- cut: no environment.json; kind laptop; its run is not whole: not done within 60 s\n",
        "- away: nothing: not reached: no route; kind laptop\n",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn the_papers_figures_are_beside_a_run_where_they_are_asked_for() {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    run(dir, "run", &starts(50_000));
    let page = || fs::read_to_string(dir.join("run/report.html")).expect("a page");
    let output = report(dir, &["run"]);
    assert!(
        !said(&output).contains("original") && !page().contains("USENIX ATC 2020"),
        "{}",
        said(&output)
    );
    let output = report(dir, &["run", "--with-paper"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for words in ["5.20 ms", "538", "200"] {
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    }
    assert!(page().contains("USENIX ATC 2020"));
}

/// What a batch of a hundred starts of `faaslet` took of CPUs in each of eight processes: 30 us a start.
fn cpu_times() -> String {
    let line = |process: u32| {
        format!(
            "{{\"schema\":2,\"run\":\"r\",\"rung\":\"faaslet\",\"function\":\"demo/noop\",\"measure\":\"cpu\",\"phase\":\"total\",\"metric\":\"cpu_ns\",\"value\":3000000,\"n\":100,\"workers\":1,\"process\":{process},\"block\":{process},\"order\":0,\"seed\":7}}\n"
        )
    };
    (1..=8).map(line).collect()
}

#[test]
fn at_prices_that_are_named_starts_cost_money_and_at_wrong_ones_nothing_is_made() {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    run(dir, "run", &(starts(50_000) + &cpu_times()));
    let prices = |cpu_hour: &str| {
        let text = format!("currency = \"EUR\"\ncpu_hour = {cpu_hour}\ngib_hour = 0.005\n");
        fs::write(dir.join("prices.toml"), text).expect("written");
        report(dir, &["run", "--prices", "prices.toml"])
    };
    let output = prices("-0.04");
    assert_eq!(
        output.status.code(),
        Some(Exit::Usage as i32),
        "{}",
        said(&output)
    );
    let why = "--prices prices.toml: cpu_hour = -0.04: a price is a number, 0 or more";
    assert!(said(&output).contains(why), "{}", said(&output));
    assert!(!dir.join("run/report.md").exists(), "nothing is made");
    let output = prices("0.04");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // 30 s of a CPU at 0.04 an hour.
    for words in ["a million starts", "0.000333 EUR"] {
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    for file in ["report.md", "report.html"] {
        let text = fs::read_to_string(dir.join("run").join(file)).expect(file);
        assert!(
            text.contains("What it costs") && text.contains("0.000333 EUR"),
            "{file}"
        );
    }
    run(dir, "times", &starts(50_000));
    let unknown = report(dir, &["times", "--prices", "prices.toml"]);
    assert!(
        said(&unknown).contains("what it costs\nunknown: neither"),
        "{}",
        said(&unknown)
    );
    let absent = report(dir, &["run", "--prices", "absent.toml"]);
    assert_eq!(absent.status.code(), Some(Exit::Usage as i32));
}

#[test]
fn the_row_of_a_rung_leads_to_its_part_whatever_it_is_called() {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    let name = "\u{202e}gnp.exe <script>";
    run(dir, "run", &starts(50_000).replace("faaslet", name));
    let output = report(dir, &["run"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let page = fs::read_to_string(dir.join("run/report.html")).expect("a page");
    let row = "><a href=\"#rung-gnp-exe-script\">\\u{202e}gnp.exe &lt;script&gt;</a></th>";
    assert!(page.contains(row), "{page}");
    assert!(page.contains("id=\"rung-gnp-exe-script\""));
}

#[test]
fn what_is_of_one_run_is_refused_for_several() {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    run(dir, "run", &starts(50_000));
    for option in [
        &["--prices", "prices.toml"][..],
        &["--with-paper"],
        &["--csv-form", "faasm"],
    ] {
        let output = report(dir, &[&["run", "run"], option].concat());
        assert_eq!(output.status.code(), Some(Exit::Usage as i32));
        let why = format!("{} is of one run", option[0]);
        assert!(said(&output).contains(&why), "{}", said(&output));
    }
}

#[test]
fn tables_of_a_run_that_is_to_stay_as_it_is_go_elsewhere() {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    run(dir, "run", &starts(50_000));
    let output = report(dir, &["run", "--output", "made/here"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).ends_with("tables and samples: made/here\n"),
        "{}",
        said(&output)
    );
    let names = |of: &str| {
        let entries = fs::read_dir(dir.join(of)).expect("there").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("run"), ["samples.jsonl"]);
    let elsewhere = names("made/here");
    report(dir, &["run"]);
    let mut there = names("run");
    there.retain(|name| name != "samples.jsonl");
    assert_eq!(elsewhere, there);
}

#[test]
fn a_pipe_in_the_place_of_samples_is_refused_at_once() {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    fs::create_dir(dir.join("run")).expect("made");
    let pipe = dir.join("run/samples.jsonl");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let output = report(dir, &["run"]);
    assert_eq!(output.status.code(), Some(Exit::Failed as i32));
    let why = "cannot read run/samples.jsonl: it is no file";
    assert!(said(&output).contains(why), "{}", said(&output));
}

#[test]
fn on_a_full_disk_the_old_page_stays_whole() {
    let keep = tempfile::tempdir().expect("a directory");
    let size = Some("size=1m");
    if let Err(why) = mount(
        Some("tmpfs"),
        keep.path(),
        Some("tmpfs"),
        MsFlags::empty(),
        size,
    ) {
        return skipped(
            "a full disk",
            format!("no small file system: {why}; run it as root"),
        );
    }
    let outcome = panic::catch_unwind(|| {
        let dir = keep.path();
        run(dir, "run", &starts(50_000));
        assert_eq!(report(dir, &["run"]).status.code(), Some(0));
        let path = dir.join("run/report.html");
        let old = fs::read(&path).expect("a page");
        assert!(old.ends_with(b"</html>\n"), "whole");
        // As much as small tables take is left of the disk, but not as much as the page does.
        let ballast = dir.join("ballast");
        let _ = fs::write(&ballast, vec![0; 2 << 20]);
        let file = fs::File::options()
            .write(true)
            .open(&ballast)
            .expect("there");
        let all = file.metadata().expect("known").len();
        file.set_len(all - 24 * 1024).expect("cut");
        assert!(old.len() > 24 * 1024);
        let output = report(dir, &["run"]);
        assert_eq!(
            output.status.code(),
            Some(Exit::Output as i32),
            "{}",
            said(&output)
        );
        assert!(
            said(&output).contains("free some space"),
            "{}",
            said(&output)
        );
        assert!(said(&output).contains("report.html"), "{}", said(&output));
        assert_eq!(fs::read(&path).expect("there"), old, "the old one");
    });
    let _ = umount2(keep.path(), MntFlags::MNT_DETACH);
    if let Err(cause) = outcome {
        panic::resume_unwind(cause);
    }
}
