//! Network namespaces of parked workers, and what passes out of one: a function that is offered no socket cannot try it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;

use nix::sched::{CloneFlags, setns};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::probe_named;
use crate::cell::Seen;
use crate::control;
use crate::error::IsolationError;
use crate::home::Home;
use crate::plant::Plant;

/// The probe that sends.
const SENDER: &str = "network-rate";
/// The unit in which a driver states to what it shapes.
const UNIT: &str = "Mbit/s";

/// What passes out of the network namespace of a parked worker to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Passed {
    /// As the host counted it, in Mbit a second.
    pub mbit_per_s: u32,
    /// To what its driver says that it is shaped.
    pub stated_mbit_per_s: Option<u32>,
}

/// What a program of ours sends to the host from the first namespace of a worker among `pids`, which are `roots` and what is below
/// them; `includes` is what the driver says of the scope. None where workers have no network of their own, or no way to the host.
///
/// # Errors
/// The listener cannot listen there.
pub fn passed_out(
    plant: &mut Plant,
    home: &Home,
    (roots, pids): (&[i32], &[i32]),
    includes: &str,
) -> Result<Option<Passed>, IsolationError> {
    let (Some(probe), Some(namespace)) = (probe_named(SENDER), of_workers(roots, pids)) else {
        return Ok(None);
    };
    plant.before(probe, roots)?;
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            // The thread's alone; what it starts begins there.
            setns(File::open(namespace).ok()?, CloneFlags::CLONE_NEWNET).ok()?;
            Some(control::start(home, plant, SENDER))
        });
        sender.join().ok().flatten()
    });
    let ended: Vec<_> = sent.into_iter().collect();
    Ok(match plant.seen(probe, &ended) {
        Seen::Number(mbit_per_s) => Some(Passed {
            mbit_per_s,
            stated_mbit_per_s: stated(includes),
        }),
        _ => None,
    })
}

/// The number before the first `Mbit/s`.
fn stated(includes: &str) -> Option<u32> {
    let words: Vec<&str> = includes.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| word.trim_end_matches([',', ';']) == UNIT)?;
    words.get(at.checked_sub(1)?)?.parse().ok()
}

/// The first network namespace of a thread of `pids` that is neither ours nor that of a root: what drivers and engines are in is no
/// worker's.
fn of_workers(roots: &[i32], pids: &[i32]) -> Option<PathBuf> {
    let inode = |path: PathBuf| fs::metadata(&path).map(|meta| meta.ino()).ok();
    let of_process = |pid: &i32| inode(format!("/proc/{pid}/ns/net").into());
    let me = std::process::id().cast_signed();
    let others: BTreeSet<u64> = roots.iter().chain([&me]).filter_map(of_process).collect();
    let tasks = pids.iter().flat_map(|pid| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        tasks.into_iter().flatten().flatten()
    });
    let mut namespaces = tasks.map(|task| task.path().join("ns/net"));
    namespaces.find(|path| inode(path.clone()).is_some_and(|inode| !others.contains(&inode)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stated_rate_is_found_among_words() {
        for (words, rate) in [
            (
                "2 namespaces, veth, 10.0.0.0/8, tbf 1000 Mbit/s each way",
                Some(1000),
            ),
            ("htb 25 Mbit/s, and more", Some(25)),
            ("veth, not shaped", None),
            ("Mbit/s", None),
            ("some Mbit/s", None),
        ] {
            assert_eq!(stated(words), rate, "{words}");
        }
    }

    #[test]
    fn our_own_network_is_no_workers() {
        let me = [std::process::id().cast_signed()];
        assert_eq!(of_workers(&me, &me), None);
        assert_eq!(of_workers(&[], &me), None);
    }
}
