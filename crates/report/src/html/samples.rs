//! All samples of a run in few bytes, within reach of the page's script, which gives them out as CSV.
//!
//! Samples that share all but value and order, and follow one another in it, are one group: digits instead of lines of JSON.

use std::collections::HashMap;

use measure_core::contract::sample::{Sample, Value};
use serde::Serialize;

/// Samples are left out of a page where they would take more: it is to be sent by mail.
const MOST_BYTES: usize = 3 * 1024 * 1024;

/// A digit and a comma: more samples than fit so are not even grouped.
const LEAST_BYTES_OF_SAMPLE: usize = 2;

/// The columns of the CSV, in the order in which a group has them; `order` begins there and `value` is a list.
const COLUMNS: [&str; 12] = [
    "rung", "function", "measure", "phase", "metric", "n", "workers", "process", "block", "warmup",
    "order", "value",
];

/// What one group has in common. Words are places in the list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Common {
    rung: usize,
    function: usize,
    measure: usize,
    phase: usize,
    metric: usize,
    n: u64,
    workers: u32,
    process: u32,
    block: u32,
    is_warmup: bool,
}

/// A value as it was measured, or the place of the words that say why there is none, in a list of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Cell {
    Number(i64),
    Why([usize; 1]),
}

#[derive(Debug)]
struct Group {
    common: Common,
    first_order: u64,
    values: Vec<Cell>,
}

#[derive(Debug, Default)]
struct Words<'a> {
    places: HashMap<&'a str, usize>,
    list: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn place(&mut self, word: &'a str) -> usize {
        *self.places.entry(word).or_insert_with(|| {
            self.list.push(word);
            self.list.len() - 1
        })
    }
}

/// What a page has of a run's samples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Samples {
    /// There are none.
    #[default]
    Nothing,
    /// All of them, as JSON that may stand within a page.
    Within(String),
    /// They would take more than a page may; this is how many there are.
    TooMany(usize),
}

impl Samples {
    /// `samples`, if a page may hold them.
    #[must_use]
    pub fn from_records(samples: &[Sample]) -> Self {
        if samples.is_empty() {
            return Self::Nothing;
        }
        if samples.len() > MOST_BYTES / LEAST_BYTES_OF_SAMPLE {
            return Self::TooMany(samples.len());
        }
        let text = compact(samples);
        if text.len() > MOST_BYTES {
            return Self::TooMany(samples.len());
        }
        Self::Within(text)
    }
}

/// `samples` as JSON.
fn compact(samples: &[Sample]) -> String {
    let mut words = Words::default();
    let groups = groups_of(samples, &mut words);
    let rows = groups.iter().map(|group| {
        let c = &group.common;
        let numbers = (
            c.n,
            c.workers,
            c.process,
            c.block,
            u8::from(c.is_warmup),
            group.first_order,
        );
        let named = [c.rung, c.function, c.measure, c.phase, c.metric];
        (named, numbers, group.values.as_slice())
    });
    let all = All {
        columns: COLUMNS,
        words: &words.list,
        groups: rows.collect(),
    };
    // Plain data always serialises. No word is to end the element that it stands in.
    let text = serde_json::to_string(&all).unwrap_or_default();
    text.replace('<', "\\u003c")
}

/// What a group is in the page: places of words, numbers in the order of their columns, values.
type Row<'a> = ([usize; 5], (u64, u32, u32, u32, u8, u64), &'a [Cell]);

/// The whole of it, as the page's script reads it.
#[derive(Serialize)]
struct All<'a> {
    columns: [&'static str; 12],
    words: &'a [&'a str],
    groups: Vec<Row<'a>>,
}

/// Each sample goes to the open group that it follows in, else opens one.
fn groups_of<'a>(samples: &'a [Sample], words: &mut Words<'a>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut open: HashMap<Common, usize> = HashMap::new();
    for sample in samples {
        let common = Common {
            rung: words.place(&sample.rung),
            function: words.place(&sample.function),
            measure: words.place(sample.measure.as_str()),
            phase: words.place(&sample.phase),
            metric: words.place(sample.metric.as_str()),
            n: sample.n,
            workers: sample.workers,
            process: sample.process,
            block: sample.block,
            is_warmup: sample.warmup,
        };
        let cell = match (&sample.error, &sample.value) {
            (Some(why), _) | (None, Value::Unavailable(why)) => Cell::Why([words.place(why)]),
            (None, Value::Value(number)) => Cell::Number(*number),
        };
        let follows = open.get(&common).and_then(|&at| {
            let group = groups.get_mut(at)?;
            (group.first_order + group.values.len() as u64 == sample.order).then_some(group)
        });
        if let Some(group) = follows {
            group.values.push(cell);
        } else {
            open.insert(common, groups.len());
            groups.push(Group {
                common,
                first_order: sample.order,
                values: vec![cell],
            });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use measure_core::contract::sample::SCHEMA;
    use measure_core::contract::vocabulary::{Measure, Metric, phase};
    use proptest::prelude::*;

    use super::*;

    fn sample(rung: &str, block: u32, order: u64, value: Value) -> Sample {
        Sample {
            schema: SCHEMA,
            run: "r".into(),
            rung: rung.into(),
            function: "demo/noop".into(),
            measure: Measure::Isolated,
            phase: phase::TOTAL.into(),
            metric: Metric::WallNs,
            value,
            n: 1,
            workers: 1,
            process: 1,
            block,
            order,
            seed: 7,
            warmup: false,
            error: None,
        }
    }

    /// What the script makes of a group: (rung, block, order, value).
    fn expanded(text: &str) -> Vec<(String, u64, u64, String)> {
        let all: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let number = |v: &serde_json::Value| v.as_u64().expect("a number");
        let word = |v: &serde_json::Value| {
            let place = usize::try_from(number(v)).expect("small");
            all["words"][place].as_str().expect("a word").to_owned()
        };
        let mut found = Vec::new();
        for group in all["groups"].as_array().expect("groups") {
            for (at, value) in (0..).zip(group[2].as_array().expect("values")) {
                let value = if value.is_array() {
                    word(&value[0])
                } else {
                    value.to_string()
                };
                found.push((
                    word(&group[0][0]),
                    number(&group[1][3]),
                    number(&group[1][5]) + at,
                    value,
                ));
            }
        }
        found
    }

    #[test]
    fn what_would_end_its_element_does_not() {
        let text = compact(&[sample("</script><script>alert(1)", 0, 0, Value::Value(1))]);
        assert!(!text.contains('<'), "{text}");
        assert_eq!(expanded(&text)[0].0, "</script><script>alert(1)");
    }

    #[test]
    fn a_hundred_thousand_take_a_megabyte() {
        let each = (0..100_000).map(|i| {
            sample(
                "wasm",
                i / 50,
                u64::from(i % 50),
                Value::Value(i64::from(i % 977) + 20_000),
            )
        });
        let text = compact(&each.collect::<Vec<_>>());
        assert!(text.len() < 1024 * 1024, "{}", text.len());
    }

    #[test]
    fn more_than_a_page_may_hold_are_counted_and_left_out() {
        // Each in a block of its own, which is a group of its own.
        let each = (0..100_000).map(|i| sample("wasm", i, 0, Value::Value(i64::MAX)));
        let all: Vec<Sample> = each.collect();
        assert_eq!(Samples::from_records(&all), Samples::TooMany(100_000));
        assert!(matches!(
            Samples::from_records(&all[..9]),
            Samples::Within(_)
        ));
        assert_eq!(Samples::from_records(&[]), Samples::Nothing);
    }

    proptest! {
        #[test]
        fn no_sample_is_lost_or_changed(
            seen in prop::collection::vec((0_u8..3, 0_u32..3, 0_u64..4, any::<Option<i64>>()), 1..100),
        ) {
            let samples: Vec<Sample> = seen.iter().map(|(rung, block, order, value)| {
                let value = value.map_or(Value::Unavailable("no <clock>".into()), Value::Value);
                sample(&format!("rung{rung}"), *block, *order, value)
            }).collect();
            let text = compact(&samples);
            let mut found = expanded(&text);
            let mut given: Vec<_> = samples.iter().map(|s| {
                let value = match &s.value {
                    Value::Value(number) => number.to_string(),
                    Value::Unavailable(why) => why.clone(),
                };
                (s.rung.clone(), u64::from(s.block), s.order, value)
            }).collect();
            found.sort();
            given.sort();
            prop_assert_eq!(found, given);
        }
    }
}
