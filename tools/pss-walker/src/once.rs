//! One walk, process by process.

use std::collections::HashMap;
use std::fmt::Write as _;

use measure_core::base::exit::Exit;
use probes::memory::{Memory, ProcessMemory, Sampler, Walk};

use crate::output::{columns, headings, json_line, left_out, print};
use crate::targets::Targets;
use crate::{Options, WalkerError};

pub(crate) fn run(
    options: &Options,
    targets: &Targets,
    sampler: &mut Sampler,
) -> Result<Exit, WalkerError> {
    let walk = targets.walk(sampler);
    refuse_if_all_denied(&walk)?;
    print(&if options.json {
        json(&walk)
    } else {
        table(&walk)
    })?;
    for reason in &walk.reasons {
        eprintln!("warning: {reason}");
    }
    Ok(Exit::Ok)
}

/// An empty sum because nothing may be read would look like a small one.
pub(crate) fn refuse_if_all_denied(walk: &Walk) -> Result<(), WalkerError> {
    if walk.processes.is_empty() && walk.denied > 0 {
        return Err(WalkerError::Denied {
            count: walk.denied,
            why: walk.reasons.join("; "),
        });
    }
    Ok(())
}

fn json(walk: &Walk) -> String {
    #[derive(serde::Serialize)]
    struct Summed<'a> {
        #[serde(flatten)]
        walk: &'a Walk,
        sum: Memory,
    }
    let sum = walk.sum();
    json_line("walk", &Summed { walk, sum })
}

fn table(walk: &Walk) -> String {
    let mut text = format!("{:>9}{}  NAME\n", "PID", headings());
    for (depth, process) in in_tree_order(&walk.processes) {
        let memory = columns(process.memory);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:>9}{memory}  {:depth$}{}",
            process.pid,
            "",
            process.name,
            depth = 2 * depth
        );
    }
    let count = walk.processes.len();
    let ms = (walk.end_ns - walk.start_ns) as f64 / 1e6;
    let plural = if count == 1 { "process" } else { "processes" };
    let _ = writeln!(
        text,
        "{:>9}{}  {count} {plural} in {ms:.1} ms{}",
        "sum",
        columns(walk.sum()),
        left_out(walk)
    );
    text
}

/// Depth-first with each process's depth below its root; siblings as found, by pid.
fn in_tree_order(processes: &[ProcessMemory]) -> Vec<(usize, &ProcessMemory)> {
    let mut children: HashMap<i32, Vec<usize>> = HashMap::new();
    let present: HashMap<i32, usize> = processes
        .iter()
        .enumerate()
        .map(|(i, p)| (p.pid, i))
        .collect();
    let mut stack = Vec::new();
    for (index, process) in processes.iter().enumerate().rev() {
        // Parents come before children in a walk; anything else is a root here.
        match present.get(&process.ppid) {
            Some(&parent) if parent < index => {
                children.entry(process.ppid).or_default().push(index)
            }
            _ => stack.push((0, index)),
        }
    }
    let mut ordered = Vec::with_capacity(processes.len());
    while let Some((depth, index)) = stack.pop() {
        let process = &processes[index];
        ordered.push((depth, process));
        for &child in children.get(&process.pid).into_iter().flatten() {
            stack.push((depth + 1, child));
        }
    }
    ordered
}
