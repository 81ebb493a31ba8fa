//! What somebody says that a processor and memory cost for an hour, by which starts and parked workers have a price.

use serde::Deserialize;

const NS_PER_HOUR: f64 = 3600.0 * 1e9;
const BYTES_PER_GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Of a twelfth of 365 days.
const HOURS_PER_MONTH: f64 = 730.0;
/// The columns are of so many.
const STARTS: f64 = 1e6;
const PARKED: f64 = 1e3;

/// What a host's parts cost.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// What prices are in, such as EUR.
    pub currency: String,
    /// One processor, as the host has them, for an hour.
    pub cpu_hour: f64,
    /// 2^30 bytes of memory for an hour.
    pub gib_hour: f64,
}

/// Why a file is none of prices.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// It is no TOML, or of other keys.
    #[error(
        "{}; it is to hold currency = \"EUR\", cpu_hour = 0.04 and gib_hour = 0.005, each with a figure of your own",
        .0.message()
    )]
    Form(#[from] toml::de::Error),
    /// Nobody is paid for using a host.
    #[error("{name} = {value}: a price is a number, 0 or more")]
    NoPrice {
        /// The key.
        name: &'static str,
        /// What it says.
        value: f64,
    },
}

impl Prices {
    /// Reads `text`, TOML with the three keys of this type.
    ///
    /// # Errors
    /// It is of another form, or a price is negative or no number.
    pub fn from_toml(text: &str) -> Result<Self, PriceError> {
        let prices: Self = toml::from_str(text)?;
        for (name, value) in [("cpu_hour", prices.cpu_hour), ("gib_hour", prices.gib_hour)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(PriceError::NoPrice { name, value });
            }
        }
        Ok(prices)
    }

    pub(crate) fn of_starts(&self, cpu_ns: f64) -> f64 {
        STARTS * cpu_ns / NS_PER_HOUR * self.cpu_hour
    }

    pub(crate) fn of_parked(&self, whole_bytes: f64) -> f64 {
        PARKED * whole_bytes / BYTES_PER_GIB * HOURS_PER_MONTH * self.gib_hour
    }

    /// What is counted, in a sentence.
    pub(crate) fn about(&self) -> String {
        format!(
            "At {} {currency} for an hour of one processor and {} {currency} for an hour of one GiB. Starts are priced by the CPU time of their whole scope, back to back; their memory, held for as long as a start takes, is left out. \
             Parked workers are priced by what one more takes of the host's memory, PSS and the kernel's own, for a month of {HOURS_PER_MONTH} hours; their processor is idle.",
            self.cpu_hour,
            self.gib_hour,
            currency = self.currency
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_and_what_is_none_is_refused() {
        let text = "currency = \"EUR\"\ncpu_hour = 0.036\ngib_hour = 0.005\n";
        let prices = Prices::from_toml(text).expect("prices");
        // A second of CPU a start: a million seconds are 277.8 hours.
        assert!((prices.of_starts(1e9) - 10.0).abs() < 1e-9);
        // A thousandth of a GiB, a thousand times.
        let parked = prices.of_parked(BYTES_PER_GIB / 1000.0);
        assert!((parked - 3.65).abs() < 1e-9);
        for (wrong, why) in [
            (text.replace("0.036", "-1"), "cpu_hour = -1: a price is"),
            (text.replace("0.005", "nan"), "gib_hour = NaN: a price is"),
            (
                text.replace("gib_hour", "gb_hour"),
                "unknown field `gb_hour`",
            ),
            ("cpu_hour".to_owned(), "it is to hold"),
        ] {
            let error = Prices::from_toml(&wrong).expect_err(&wrong).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
