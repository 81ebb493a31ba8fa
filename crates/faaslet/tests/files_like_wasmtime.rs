//! Random calls about files are answered as wasmtime-wasi answers them, and leave the same files behind.

mod script;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use faaslet::function::Untimed;
use faaslet::{DirGrant, EngineSettings, FaasletEngine, Function, Grants};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;
use wasmtime::{Linker, Module, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::OutputFile;
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use script::{Answer, Arg, CREATE, DIRECTORY, Open, READ, Said, Script, WRITE, errno, said};

/// Names, ways to spell them, and ways out.
const PATHS: [&str; 44] = [
    "a",
    "b",
    "n",
    "d",
    "d/a",
    "d/e",
    "d/e/f",
    "d/n",
    "d/e/n",
    "a/",
    "d/",
    "n/",
    "./a",
    "d/.",
    "d/..",
    "d/../a",
    "d/e/../../a",
    "..",
    "../a",
    "d/../..",
    "d/../../granted/a",
    "/a",
    "/",
    "",
    ".",
    "l",
    "l/",
    "l/n",
    "to-a",
    "to-a/",
    "to-d",
    "to-d/a",
    "to-d/e/f",
    "up",
    "up/a",
    "out",
    "out/secret",
    "absolute",
    "loop",
    "dangling",
    "dangling/x",
    "chain",
    "a/x",
    "d//a",
];

/// What links are made to lead to.
const TARGETS: [&str; 12] = [
    "a",
    "d",
    "d/a",
    "../a",
    "..",
    "../outside",
    "/etc",
    "l",
    "nowhere",
    ".",
    "d/",
    "",
];

const TREE_LINKS: [(&str, &str); 10] = [
    ("l", "d"),
    ("to-a", "a"),
    ("to-d", "./d"),
    ("up", "d/.."),
    ("out", "../outside"),
    ("absolute", "/etc/passwd"),
    ("loop", "loop"),
    ("dangling", "n"),
    ("chain", "to-d/../to-a"),
    ("d/back", "../a"),
];

/// Two directories that are granted, one of them read-only, and one that is not.
fn tree(root: &Path) {
    for granted in ["granted", "readable"] {
        let top = root.join(granted);
        fs::create_dir_all(top.join("d/e")).expect("directories");
        for (file, text) in [("a", "contents of a"), ("d/a", "of d/a"), ("d/e/f", "deep")] {
            fs::write(top.join(file), text).expect("a file");
        }
        for (link, text) in TREE_LINKS {
            symlink(text, top.join(link)).expect("a link");
        }
    }
    fs::create_dir(root.join("outside")).expect("a directory");
    fs::write(root.join("outside/secret"), "secret").expect("a file");
}

/// Everything below `root`: kind and contents.
fn everything(root: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let name = path
            .strip_prefix(root)
            .expect("below")
            .display()
            .to_string();
        let kind = fs::symlink_metadata(&path).expect("there").file_type();
        let is = if kind.is_symlink() {
            format!(
                "link to {}",
                fs::read_link(&path).expect("a link").display()
            )
        } else if kind.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
            "directory".to_owned()
        } else {
            format!("file {:?}", fs::read(&path).expect("a file"))
        };
        all.insert(name, is);
    }
    all
}

/// A call, made of numbers so that anything comes up: which, on which descriptors, with which paths and values.
type Step = (u8, u8, u8, usize, usize, u64);

/// Which answers can be compared byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Bytes,
    /// Kind, links and size; times and inode are their own, and a directory's size is the file system's business.
    Stat,
    /// Names and kinds in any order.
    Entries,
    /// Opening with `O_DIRECTORY` what turns out to be a link fails one way or the other.
    OpenDirectory,
    /// They hold granted directories by descriptors that can only be looked through, and cannot set their times.
    DirectoryTimes,
}

fn step(script: &mut Script, (call, fd, other, path, path2, value): Step) -> Compare {
    // Granted directories more often than what was opened, of which there are four.
    let slot = |n: u8| u32::from(if n < 6 { n } else { 0 });
    let opened = |n: u8| 2 + u32::from(n % 4);
    let (dir, dir2) = (slot(fd), slot(other));
    let text = |script: &mut Script, i: usize| {
        let [at, len] = script.text(PATHS[i % PATHS.len()].as_bytes());
        (at, len)
    };
    let small = value % 40;
    match call {
        0..=5 => {
            let how = Open {
                lookup: u32::from(other & 1),
                oflags: u32::try_from(value % 16).expect("small"),
                rights: [READ, WRITE, READ | WRITE, 0][usize::from(other / 2) % 4],
                fdflags: [0, 0, 0, 1, 4, 16][usize::from(fd) % 6],
            };
            let how = if call < 2 {
                Open {
                    oflags: u32::from(value % 3 == 0) * CREATE,
                    fdflags: 0,
                    ..how
                }
            } else {
                how
            };
            script.open(
                dir,
                PATHS[path % PATHS.len()].as_bytes(),
                how,
                opened(other),
            );
            if how.oflags & DIRECTORY != 0 {
                return Compare::OpenDirectory;
            }
        }
        6 | 7 => script.write(
            opened(fd),
            &b"some bytes to write"[..usize::from(other) % 20],
            None,
        ),
        8 => script.write(opened(fd), b"written at", Some(small)),
        9 | 10 => script.read(opened(fd), u32::from(other) * 3, None),
        11 => script.read(slot(fd), 1 + u32::from(other), Some(small)),
        12 => {
            let offset = small.wrapping_sub(u64::from(other));
            let args = [
                Arg::Fd(opened(fd)),
                Arg::L(offset),
                Arg::I(u32::from(other) % 3),
                Arg::Out,
            ];
            script.call("fd_seek", &args, Answer::Bytes(8));
        }
        13 => script.call("fd_tell", &[Arg::Fd(dir), Arg::Out], Answer::Bytes(8)),
        14 => script.call(
            "fd_filestat_set_size",
            &[Arg::Fd(dir), Arg::L(small)],
            Answer::Nothing,
        ),
        15 => {
            script.call(
                "fd_filestat_get",
                &[Arg::Fd(dir), Arg::Out],
                Answer::Bytes(64),
            );
            return Compare::Stat;
        }
        16 => script.call(
            "fd_fdstat_get",
            &[Arg::Fd(dir), Arg::Out],
            Answer::Bytes(24),
        ),
        17 => {
            let args = [Arg::Fd(opened(fd)), Arg::I(u32::from(other) % 32)];
            script.call("fd_fdstat_set_flags", &args, Answer::Nothing);
        }
        18 => script.call(
            "fd_prestat_get",
            &[Arg::Fd(dir), Arg::Out],
            Answer::Bytes(8),
        ),
        19 => {
            script.call("fd_close", &[Arg::Fd(opened(fd))], Answer::Nothing);
            script.forget(opened(fd));
        }
        20 => {
            script.call(
                "fd_renumber",
                &[Arg::Fd(opened(fd)), Arg::Fd(opened(other))],
                Answer::Nothing,
            );
            // Where it failed, its number may stand for something else by now.
            if fd % 4 != other % 4 {
                script.forget(opened(fd));
            }
        }
        21 | 22 => {
            script.readdir(dir, value % 2 * small);
            return Compare::Entries;
        }
        23 | 24 => {
            let (at, len) = text(script, path);
            script.call(
                "path_create_directory",
                &[Arg::Fd(dir), at, len],
                Answer::Nothing,
            );
        }
        25 | 26 => {
            let (at, len) = text(script, path);
            // With a slash at the end wasmtime-wasi forgets the slash if it does not follow links.
            let follow = u32::from(other & 1 | u8::from(PATHS[path % PATHS.len()].ends_with('/')));
            let args = [Arg::Fd(dir), Arg::I(follow), at, len, Arg::Out];
            script.call("path_filestat_get", &args, Answer::Bytes(64));
            return Compare::Stat;
        }
        27 => {
            let (at, len) = text(script, path);
            let time = Arg::L(1_000_000_000 * value + value);
            let args = [
                Arg::Fd(dir),
                Arg::I(u32::from(other & 1)),
                at,
                len,
                time,
                time,
                Arg::I(u32::from(other / 2) % 16),
            ];
            script.call("path_filestat_set_times", &args, Answer::Nothing);
        }
        28 => {
            let time = Arg::L(1_000_000_000 * value + value);
            let args = [Arg::Fd(dir), time, time, Arg::I(u32::from(other) % 16)];
            script.call("fd_filestat_set_times", &args, Answer::Nothing);
            return Compare::DirectoryTimes;
        }
        29 => {
            let (at, len) = text(script, path);
            let args = [
                Arg::Fd(dir),
                at,
                len,
                Arg::I(0x8000),
                Arg::I(u32::from(other)),
                Arg::Used,
            ];
            script.call("path_readlink", &args, Answer::Buffer);
        }
        30 | 31 => {
            let (at, len) = text(script, path);
            let name = if call == 30 {
                "path_unlink_file"
            } else {
                "path_remove_directory"
            };
            script.call(name, &[Arg::Fd(dir), at, len], Answer::Nothing);
        }
        32 | 33 => {
            let ((at, len), (to, to_len)) = (text(script, path), text(script, path2));
            script.call(
                "path_rename",
                &[Arg::Fd(dir), at, len, Arg::Fd(dir2), to, to_len],
                Answer::Nothing,
            );
        }
        34 => {
            let ((at, len), (to, to_len)) = (text(script, path), text(script, path2));
            let args = [
                Arg::Fd(dir),
                Arg::I(u32::from(value % 5 == 0)),
                at,
                len,
                Arg::Fd(dir2),
                to,
                to_len,
            ];
            script.call("path_link", &args, Answer::Nothing);
        }
        35 | 36 => {
            let [at, len] = script.text(TARGETS[path2 % TARGETS.len()].as_bytes());
            let (link, link_len) = text(script, path);
            script.call(
                "path_symlink",
                &[at, len, Arg::Fd(dir), link, link_len],
                Answer::Nothing,
            );
        }
        37 => {
            let args = [
                Arg::Fd(dir),
                Arg::L(small),
                Arg::L(value),
                Arg::I(u32::from(other) % 6),
            ];
            script.call("fd_advise", &args, Answer::Nothing);
        }
        38 => script.call(
            "fd_allocate",
            &[Arg::Fd(dir), Arg::L(0), Arg::L(1)],
            Answer::Nothing,
        ),
        39 => script.call("fd_datasync", &[Arg::Fd(dir)], Answer::Nothing),
        _ => script.call(
            "fd_fdstat_set_rights",
            &[Arg::Fd(dir), Arg::L(0), Arg::L(0)],
            Answer::Nothing,
        ),
    }
    Compare::Bytes
}

fn ours(engine: &FaasletEngine, module: &Module, root: &Path, out: OwnedFd) {
    let dir = |name: &str, writable| DirGrant {
        host: root.join(name),
        guest: format!("/{name}"),
        writable,
    };
    let grants = Grants {
        dirs: vec![dir("granted", true), dir("readable", false)],
        stdout: Some(Arc::new(out)),
        ..Grants::default()
    };
    let function = Function::new(engine, "ours", module, grants).expect("a function");
    function.start(&mut Untimed).expect("exit code 0");
}

fn theirs(engine: &FaasletEngine, module: &Module, root: &Path, out: OwnedFd) {
    let mut builder = WasiCtxBuilder::new();
    builder.allow_blocking_current_thread(true);
    builder.stdout(OutputFile::new(File::from(out)));
    for (name, perms) in [
        ("granted", FsPerms::ReadWrite),
        ("readable", FsPerms::ReadOnly),
    ] {
        builder
            .preopened_dir(root.join(name), format!("/{name}"), perms)
            .expect("a directory");
    }
    let mut linker: Linker<WasiP1Ctx> = Linker::new(engine.wasmtime());
    p1::add_to_linker_sync(&mut linker, |context| context).expect("a linker");
    let mut store = Store::new(engine.wasmtime(), builder.build_p1());
    let instance = linker.instantiate(&mut store, module).expect("an instance");
    let start = instance
        .get_typed_func::<(), ()>(&mut store, "_start")
        .expect("an entry");
    start.call(&mut store, ()).expect("returns");
}

type Run = fn(&FaasletEngine, &Module, &Path, OwnedFd);

/// What `run` says, and what it leaves behind.
fn run(engine: &FaasletEngine, module: &Module, run: Run) -> (Vec<Said>, BTreeMap<String, String>) {
    let dir = TempDir::new().expect("a directory");
    let root = dir.path().join("root");
    tree(&root);
    let log = dir.path().join("log");
    run(
        engine,
        module,
        &root,
        File::create(&log).expect("a file").into(),
    );
    (said(&fs::read(&log).expect("a log")), everything(&root))
}

fn names_and_kinds(bytes: &[u8]) -> Vec<(Vec<u8>, u8)> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at + 24 <= bytes.len() {
        let len =
            u32::from_le_bytes(bytes[at + 16..at + 20].try_into().expect("four bytes")) as usize;
        all.push((bytes[at + 24..][..len].to_vec(), bytes[at + 20]));
        at += 24 + len;
    }
    all.sort();
    all
}

fn agree(compare: Compare, from_the_start: bool, ours: &Said, theirs: &Said) -> bool {
    if theirs.errno == errno::IO {
        // What they have no number for is an I/O error; ours say which.
        return ours.errno != 0;
    }
    if ours.errno != theirs.errno {
        if compare == Compare::DirectoryTimes && theirs.errno == errno::BADF {
            return ours.errno == 0;
        }
        let either = [errno::LOOP, errno::NOTDIR];
        return compare == Compare::OpenDirectory
            && either.contains(&ours.errno)
            && either.contains(&theirs.errno);
    }
    if ours.errno != 0 {
        return true;
    }
    match compare {
        Compare::Bytes | Compare::OpenDirectory | Compare::DirectoryTimes => {
            ours.bytes == theirs.bytes
        }
        Compare::Stat => {
            let (ours, theirs) = (&ours.bytes, &theirs.bytes);
            let is_dir = ours[16] == 3;
            ours[16..32] == theirs[16..32] && (is_dir || ours[32..40] == theirs[32..40])
        }
        Compare::Entries if from_the_start => {
            names_and_kinds(&ours.bytes) == names_and_kinds(&theirs.bytes)
        }
        // Their order is the file system's.
        Compare::Entries => {
            names_and_kinds(&ours.bytes).len() == names_and_kinds(&theirs.bytes).len()
        }
    }
}

#[test]
fn every_answer_is_that_of_the_other_implementation() {
    let engine = FaasletEngine::new(EngineSettings {
        instances: 2,
        ..EngineSettings::default()
    })
    .expect("an engine");
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 300,
        ..ProptestConfig::with_cases(150)
    };
    // The same sequences in every run; another algorithm or number here gives others.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let step_of = (
        0_u8..41,
        0_u8..12,
        0_u8..34,
        0_usize..44,
        0_usize..44,
        0_u64..2000,
    );
    let steps = prop::collection::vec(step_of, 1..40);
    let outcome = runner.run(&steps, |steps| {
        let mut script = Script::default();
        let compared: Vec<Compare> = steps
            .iter()
            .map(|&step_| step(&mut script, step_))
            .collect();
        let module = Module::new(engine.wasmtime(), script.module(1, 2)).expect("code");
        let (our_words, our_tree) = run(&engine, &module, ours);
        let (their_words, their_tree) = run(&engine, &module, theirs);
        prop_assert_eq!(our_words.len(), compared.len());
        for (i, compare) in compared.into_iter().enumerate() {
            let from_the_start = steps[i].5 % 2 * (steps[i].5 % 40) == 0;
            prop_assert!(
                agree(compare, from_the_start, &our_words[i], &their_words[i]),
                "call {} of {:?}: ours {:?}, theirs {:?}",
                i,
                steps,
                our_words[i],
                their_words[i]
            );
        }
        prop_assert_eq!(our_tree, their_tree);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
