//! A run directory on a real file system: locks, torn lines, full disks.

use std::fs;
use std::io::Write;
use std::path::Path;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::contract::run_dir::{
    LATEST, RunDir, RunDirError, SAMPLES, read_samples, write_whole,
};
use measure_core::contract::sample::{SCHEMA, Sample, Value};
use measure_core::contract::vocabulary::{Measure, Metric, phase};

fn sample(value: i64) -> Sample {
    Sample {
        schema: SCHEMA,
        run: "r".into(),
        rung: "thread".into(),
        function: "demo/noop".into(),
        measure: Measure::Start,
        phase: phase::TOTAL.into(),
        metric: Metric::WallNs,
        value: Value::Value(value),
        n: 1,
        workers: 1,
        process: 0,
        block: 0,
        order: 0,
        seed: 7,
        warmup: false,
        error: None,
    }
}

fn values(dir: &Path) -> Vec<i64> {
    let recorded = read_samples(dir).expect("readable");
    recorded
        .samples
        .iter()
        .filter_map(|s| s.value.number())
        .collect()
}

#[test]
fn a_line_is_on_disk_when_append_returns() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut run = RunDir::open(dir.path()).expect("open");
    for value in 0..3 {
        run.append(&sample(value)).expect("append");
        assert_eq!(values(dir.path()).len() as i64, value + 1);
    }
}

#[test]
fn a_directory_is_busy_while_open_and_free_after() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = RunDir::open(dir.path()).expect("open");
    let error = RunDir::open(dir.path()).expect_err("busy");
    assert_eq!(error.exit(), Exit::Busy);
    drop(run);
    RunDir::open(dir.path()).expect("free again");
}

#[test]
fn new_runs_have_names_of_their_own_and_latest_points_to_the_last() {
    let results = tempfile::tempdir().expect("a directory");
    let first = RunDir::create(results.path()).expect("create");
    let second = RunDir::create(results.path()).expect("create");
    assert_ne!(first.path(), second.path());
    let latest = fs::read_link(results.path().join(LATEST)).expect("a link");
    assert_eq!(latest, Path::new(&second.name()));
}

#[test]
fn a_torn_last_line_is_left_out_and_cut_off_when_appending_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut run = RunDir::open(dir.path()).expect("open");
    run.append(&sample(1)).expect("append");
    drop(run);
    let path = dir.path().join(SAMPLES);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("open");
    file.write_all(&[b"{\"schema\":1,\"run\":\"".as_slice(), &[b'x'; 9000]].concat())
        .expect("write");
    let recorded = read_samples(dir.path()).expect("readable");
    assert!(recorded.torn);
    assert_eq!(recorded.samples.len(), 1);
    let mut run = RunDir::open(dir.path()).expect("open again");
    run.append(&sample(2)).expect("append");
    assert_eq!(values(dir.path()), [1, 2]);
}

#[test]
fn only_whole_and_known_lines_are_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(SAMPLES);
    fs::write(&path, "{\"schema\":1}\n").expect("write");
    let error = read_samples(dir.path()).expect_err("malformed");
    assert!(
        matches!(error, RunDirError::Malformed { line: 1, .. }),
        "{error}"
    );
    let newer = SCHEMA + 1;
    let line = format!("{{\"schema\":{newer},\"whatever\":[]}}\n");
    fs::write(&path, line).expect("write");
    let error = read_samples(dir.path()).expect_err("newer");
    let said = format!("schema {newer}");
    assert!(error.to_string().contains(&said), "{error}");
}

#[test]
fn what_cannot_be_written_is_found_out_on_opening() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("write");
    for bad in [file.join("run"), "/proc/self/run".into()] {
        let error = RunDir::open(&bad).expect_err("unwritable");
        assert_eq!(error.exit(), Exit::Output, "{error}");
        assert!(error.to_string().contains("--output"), "{error}");
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_written() {
    let mount = tempfile::tempdir().expect("a directory");
    let _guard = match Tmpfs::mount(mount.path(), "size=64k") {
        Ok(guard) => guard,
        Err(why) => {
            eprintln!("SKIPPED: a_full_disk_loses_nothing_that_was_written: no tmpfs: {why}");
            return;
        }
    };
    let mut run = RunDir::open(mount.path()).expect("open");
    run.write("table.csv", b"old\n").expect("write");
    let mut written = 0;
    let error = loop {
        match run.append(&sample(written)) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.exit(), Exit::Output);
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(written > 10);
    let recorded = read_samples(mount.path()).expect("readable");
    assert!(!recorded.torn);
    assert_eq!(recorded.samples.len() as i64, written);
    run.write("table.csv", &[b'x'; 100_000]).expect_err("full");
    assert_eq!(
        fs::read(mount.path().join("table.csv")).expect("kept"),
        b"old\n"
    );
}

#[test]
fn a_whole_write_leaves_no_temporary_file() {
    let dir = tempfile::tempdir().expect("a directory");
    write_whole(&dir.path().join("a"), b"1").expect("write");
    write_whole(&dir.path().join("a"), b"2").expect("write");
    let names: Vec<_> = fs::read_dir(dir.path())
        .expect("list")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(names, ["a"]);
}

struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path, options: &str) -> nix::Result<Self> {
        nix::mount::mount(
            Some("tmpfs"),
            at,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some(options),
        )?;
        Ok(Self(at))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}
