//! Which failures of a command are ignored.

use std::process::ExitStatus;
use std::str::FromStr;

use super::error::ArgumentError;

/// What `--ignore-failure` covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// Every one, signals too.
    All,
    /// These exit codes.
    Codes(Vec<i32>),
}

impl Ignored {
    pub(super) fn covers(&self, status: ExitStatus) -> bool {
        match self {
            Self::All => true,
            Self::Codes(codes) => status.code().is_some_and(|code| codes.contains(&code)),
        }
    }
}

impl FromStr for Ignored {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        if text == "all-non-zero" {
            return Ok(Self::All);
        }
        let codes: Result<Vec<u8>, _> = text.split(',').map(str::parse).collect();
        let codes = codes.map_err(|_| ArgumentError::NoCodes(text.to_owned()))?;
        Ok(Self::Codes(codes.into_iter().map(i32::from).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn codes_are_those_of_the_list_and_a_signal_has_none() {
        let some: Ignored = "1,3".parse().expect("codes");
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        assert!(some.covers(code(3)) && !some.covers(code(2)));
        let killed = ExitStatus::from_raw(9);
        assert!(!some.covers(killed) && Ignored::All.covers(killed));
        assert_eq!(
            "all-non-zero".parse::<Ignored>().expect("all"),
            Ignored::All
        );
        for wrong in ["", "1,,2", "256", "-1", "all"] {
            wrong.parse::<Ignored>().expect_err(wrong);
        }
    }
}
