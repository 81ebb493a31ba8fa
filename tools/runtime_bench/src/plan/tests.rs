use super::*;
use proptest::prelude::*;

fn sizes(iterations: Option<Vec<u64>>) -> Sizes {
    Sizes {
        iterations,
        isolated: None,
        idle: Duration::from_millis(100),
        workers: vec![1, 2, 4],
        processes: None,
        sets: 1,
        requests: false,
        strict: false,
        budget: Duration::from_secs(15),
        within: None,
        is_scaling: false,
    }
}

const NO_OPENING: Duration = Duration::ZERO;

fn back_to_back(work: &Work) -> Vec<(u64, u32)> {
    let tasks = work.tasks.iter();
    tasks
        .filter(|t| t.pass == Pass::BackToBack)
        .map(|t| (t.starts, t.repetitions))
        .collect()
}

#[test]
fn fast_rungs_get_all_and_slow_ones_the_least() {
    let fast = work(&sizes(None), 50_000, NO_OPENING, 64);
    assert_eq!(
        (fast.isolated, back_to_back(&fast)),
        (MAX_ISOLATED, vec![(MAX_BACK_TO_BACK, FAST_BATCHES)])
    );
    let slow = work(&sizes(None), 400_000_000, Duration::from_secs(3), 64);
    assert_eq!((slow.isolated, back_to_back(&slow)), (2, vec![(2, 1)]));
    let very_slow = work(&sizes(None), 2_400_000_000, NO_OPENING, 64);
    assert_eq!(
        (very_slow.isolated, back_to_back(&very_slow)),
        (1, vec![(1, 1)])
    );
}

#[test]
fn what_was_asked_for_is_done_however_long_it_takes() {
    let slow = work(
        &sizes(Some(vec![1, 10, 100])),
        3_000_000_000,
        NO_OPENING,
        64,
    );
    assert_eq!(back_to_back(&slow), [(1, 1), (10, 1), (100, 1)]);
}

#[test]
fn a_slow_rung_is_metered_in_its_closed_loop_and_a_fast_one_apart() {
    let passes = |start_ns| -> Vec<(Pass, bool)> {
        let work = work(&sizes(None), start_ns, NO_OPENING, 1);
        work.tasks.iter().map(|t| (t.pass, t.metered)).collect()
    };
    assert_eq!(
        passes(1_000_000),
        [
            (Pass::BackToBack, false),
            (Pass::Cpu, true),
            (Pass::Disk, true)
        ]
    );
    assert_eq!(passes(20_000_000), [(Pass::BackToBack, true)]);
}

#[test]
fn a_handler_is_asked_and_what_that_takes_is_a_start_or_so() {
    let asked = Sizes {
        requests: true,
        ..sizes(None)
    };
    for (start_ns, batches) in [(50_000, REQUEST_BATCHES), (400_000_000, 1)] {
        let with = work(&asked, start_ns, NO_OPENING, 1);
        let without = work(&sizes(None), start_ns, NO_OPENING, 1);
        let requests = |work: &Work| -> Vec<(u64, u32)> {
            let tasks = work.tasks.iter().filter(|t| t.pass == Pass::Request);
            tasks.map(|t| (t.starts, t.repetitions)).collect()
        };
        assert_eq!(requests(&with), [(REQUESTS, batches)]);
        assert_eq!(requests(&without), []);
        let more = with.estimate(start_ns) - without.estimate(start_ns);
        assert_eq!(more, Duration::from_nanos(start_ns) * batches);
    }
}

#[test]
fn workers_beyond_the_rung_are_left_out() {
    let workers = |most| {
        let work = work(&sizes(None), 1000, NO_OPENING, most);
        work.tasks.iter().map(|t| t.workers).max()
    };
    assert_eq!(
        (workers(1), workers(2), workers(64)),
        (Some(1), Some(2), Some(4))
    );
}

#[test]
fn classes_have_their_least_number_of_processes() {
    let processes = |start_ns| sizes(None).processes(start_ns);
    assert_eq!(
        (
            processes(9_000_000),
            processes(11_000_000),
            processes(2_000_000_000)
        ),
        (10, 6, 6)
    );
}

proptest! {
    #[test]
    fn every_kind_is_there_and_the_budget_holds(start_ns in 1_000u64..3_000_000_000, opening_ms in 0u64..3000) {
        let sizes = sizes(None);
        let opening = Duration::from_millis(opening_ms);
        let work = work(&sizes, start_ns, opening, 64);
        prop_assert!(work.isolated > 0);
        for workers in [1, 2, 4] {
            prop_assert!(work.tasks.iter().any(|t| t.workers == workers));
        }
        prop_assert!(work.tasks.iter().any(|t| t.metered));
        prop_assert!(work.tasks.iter().all(|t| t.starts > 0 && t.repetitions > 0));
        prop_assert!(work.tasks.iter().all(|t| t.starts % t.workers as u64 == 0));
        // The least of each kind is made even if it exceeds the budget; warm-up and the first start come on top.
        let processes = sizes.processes(start_ns);
        let least = Duration::from_nanos(start_ns * (1 + 2 + 4 * (10 + 2) + 6 * 11 + 2 * 11));
        prop_assert!(work.estimate(start_ns) * processes <= sizes.budget + least * processes);
    }
}

#[test]
fn scaling_spends_its_time_on_one_worker_and_on_several() {
    let scaling = Sizes {
        is_scaling: true,
        isolated: Some(1),
        ..sizes(None)
    };
    assert!(!scaling.may_adapt());
    let fast = work(&scaling, 50_000, NO_OPENING, 64);
    let batches: Vec<(usize, u32)> = fast
        .tasks
        .iter()
        .filter(|t| t.pass == Pass::Throughput)
        .map(|t| (t.workers, t.repetitions))
        .collect();
    assert_eq!(batches, [1, 2, 4].map(|w| (w, SCALING_BATCHES)));
    assert!(
        fast.tasks
            .iter()
            .all(|t| t.pass != Pass::Cpu && t.pass != Pass::Disk)
    );
    // Of 1.5 s for a process nine tenths are theirs, a start taken to last as long whoever else is at it.
    let starts: u64 = fast
        .tasks
        .iter()
        .map(|t| t.starts * u64::from(t.repetitions))
        .sum();
    assert!((24_000..30_000).contains(&starts), "{starts}");
    let bounded = work(&scaling, 50_000, NO_OPENING, 2);
    assert!(bounded.tasks.iter().all(|t| t.workers <= 2));
}
