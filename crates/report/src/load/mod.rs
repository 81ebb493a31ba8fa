//! What open loops found: latency over the rate of arrivals, how far each rung follows, and where it gives.

mod csv;
pub mod hdr;
mod kept;
mod knee;
mod markdown;
mod plot;
mod points;
mod rungs;
mod tables;

pub(crate) use self::csv::csv_files;
pub(crate) use kept::{LEGEND as KEPT, by_time as kept_by_time};
pub use knee::Knee;
pub(crate) use markdown::{introduction, section};
pub(crate) use plot::plots;
pub use points::Measured;
pub(crate) use points::read;
pub(crate) use rungs::rungs;
pub use rungs::{RateRow, RungLoad};
pub(crate) use tables::{OPEN_LOOP, by_rate, by_rung, generator, knee, name, reasons, terminal};
