//! Which base the command line asks for.

/// The base that `build-image` was asked to build on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseChoice {
    /// Alpine where it is to be had, else the local one.
    Auto,
    /// Alpine or nothing.
    Alpine,
    /// The local one, whatever is to be had.
    Local,
}

/// The message for a base that does not exist, with those that do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownBase(String);

impl std::str::FromStr for BaseChoice {
    type Err = UnknownBase;

    fn from_str(text: &str) -> Result<Self, UnknownBase> {
        match text {
            "auto" => Ok(Self::Auto),
            "alpine" => Ok(Self::Alpine),
            "local" => Ok(Self::Local),
            _ => Err(UnknownBase(measure_core::base::ids::unknown(
                "base",
                text,
                &["auto", "alpine", "local"].map(str::to_owned),
            ))),
        }
    }
}
