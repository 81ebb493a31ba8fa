//! Whether the machine is fit to be measured on, and what to do where it is not.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::environment::{Activity, Environment, Fact};

/// Work of others, in CPUs, from which a machine is not idle.
const BUSY_CPUS: f64 = 0.15;
/// Share of the wanted CPU time withheld by the hypervisor from which times are not this machine's.
const STEAL_SHARE: f64 = 0.02;
/// Clock sources that are read without a system call.
const GOOD_CLOCKS: [&str; 4] = [
    "tsc",
    "kvm-clock",
    "arch_sys_counter",
    "hyperv_clocksource_tsc_page",
];

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Numbers will be noisy or wrong: refused under `--strict`.
    Unfit,
    /// A reader must know it to compare with other machines.
    Note,
}

/// Something that makes numbers less trustworthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concern {
    /// How bad it is.
    pub severity: Severity,
    /// Stable name: `load`, `steal`, `governor`, ...
    pub about: String,
    /// What is so.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.mend)
    }
}

/// Why a host is refused under `--strict`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this host is not fit to measure on (--strict): {}", self.words())]
pub struct Unfit(pub Vec<Concern>);

impl Unfit {
    /// What is so and what to do about it, one concern after the other.
    #[must_use]
    pub fn words(&self) -> String {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        words.join("; ")
    }
}

impl Environment {
    /// What makes the numbers less trustworthy, worst first, each with what to do about it; once
    /// the run is over what happened during it is included.
    #[must_use]
    pub fn concerns(&self) -> Vec<Concern> {
        let mut found: Vec<Concern> = what_happened(self)
            .into_iter()
            .chain(how_the_processor_is_set(self))
            .chain(how_the_kernel_is_set(self))
            .flatten()
            .collect();
        found.sort_by_key(|concern| concern.severity);
        found
    }

    /// Warns on standard error of what makes this host unfit to measure on.
    ///
    /// # Errors
    /// It is unfit and `strict` says to refuse it.
    pub fn heed(&self, strict: bool) -> Result<(), Unfit> {
        let mut unfit = self.concerns();
        unfit.retain(|concern| concern.severity == Severity::Unfit);
        if strict && !unfit.is_empty() {
            return Err(Unfit(unfit));
        }
        for what in unfit {
            eprintln!("warning: {what}");
        }
        Ok(())
    }
}

/// A concern if there are words for `what` is so.
fn concern(severity: Severity, about: &str, what: Option<String>, mend: &str) -> Option<Concern> {
    Some(Concern {
        severity,
        about: about.to_owned(),
        what: what?,
        mend: mend.to_owned(),
    })
}

fn unfit(about: &str, what: Option<String>, mend: &str) -> Option<Concern> {
    concern(Severity::Unfit, about, what, mend)
}

fn note(about: &str, what: Option<String>, mend: &str) -> Option<Concern> {
    concern(Severity::Note, about, what, mend)
}

/// `what`, if the fact `name` is so.
fn on(environment: &Environment, name: &str, what: &str) -> Option<String> {
    environment.fact(name)?.truth()?.then(|| what.to_owned())
}

/// What the fact `name` says, if that is none of what is `good`.
fn other_than<'a>(environment: &'a Environment, name: &str, good: &[&str]) -> Option<&'a str> {
    let text = environment.fact(name)?.text()?;
    (!good.contains(&text)).then_some(text)
}

fn what_happened(environment: &Environment) -> [Option<Concern>; 4] {
    let (before, after) = (&environment.before, environment.after.as_ref());
    let busy = before.watched.map(|watched| watched.busy_cpus);
    let busy = busy.filter(|&cpus| cpus > BUSY_CPUS);
    let steal = |activity: Option<Activity>, when: &str| {
        let share = activity?.steal_share;
        (share > STEAL_SHARE).then(|| {
            let percent = share * 100.0;
            format!("the hypervisor withheld {percent:.0} % of the CPU time {when}")
        })
    };
    let swapped = || {
        let pages = after?.swapped_pages?.checked_sub(before.swapped_pages?)?;
        (pages > 0).then(|| format!("{pages} pages were swapped during the run"))
    };
    let during = after.and_then(|after| after.since(before));
    let neighbours =
        "use a machine with CPUs of its own, or measure again when its neighbours are quiet";
    [
        unfit(
            "load",
            busy.map(|cpus| format!("others kept {cpus:.2} CPUs busy before the run")),
            "stop them (`top` shows which) or wait until they end",
        ),
        unfit("steal", steal(before.watched, "before the run"), neighbours),
        unfit("steal", steal(during, "during the run"), neighbours),
        unfit(
            "swap",
            swapped(),
            "free memory, start fewer workers, or `swapoff -a`",
        ),
    ]
}

fn how_the_processor_is_set(environment: &Environment) -> [Option<Concern>; 5] {
    let on = |name, what: &str| on(environment, name, what);
    let by = environment.fact("hypervisor").and_then(Fact::text);
    let by = by.unwrap_or("unknown");
    [
        unfit(
            "governor",
            other_than(environment, "governor", &["performance"])
                .map(|governor| format!("the frequency governor is {governor}")),
            "`cpupower frequency-set -g performance`",
        ),
        note(
            "turbo",
            on(
                "turbo",
                "turbo is on: the frequency depends on heat and on what other cores do",
            ),
            "`echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo` or `echo 0 > /sys/devices/system/cpu/cpufreq/boost`",
        ),
        note(
            "smt",
            on("smt", "SMT is on: a busy sibling halves a core"),
            "`echo off > /sys/devices/system/cpu/smt/control`",
        ),
        note(
            "virtualised",
            on(
                "virtualised",
                &format!(
                    "this is a virtual machine ({by}): exits to the hypervisor are in every number"
                ),
            ),
            "measure on bare metal to compare with other machines; ratios within one run stand",
        ),
        unfit(
            "ksm",
            on(
                "ksm",
                "the kernel merges equal pages (KSM): memory falls while it is measured",
            ),
            "`echo 0 > /sys/kernel/mm/ksm/run`",
        ),
    ]
}

fn how_the_kernel_is_set(environment: &Environment) -> [Option<Concern>; 4] {
    let other_than = |name, good| other_than(environment, name, good);
    let uncounted = match environment.fact("hardware_counters") {
        Some(Fact::Unknown(why)) => Some(why.as_str()),
        _ => None,
    };
    [
        note(
            "huge-pages",
            other_than("transparent_huge_pages", &["madvise", "never"]).map(|_| {
                "transparent huge pages are always on: small processes may weigh 2 MiB more"
                    .to_owned()
            }),
            "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",
        ),
        note(
            "aslr",
            other_than("aslr", &["full"]).map(|state| {
                format!("address space randomisation is {state}: layouts repeat from run to run")
            }),
            "`sysctl kernel.randomize_va_space=2`",
        ),
        note(
            "clock",
            other_than("clock_source", &GOOD_CLOCKS).map(|source| {
                format!("the clock source is {source}: each reading is a system call or slower")
            }),
            "boot with clocksource=tsc if the TSC is stable",
        ),
        note(
            "counters",
            uncounted.map(|_| "CPU cycles cannot be counted".to_owned()),
            uncounted.unwrap_or_default(),
        ),
    ]
}
