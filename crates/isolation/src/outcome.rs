//! How a probe's attempt went, as its exit code says: the one thing that every rung brings out of every function.

/// An exit code from here on, below 64 more, is a number of six bits.
pub const DIGIT: i32 = 160;

/// Codes that are no digit.
macro_rules! outcomes {
    ($($(#[$means:meta])* $name:ident = $code:literal $in_c:literal $words:literal,)+) => {
        /// How an attempt went; the numbers are those of functions/isolation/probe.h.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Outcome { $($(#[$means])* $name = $code,)+ }

        impl Outcome {
            /// Each, with its name in C.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $in_c),)+];

            /// The outcome of this exit code.
            #[must_use]
            pub fn from_exit_code(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// In what way it was contained, in a word or two.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)+ }
            }
        }
    };
}

outcomes! {
    /// It could.
    Reached = 10 "REACHED" "reached",
    /// There is one, but not the host's.
    Other = 11 "OTHER" "its own",
    /// There is none.
    Absent = 12 "ABSENT" "none there",
    /// By permission.
    Denied = 13 "DENIED" "denied",
    /// A read-only file system.
    ReadOnly = 14 "READ_ONLY" "read-only",
    /// There is no such call.
    NotOffered = 15 "NOT_OFFERED" "no such call",
    /// WASI: nothing was granted.
    NoCapability = 16 "NO_CAPABILITY" "nothing granted",
    /// No way to it.
    Unreachable = 17 "UNREACHABLE" "no way there",
    /// A limit.
    Limited = 18 "LIMITED" "limit",
    /// Who tries is killed.
    Killed = 19 "KILLED" "killed",
    /// It took too long.
    TimedOut = 20 "TIMED_OUT" "hung",
    /// Any other error.
    Refused = 21 "REFUSED" "refused",
    /// It lacks what it needs.
    CannotTry = 22 "CANNOT_TRY" "cannot try",
    /// It works, on a kernel that is not the host's.
    OwnKernel = 23 "OWN_KERNEL" "own kernel",
    /// There is nothing to send by.
    NoSocket = 24 "NO_SOCKET" "no socket is offered",
}

/// The digit that an exit code says.
#[must_use]
pub fn digit_of(code: i32) -> Option<u32> {
    let digit = u32::try_from(code - DIGIT).ok()?;
    (digit < 64).then_some(digit)
}

/// The number whose low six bits are `low` and whose thirty-seconds are `high`. The two overlap by a bit, so that starts
/// which counted by up to 15 differently still give one of the two numbers.
#[must_use]
pub fn number_of(low: u32, high: u32) -> u32 {
    let middle = high * 32 + 16;
    let candidates = (0..).map(|n| n * 64 + low);
    let near = candidates.take_while(|&n| n <= middle + 64);
    near.min_by_key(|n| n.abs_diff(middle)).unwrap_or(low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = include_str!("../../../functions/isolation/probe.h");

    #[test]
    fn codes_are_those_of_the_probes() {
        let in_c = |name: &str| {
            let line = HEADER.lines().find_map(|line| {
                let (found, rest) = line.trim().split_once(" = ")?;
                (found == name).then(|| rest.split(',').next().unwrap_or_default().parse::<i32>())
            });
            line.and_then(Result::ok)
        };
        for &(outcome, name) in Outcome::ALL {
            assert_eq!(in_c(name), Some(outcome as i32), "{name}");
            assert_eq!(Outcome::from_exit_code(outcome as i32), Some(outcome));
            assert_eq!(digit_of(outcome as i32), None);
        }
        assert!(HEADER.contains(&format!("#define DIGIT {DIGIT}\n")));
        let codes = HEADER
            .lines()
            .filter(|l| l.starts_with("    ") && l.contains(" = ") && l.contains(','));
        let codes = codes.filter(|l| l.trim().chars().next().is_some_and(char::is_uppercase));
        assert_eq!(codes.count(), Outcome::ALL.len());
    }

    #[test]
    fn what_runtimes_say_of_themselves_is_no_outcome() {
        for code in [0, 1, 2, 125, 126, 127, 128 + 9, 128 + 31, 255] {
            assert_eq!(
                (Outcome::from_exit_code(code), digit_of(code)),
                (None, None)
            );
        }
    }

    proptest! {
        #[test]
        fn a_number_comes_out_of_two_starts(first in 0_u32..1900, off in -15_i32..=15) {
            let second = first.saturating_add_signed(off);
            let found = number_of(first % 64, second / 32);
            prop_assert_eq!(found, first);
        }
    }
}
