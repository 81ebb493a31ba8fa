//! What samples say of a handler: cold start to the first byte of its answer, and requests to an instance that has answered before.

use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::{POLL, TOTAL};
use measure_core::contract::vocabulary::{Measure, Metric};
use stats::levels::{Estimate, Levels, median, quantile};

use super::design::Design;
use crate::rung_samples::RungSamples;

/// A handler on one rung; times in nanoseconds.
#[derive(Debug, Clone)]
pub struct HandlerRow {
    /// From asked for until the first byte of the answer, of starts that found their rung idle.
    pub first_byte_isolated: Option<Estimate>,
    /// The same of a closed loop.
    pub first_byte_back_to_back: Option<Estimate>,
    /// One request to an instance that has answered before, to its last byte.
    pub request: Option<RequestRow>,
    /// What of the time to the first byte, of all starts, may be due to how often it was tried whether somebody listens, 0 to 1;
    /// `None` where nothing is tried.
    pub poll_share: Option<f64>,
}

/// Requests to handlers that have answered before; nanoseconds.
#[derive(Debug, Clone)]
pub struct RequestRow {
    /// Median of the processes' medians.
    pub median: Estimate,
    /// 90th percentile of all requests.
    pub p90: Estimate,
    /// 99th percentile of all requests.
    pub p99: Estimate,
}

/// What the samples say of a handler; `None` if nothing was answered.
pub(crate) fn handler_row(samples: &RungSamples<'_>) -> Option<HandlerRow> {
    let first_byte = |design: Design| {
        let starts = singles(samples, &design.measure(), (&Metric::FirstByteNs, TOTAL));
        levels(&starts, |s| design.batch(s))
    };
    let requests = singles(samples, &Measure::Request, (&Metric::WallNs, TOTAL));
    let requests = levels(&requests, |s| s.block);
    let row = HandlerRow {
        first_byte_isolated: first_byte(Design::Isolated).as_ref().map(median),
        first_byte_back_to_back: first_byte(Design::BackToBack).as_ref().map(median),
        request: requests.as_ref().map(|requests| RequestRow {
            median: median(requests),
            p90: quantile(requests, 0.90),
            p99: quantile(requests, 0.99),
        }),
        poll_share: poll_share(samples),
    };
    let any = row.first_byte_isolated.is_some()
        || row.first_byte_back_to_back.is_some()
        || row.request.is_some();
    any.then_some(row)
}

fn singles<'a>(
    samples: &RungSamples<'a>,
    measure: &Measure,
    (metric, phase): (&Metric, &str),
) -> Vec<&'a Sample> {
    let good = |s: &&Sample| s.workers == 1 && s.error.is_none();
    let all = samples.measured(measure).iter().copied().filter(good);
    all.filter(|s| s.metric == *metric && s.phase == phase)
        .collect()
}

fn levels(samples: &[&Sample], batch: impl Fn(&Sample) -> u32) -> Option<Levels> {
    Levels::from_observations(samples.iter().filter_map(|sample| {
        let ns = sample.value.number()? as f64;
        Some((sample.process, batch(sample), ns))
    }))
}

fn poll_share(samples: &RungSamples<'_>) -> Option<f64> {
    let sum = |metric: &Metric, phase: &str| -> Option<f64> {
        let designs = Design::ALL.iter();
        let all = designs.flat_map(|design| singles(samples, &design.measure(), (metric, phase)));
        let numbers: Vec<f64> = all
            .filter_map(|s| s.value.number())
            .map(|ns| ns as f64)
            .collect();
        (!numbers.is_empty()).then(|| numbers.iter().sum())
    };
    let all = sum(&Metric::FirstByteNs, TOTAL).filter(|all| *all > 0.0)?;
    Some(sum(&Metric::WallNs, POLL)? / all)
}
