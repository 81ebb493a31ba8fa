//! The control: each probe run without any rung, in a throw-away place where nothing contains it. What it cannot reach there
//! it tells nothing about anywhere.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use measure_core::base::interrupt;

use crate::catalogue::{PROBES, Probe, Says};
use crate::cell::{Cell, Ended, judge};
use crate::error::IsolationError;
use crate::home::Home;
use crate::plant::{Plant, functions};

/// Longer than any probe takes that ends itself.
const LIMIT: Duration = Duration::from_secs(30);

/// What each of `wanted` finds without a rung. `home` is one of its own, as its left-overs are sought within one start.
///
/// # Errors
/// The probes are not built, or cannot be aimed.
pub fn run(
    plant: &mut Plant,
    home: &Home,
    wanted: &[&'static Probe],
) -> Result<BTreeMap<String, Cell>, IsolationError> {
    plant.arm(home)?;
    // Between two processes the kernel clears memory; within one nobody does.
    if let Some(probe) = PROBES.iter().find(|p| p.id == "leftovers") {
        let twice = plant.parameters(probe, 0) + "again=1;";
        home.add(probe.id, probe.id, &twice)?;
    }
    let mut cells = BTreeMap::new();
    for probe in wanted {
        if interrupt::received().is_some() {
            break;
        }
        plant.before(probe, &[])?;
        let ended: Vec<Ended> = functions(probe)
            .iter()
            .flat_map(|name| at_once(home, plant, name, probe.at_once))
            .collect();
        cells.insert(
            probe.id.to_owned(),
            judge(probe, &ended, plant.seen(probe, &ended)),
        );
    }
    Ok(cells)
}

/// Starts `function` so many times at once.
fn at_once(home: &Home, plant: &Plant, function: &str, count: usize) -> Vec<Ended> {
    let lost = || failed("a thread of ours panicked".into());
    std::thread::scope(|scope| {
        let one = || scope.spawn(|| start(home, plant, function));
        let all: Vec<_> = (0..count).map(|_| one()).collect();
        let ended = all.into_iter().map(|thread| thread.join());
        ended.map(|end| end.unwrap_or_else(|_| lost())).collect()
    })
}

pub(crate) fn start(home: &Home, plant: &Plant, function: &str) -> Ended {
    let child = Command::new(home.native(function))
        .current_dir(plant.place())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return failed(format!("it cannot be started: {error}")),
    };
    let until = Instant::now() + LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return ended(status),
            Ok(None) if Instant::now() < until && interrupt::received().is_none() => {
                std::thread::sleep(Duration::from_millis(2));
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return failed(format!("it did not end within {} s", LIMIT.as_secs()));
            }
        }
    }
}

fn failed(error: String) -> Ended {
    Ended {
        exit_code: None,
        error: Some(error),
    }
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended {
            exit_code: Some(code),
            error: None,
        },
        (None, signal) => failed(format!("killed by signal {}", signal.unwrap_or_default())),
    }
}

/// The verdict `cell` on `probe` at a rung, in the light of what the control found.
#[must_use]
pub fn weigh(probe: &Probe, cell: Cell, control: Option<&Cell>) -> Cell {
    let told = matches!(cell, Cell::Contained { .. });
    match control {
        Some(Cell::Reached | Cell::Number { .. }) => cell,
        // What is reached is reached, whatever the control could not.
        Some(other) if told && probe.says == Says::Outcome => Cell::CannotTry {
            why: format!("without any rung it reads: {other}"),
        },
        None if told => Cell::CannotTry {
            why: "there was no control".into(),
        },
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::probe_named;

    #[test]
    fn what_the_control_cannot_reach_is_contained_nowhere() {
        let probe = probe_named("load-module").expect("a probe");
        let contained = Cell::Contained {
            how: "denied".into(),
        };
        let none = Cell::Contained {
            how: "no such call".into(),
        };
        let weighed = |cell: &Cell, control| weigh(probe, cell.clone(), control);
        assert_eq!(weighed(&contained, Some(&Cell::Reached)), contained);
        assert_eq!(
            weighed(&contained, Some(&none)).to_string(),
            "cannot try: without any rung it reads: contained (no such call)"
        );
        assert!(matches!(weighed(&contained, None), Cell::CannotTry { .. }));
        assert_eq!(weighed(&Cell::Reached, Some(&none)), Cell::Reached);
    }
}
