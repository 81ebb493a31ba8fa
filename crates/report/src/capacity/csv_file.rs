//! The points of the ramps as CSV.

use super::CapacityRow;

/// The header, and a row for each rung and number of parked workers; what is not known is empty.
pub(crate) fn rows<'a>(ramps: impl Iterator<Item = &'a CapacityRow>) -> Vec<Vec<String>> {
    let header = [
        "Runtime",
        "Parked",
        "Starts",
        "MedianNs",
        "P99Ns",
        "PssBytes",
        "KernelBytes",
        "MemAvailableLostBytes",
        "MemAvailableBytes",
        "Processes",
        "ParkingNsEach",
        "Gave",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for ramp in ramps {
        for point in &ramp.points {
            let number = |value: Option<f64>| value.map(|v| format!("{v}")).unwrap_or_default();
            let last = ramp
                .gave
                .as_ref()
                .filter(|gave| gave.resident == point.resident);
            rows.push(vec![
                ramp.rung.clone(),
                point.resident.to_string(),
                point.start_ns.len().to_string(),
                number(point.start().map(|start| start.median)),
                number(point.p99_ns()),
                number(point.pss_bytes),
                number(point.kernel_bytes),
                number(point.available_lost_bytes),
                number(point.available_bytes),
                point.processes.map(|n| n.to_string()).unwrap_or_default(),
                number(point.parking_ns),
                last.map(|gave| gave.word.clone()).unwrap_or_default(),
            ]);
        }
    }
    rows
}
