//! The rule, and a real process whose work must show.

use std::process::{Command, Stdio};
use std::time::Instant;

use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Metric, phase};
use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn amount(ms: u64, off_by_ms: u64) -> Result<Amount, WatchError> {
    Ok(Amount {
        ns: ms * MS,
        off_by_ns: off_by_ms * MS,
    })
}

/// A second on two CPUs in which nothing happened.
fn quiet() -> HostBlock {
    HostBlock {
        wall_ns: 1000 * MS,
        cpus: 2,
        other_cpu: amount(10, 8),
        kernel_cpu_ns: Ok(3),
        steal: amount(0, 10),
        run_queue: Ok(2),
        swapped_bytes: Ok(0),
        frequency_khz: Err(WatchError::TooShort),
        throttles: Err(WatchError::TooShort),
        busiest: None,
    }
}

fn reasons(block: &HostBlock) -> Vec<&'static str> {
    match block.verdict() {
        Verdict::Disturbed(by) => by.iter().map(Disturbance::phase).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_share_counts_as_far_as_ticks_do_not_hide_it() {
    assert_eq!(quiet().verdict(), Verdict::Quiet);
    // The limit is 100 ms of 2000.
    let others = |ms, off_by_ms| HostBlock {
        other_cpu: amount(ms, off_by_ms),
        ..quiet()
    };
    let too_short = Verdict::Unchecked(Unchecked::TooShort);
    assert_eq!(others(92, 8).verdict(), Verdict::Quiet);
    assert_eq!(others(93, 8).verdict(), too_short);
    assert_eq!(others(108, 8).verdict(), too_short);
    assert_eq!(reasons(&others(109, 8)), [phase::OTHER_CPU]);
    let stolen = |ms| HostBlock {
        steal: amount(ms, 10),
        ..quiet()
    };
    assert_eq!(stolen(10).verdict(), Verdict::Quiet);
    assert_eq!(stolen(20).verdict(), too_short);
    assert_eq!(reasons(&stolen(40)), [phase::STEAL]);
    // A tenth of a second can tell neither.
    let short = HostBlock {
        wall_ns: 100 * MS,
        other_cpu: amount(0, 8),
        ..quiet()
    };
    assert_eq!(short.verdict(), too_short);
}

#[test]
fn swapping_throttling_and_a_frequency_that_falls_disturb() {
    let block = |swapped: u64, khz, throttles: u64| HostBlock {
        swapped_bytes: Ok(swapped),
        frequency_khz: Ok((khz, 3_000_000)),
        throttles: Ok(throttles),
        ..quiet()
    };
    assert_eq!(block(0, 2_700_000, 0).verdict(), Verdict::Quiet);
    assert_eq!(reasons(&block(4096, 2_700_000, 0)), [phase::SWAP]);
    assert_eq!(reasons(&block(0, 2_699_999, 0)), [phase::FREQUENCY]);
    assert_eq!(reasons(&block(0, 3_000_000, 1)), [phase::THROTTLING]);
    let all = block(1, 1, 1);
    assert_eq!(
        reasons(&all),
        [phase::SWAP, phase::FREQUENCY, phase::THROTTLING]
    );
    let Verdict::Disturbed(by) = all.verdict() else {
        panic!("disturbed");
    };
    let words: Vec<String> = by.iter().map(ToString::to_string).collect();
    assert!(words[1].contains("from 3000 to 0 MHz"), "{words:?}");
}

#[test]
fn a_host_that_does_not_show_others_is_not_called_quiet() {
    let unseen = HostBlock {
        other_cpu: Err(WatchError::NoCpuTimes),
        ..quiet()
    };
    assert_eq!(unseen.verdict(), Verdict::Unchecked(Unchecked::NotShown));
    let swapping = HostBlock {
        swapped_bytes: Ok(1),
        ..unseen
    };
    assert_eq!(reasons(&swapping), [phase::SWAP]);
    let values = swapping.values();
    let of = |metric| values.iter().find(|value| value.1 == metric);
    let other = of(Metric::OtherCpuNs).expect("there");
    assert!(matches!(&other.2, Value::Unavailable(why) if why.contains("/proc/stat")));
}

#[test]
fn records_have_a_row_for_each_reason_and_none_for_what_the_host_never_shows() {
    let rows = |block: &HostBlock| -> Vec<(&str, Value)> {
        let disturbed = block.values().into_iter();
        let disturbed = disturbed.filter(|value| value.1 == Metric::Disturbed);
        disturbed.map(|(phase, _, value)| (phase, value)).collect()
    };
    assert_eq!(rows(&quiet()), [(phase::TOTAL, 0.into())]);
    let disturbed = HostBlock {
        steal: amount(500, 10),
        swapped_bytes: Ok(9),
        ..quiet()
    };
    let expected = [phase::TOTAL, phase::STEAL, phase::SWAP].map(|phase| (phase, 1.into()));
    assert_eq!(rows(&disturbed), expected);
    let metrics: Vec<Metric> = quiet().values().into_iter().map(|value| value.1).collect();
    for hidden in [Metric::LowestFrequencyKhz, Metric::Throttles] {
        assert!(!metrics.contains(&hidden), "{metrics:?}");
    }
}

/// Keeps a CPU busy until it is dropped.
struct Burner(std::process::Child);

impl Burner {
    fn start() -> Self {
        let child = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .spawn();
        Self(child.expect("sh starts"))
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Until the process has had `ms` of CPU time: on a busy host that takes longer.
fn wait_for_work(pid: i32, ms: u64) {
    let begun = Instant::now();
    let cpu_ns = || crate::cpu_time::process_cpu_ns(pid).expect("it lives");
    let before = cpu_ns();
    while cpu_ns() < before + ms * MS {
        assert!(begun.elapsed().as_secs() < 60, "the burner does not run");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_child_outside_of_the_scope_shows_as_others_work_and_inside_as_ours() {
    let burner = Burner::start();
    let pid = burner.0.id().cast_signed();
    // The scope is a process that does nothing; the burner is another's.
    let mut idle = Command::new("sleep").arg("600").spawn().expect("sleep");
    let of = |roots: Vec<i32>| {
        let scope = Scope {
            roots,
            ..Scope::default()
        };
        let watch = HostWatch::start(&scope);
        wait_for_work(pid, 400);
        watch.end()
    };
    let (others, ours) = (of(vec![idle.id().cast_signed()]), of(vec![pid]));
    idle.kill().expect("a child");
    idle.wait().expect("a child");
    let seen = others.other_cpu.as_ref().expect("this host shows it");
    assert!(seen.ns + seen.off_by_ns > 390 * MS, "{others:?}");
    if others.host_cpu_ns() < 4000 * MS {
        let by = reasons(&others);
        assert!(by.contains(&phase::OTHER_CPU), "{by:?} of {others:?}");
    }
    // Whatever else ran: without the burner's work it is less than with it.
    let rest = ours.other_cpu.as_ref().expect("this host shows it").ns;
    let all = ours.host_cpu_ns();
    assert!(rest + 300 * MS < all, "{rest} of {all}");
    assert_ne!(ours.busiest.as_ref().map(|b| b.pid), Some(pid), "{ours:?}");
    assert!(others.run_queue.expect("this host shows it") >= 1);
}

#[test]
fn what_this_process_starts_is_its_own_where_it_is_asked_to_be() {
    let burner = Burner::start();
    let pid = burner.0.id().cast_signed();
    let watch = HostWatch::start_own_tree();
    wait_for_work(pid, 200);
    drop(burner);
    let block = watch.end();
    assert_ne!(block.busiest.as_ref().map(|b| b.pid), Some(pid));
    let other = block.other_cpu.expect("this host shows it").ns;
    let all = block.wall_ns * block.cpus;
    assert!(other + 150 * MS < all, "{other} of {all}");
}

proptest! {
    #[test]
    fn no_block_is_both_quiet_and_beyond_a_limit(
        wall_ms in 0_u64..100_000, cpus in 0_u64..256, other_ms in 0_u64..100_000, steal_ms in 0_u64..100_000
    ) {
        let block = HostBlock {
            wall_ns: wall_ms * MS,
            cpus,
            other_cpu: amount(other_ms, 8),
            steal: amount(steal_ms, 10),
            ..quiet()
        };
        let limit = |share: f64| share * (wall_ms * cpus) as f64;
        match block.verdict() {
            Verdict::Quiet => prop_assert!(
                other_ms as f64 <= limit(OTHER_CPU_SHARE) && steal_ms as f64 <= limit(STEAL_SHARE)
            ),
            Verdict::Disturbed(_) => prop_assert!(
                other_ms as f64 > limit(OTHER_CPU_SHARE) || steal_ms as f64 > limit(STEAL_SHARE)
            ),
            Verdict::Unchecked(_) => {}
        }
    }
}
