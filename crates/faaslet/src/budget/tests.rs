use std::fs::File;
use std::os::fd::AsFd;
use std::thread;

use proptest::prelude::*;

use super::*;

fn budget(memory_bytes: u64) -> Budget {
    let settings = BudgetSettings {
        memory_bytes: Some(memory_bytes),
        ..BudgetSettings::default()
    };
    Budget::new(&settings, 4)
}

#[test]
fn no_more_is_taken_than_there_is_and_what_is_refused_costs_nobody() {
    let pool = Pool::new(100, OverBudget::Memory);
    pool.take(60).expect("fits");
    assert_eq!(pool.take(41), Err(OverBudget::Memory(41, 60, 100)));
    assert_eq!(
        pool.take(u64::MAX),
        Err(OverBudget::Memory(u64::MAX, 60, 100))
    );
    let held = pool.hold(40).expect("fits");
    assert!(pool.take(1).is_err());
    drop(held);
    assert_eq!(pool.taken(), 60);
}

#[test]
fn many_at_once_never_have_more_than_all() {
    let pool = Pool::new(10, OverBudget::Threads);
    let most = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    if pool.take(3).is_ok() {
                        most.fetch_max(pool.taken(), Ordering::Relaxed);
                        pool.give(3);
                    }
                }
            });
        }
    });
    assert!(most.into_inner() <= 10);
    assert_eq!(pool.taken(), 0);
}

#[test]
fn what_is_put_aside_is_so_once_for_all_slots() {
    let budget = budget(200);
    assert_eq!(budget.put_aside(10), 10);
    assert_eq!(budget.put_aside(5), 5);
    assert_eq!(budget.memory.taken(), 40);
    assert_eq!(
        budget.put_aside(26),
        0,
        "4 times 26 are more than half of 200"
    );
    assert_eq!(budget.put_aside(25), 25);
    assert_eq!(budget.memory.taken(), 100);
}

#[test]
fn room_to_write_is_kept_for_those_under_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = File::open(dir.path()).expect("open");
    let to_give = host::free_disk_bytes(dir.as_fd()).expect("a file system");
    let settings = BudgetSettings {
        disk_limit_bytes: to_give / 3 * 2,
        ..BudgetSettings::default()
    };
    let budget = Arc::new(Budget::new(&settings, 4));
    let keep = || budget.keep_disk([dir.as_fd()].into_iter());
    let first = keep().expect("fits");
    let error = keep().expect_err("does not").to_string();
    assert!(error.contains("--disk-limit"), "{error}");
    drop(first);
    keep().expect("fits again");
    assert_eq!(budget.disk_kept.load(Ordering::Relaxed), 0);
}

#[test]
fn the_host_has_something_of_all() {
    assert!(host::memory_bytes() > MIB && host::memory_bytes() < u64::MAX / 2);
    assert!(host::threads() > 10);
    let said = BudgetSettings::default().describe();
    assert!(said.contains("each writes at most 256 MiB"), "{said}");
}

#[test]
fn blocks_are_counted_once_while_a_program_goes_on() {
    let mut counted = CountedBlocks::default();
    let mut count = |at, len| {
        let (next, more) = counted.with(at, len);
        counted = next;
        more
    };
    assert_eq!(count(0, 1), 4096);
    assert_eq!(count(1, 4095), 0);
    assert_eq!(count(4096, 10), 4096);
    assert_eq!(count(1 << 20, 1), 4096, "far away");
    assert_eq!(count(0, 1), 4096, "forgotten meanwhile");
    assert_eq!(count(5, 0), 0);
    assert_eq!(count(u64::MAX - 1, 5), 4095, "no file is so long");
}

proptest! {
    /// Whatever is written, all blocks that it lies in were counted.
    #[test]
    fn no_block_is_forgotten(writes in prop::collection::vec((0_u64..200_000, 0_u64..20_000), 1..40)) {
        let (mut counted, mut sum) = (CountedBlocks::default(), 0);
        let mut blocks = std::collections::BTreeSet::new();
        for (at, len) in writes {
            let (next, more) = counted.with(at, len);
            counted = next;
            sum += more;
            if len > 0 {
                blocks.extend(at / BLOCK_BYTES..=(at + len - 1) / BLOCK_BYTES);
            }
            prop_assert!(sum >= blocks.len() as u64 * BLOCK_BYTES);
        }
    }
}
