//! Random calls about files are answered as wasmtime-wasi answers them, and leave the same files behind.

mod calls;
#[path = "../common/mod.rs"]
mod common;
#[path = "../script/mod.rs"]
mod script;
mod trees;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use faaslet::function::Untimed;
use faaslet::{FaasletEngine, Function, Grants};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;
use wasmtime::{Linker, Module, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::OutputFile;
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use calls::{Compare, step};
use script::{Said, Script, errno, said};
use trees::{everything, tree};

fn ours(engine: &FaasletEngine, module: &Module, root: &Path, out: OwnedFd) {
    let grants = Grants {
        stdout: Some(Arc::new(out)),
        ..Grants::default()
    };
    let grants = grants
        .with_dir(root.join("granted"), "/granted", true)
        .with_dir(root.join("readable"), "/readable", false);
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

fn agree(compare: Compare, ours: &Said, theirs: &Said) -> bool {
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
        Compare::Entries {
            from_the_start: true,
        } => names_and_kinds(&ours.bytes) == names_and_kinds(&theirs.bytes),
        Compare::Entries {
            from_the_start: false,
        } => names_and_kinds(&ours.bytes).len() == names_and_kinds(&theirs.bytes).len(),
    }
}

#[test]
fn every_answer_is_that_of_the_other_implementation() {
    let engine = common::engine(2);
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
            prop_assert!(
                agree(compare, &our_words[i], &their_words[i]),
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
