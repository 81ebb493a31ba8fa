//! On the real kernel and the file system of the build directory.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

const SIZE: u64 = 4 << 20;

fn me() -> Scope {
    Scope {
        roots: vec![nix::unistd::getpid().as_raw()],
        ..Scope::default()
    }
}

fn bytes(read_bytes: u64, write_bytes: u64) -> Bytes {
    Bytes {
        read_bytes,
        write_bytes,
    }
}

/// A directory on storage: temporary ones may lie in memory.
fn on_storage() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory")
}

/// Why nothing below `dir` need come from or go to storage, where the kernel knows no block device of its file system
/// (memory, a network, an overlay of those); where it knows one, bytes that are not counted are a fault.
fn no_block_device(dir: &Path) -> Option<String> {
    let device = fs::metadata(dir).expect("a directory").dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let known = Path::new(&format!("/sys/dev/block/{major}:{minor}")).exists();
    (!known).then(|| format!("no block device {major}:{minor} below {}", dir.display()))
}

#[test]
fn what_children_wrote_counts_after_they_were_waited_for() {
    let dir = on_storage();
    let before = Reading::of_scope(&me());
    let script = format!(
        "dd if=/dev/zero of={}/file bs=1M count=4 conv=fsync 2> /dev/null",
        dir.path().display()
    );
    let status = Command::new("/bin/sh").args(["-c", &script]).status();
    assert!(status.expect("a shell").success());
    let since = Reading::of_scope(&me()).since(&before);
    let bytes = since.best().expect("own figures");
    assert_eq!(since.processes, Ok(bytes));
    if let (0, Some(why)) = (bytes.write_bytes, no_block_device(dir.path())) {
        return eprintln!("SKIPPED: what_children_wrote_counts: {why}");
    }
    assert!(bytes.write_bytes >= SIZE, "{bytes:?}");
}

/// Held against the kernel's text, on a process that does nothing meanwhile.
#[test]
fn what_was_cancelled_is_not_counted_as_written() {
    let dir = on_storage();
    let script = format!(
        "dd if=/dev/zero of={0} bs=1M count=4 2> /dev/null; rm {0}; echo; read x",
        dir.path().join("file").display()
    );
    let mut shell = Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = [0];
    let mut output = shell.stdout.take().expect("piped");
    output.read_exact(&mut line).expect("a line");
    let text = fs::read_to_string(format!("/proc/{}/io", shell.id())).expect("ours");
    let found = of_process(shell.id().cast_signed());
    drop(shell.stdin.take());
    shell.wait().expect("it ends");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<u64>().ok())
            .expect(name)
    };
    let written = field("write_bytes:").saturating_sub(field("cancelled_write_bytes:"));
    let expected = bytes(field("read_bytes:"), written);
    assert_eq!(found, Ok(Some(expected)), "{text}");
}

#[test]
fn only_reads_from_storage_count_and_dropping_the_cache_makes_them() {
    let test = "only_reads_from_storage_count_and_dropping_the_cache_makes_them";
    if let Err(error) = may_drop_caches() {
        return eprintln!("SKIPPED: {test}: {error}");
    }
    let dir = on_storage();
    let path = dir.path().join("file");
    let mut file = fs::File::create(&path).expect("a file");
    file.write_all(&vec![7; SIZE as usize]).expect("written");
    file.sync_all().expect("on storage");
    drop(file);
    let read = || {
        let before = of_process(nix::unistd::getpid().as_raw());
        let mut bytes = Vec::new();
        let mut file = fs::File::open(&path).expect("there");
        file.read_to_end(&mut bytes).expect("readable");
        let after = of_process(nix::unistd::getpid().as_raw());
        let of = |r: Result<Option<Bytes>, DiskIoError>| r.expect("own").expect("alive").read_bytes;
        of(after) - of(before)
    };
    drop_caches().expect("root");
    let cold = read();
    if let (0, Some(why)) = (cold, no_block_device(dir.path())) {
        return eprintln!("SKIPPED: {test}: {why}");
    }
    // Other tests of this process read too; their own pages are cached and small.
    assert!(cold >= SIZE, "{cold} bytes read");
    assert!(read() < SIZE, "cached pages are no storage reads");
}

#[test]
fn a_group_that_does_not_count_is_no_zero() {
    let hierarchies = match cgroup::Hierarchies::discover() {
        Ok(hierarchies) => hierarchies,
        Err(error) => return eprintln!("SKIPPED: a_group_that_does_not_count_is_no_zero: {error}"),
    };
    let Some(mount) = hierarchies.mount(cgroup::Controller::Blkio) else {
        return eprintln!("SKIPPED: a_group_that_does_not_count_is_no_zero: no blkio or io");
    };
    match of_cgroup(mount) {
        Ok(bytes) => assert_ne!(bytes, Bytes::default(), "the machine has read its programs"),
        Err(error @ DiskIoError::NotCounting { .. }) => {
            assert!(error.to_string().contains("throttle rule"), "{error}");
        }
        // The root group of cgroup v2 has no io.stat on older kernels.
        Err(error) => assert_eq!(error, DiskIoError::NoCgroup),
    }
}

#[test]
fn a_scope_without_anything_says_why() {
    let reading = Reading::of_scope(&Scope::default());
    assert_eq!(reading.processes, Err(DiskIoError::NoProcess));
    assert_eq!(reading.cgroup, Err(DiskIoError::NoCgroup));
    assert_eq!(reading.best(), Err(DiskIoError::NoProcess));
    assert_eq!(of_process(i32::MAX), Ok(None));
}

#[test]
fn a_sum_that_fell_is_a_loss_and_no_zero() {
    let reading = |read_bytes| Reading {
        processes: Ok(bytes(read_bytes, 5)),
        cgroup: Err(DiskIoError::NoCgroup),
    };
    let fell = reading(1).since(&reading(2));
    assert_eq!(fell.processes, Err(DiskIoError::Left));
    assert_eq!(reading(9).since(&reading(2)).best(), Ok(bytes(7, 0)));
}

#[test]
fn formats_of_both_versions_parse() {
    let v2 = "254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=9 dios=9\n8:0 rbytes=1 wbytes=2 rios=1 wios=1\n";
    assert_eq!(parse_io_stat(v2), bytes(11, 22));
    let v1 = "254:0 Read 10\n254:0 Write 20\n254:0 Total 30\n8:0 Read 1\n8:0 Write 2\nTotal 33\n";
    assert_eq!(parse_v1(v1), bytes(11, 22));
    assert_eq!(parse_v1("Total 0\n"), Bytes::default());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = (parse_io_stat(&text), parse_v1(&text));
    }
}
