//! What a rung states that it isolates, in letters.

use measure_core::contract::Isolation;

use crate::summary::RungSummary;

/// What [`isolates`] abbreviates.
pub(crate) const KINDS: &str = "Memory, Cpu, Network, Files, System calls, Privileges, Hardware";

/// The kinds of isolation of `rung`, by their initials.
pub(crate) fn isolates(rung: &RungSummary<'_>) -> String {
    let Some(info) = rung.info else {
        return String::new();
    };
    let Isolation {
        memory,
        cpu,
        network,
        files,
        syscalls,
        capabilities,
        hardware,
        reach: _,
    } = &info.description.isolation;
    [
        ('M', memory),
        ('C', cpu),
        ('N', network),
        ('F', files),
        ('S', syscalls),
        ('P', capabilities),
        ('H', hardware),
    ]
    .iter()
    .map(|(initial, how)| {
        let nothing = how.is_empty()
            || how.to_ascii_lowercase().starts_with("none:")
            || how.eq_ignore_ascii_case("none");
        if nothing { '-' } else { *initial }
    })
    .collect()
}
