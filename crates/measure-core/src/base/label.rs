//! The mark that everything we make carries, and by which alone things are removed.

use std::path::Path;

/// Prefix of every cgroup, network namespace, network device and container name, and the key of
/// the container and image label.
pub const LABEL: &str = "faasm-bench";

/// The name of something that process `pid` made: `faasm-bench.<pid>.<what>`. The pid tells a later
/// run whether its maker still lives (see [`owner`]).
#[must_use]
pub fn name(pid: i32, what: &str) -> String {
    format!("{LABEL}.{pid}.{what}")
}

/// The process that made `name`, if `name` is one of ours.
#[must_use]
pub fn owner(name: &str) -> Option<i32> {
    let rest = name.strip_prefix(LABEL)?.strip_prefix('.')?;
    rest.split('.').next()?.parse().ok()
}

/// Whether the maker of `name` is gone, so that what it left may be removed. `false` for what is not
/// ours.
#[must_use]
pub fn is_orphan(name: &str) -> bool {
    owner(name).is_some_and(is_gone)
}

/// Whether no process has the number `pid` any more, so that what it was writing may be removed.
#[must_use]
pub fn is_gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_known_and_foreign_ones_are_not() {
        assert_eq!(owner(&name(42, "engine")), Some(42));
        for foreign in [
            "faasm-benchmark.42.x",
            "docker",
            "faasm-bench",
            "faasm-bench.x.y",
        ] {
            assert_eq!(owner(foreign), None, "{foreign}");
            assert!(!is_orphan(foreign));
        }
    }

    #[test]
    fn what_a_living_process_made_is_no_orphan() {
        let me = nix::unistd::getpid().as_raw();
        assert!(!is_orphan(&name(me, "x")));
        assert!(is_orphan(&name(i32::MAX, "x")));
    }
}
