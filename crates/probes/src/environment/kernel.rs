//! Operating system, memory and the kernel settings that change what a start costs.

use std::ffi::CStr;

use procfs::{Meminfo, MountEntry};

use super::collector::Collector;
use super::{Fact, FactError, Facts, Host};

/// `ADDR_NO_RANDOMIZE` of personality(2).
const NO_RANDOMIZE: u64 = 0x0004_0000;

pub(super) fn facts(host: &Host) -> Facts {
    let mut facts = Collector(Facts::new());
    for (name, path) in [
        ("kernel", "/proc/sys/kernel/osrelease"),
        ("kernel_version", "/proc/sys/kernel/version"),
        ("kernel_command_line", "/proc/cmdline"),
    ] {
        facts.add(name, host.text(path));
    }
    for (name, path) in [
        ("swappiness", "/proc/sys/vm/swappiness"),
        ("overcommit_memory", "/proc/sys/vm/overcommit_memory"),
        ("nmi_watchdog", "/proc/sys/kernel/nmi_watchdog"),
        // Whether each session has its own share of a processor: it moves where a thread that was just made wakes up.
        (
            "sched_autogroup",
            "/proc/sys/kernel/sched_autogroup_enabled",
        ),
    ] {
        facts.add(name, host.number(path));
    }
    let huge_pages = "/sys/kernel/mm/transparent_hugepage";
    for (name, file) in [
        ("transparent_huge_pages", "enabled"),
        ("transparent_huge_pages_defrag", "defrag"),
    ] {
        facts.add(name, chosen(host, format!("{huge_pages}/{file}")));
    }
    type Bytes = fn(Meminfo) -> u64;
    let sizes: [(_, Bytes); 2] = [
        ("memory_total_bytes", |info| info.mem_total),
        ("swap_total_bytes", |info| info.swap_total),
    ];
    for (name, bytes) in sizes {
        facts.add(name, host.parsed("/proc/meminfo").map(bytes));
    }
    facts.add("os", os_name(host));
    facts.add("libc", libc_version());
    facts.add("container", container(host));
    facts.add("uptime_seconds", uptime(host));
    facts.add("swap_devices", swap_devices(host));
    facts.add("ksm", ksm(host));
    facts.add("aslr", aslr(host));
    facts.add("cgroup_version", cgroup_version(host));
    facts.add("cgroup_mounts", cgroup_mounts(host));
    facts.add("perf_event_paranoid", paranoid(host));
    facts.add("mitigations", mitigations(host));
    facts.0
}

fn os_name(host: &Host) -> Result<String, FactError> {
    let text = host.text("/etc/os-release")?;
    text.lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .ok_or(FactError::NotHere("/etc/os-release has no PRETTY_NAME"))
}

#[cfg(target_env = "gnu")]
fn libc_version() -> Fact {
    // SAFETY: returns a pointer to a static, terminated string.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("glibc {}", version.to_string_lossy()).into()
}

#[cfg(not(target_env = "gnu"))]
fn libc_version() -> Fact {
    Fact::Unknown("not glibc".to_owned())
}

/// Which container this runs in, by the marks that engines leave.
fn container(host: &Host) -> Result<String, FactError> {
    for (mark, engine) in [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")] {
        if host.exists(mark) {
            return Ok(engine.to_owned());
        }
    }
    let environment = host.text("/proc/1/environ").unwrap_or_default();
    Ok(environment
        .split('\0')
        .find_map(|entry| entry.strip_prefix("container="))
        .unwrap_or("none seen")
        .to_owned())
}

fn uptime(host: &Host) -> Result<u64, FactError> {
    let text = host.text("/proc/uptime")?;
    let whole = text.split('.').next().unwrap_or_default();
    let number = whole.parse();
    number.map_err(|_| FactError::no_number("/proc/uptime", &text))
}

fn swap_devices(host: &Host) -> Result<u64, FactError> {
    host.text("/proc/swaps")
        .map(|text| text.lines().skip(1).count() as u64)
}

/// The word in brackets of a file such as `always [madvise] never`.
fn chosen(host: &Host, path: String) -> Result<String, FactError> {
    let text = host.text(&path)?;
    match bracketed(&text) {
        Some(word) => Ok(word.to_owned()),
        None => Err(FactError::NoChoice { path, text }),
    }
}

fn bracketed(text: &str) -> Option<&str> {
    text.split_once('[')?
        .1
        .split_once(']')
        .map(|(word, _)| word)
}

/// Whether the kernel merges equal pages.
fn ksm(host: &Host) -> Result<bool, FactError> {
    host.number("/sys/kernel/mm/ksm/run").map(|run| run == 1)
}

/// 0 off, 1 without the heap, 2 full; and off where this process was started without it.
fn aslr(host: &Host) -> Result<String, FactError> {
    let own = host
        .text("/proc/self/personality")
        .ok()
        .and_then(|text| u64::from_str_radix(&text, 16).ok())
        .unwrap_or(0);
    if own & NO_RANDOMIZE != 0 {
        return Ok("off for this process".to_owned());
    }
    Ok(match host.number("/proc/sys/kernel/randomize_va_space")? {
        0 => "off".to_owned(),
        1 => "partial".to_owned(),
        2 => "full".to_owned(),
        other => other.to_string(),
    })
}

/// `v1`, `v2`, `hybrid` (v1 hierarchies beside a mounted v2 tree).
fn cgroup_version(host: &Host) -> Result<String, FactError> {
    let mounts = host.parsed::<Vec<MountEntry>>("/proc/mounts")?;
    let has = |kind: &str| mounts.iter().any(|mount| mount.fs_vfstype == kind);
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => Ok("hybrid".to_owned()),
        (true, false) => Ok("v1".to_owned()),
        (false, true) => Ok("v2".to_owned()),
        (false, false) => Err(FactError::NotHere("no cgroup hierarchy is mounted")),
    }
}

fn cgroup_mounts(host: &Host) -> Result<Vec<String>, FactError> {
    let mounts = host.parsed::<Vec<MountEntry>>("/proc/mounts")?;
    Ok(mounts
        .iter()
        .filter(|mount| mount.fs_vfstype.starts_with("cgroup"))
        .map(|mount| format!("{} {}", mount.fs_vfstype, mount.fs_file))
        .collect())
}

fn paranoid(host: &Host) -> Result<i64, FactError> {
    let text = host.text("/proc/sys/kernel/perf_event_paranoid")?;
    let number = text.parse();
    number.map_err(|_| FactError::no_number("perf_event_paranoid", &text))
}

/// What the kernel does about each known flaw of the CPU, where it is affected.
fn mitigations(host: &Host) -> Fact {
    let dir = "/sys/devices/system/cpu/vulnerabilities";
    let Ok(entries) = std::fs::read_dir(host.path(dir)) else {
        return Fact::Unknown(format!("this kernel has no {dir}"));
    };
    let mut found = serde_json::Map::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let state = host.text(&format!("{dir}/{name}"));
        if let Some(state) = state.ok().filter(|state| state != "Not affected") {
            found.insert(name, state.into());
        }
    }
    Fact::Value(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_in_brackets() {
        assert_eq!(bracketed("always [madvise] never"), Some("madvise"));
        assert_eq!(bracketed("[always] madvise"), Some("always"));
        assert_eq!(bracketed("nothing"), None);
        assert_eq!(bracketed("]["), None);
    }
}
