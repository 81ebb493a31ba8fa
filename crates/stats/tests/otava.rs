//! Changes in series of runs held against those that Apache Otava finds, which `otava_reference.py` stored beside this file.

use serde::Deserialize;
use stats::changes::changes;

#[derive(Deserialize)]
struct Reference {
    margin: f64,
    p_value: f64,
    level: f64,
    changed: Vec<Case>,
    alone: Case,
    unchanged: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    values: Vec<f64>,
    /// Where it was made to change.
    steps: Vec<usize>,
    /// Where Otava says it does, by Student's t.
    hunter: Vec<usize>,
    /// The same by permutations.
    original: Vec<usize>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("otava_reference.json")).expect("the stored reference")
}

fn places(case: &Case, level: f64, margin: f64) -> Vec<usize> {
    let found = changes(&case.values, level, margin);
    found.into_iter().map(|change| change.at).collect()
}

/// Each of `found` lies within a run of one of `wanted`, and there are as many.
fn are_at(found: &[usize], wanted: &[usize]) -> bool {
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| a.abs_diff(*b) <= 1)
}

#[test]
fn what_otava_finds_in_series_that_change_is_found_where_it_is() {
    let reference = reference();
    for case in &reference.changed {
        let ours = places(case, reference.p_value, reference.margin);
        assert!(are_at(&ours, &case.steps), "{}: {ours:?}", case.name);
        for theirs in [&case.hunter, &case.original] {
            let same = are_at(&ours, theirs);
            assert!(same, "{}: {ours:?}, Otava {theirs:?}", case.name);
        }
    }
}

#[test]
fn one_run_that_is_off_is_no_change() {
    let reference = reference();
    let case = &reference.alone;
    assert!(places(case, reference.p_value, reference.margin).is_empty());
}

#[test]
fn in_series_without_a_change_fewer_are_found_than_by_students_t() {
    let reference = reference();
    let any = |found: &[usize]| usize::from(!found.is_empty());
    let [mut ours, mut by_t, mut by_permutations] = [0; 3];
    for case in &reference.unchanged {
        ours += any(&places(case, reference.level, 0.0));
        by_t += any(&case.hunter);
        by_permutations += any(&case.original);
    }
    let count = reference.unchanged.len();
    eprintln!(
        "of {count} series without a change: ours {ours}, Otava by t {by_t}, by permutations {by_permutations}"
    );
    // Seven or eight are to be expected of 150; twenty come by chance once in ten thousand.
    assert!(ours < 20 && ours < by_t, "{ours} and {by_t} of {count}");
}
