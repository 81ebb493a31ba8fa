//! The letters of a rung, as its entry states them and as probes found them.

use measure_core::contract::Isolation;

use crate::catalogue::PROBES;
use crate::cell::Cell;
use crate::interference::Share;
use crate::letter::Letter;
use crate::record::RungFound;

/// What the probes of a letter found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// All that could be tried is contained.
    Isolated,
    /// These reached what they aimed at.
    Reached(Vec<String>),
    /// None could be tried.
    Unknown,
}

impl Found {
    /// What the probes of `letter` found at a rung.
    #[must_use]
    pub fn of_letter(letter: Letter, rung: &RungFound) -> Self {
        if letter == Letter::Cpu {
            return match rung.share() {
                None => Self::Unknown,
                Some(Share::WithinAim | Share::Fair) => Self::Isolated,
                Some(Share::Unfair) => Self::Reached(vec!["victim beside spinning".into()]),
            };
        }
        let ours = PROBES.iter().filter(|p| p.letter == Some(letter));
        let cells: Vec<(&str, &Cell)> = ours
            .filter_map(|p| Some((p.id, rung.cells.get(p.id)?)))
            .collect();
        let reached: Vec<String> = cells
            .iter()
            .filter(|(_, cell)| matches!(cell, Cell::Reached))
            .map(|(id, _)| (*id).to_owned())
            .collect();
        if !reached.is_empty() {
            return Self::Reached(reached);
        }
        if cells
            .iter()
            .any(|(_, cell)| matches!(cell, Cell::Contained { .. }))
        {
            return Self::Isolated;
        }
        Self::Unknown
    }
}

/// The letters as the entry states them, `-` for each that it does not.
#[must_use]
pub fn stated(isolation: &Isolation) -> String {
    let one = |letter: Letter| match letter.is_stated(isolation) {
        true => letter.letter(),
        false => '-',
    };
    Letter::ALL.into_iter().map(one).collect()
}

/// The letters as they were found: `-` where something was reached, `?` where nothing could be tried.
#[must_use]
pub fn found(rung: &RungFound) -> String {
    let one = |letter: Letter| match Found::of_letter(letter, rung) {
        Found::Isolated => letter.letter(),
        Found::Reached(_) => '-',
        Found::Unknown => '?',
    };
    Letter::ALL.into_iter().map(one).collect()
}

/// In words, each letter that was found otherwise than the entry states it.
#[must_use]
pub fn differences(rung: &RungFound) -> Vec<String> {
    let one = |letter: Letter| {
        let claims = letter.is_stated(&rung.isolation);
        let words = letter.stated(&rung.isolation);
        let name = letter.letter();
        match (claims, Found::of_letter(letter, rung)) {
            (true, Found::Reached(by)) => Some(format!(
                "{} states {name} ({words}), but {} reached",
                rung.rung,
                by.join(", ")
            )),
            // A fair scheduler is no claim that an entry could make for itself.
            (false, Found::Isolated) if letter != Letter::Cpu => Some(format!(
                "{} states no {name}, but nothing of it was reached",
                rung.rung
            )),
            _ => None,
        }
    };
    Letter::ALL.into_iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(cells: &[(&str, Cell)]) -> RungFound {
        RungFound {
            rung: "r".into(),
            isolation: Isolation {
                files: "mount namespace".into(),
                network: "none: that of the engine".into(),
                ..Isolation::default()
            },
            cells: cells
                .iter()
                .map(|(id, cell)| ((*id).to_owned(), cell.clone()))
                .collect(),
            ..RungFound::default()
        }
    }

    fn contained() -> Cell {
        Cell::Contained {
            how: "denied".into(),
        }
    }

    #[test]
    fn one_that_reaches_takes_the_letter() {
        let rung = rung(&[("read-shadow", contained()), ("read-device", Cell::Reached)]);
        assert_eq!(stated(&rung.isolation), "---F--");
        assert_eq!(found(&rung), "???-??");
        assert_eq!(
            differences(&rung),
            ["r states F (mount namespace), but read-device reached"]
        );
    }

    #[test]
    fn what_is_not_stated_is_named_too() {
        let rung = rung(&[("read-shadow", contained()), ("mount", contained())]);
        assert_eq!(found(&rung), "???F?P");
        assert_eq!(
            differences(&rung),
            ["r states no P, but nothing of it was reached"]
        );
    }

    #[test]
    fn what_could_not_be_tried_is_no_difference() {
        let cannot = Cell::CannotTry { why: "x".into() };
        let rung = rung(&[("read-shadow", cannot)]);
        assert_eq!(found(&rung), "??????");
        assert!(differences(&rung).is_empty());
    }
}
