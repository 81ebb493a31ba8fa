//! Whether the machine is fit to be measured on, and what to do where it is not.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::environment::{Environment, Fact};

/// Work of others, in CPUs, from which a machine is not idle.
const BUSY_CPUS: f64 = 0.15;
/// Share of the wanted CPU time withheld by the hypervisor from which times are not this machine's.
const STEAL_SHARE: f64 = 0.02;

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

fn concern(severity: Severity, about: &str, what: impl Into<String>, mend: &str) -> Concern {
    Concern {
        severity,
        about: about.to_owned(),
        what: what.into(),
        mend: mend.to_owned(),
    }
}

pub(super) fn concerns(environment: &Environment) -> Vec<Concern> {
    let mut found: Vec<Concern> = [
        load(environment),
        steal_before(environment),
        steal_during(environment),
        swapping(environment),
        governor(environment),
        turbo(environment),
        smt(environment),
        virtualised(environment),
        ksm(environment),
        huge_pages(environment),
        aslr(environment),
        clock_source(environment),
        counters(environment),
    ]
    .into_iter()
    .flatten()
    .collect();
    found.sort_by_key(|concern| concern.severity);
    found
}

fn text<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.fact(name).and_then(Fact::text)
}

fn truth(environment: &Environment, name: &str) -> Option<bool> {
    environment.fact(name).and_then(Fact::truth)
}

fn load(environment: &Environment) -> Option<Concern> {
    let busy = environment.before.watched?.busy_cpus;
    (busy > BUSY_CPUS).then(|| {
        concern(
            Severity::Unfit,
            "load",
            format!("others kept {busy:.2} CPUs busy before the run"),
            "stop them (`top` shows which) or wait until they end",
        )
    })
}

fn stolen(share: f64, when: &str) -> Option<Concern> {
    (share > STEAL_SHARE).then(|| {
        concern(
            Severity::Unfit,
            "steal",
            format!(
                "the hypervisor withheld {:.0} % of the CPU time {when}",
                share * 100.0
            ),
            "use a machine with CPUs of its own, or measure again when its neighbours are quiet",
        )
    })
}

fn steal_before(environment: &Environment) -> Option<Concern> {
    stolen(environment.before.watched?.steal_share, "before the run")
}

fn steal_during(environment: &Environment) -> Option<Concern> {
    let after = environment.after.as_ref()?;
    stolen(
        after.since(&environment.before)?.steal_share,
        "during the run",
    )
}

fn swapping(environment: &Environment) -> Option<Concern> {
    let after = environment.after.as_ref()?.swapped_pages?;
    let pages = after.checked_sub(environment.before.swapped_pages?)?;
    (pages > 0).then(|| {
        concern(
            Severity::Unfit,
            "swap",
            format!("{pages} pages were swapped during the run"),
            "free memory, start fewer workers, or `swapoff -a`",
        )
    })
}

fn governor(environment: &Environment) -> Option<Concern> {
    let governor = text(environment, "governor")?;
    (governor != "performance").then(|| {
        concern(
            Severity::Unfit,
            "governor",
            format!("the frequency governor is {governor}"),
            "`cpupower frequency-set -g performance`",
        )
    })
}

fn turbo(environment: &Environment) -> Option<Concern> {
    truth(environment, "turbo")?.then(|| {
        concern(
            Severity::Note,
            "turbo",
            "turbo is on: the frequency depends on heat and on what other cores do",
            "`echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo` or `echo 0 > /sys/devices/system/cpu/cpufreq/boost`",
        )
    })
}

fn smt(environment: &Environment) -> Option<Concern> {
    truth(environment, "smt")?.then(|| {
        concern(
            Severity::Note,
            "smt",
            "SMT is on: a busy sibling halves a core",
            "`echo off > /sys/devices/system/cpu/smt/control`",
        )
    })
}

fn virtualised(environment: &Environment) -> Option<Concern> {
    truth(environment, "virtualised")?.then(|| {
        let by = text(environment, "hypervisor").unwrap_or("unknown");
        concern(
            Severity::Note,
            "virtualised",
            format!(
                "this is a virtual machine ({by}): exits to the hypervisor are in every number"
            ),
            "measure on bare metal to compare with other machines; ratios within one run stand",
        )
    })
}

fn ksm(environment: &Environment) -> Option<Concern> {
    truth(environment, "ksm")?.then(|| {
        concern(
            Severity::Unfit,
            "ksm",
            "the kernel merges equal pages (KSM): memory falls while it is measured",
            "`echo 0 > /sys/kernel/mm/ksm/run`",
        )
    })
}

fn huge_pages(environment: &Environment) -> Option<Concern> {
    (text(environment, "transparent_huge_pages")? == "always").then(|| {
        concern(
            Severity::Note,
            "huge-pages",
            "transparent huge pages are always on: small processes may weigh 2 MiB more",
            "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",
        )
    })
}

fn aslr(environment: &Environment) -> Option<Concern> {
    let state = text(environment, "aslr")?;
    (state != "full").then(|| {
        concern(
            Severity::Note,
            "aslr",
            format!("address space randomisation is {state}: layouts repeat from run to run"),
            "`sysctl kernel.randomize_va_space=2`",
        )
    })
}

fn clock_source(environment: &Environment) -> Option<Concern> {
    let source = text(environment, "clock_source")?;
    (!matches!(
        source,
        "tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page"
    ))
    .then(|| {
        concern(
            Severity::Note,
            "clock",
            format!("the clock source is {source}: each reading is a system call or slower"),
            "boot with clocksource=tsc if the TSC is stable",
        )
    })
}

fn counters(environment: &Environment) -> Option<Concern> {
    match environment.fact("hardware_counters")? {
        Fact::Unknown(why) => Some(concern(
            Severity::Note,
            "counters",
            "CPU cycles cannot be counted",
            why,
        )),
        Fact::Value(_) => None,
    }
}
