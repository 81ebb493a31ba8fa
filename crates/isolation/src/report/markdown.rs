//! The results as Markdown.

use table::{Align, Table};

use super::words::{differences, duration, ratio, tried, untried};
use crate::catalogue::{Group, PROBES};
use crate::filters::LAST_CALL;
use crate::interference::{Noise, Share};
use crate::letters;
use crate::networks::Passed;
use crate::record::{Found, HostProcess};

pub(super) fn markdown(found: &Found) -> String {
    let mut parts = vec!["# What each rung isolates, as probes found it\n".to_owned()];
    if let Some(why) = &found.ended {
        parts.push(format!("Ended early: {why}.\n"));
    }
    if found.function.is_some() {
        parts.push(found.asked_for() + "\n");
    }
    parts.push(letters_table(found).markdown());
    parts.push(otherwise(found));
    for group in Group::ALL {
        parts.push(format!(
            "## {}\n\n{}",
            group.name(),
            matrix(found, group).markdown()
        ));
    }
    parts.push(victim(found));
    parts.push(outside(found));
    parts.push(passed_out(found));
    parts.push(not_probed(found));
    parts.push(format!(
        "## What each probe tries\n\n{}",
        questions().markdown()
    ));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// What an entry states and what was found.
pub(super) fn letters_table(found: &Found) -> Table {
    let mut table = Table::new(&[
        ("rung", Align::Left),
        ("stated", Align::Left),
        ("found", Align::Left),
    ]);
    for rung in tried(found) {
        table.row([
            rung.rung.clone(),
            letters::stated(&rung.isolation),
            letters::found(rung),
        ]);
    }
    table
}

/// What is otherwise than stated, a line each.
pub(super) fn difference_lines(found: &Found) -> String {
    differences(found)
        .map(|(_, words)| format!("- {words}\n"))
        .collect()
}

fn otherwise(found: &Found) -> String {
    let all = difference_lines(found);
    if all.is_empty() {
        return all;
    }
    format!("## Found otherwise than stated\n\n{all}")
}

/// A row for each rung, a column for each probe of `group`; the control first.
pub(super) fn matrix(found: &Found, group: Group) -> Table {
    let mut table = Table::new(&[("rung", Align::Left)]);
    let probes: Vec<&str> = PROBES
        .iter()
        .filter(|p| p.group == group)
        .map(|p| p.id)
        .collect();
    for id in &probes {
        table.column(id, Align::Left);
    }
    let rungs = tried(found).map(|rung| (rung.rung.as_str(), &rung.cells));
    for (name, cells) in std::iter::once(("(control)", &found.control)).chain(rungs) {
        let words = |id: &&str| cells.get(*id).map_or_else(String::new, ToString::to_string);
        table.row(std::iter::once(name.to_owned()).chain(probes.iter().map(words)));
    }
    table
}

/// The victim's percentiles, and what could not be measured, a line each.
pub(super) fn victim_table(found: &Found) -> (Table, String) {
    let mut table = Table::new(&[
        ("rung", Align::Left),
        ("p50 alone", Align::Right),
        ("p99 alone", Align::Right),
        ("p99 beside spinning is within", Align::Left),
    ]);
    for noise in Noise::ALL {
        table.column(&format!("p50 beside {}", noise.name()), Align::Right);
        table.column(&format!("p99 beside {}", noise.name()), Align::Right);
    }
    let mut missing = Vec::new();
    for rung in tried(found) {
        let Some(interference) = &rung.interference else {
            continue;
        };
        let alone = |q| {
            let mut noises = Noise::ALL.iter();
            let worse = noises.find_map(|&noise| interference.worse(noise, q));
            worse.map(|worse| duration(worse.alone_ns))
        };
        for (noise, why) in &interference.missing {
            missing.push(format!("- {} beside {}: {why}\n", rung.rung, noise.name()));
        }
        let (Some(p50), Some(p99)) = (alone(0.5), alone(0.99)) else {
            continue;
        };
        let share = rung.share().map_or("", Share::words);
        let mut cells = vec![rung.rung.clone(), p50, p99, share.to_owned()];
        for noise in Noise::ALL {
            for q in [0.5, 0.99] {
                cells.push(ratio(rung, noise, q).unwrap_or_else(|| "-".into()));
            }
        }
        table.row(cells);
    }
    (table, missing.concat())
}

/// What the victim's numbers are.
pub(super) fn about_victim(found: &Found) -> String {
    format!(
        "Starts of the no-op beside {} aggressors of the same rung, over those alone; 95 % interval by process. A slice of the \
         scheduler is {}.",
        found.cpus,
        duration(found.slice_ns as f64)
    )
}

fn victim(found: &Found) -> String {
    let (table, missing) = victim_table(found);
    if table.is_empty() && missing.is_empty() {
        return String::new();
    }
    let table = if table.is_empty() {
        String::new()
    } else {
        table.markdown() + "\n"
    };
    format!(
        "## The victim beside a noisy neighbour\n\n{}\n\n{table}{missing}",
        about_victim(found)
    )
}

/// Privileges of a process of the host, in words.
pub(super) fn process_words(process: &HostProcess) -> String {
    let root = if process.host_root {
        "the host's"
    } else {
        "its own"
    };
    let gain = if process.no_new_privileges {
        "set"
    } else {
        "not set"
    };
    let passing = process.passing_calls.map_or_else(String::new, |calls| {
        format!(" ({calls} of {} system calls pass)", LAST_CALL + 1)
    });
    format!(
        "user {}, {} capabilities, seccomp {}{passing}, no_new_privs {gain}, root {root}",
        process.uid, process.capabilities, process.seccomp
    )
}

/// The processes that carry a parked worker.
pub(super) fn outside_table(found: &Found) -> Table {
    let mut table = Table::new(&[
        ("rung", Align::Left),
        ("process", Align::Left),
        ("privileges", Align::Left),
    ]);
    for rung in tried(found) {
        let mut said: Vec<(String, String)> = Vec::new();
        for process in &rung.processes {
            let row = (process.name.clone(), process_words(process));
            if !said.contains(&row) {
                said.push(row);
            }
        }
        for (name, words) in said {
            table.row([rung.rung.clone(), name, words]);
        }
    }
    table
}

fn outside(found: &Found) -> String {
    let table = outside_table(found);
    if table.is_empty() {
        return String::new();
    }
    format!(
        "## From outside\n\nProcesses of the host that carry a parked worker, the driver's own included.\n\n{}",
        table.markdown()
    )
}

/// What passes out of workers' networks, in words.
pub(super) fn passed_words(passed: Passed) -> String {
    let stated = match passed.stated_mbit_per_s {
        Some(stated) => format!("{stated} Mbit/s are stated"),
        None => "nothing is stated".to_owned(),
    };
    format!("{} Mbit/s pass, {stated}", passed.mbit_per_s)
}

/// What passes out of a parked worker's network.
pub(super) fn passed_table(found: &Found) -> Table {
    let mut table = Table::new(&[("rung", Align::Left), ("to the host", Align::Left)]);
    for rung in tried(found) {
        if let Some(passed) = rung.passed {
            table.row([rung.rung.clone(), passed_words(passed)]);
        }
    }
    table
}

fn passed_out(found: &Found) -> String {
    let table = passed_table(found);
    if table.is_empty() {
        return String::new();
    }
    format!(
        "## Out of a parked worker's network\n\nSent for a second by a program of the host in the worker's network namespace, \
         where it has one of its own and a way to the host.\n\n{}",
        table.markdown()
    )
}

/// Rungs that were not probed, and why.
pub(super) fn not_probed_table(found: &Found) -> Table {
    let mut table = Table::new(&[("rung", Align::Left), ("why", Align::Left)]);
    for (rung, why) in untried(found) {
        table.row([rung.to_owned(), why]);
    }
    table
}

fn not_probed(found: &Found) -> String {
    let table = not_probed_table(found);
    if table.is_empty() {
        return String::new();
    }
    format!("## Not probed\n\n{}", table.markdown())
}

/// What each probe tries.
pub(super) fn questions() -> Table {
    let mut table = Table::new(&[
        ("probe", Align::Left),
        ("reached means that the function", Align::Left),
        ("letter", Align::Left),
    ]);
    for probe in PROBES {
        let letter = probe
            .letter
            .map_or_else(String::new, |l| l.letter().to_string());
        table.row([probe.id.to_owned(), probe.means.to_owned(), letter]);
    }
    table
}
