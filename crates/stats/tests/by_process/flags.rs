//! How often flags cry wolf where processes and batches differ, and that they find what is there.

use std::collections::BTreeMap;

use crate::populations::{DESIGNS, Population};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use stats::levels::{Level, LevelFlag, Levels, Place, flags};

fn name(flag: &LevelFlag) -> &'static str {
    match flag {
        LevelFlag::Outliers { .. } => "outliers",
        LevelFlag::SlowFirst { .. } => "slow first",
        LevelFlag::Drift { .. } => "drift",
        LevelFlag::Modes { .. } => "modes",
        LevelFlag::Apart { .. } => "apart",
    }
}

/// At most 5 % of samples may be called odd where nothing is; three standard deviations of chance more.
fn hold(what: &str, alarms: u32, draws: u32) {
    let most = f64::from(draws) * 0.05;
    let chance = 3.0 * (most * 0.95).sqrt();
    eprintln!("{what}: {alarms} of {draws}");
    assert!(
        f64::from(alarms) <= most + chance,
        "{what}: {alarms} of {draws}"
    );
}

#[test]
fn flags_do_not_cry_wolf() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let draws = 200;
    for design in DESIGNS {
        for (processes, batches, starts) in [(6, 3, 2), (10, 3, 10), (10, 20, 1)] {
            let population = Population::new(&mut rng, design, batches, starts);
            let mut alarms: BTreeMap<&str, u32> = BTreeMap::new();
            for _ in 0..draws {
                let found = flags(&population.draw(&mut rng, processes));
                for flag in &found.flags {
                    *alarms.entry(name(flag)).or_default() += 1;
                }
            }
            if design.slow_share > 0.0 {
                // Its processes have two modes, which is no false alarm.
                alarms.remove("modes");
                alarms.remove("apart");
            }
            if design.skewed {
                // Three of a hundred starts lie far out.
                alarms.remove("outliers");
            }
            for (flag, alarms) in alarms {
                let layout = format!("{processes} x {batches} x {starts}");
                hold(&format!("{flag}, {}, {layout}", design.name), alarms, draws);
            }
        }
    }
}

/// Ten processes of three batches of 20 starts around 52, which differ by a few percent; `change` turns the
/// (process, batch, start, value) of each into another value.
fn steady_but_for(change: impl Fn(u32, u32, u32, f64) -> f64) -> Levels {
    let mut seen = Vec::new();
    let mut state: u32 = 7;
    for process in 1..=10 {
        for batch in 1..=3 {
            for start in 1..=20 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(state >> 8) / f64::from(1 << 24);
                let value = 51.0 + 2.0 * noise;
                seen.push((process, batch, change(process, batch, start, value)));
            }
        }
    }
    Levels::from_observations(seen).expect("values")
}

#[test]
fn nothing_is_odd_about_what_is_steady() {
    let found = flags(&steady_but_for(|_, _, _, value| value));
    assert_eq!(found.flags, []);
    assert_eq!(found.unchecked, []);
}

#[test]
fn a_batch_at_half_the_time_of_the_others_is_found() {
    let halved = |process, batch, _, value| {
        if (process, batch) == (4, 2) {
            value / 2.0
        } else {
            value
        }
    };
    let found = flags(&steady_but_for(halved)).flags;
    let [LevelFlag::Apart { places }] = found.as_slice() else {
        panic!("{found:?}");
    };
    let (place, ratio) = places[0];
    assert_eq!((place.process, place.batch, places.len()), (4, Some(2), 1));
    assert!((ratio - 0.5).abs() < 0.02, "{ratio}");
    assert!(
        found[0]
            .to_string()
            .starts_with("batch 2 of process 4 at 0.5")
    );
}

#[test]
fn a_process_in_another_mode_is_found() {
    let doubled = |process, _, _, value| if process == 9 { value * 2.0 } else { value };
    let found = flags(&steady_but_for(doubled)).flags;
    let apart = found.iter().find(|flag| name(flag) == "apart");
    assert!(
        matches!(apart, Some(LevelFlag::Apart { places }) if places[0].0.process == 9),
        "{found:?}"
    );
}

#[test]
fn outliers_are_named_by_process_and_batch() {
    let one_stalls = |process, batch, start, value| {
        if (process, batch) == (3, 1) && start > 15 {
            value * 4.0
        } else {
            value
        }
    };
    let found = flags(&steady_but_for(one_stalls)).flags;
    let Some(LevelFlag::Outliers { places, starts, .. }) =
        found.iter().find(|flag| name(flag) == "outliers")
    else {
        panic!("{found:?}");
    };
    let expected = Place {
        process: 3,
        batch: Some(1),
        starts: 5,
    };
    assert_eq!((places.as_slice(), *starts), (&[expected][..], 600));
}

#[test]
fn drift_is_found_at_the_level_where_it_is() {
    type Change = fn(u32, u32, u32, f64) -> f64;
    let cases: [(Level, Change); 3] = [
        (Level::Processes, |process, _, _, v| {
            v * (1.0 + 0.02 * f64::from(process))
        }),
        (Level::Batches, |_, batch, _, v| {
            v * (1.0 - 0.05 * f64::from(batch))
        }),
        (Level::Starts, |_, _, start, v| {
            v * (1.0 + 0.003 * f64::from(start))
        }),
    ];
    for (level, change) in cases {
        let found = flags(&steady_but_for(change)).flags;
        assert!(
            matches!(found.as_slice(), [LevelFlag::Drift { of, .. }] if *of == level),
            "{level:?}: {found:?}"
        );
    }
}

#[test]
fn slow_first_starts_and_modes_are_found() {
    let slow_first = |_, _, start, value| if start == 1 { value * 1.5 } else { value };
    let found = flags(&steady_but_for(slow_first)).flags;
    assert!(
        found.iter().any(|flag| name(flag) == "slow first"),
        "{found:?}"
    );
    let two_modes = |_, _, start, value| if start % 3 == 0 { value * 1.5 } else { value };
    let found = flags(&steady_but_for(two_modes)).flags;
    assert!(
        found.iter().any(|flag| matches!(flag, LevelFlag::Modes { high_share, .. } if (high_share - 0.3).abs() < 0.01)),
        "{found:?}"
    );
}

#[test]
fn what_is_too_small_is_unchecked_with_the_reason() {
    let few = Levels::one_per_process(&[1.0, 2.0, 3.0]).expect("values");
    let found = flags(&few);
    assert_eq!(found.flags, []);
    let (what, why) = found.unchecked[0];
    assert_eq!(
        (what, why.to_string().as_str()),
        ("outliers", "3 values, 50 are needed")
    );
    let zero = Levels::one_per_process(&[0.0]).expect("values");
    assert_eq!(flags(&zero).unchecked[0].0, "all flags");
}

proptest! {
    #[test]
    fn no_levels_panic(seen in prop::collection::vec((0_u32..9, 0_u32..4, prop::num::f64::NORMAL), 1..120)) {
        if let Some(levels) = Levels::from_observations(seen) {
            for flag in flags(&levels).flags {
                prop_assert!(!flag.to_string().is_empty());
            }
        }
    }

    #[test]
    fn no_positive_levels_panic(seen in prop::collection::vec((0_u32..9, 0_u32..4, 1_u32..9), 1..120)) {
        let seen = seen.into_iter().map(|(process, batch, value)| (process, batch, f64::from(value)));
        let found = flags(&Levels::from_observations(seen).expect("values"));
        for flag in found.flags {
            prop_assert!(!flag.to_string().contains("NaN"));
        }
    }
}
