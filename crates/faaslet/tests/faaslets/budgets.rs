//! What all starts have together: one that does not fit is refused and says why, the others go on, and all is given back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::park::Parked;
use faaslet::stdin::Stdin;
use faaslet::{
    BudgetSettings, EngineSettings, FaasletEngine, Function, Grants, OverBudget, SetupError,
    StartError,
};

use crate::common::{engine_with, exit_code, function};
use crate::script::Script;
use crate::script::place::{Place, creating, errors, reading};

const MIB: u64 = 1 << 20;
const NFILE: u32 = 41;
const DQUOT: u32 = 19;

fn settings(instances: u32, budget: BudgetSettings) -> EngineSettings {
    EngineSettings {
        instances,
        deadline: Duration::from_secs(300),
        budget,
        ..EngineSettings::default()
    }
}

fn engine(instances: u32, budget: BudgetSettings) -> FaasletEngine {
    engine_with(settings(instances, budget))
}

/// Begins with `pages` of 64 KiB, grows by `more` or exits with code 7, and then reads its standard input to the end.
fn growing(pages: u32, more: u32) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") {pages})
        (data (i32.const 0) "\40\00\00\00\01\00\00\00")
        (func (export "_start")
            (if (i32.eq (memory.grow (i32.const {more})) (i32.const -1)) (then (call $exit (i32.const 7))))
            (loop $again
                (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)) (then unreachable))
                (br_if $again (i32.load (i32.const 16))))))"#
    )
}

fn refused(function: &Function) -> OverBudget {
    match function.start(&mut Untimed) {
        Err(StartError::Setup(setup)) => match *setup {
            SetupError::Budget(over) => over,
            other => panic!("{other}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_is_shared_and_one_that_does_not_fit_leaves_the_others_alone() {
    let budget = BudgetSettings {
        memory_bytes: Some(4 * MIB),
        ..BudgetSettings::default()
    };
    let several = FaasletEngine::several(&settings(4, budget.clone()), 2).expect("engines");
    let one = engine(4, budget);
    shares_memory(&one, &one);
    shares_memory(&several[0], &several[1]);
}

/// Holds three of four MiB in `first`, and starts others in `second`.
fn shares_memory(first: &FaasletEngine, second: &FaasletEngine) {
    let (stdin, release) = Stdin::pipe().expect("a pipe");
    let grants = Grants {
        stdin: Some(stdin.clone()),
        ..Grants::default()
    };
    let hog = function(first, growing(1, 47), grants);
    let large = function(second, growing(32, 0), Grants::default());
    let small = function(second, growing(1, 0), Grants::default());
    let greedy = function(second, growing(1, 40), Grants::default());
    let mut parked = Parked::park(&[hog], &stdin, release, None, 1).expect("parked");
    assert!(
        matches!(refused(&large), OverBudget::Memory(wanted, _, limit) if (wanted, limit) == (2 * MIB, 4 * MIB))
    );
    small.start(&mut Untimed).expect("it fits");
    match greedy.start(&mut Untimed) {
        Err(StartError::ExitCode { code: 7, note }) => {
            assert!(note.contains("--memory-budget"), "{note}")
        }
        other => panic!("{other:?}"),
    }
    parked.release().expect("an end");
    for one in [&large, &greedy, &small] {
        one.start(&mut Untimed).expect("all is given back");
    }
}

#[test]
fn descriptors_are_shared() {
    let place = Place::new();
    let settings = |descriptors| BudgetSettings {
        descriptors: Some(descriptors),
        ..BudgetSettings::default()
    };
    let mut script = Script::default();
    for _ in 0..12 {
        script.open(0, b"f", reading(), 1);
    }
    script.open(0, b"new", creating(), 2);
    let said = place.run_in(&engine(1, settings(8)), &script, 1, place.grants(true));
    let mut expected = vec![0; 7];
    expected.resize(13, NFILE);
    assert_eq!(errors(&said), expected, "one is the directory");
    assert!(!place.granted().join("new").exists());
    let none = engine(1, settings(0));
    let program = place.function(&none, &Script::default(), 1, place.grants(false));
    assert_eq!(refused(&program), OverBudget::Descriptors(1, 0, 0));
}

#[test]
fn threads_are_shared() {
    let settings = BudgetSettings {
        threads: Some(2),
        ..BudgetSettings::default()
    };
    let engine = engine(4, settings);
    let (stdin, release) = Stdin::pipe().expect("a pipe");
    let grants = Grants {
        stdin: Some(stdin.clone()),
        ..Grants::default()
    };
    let program = [function(&engine, growing(1, 0), grants)];
    let error = Parked::park(&program, &stdin, release, None, 3)
        .map(drop)
        .expect_err("too many");
    assert!(error.to_string().contains("--thread-budget"), "{error}");
    let (stdin, release) = Stdin::pipe().expect("a pipe");
    let grants = Grants {
        stdin: Some(stdin.clone()),
        ..Grants::default()
    };
    let program = [function(&engine, growing(1, 0), grants)];
    let mut parked = Parked::park(&program, &stdin, release, None, 2).expect("two fit");
    parked.release().expect("an end");
}

#[test]
fn a_start_writes_no_more_than_it_may() {
    let place = Place::new();
    let settings = |disk_limit_bytes| BudgetSettings {
        disk_limit_bytes,
        ..BudgetSettings::default()
    };
    // A byte in each of 300 blocks, of which 255 fit beside the entry of the file.
    let mut script = Script::default();
    script.open(0, b"new", creating(), 1);
    for block in 0..300 {
        script.write(1, b"x", Some(block << 12));
    }
    script.at("path_create_directory", 0, b"dir");
    script.open(0, b"newer", creating(), 2);
    // What is read, and is there, goes on.
    script.open(0, b"f", reading(), 3);
    let said = errors(&place.run_in(&engine(1, settings(MIB)), &script, 1, place.grants(true)));
    let written = said[1..=300]
        .iter()
        .take_while(|&&errno| errno == 0)
        .count();
    assert_eq!((said[0], written), (0, 255));
    assert!(
        said[256..=302].iter().all(|&errno| errno == DQUOT),
        "{said:?}"
    );
    assert_eq!(said[303], 0);
    let new = fs::metadata(place.granted().join("new")).expect("there");
    assert!(new.blocks() * 512 <= MIB, "{} blocks", new.blocks());
    assert!(!place.granted().join("newer").exists());
    // Over and over in one place is no more than once.
    let mut script = Script::default();
    script.open(0, b"f", creating(), 1);
    for i in 0..400 {
        script.write(1, b"again", Some(i % 4000));
    }
    let said = place.run_in(&engine(1, settings(MIB)), &script, 1, place.grants(true));
    assert!(errors(&said).iter().all(|&errno| errno == 0));
}

#[test]
fn room_for_what_may_be_written_is_there_before_a_start() {
    let place = Place::new();
    let settings = BudgetSettings {
        disk_limit_bytes: u64::MAX / 4,
        ..BudgetSettings::default()
    };
    let engine = engine(1, settings);
    let program = |writable| place.function(&engine, &Script::default(), 1, place.grants(writable));
    assert!(matches!(refused(&program(true)), OverBudget::Disk(..)));
    assert_eq!(
        exit_code(program(false).start(&mut Untimed)),
        0,
        "it writes nothing"
    );
}
