use std::fs::File;
use std::io::Read;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::*;

const MS: u64 = 1_000_000;

fn arrivals(offsets_ns: Vec<u64>) -> Arrivals {
    Arrivals {
        due: offsets_ns.into_iter().map(|at| (at, 0)).collect(),
        workers: 3,
        own_cpu: None,
    }
}

/// A door, and the end of the pipe at which a worker would wait.
fn door() -> (Door, File) {
    let (input, pipe) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let (page, _memory) = ReleasePage::make().expect("a page");
    let page = Arc::new(page);
    (Door { pipe, page }, File::from(input))
}

/// The bytes that are left once nobody writes any more.
fn left_in(mut input: File) -> usize {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).expect("the end");
    bytes.len()
}

#[test]
fn a_worker_that_takes_what_is_due_and_waits_for_the_rest_gets_every_arrival() {
    const ARRIVALS: u64 = 200;
    let (door, mut input) = door();
    let page = door.page.clone();
    let due = arrivals((0..ARRIVALS).map(|i| i * MS / 4).collect());
    let mut generator = Generator::start(vec![door], due).expect("a thread");
    let begin_ns = now_ns();
    page.begin(begin_ns);
    generator.begin(begin_ns);
    let is_due = |number| number < ARRIVALS && begin_ns + number * MS / 4 <= now_ns();
    let (mut taken, mut woken) = (0, 0);
    while page.taken() < ARRIVALS {
        if page.take_if(is_due).is_some() {
            taken += 1;
            // Every tenth start lasts beyond the next arrivals.
            let start_ms = if taken % 10 == 0 { 1 } else { 0 };
            thread::sleep(Duration::from_millis(start_ms));
            continue;
        }
        page.begin_waiting();
        if is_due(page.taken()) && page.cancel_waiting() {
            continue;
        }
        page.call_generator();
        input.read_exact(&mut [0]).expect("a byte");
        woken += 1;
    }
    let generated = generator.finish().expect("an end");
    assert_eq!(taken, ARRIVALS);
    // It was late with none that a worker took by itself; how many these are is the host's to say.
    assert!((1..=ARRIVALS).contains(&generated.late.count()), "{woken}");
    assert!(generated.broken.is_none() && generated.hand_off_ns > 0);
    drop(page);
    assert!(left_in(input) <= 3, "one for each worker");
}

#[test]
fn who_waits_is_woken_when_an_arrival_is_due_and_not_before() {
    let (door, mut input) = door();
    let page = door.page.clone();
    page.begin_waiting();
    page.begin_waiting();
    let due = arrivals(vec![20 * MS, 40 * MS, 60 * MS]);
    let mut generator = Generator::start(vec![door], due).expect("a thread");
    let begin_ns = now_ns();
    generator.begin(begin_ns);
    for due_ms in [20, 40] {
        input.read_exact(&mut [0]).expect("a byte");
        assert!(now_ns() >= begin_ns + due_ms * MS);
    }
    // For the third nobody waits.
    assert_eq!(generator.finish().expect("an end").late.count(), 2);
    assert!(now_ns() >= begin_ns + 60 * MS);
    assert_eq!((page.waiting(), left_in(input)), (0, 3));
}

#[test]
fn each_door_gets_its_own() {
    let (first, second) = (door(), door());
    let due = Arrivals {
        due: vec![(0, 1), (0, 0), (MS, 1), (2 * MS, 1)],
        ..arrivals(Vec::new())
    };
    first.0.page.begin_waiting();
    (0..3).for_each(|_| second.0.page.begin_waiting());
    let doors = vec![first.0, second.0];
    let mut generator = Generator::start(doors, due).expect("a thread");
    generator.begin(now_ns());
    assert_eq!(generator.finish().expect("an end").late.count(), 4);
    assert_eq!([first.1, second.1].map(left_in), [1 + 3, 3 + 3]);
}

#[test]
fn dropping_it_lets_the_workers_end_and_nothing_else() {
    for waiting in [0, 1] {
        let (door, input) = door();
        (0..waiting).for_each(|_| door.page.begin_waiting());
        let generator = Generator::start(vec![door], arrivals(vec![3600 * 1000 * MS]));
        let mut generator = generator.expect("a thread");
        generator.begin(now_ns());
        drop(generator);
        assert_eq!(left_in(input), 3);
    }
}

fn generated(late_ns: u64, cpu_ns: u64) -> Generated {
    let mut late = Latencies::new().expect("bounds");
    late.record_ns(late_ns);
    Generated {
        late,
        cpu_ns,
        hand_off_ns: 0,
        is_real_time: true,
        let_go_per_s: 400.0,
        arrivals: 50,
        broken: None,
    }
}

#[test]
fn a_generator_that_is_late_or_busy_says_how_far_it_got() {
    let unfit = |g: Generated| g.unfit(MS, 500.0, 1000 * MS);
    assert_eq!(unfit(generated(50_000, MS)), None);
    let late = unfit(generated(200_000, MS)).expect("late");
    assert!(
        late.contains("was late") && late.contains("400 of 500"),
        "{late}"
    );
    // One late one of so many that p99 does not have it.
    let rarely = Generated {
        arrivals: 100,
        ..generated(200_000, MS)
    };
    assert_eq!(unfit(rarely), None);
    let busy = unfit(generated(0, 950 * MS)).expect("busy");
    assert!(busy.contains("short of CPU time"), "{busy}");
    let broken = unfit(Generated {
        broken: Some(Errno::EAGAIN),
        ..generated(0, 0)
    });
    assert!(broken.expect("broken").contains("EAGAIN"));
}
