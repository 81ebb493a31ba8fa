//! The files of the kernel that `tune` knows: where they are, what they say, what makes them quiet.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

const CPU: &str = "sys/devices/system/cpu";
const HUGE_PAGES: &str = "sys/kernel/mm/transparent_hugepage/enabled";
const IRQ: &str = "proc/irq";
/// Limits, and what they are raised to: the most that the kernel takes of the first two, of the others more than memory would fill.
pub(super) const LIMITS: [(&str, u64); 5] = [
    ("proc/sys/kernel/pid_max", 4_194_304),
    ("proc/sys/kernel/threads-max", 4_194_304),
    ("proc/sys/vm/max_map_count", 16_777_216),
    ("proc/sys/user/max_net_namespaces", 1_000_000),
    ("proc/sys/fs/file-max", 100_000_000),
];
const ASLR: &str = "proc/sys/kernel/randomize_va_space";

/// What is set. In the order in which it is; what was found is put back in the opposite one, as a core without its sibling
/// has neither the sibling's governor nor its interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Setting {
    /// Who chooses the clock of each processor: `performance`, the highest.
    Governor,
    /// Clocks above the rated one, which last as long as heat allows: off.
    Turbo,
    /// Pages of 2 MiB behind the back of programs that did not ask for them: only where asked for.
    HugePages,
    /// Which processor serves each interrupt: the first, so that the others are left alone.
    Interrupts,
    /// The second thread of each core, which takes from the first: off.
    Smt,
    /// How many tasks, mappings, namespaces there may be: as many as can be. Set by `capacity --raise-limits` alone.
    Limits,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Governor => "governor",
            Self::Turbo => "turbo",
            Self::HugePages => "huge pages",
            Self::Interrupts => "interrupts",
            Self::Smt => "SMT siblings",
            Self::Limits => "limits",
        })
    }
}

/// A file of the kernel's, what it said, and what it is to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Knob {
    pub(super) setting: Setting,
    /// Below the root directory.
    pub(super) file: PathBuf,
    /// What to write to have it as it was.
    pub(super) found: String,
    /// What to write to have it quiet.
    pub(super) quiet: String,
}

impl Knob {
    /// Whether its file may be one of those that [`Host::offers`] finds, or a limit.
    pub(super) fn is_known(&self) -> bool {
        let plain = |part| matches!(part, Component::Normal(_));
        let is_limit = LIMITS.iter().any(|(file, _)| self.file == Path::new(file));
        is_limit
            || self.file.components().all(plain)
                && [CPU, HUGE_PAGES, IRQ]
                    .iter()
                    .any(|dir| self.file.starts_with(dir))
    }
}

/// What this host has of a setting.
#[derive(Debug)]
pub(super) enum Offer {
    /// These files, at least one.
    There(Setting, Vec<Knob>),
    /// Nothing, and why.
    Absent(Setting, Absent),
}

impl Offer {
    pub(super) fn setting(&self) -> Setting {
        match self {
            Self::There(setting, _) | Self::Absent(setting, _) => *setting,
        }
    }

    pub(super) fn knobs(&self) -> &[Knob] {
        match self {
            Self::There(_, knobs) => knobs,
            Self::Absent(..) => &[],
        }
    }
}

/// Why a host does not have a setting.
#[derive(Debug, thiserror::Error)]
pub(super) enum Absent {
    #[error("no cpufreq policy; the clock of a virtual machine is governed by its host")]
    NoPolicy,
    #[error(
        "neither intel_pstate/no_turbo nor cpufreq/boost; the clock of a virtual machine is governed by its host"
    )]
    NoBoost,
    #[error("this kernel has no transparent huge pages")]
    NoHugePages,
    #[error("one processor, so there is no other to be left alone")]
    OneProcessor,
    #[error("no interrupt whose processor can be chosen")]
    NoInterrupt,
    #[error("this kernel has no smt/control")]
    NoSmtControl,
    #[error("smt/control says `{0}`")]
    Smt(String),
    #[error("{file}: {source}")]
    Unreadable { file: String, source: io::Error },
}

/// The host, by its root directory.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
}

impl Host {
    /// The host whose /sys, /proc and /run lie below `root`.
    pub(super) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Whether it is the one that this process runs on.
    pub(super) fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where `file`, given from the root directory, is.
    pub(super) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.root.join(file)
    }

    /// What `file` says: of a list of choices the one in brackets, else all of it.
    pub(super) fn value(&self, file: impl AsRef<Path>) -> io::Result<String> {
        fs::read_to_string(self.path(file)).map(|text| chosen(&text).to_owned())
    }

    /// Writes `value` to `file`, in one piece, as the kernel wants it.
    pub(super) fn write(&self, file: &Path, value: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).truncate(true).open(self.path(file))?;
        file.write_all(value.as_bytes())
    }

    /// What there is of each setting.
    pub(super) fn offers(&self) -> Vec<Offer> {
        let offer = |setting, knobs: Result<Vec<Knob>, Absent>| match knobs {
            Ok(knobs) => Offer::There(setting, knobs),
            Err(why) => Offer::Absent(setting, why),
        };
        vec![
            offer(Setting::Governor, self.governors()),
            offer(Setting::Turbo, self.turbo()),
            offer(Setting::HugePages, self.huge_pages()),
            offer(Setting::Interrupts, self.interrupts()),
            offer(Setting::Smt, self.smt()),
        ]
    }

    /// What would disturb all the same, a line each.
    pub(super) fn warnings(&self) -> String {
        let mut text = String::new();
        let runs = |pid: &u64| {
            let name = self.value(format!("proc/{pid}/comm"));
            name.is_ok_and(|name| name == "irqbalance")
        };
        if numbered(&self.path("proc"), "").iter().any(runs) {
            text += "warning: irqbalance runs and will move interrupts again: `systemctl stop irqbalance` for the time of the run\n";
        }
        // One layout is one draw: it stays on, and `tune` does not touch it.
        if self.value(ASLR).is_ok_and(|value| value != "2") {
            text += "warning: address-space randomisation is not fully on, so that all runs draw the same layout: `sysctl kernel.randomize_va_space=2`\n";
        }
        text
    }

    fn knob(&self, setting: Setting, file: String, quiet: &str) -> Result<Knob, Absent> {
        match fs::read_to_string(self.path(&file)) {
            Ok(text) => Ok(Knob {
                setting,
                file: file.into(),
                found: as_written(&text),
                quiet: format!("{quiet}\n"),
            }),
            Err(source) => Err(Absent::Unreadable { file, source }),
        }
    }

    fn governors(&self) -> Result<Vec<Knob>, Absent> {
        let policies = numbered(&self.path(CPU).join("cpufreq"), "policy");
        if policies.is_empty() {
            return Err(Absent::NoPolicy);
        }
        let governor = |policy| format!("{CPU}/cpufreq/policy{policy}/scaling_governor");
        let files = policies.into_iter().map(governor);
        files
            .map(|file| self.knob(Setting::Governor, file, "performance"))
            .collect()
    }

    fn turbo(&self) -> Result<Vec<Knob>, Absent> {
        let known = [("intel_pstate/no_turbo", "1"), ("cpufreq/boost", "0")];
        let mut files = known
            .map(|(file, off)| (format!("{CPU}/{file}"), off))
            .into_iter();
        let (file, off) = files
            .find(|(file, _)| self.path(file).exists())
            .ok_or(Absent::NoBoost)?;
        self.knob(Setting::Turbo, file, off).map(|knob| vec![knob])
    }

    fn huge_pages(&self) -> Result<Vec<Knob>, Absent> {
        if !self.path(HUGE_PAGES).exists() {
            return Err(Absent::NoHugePages);
        }
        let mut knob = self.knob(Setting::HugePages, HUGE_PAGES.to_owned(), "madvise")?;
        if knob.found.trim() == "never" {
            knob.quiet.clone_from(&knob.found);
        }
        Ok(vec![knob])
    }

    fn interrupts(&self) -> Result<Vec<Knob>, Absent> {
        let file = format!("{CPU}/online");
        let online = self.value(&file);
        let online = online.map_err(|source| Absent::Unreadable { file, source })?;
        // Such as `0-3,8`.
        let Some((first, _)) = online.split_once(['-', ',']) else {
            return Err(Absent::OneProcessor);
        };
        let affinity = |irq| format!("{IRQ}/{irq}/smp_affinity_list");
        let files = numbered(&self.path(IRQ), "").into_iter().map(affinity);
        // One may have gone since it was listed.
        let knobs = files.filter_map(|file| self.knob(Setting::Interrupts, file, first).ok());
        let knobs: Vec<_> = knobs.collect();
        if knobs.is_empty() {
            return Err(Absent::NoInterrupt);
        }
        Ok(knobs)
    }

    fn smt(&self) -> Result<Vec<Knob>, Absent> {
        let file = format!("{CPU}/smt/control");
        if !self.path(&file).exists() {
            return Err(Absent::NoSmtControl);
        }
        let knob = self.knob(Setting::Smt, file, "off")?;
        match knob.found.trim() {
            "on" | "off" => Ok(vec![knob]),
            other => Err(Absent::Smt(other.to_owned())),
        }
    }
}

/// The numbers of the entries of `dir` that are called `prefix` and a number, sorted.
fn numbered(dir: &Path, prefix: &str) -> Vec<u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix(prefix)?.parse().ok()
    };
    let mut numbers: Vec<_> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// What a file of the kernel's says: `b` of `a [b] c`, else its words.
fn chosen(text: &str) -> &str {
    let bracketed = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    bracketed.map_or_else(|| text.trim(), |(choice, _)| choice)
}

/// What to write to a file so that it says `text` again.
fn as_written(text: &str) -> String {
    if text.contains('[') {
        return format!("{}\n", chosen(text));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_what_stands_in_brackets() {
        for (text, value, written) in [
            ("always [madvise] never\n", "madvise", "madvise\n"),
            ("[always] madvise never\n", "always", "always\n"),
            ("schedutil\n", "schedutil", "schedutil\n"),
            ("0-1,4", "0-1,4", "0-1,4"),
            ("", "", ""),
        ] {
            assert_eq!(chosen(text), value);
            assert_eq!(as_written(text), written);
        }
    }

    #[test]
    fn only_files_of_settings_are_known() {
        let is_known = |file: &str| {
            let knob = Knob {
                setting: Setting::Smt,
                file: file.into(),
                found: String::new(),
                quiet: String::new(),
            };
            knob.is_known()
        };
        assert!(is_known("proc/irq/24/smp_affinity_list"));
        assert!(is_known("sys/devices/system/cpu/smt/control"));
        assert!(is_known("proc/sys/kernel/pid_max"));
        for foreign in [
            "/proc/irq/24/smp_affinity_list",
            "etc/passwd",
            "proc/irq/../sysrq-trigger",
            "proc/sys/kernel/core_pattern",
            "sys/kernel/mm/transparent_hugepage/enabled/../../../uevent_helper",
            "",
        ] {
            assert!(!is_known(foreign), "{foreign}");
        }
    }
}
