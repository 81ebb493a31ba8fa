//! Output that cannot be written.

use std::fs;
use std::path::Path;

use crate::bench::{BOTH, Bench};

const GEMM: &str = "gemm 2 2 --dataset mini --columns native,wasm";

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_runs() {
    let Some(bench) = Bench::new() else { return };
    fs::write(bench.path("file"), "").expect("written");
    for bad in ["no/such/dir/x.csv", "file/x.csv", "."] {
        let ran = bench.run(&format!("{GEMM} --output {bad} --run-dir run"));
        ran.assert_failed(5, &["cannot write", "--output"]);
        assert!(!bench.path("run").exists(), "{bad}");
    }
    for bad in ["file", "/proc/run"] {
        let ran = bench.run(&format!("{GEMM} --output x.csv --run-dir {bad}"));
        ran.assert_failed(5, &["cannot write", "--run-dir"]);
    }
}

#[test]
fn a_full_device_is_told_and_the_records_are_kept() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.run(&format!("{GEMM} --output /dev/full --run-dir run"));
    ran.assert_failed(5, &["/dev/full", "free some space"]);
    assert_eq!(
        crate::bench::rows(&fs::read_to_string(bench.path("run/polybench.csv")).expect("rows"))
            .len(),
        4
    );
}

#[test]
fn a_full_standard_output_is_told() {
    let Some(bench) = Bench::new() else { return };
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let output = bench.command("list").stdout(full).output();
    let output = output.expect("poly_bench");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("standard output"), "{said}");
}

#[test]
fn a_run_directory_with_samples_is_left_alone() {
    let Some(bench) = Bench::new() else { return };
    let args = "gemm 1 1 --dataset mini";
    assert_eq!(bench.measure(args).code, Some(0));
    let before = fs::read(bench.path("run/samples.jsonl")).expect("samples");
    bench
        .measure(args)
        .assert_failed(2, &["another run", "--run-dir"]);
    assert_eq!(
        fs::read(bench.path("run/samples.jsonl")).expect("samples"),
        before
    );
}

#[test]
fn a_full_disk_keeps_the_rows_measured_so_far() {
    let Some(bench) = Bench::new() else { return };
    let disk = bench.path("disk");
    fs::create_dir(&disk).expect("a directory");
    let _guard = match Tmpfs::mount(&disk, "size=96k") {
        Ok(guard) => guard,
        Err(why) => {
            eprintln!("SKIPPED: a_full_disk_keeps_the_rows_measured_so_far: no tmpfs: {why}");
            return;
        }
    };
    // A run leaves some 2 KiB: the disk is full after some dozens of them.
    let line = format!("gemm 5000 5000 --dataset mini {BOTH} --output rows.csv --run-dir disk/run");
    let ran = bench.run(&line);
    ran.assert_failed(5, &["cannot write", "free some space"]);
    let recorded =
        measure_core::contract::run_dir::read_samples(&disk.join("run")).expect("readable");
    assert!(!recorded.torn);
    let kernels = recorded.samples.iter();
    let kernels = kernels
        .filter(|s| s.measure.as_str() == "run" && s.phase == "kernel")
        .count();
    assert!(kernels > 10, "{kernels}");
}

struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path, options: &str) -> nix::Result<Self> {
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options))?;
        Ok(Self(at))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}
