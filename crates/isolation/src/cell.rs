//! The verdict on one probe at one rung.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Evidence, Probe, Says};
use crate::outcome::{Outcome, digit_of, number_of};

/// How one start of a probe ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ended {
    /// Its exit code, 0 included; none if it did not end by itself.
    pub exit_code: Option<i32>,
    /// What its driver says of it.
    pub error: Option<String>,
}

/// The verdict on one probe at one rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Cell {
    /// It could not.
    Contained {
        /// In a word or two, in what way.
        how: String,
    },
    /// It could.
    Reached,
    /// What was counted.
    Number {
        /// In the unit of [`Probe::means`].
        number: u32,
    },
    /// It says nothing here.
    CannotTry {
        /// What is missing here.
        why: String,
    },
    /// It would do harm here.
    NotTried {
        /// What harm.
        why: String,
    },
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contained { how } => write!(f, "contained ({how})"),
            Self::Reached => f.write_str("reached"),
            Self::Number { number } => write!(f, "{number}"),
            Self::CannotTry { why } => write!(f, "cannot try: {why}"),
            Self::NotTried { why } => write!(f, "not tried: {why}"),
        }
    }
}

impl Cell {
    /// In one character, for a terminal.
    #[must_use]
    pub fn sign(&self) -> char {
        match self {
            Self::Contained { .. } => '.',
            Self::Reached => 'R',
            Self::Number { .. } => '#',
            Self::CannotTry { .. } => '?',
            Self::NotTried { .. } => '-',
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Number { number } => Some(*number),
            _ => None,
        }
    }
}

/// What the host saw of a probe at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// That it does what it tries.
    It,
    /// So much of what it tries to do.
    Number(u32),
}

impl From<bool> for Seen {
    fn from(seen: bool) -> Self {
        if seen { Self::It } else { Self::Nothing }
    }
}

/// The verdict on `probe` after `ended`, and what the host saw: its last start for each number that it says, or all that were made at
/// once.
#[must_use]
pub fn judge(probe: &Probe, ended: &[Ended], seen: Seen) -> Cell {
    match seen {
        Seen::It if probe.evidence != Evidence::Told => return Cell::Reached,
        Seen::Number(number) => return Cell::Number { number },
        _ => {}
    }
    let reaches = |e: &&Ended| e.exit_code == Some(Outcome::Reached as i32);
    let reaching = ended.iter().find(|e| probe.at_once > 1 && reaches(e));
    let Some(last) = reaching.or(ended.last()) else {
        return cannot("it was not started");
    };
    match probe.says {
        Says::Outcome | Says::Counted => outcome(probe, last),
        Says::Number => match last.exit_code.and_then(digit_of) {
            Some(number) => Cell::Number { number },
            None => outcome(probe, last),
        },
        Says::LargeNumber => match ended {
            [low, high] => match (digit(low), digit(high)) {
                (Some(low), Some(high)) => Cell::Number {
                    number: number_of(low, high),
                },
                _ => outcome(probe, last),
            },
            _ => cannot("it takes two starts"),
        },
    }
}

fn digit(ended: &Ended) -> Option<u32> {
    ended.exit_code.and_then(digit_of)
}

fn cannot(why: impl Into<String>) -> Cell {
    Cell::CannotTry { why: why.into() }
}

fn contained(how: impl Into<String>) -> Cell {
    Cell::Contained { how: how.into() }
}

fn outcome(probe: &Probe, last: &Ended) -> Cell {
    match last
        .exit_code
        .map(|code| (code, Outcome::from_exit_code(code)))
    {
        Some((_, Some(Outcome::Reached))) if probe.evidence == Evidence::Told => Cell::Reached,
        // It says so, and the host saw nothing: whatever it reached was not what was aimed at.
        Some((_, Some(Outcome::Reached))) => contained(Outcome::Other.words()),
        Some((_, Some(Outcome::CannotTry))) => cannot("the probe lacks what it needs here"),
        Some((_, Some(Outcome::NoSocket))) => cannot(Outcome::NoSocket.words()),
        Some((_, Some(how))) => contained(how.words()),
        Some((code, None)) if probe.takes && code > 128 => {
            contained(format!("ended, exit code {code}"))
        }
        Some((code, None)) => cannot(
            last.error
                .clone()
                .unwrap_or_else(|| format!("exit code {code}")),
        ),
        None if probe.takes => contained(format!("ended: {}", why(last))),
        None => cannot(why(last)),
    }
}

fn why(ended: &Ended) -> String {
    let error = ended.error.clone();
    error.unwrap_or_else(|| "it did not end, and nobody says why".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::probe_named;

    fn probe(id: &str) -> &'static Probe {
        probe_named(id).expect("a probe")
    }

    fn code(code: i32) -> Ended {
        Ended {
            exit_code: Some(code),
            error: None,
        }
    }

    #[test]
    fn what_the_host_saw_counts_more_than_what_the_probe_says() {
        let signal = probe("signal-process");
        let reached = code(Outcome::Reached as i32);
        let denied = code(Outcome::Denied as i32);
        assert_eq!(
            judge(signal, std::slice::from_ref(&reached), Seen::It),
            Cell::Reached
        );
        assert_eq!(judge(signal, &[denied], Seen::It), Cell::Reached);
        // Another process has that number there.
        assert_eq!(
            judge(signal, &[reached], Seen::Nothing).to_string(),
            "contained (its own)"
        );
    }

    #[test]
    fn a_probe_without_evidence_is_believed() {
        let read = probe("read-planted");
        assert_eq!(judge(read, &[code(10)], Seen::Nothing), Cell::Reached);
        assert_eq!(
            judge(read, &[code(12)], Seen::Nothing).to_string(),
            "contained (none there)"
        );
        assert_eq!(
            judge(read, &[code(12)], Seen::It).to_string(),
            "contained (none there)"
        );
    }

    #[test]
    fn a_start_that_failed_for_another_reason_contains_nothing() {
        let broken = Ended {
            exit_code: Some(1),
            error: Some("runc ended with exit code 1: no such bundle".into()),
        };
        let cell = judge(probe("read-planted"), &[broken], Seen::Nothing);
        assert_eq!(
            cell.to_string(),
            "cannot try: runc ended with exit code 1: no such bundle"
        );
        assert!(matches!(
            judge(probe("read-planted"), &[code(0)], Seen::Nothing),
            Cell::CannotTry { .. }
        ));
        assert!(matches!(
            judge(probe("read-planted"), &[], Seen::Nothing),
            Cell::CannotTry { .. }
        ));
    }

    #[test]
    fn one_that_takes_too_much_may_be_ended() {
        let killed = Ended {
            exit_code: None,
            error: Some("it was killed by SIGKILL".into()),
        };
        assert!(matches!(
            judge(probe("allocate"), &[killed], Seen::Nothing),
            Cell::Contained { .. }
        ));
        assert!(matches!(
            judge(probe("allocate"), &[code(137)], Seen::Nothing),
            Cell::Contained { .. }
        ));
        assert!(matches!(
            judge(probe("mount"), &[code(137)], Seen::Nothing),
            Cell::CannotTry { .. }
        ));
    }

    #[test]
    fn one_of_two_at_once_that_reaches_the_other_is_enough() {
        let neighbour = probe("reach-neighbour");
        let cell = |codes: [i32; 2]| judge(neighbour, &codes.map(code), Seen::Nothing);
        assert_eq!(cell([10, 12]), Cell::Reached);
        assert_eq!(cell([12, 17]).to_string(), "contained (no way there)");
    }

    #[test]
    fn what_the_host_counted_is_the_number() {
        let rate = probe("network-rate");
        let counted = judge(rate, &[code(10)], Seen::Number(940));
        assert_eq!(counted.number(), Some(940));
        let cell = |exit: i32| judge(rate, &[code(exit)], Seen::Nothing).to_string();
        assert_eq!(cell(17), "contained (no way there)");
        assert_eq!(cell(24), "cannot try: no socket is offered");
        // It sent somewhere else.
        assert_eq!(cell(10), "contained (its own)");
    }

    #[test]
    fn numbers_are_put_together() {
        let calls = [code(160 + 347 % 64), code(160 + 347 / 32)];
        assert_eq!(
            judge(probe("system-calls"), &calls, Seen::Nothing).number(),
            Some(347)
        );
        assert_eq!(
            judge(probe("capabilities"), &[code(200)], Seen::Nothing).number(),
            Some(40)
        );
        let none = judge(probe("capabilities"), &[code(15)], Seen::Nothing);
        assert_eq!(none.to_string(), "contained (no such call)");
    }
}
