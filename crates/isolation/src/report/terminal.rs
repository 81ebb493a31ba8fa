//! The results for a terminal: a sign for each verdict, and what is otherwise than stated.

use table::{Align, Table};

use super::words::{differences, ratio, tried, untried};
use crate::catalogue::{Group, PROBES, Probe, Says};
use crate::interference::Noise;
use crate::letter::Letter;
use crate::letters;
use crate::record::{Found, RungFound};

const SIGNS: &str = ". contained, R reached, ? cannot try, - not tried: nothing contains it";

/// The table and what is below it; `width` is the terminal's in characters, `None` if it goes elsewhere.
#[must_use]
pub fn terminal(found: &Found, width: Option<usize>) -> String {
    let table = verdicts(found);
    let mut text = if table.is_empty() {
        "no rung could be tried\n".to_owned()
    } else {
        format!("{}\n{}", table.text(width), legend(found))
    };
    let differences: Vec<String> = differences(found).map(|(_, words)| words).collect();
    if !differences.is_empty() {
        text += &format!(
            "\nFound otherwise than stated:\n  {}\n",
            differences.join("\n  ")
        );
    }
    for (rung, why) in untried(found) {
        text += &format!("{rung}: {why}\n");
    }
    text
}

/// A row for each rung that was probed: a sign for each verdict.
pub(super) fn verdicts(found: &Found) -> Table {
    let mut table = Table::new(&[
        ("rung", Align::Left),
        ("stated", Align::Left),
        ("found", Align::Left),
    ]);
    for group in Group::ALL {
        table.column(group.name(), Align::Left);
    }
    for (name, _) in numbers() {
        table.column(name, Align::Right);
    }
    table.column("p99 beside spinning", Align::Right);
    for rung in tried(found) {
        table.row(row(rung));
    }
    table
}

/// What was found otherwise than stated.
pub(super) fn differences_table(found: &Found) -> Table {
    let mut table = Table::new(&[("rung", Align::Left), ("found otherwise", Align::Left)]);
    for (rung, words) in differences(found) {
        table.row([rung.to_owned(), words]);
    }
    table
}

/// Short names for what is counted, and the probe that counts it.
fn numbers() -> [(&'static str, &'static str); 5] {
    [
        ("caps", "capabilities"),
        ("seccomp", "seccomp-mode"),
        ("no new", "no-new-privileges"),
        ("calls", "system-calls"),
        ("Mbit/s", "network-rate"),
    ]
}

fn signed(group: Group) -> impl Iterator<Item = &'static Probe> {
    let said = move |p: &&Probe| p.group == group && p.says == Says::Outcome;
    PROBES.iter().filter(said)
}

fn row(rung: &RungFound) -> Vec<String> {
    let mut cells = vec![
        rung.rung.clone(),
        letters::stated(&rung.isolation),
        letters::found(rung),
    ];
    for group in Group::ALL {
        let sign = |probe: &Probe| rung.cells.get(probe.id).map_or(' ', |cell| cell.sign());
        cells.push(signed(group).map(sign).collect());
    }
    for (_, id) in numbers() {
        let cell = rung.cells.get(id);
        let words = cell.map(|cell| {
            let number = cell.number().map(|n| n.to_string());
            number.unwrap_or_else(|| cell.sign().to_string())
        });
        cells.push(words.unwrap_or_default());
    }
    cells.push(ratio(rung, Noise::Spinning, 0.99).unwrap_or_default());
    cells
}

/// What the control counted.
fn counted(found: &Found, id: &str) -> String {
    let cell = found.control.get(id);
    cell.map_or_else(|| "not counted".to_owned(), ToString::to_string)
}

fn legend(found: &Found) -> String {
    let mut text = format!("{SIGNS}; of each group in this order:\n");
    for group in Group::ALL {
        let ids: Vec<&str> = signed(group).map(|probe| probe.id).collect();
        text += &format!("  {}: {}\n", group.name(), ids.join(", "));
    }
    let names: Vec<String> = Letter::ALL.iter().map(|l| l.letter().to_string()).collect();
    text += &format!(
        "letters ({}): stated by the entry; found where no probe of the letter reached anything, ? where none could be tried\n\
         caps, seccomp, no new, calls: capabilities, seccomp mode, no_new_privs, system calls that answer (without any rung {}); Mbit/s: what \
         passes to the host (without any rung {}); p99 beside spinning: of starts of {} beside {} aggressors over alone\n{}",
        names.concat(),
        counted(found, "system-calls"),
        counted(found, "network-rate"),
        found.function.as_deref().unwrap_or("the no-op"),
        found.cpus,
        match found.asked_for() {
            words if words.is_empty() => words,
            words => format!("{words}\n"),
        }
    );
    text
}
