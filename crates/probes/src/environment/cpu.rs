//! The processor, and what changes its speed from one run to the next.

use std::collections::BTreeSet;

use measure_core::base::processors::processors_in;
use nix::sched::sched_getaffinity;
use nix::unistd::Pid;
use procfs::CpuInfo;

use super::collector::Collector;
use super::{Fact, FactError, Facts, Host};

const CPU: &str = "/sys/devices/system/cpu";

pub(super) fn facts(host: &Host) -> Facts {
    let mut facts = Collector(Facts::new());
    let info = host.parsed::<CpuInfo>("/proc/cpuinfo");
    for (name, key) in [
        ("cpu_model", "model name"),
        ("cpu_vendor", "vendor_id"),
        ("cpu_family", "cpu family"),
        ("cpu_model_number", "model"),
        ("cpu_stepping", "stepping"),
        ("cpu_microcode", "microcode"),
        ("cpu_flags", "flags"),
    ] {
        match &info {
            Ok(info) => facts.add(name, field(info, key)),
            Err(why) => facts.add(name, Fact::Unknown(why.to_string())),
        }
    }
    facts.add("cpus_online", host.text(&format!("{CPU}/online")));
    facts.add("cpus_of_this_process", affinity());
    facts.add("caches", caches(host));
    facts.add("governor", governor(host));
    facts.add("frequency_driver", frequency(host, "scaling_driver"));
    facts.add("frequency_min_khz", frequency(host, "scaling_min_freq"));
    facts.add("frequency_max_khz", frequency(host, "scaling_max_freq"));
    facts.add(
        "core_throttles",
        host.number(&format!("{CPU}/cpu0/thermal_throttle/core_throttle_count")),
    );
    facts.add("turbo", turbo(host));
    facts.add("smt", smt(host));
    facts.add("isolated_cpus", host.text(&format!("{CPU}/isolated")));
    facts.add(
        "clock_source",
        host.text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    );
    facts.add("virtualised", virtualised(host, info.as_ref().ok()));
    facts.add("hypervisor", hypervisor(host));
    facts.add("hardware_counters", hardware_counters());
    facts.0
}

/// A field of the first CPU.
fn field(info: &CpuInfo, key: &'static str) -> Result<String, FactError> {
    let value = info.get_field(0, key).map(ToOwned::to_owned);
    value.ok_or(FactError::NoCpuField(key))
}

fn affinity() -> Result<u64, FactError> {
    let set = sched_getaffinity(Pid::from_raw(0)).map_err(FactError::Affinity)?;
    Ok(processors_in(&set).count() as u64)
}

/// Caches of the first CPU, for example `L1d 32K, L1i 32K, L2 512K, L3 32768K`.
fn caches(host: &Host) -> Result<String, FactError> {
    let mut found = Vec::new();
    for index in 0..16 {
        let dir = format!("{CPU}/cpu0/cache/index{index}");
        if !host.exists(&dir) {
            break;
        }
        let level = host.text(&format!("{dir}/level"))?;
        let kind = match host.text(&format!("{dir}/type"))?.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        found.push(format!(
            "L{level}{kind} {}",
            host.text(&format!("{dir}/size"))?
        ));
    }
    if found.is_empty() {
        return Err(FactError::NotHere(
            "no caches below /sys/devices/system/cpu/cpu0/cache",
        ));
    }
    Ok(found.join(", "))
}

/// A value of cpufreq, the same for all CPUs or each that occurs.
fn frequency(host: &Host, file: &str) -> Result<String, FactError> {
    let values: BTreeSet<String> = (0..4096)
        .map_while(|cpu| {
            let dir = format!("{CPU}/cpu{cpu}");
            host.exists(&dir)
                .then(|| host.text(&format!("{dir}/cpufreq/{file}")))
        })
        .flatten()
        .collect();
    if values.is_empty() {
        return Err(FactError::NotHere(
            "no cpufreq: the frequency is not this kernel's to set (a virtual machine, or the firmware's choice)",
        ));
    }
    Ok(values.into_iter().collect::<Vec<_>>().join(", "))
}

fn governor(host: &Host) -> Result<String, FactError> {
    frequency(host, "scaling_governor")
}

/// Whether the CPU may run above its nominal frequency.
fn turbo(host: &Host) -> Result<bool, FactError> {
    if let Ok(off) = host.number(&format!("{CPU}/intel_pstate/no_turbo")) {
        return Ok(off == 0);
    }
    host.number(&format!("{CPU}/cpufreq/boost"))
        .map(|on| on == 1)
        .map_err(|_| {
            FactError::NotHere(
                "neither intel_pstate/no_turbo nor cpufreq/boost: not visible to this kernel",
            )
        })
}

fn smt(host: &Host) -> Result<bool, FactError> {
    host.number(&format!("{CPU}/smt/active")).map(|on| on == 1)
}

/// Every hypervisor sets the CPU flag of that name on x86; others show in the device tree or DMI.
fn virtualised(host: &Host, info: Option<&CpuInfo>) -> Result<bool, FactError> {
    if let Some(flags) = info.and_then(|info| info.get_field(0, "flags")) {
        return Ok(flags.split_whitespace().any(|flag| flag == "hypervisor"));
    }
    if host.exists("/proc/device-tree/hypervisor") || host.exists("/sys/hypervisor/type") {
        return Ok(true);
    }
    Err(FactError::NotHere(
        "no CPU flags and no hypervisor node to tell by",
    ))
}

/// The hypervisor's name for itself (CPUID leaf 0x4000_0000) and the machine's in DMI.
fn hypervisor(host: &Host) -> Fact {
    let mut names = Vec::new();
    names.extend(signature());
    for file in ["sys_vendor", "product_name"] {
        names.extend(host.text(&format!("/sys/class/dmi/id/{file}")));
    }
    if names.is_empty() {
        return Fact::Unknown("no signature in CPUID and no DMI".to_owned());
    }
    names.join(", ").into()
}

#[cfg(target_arch = "x86_64")]
fn signature() -> Option<String> {
    use std::arch::x86_64::__cpuid;
    const HYPERVISOR_PRESENT: u32 = 1 << 31;
    const HYPERVISOR_LEAF: u32 = 0x4000_0000;
    if __cpuid(1).ecx & HYPERVISOR_PRESENT == 0 {
        return None;
    }
    let leaf = __cpuid(HYPERVISOR_LEAF);
    let bytes: Vec<u8> = [leaf.ebx, leaf.ecx, leaf.edx]
        .iter()
        .flat_map(|register| register.to_le_bytes())
        .filter(u8::is_ascii_graphic)
        .collect();
    String::from_utf8(bytes)
        .ok()
        .filter(|name| !name.is_empty())
}

#[cfg(not(target_arch = "x86_64"))]
fn signature() -> Option<String> {
    None
}

/// Whether cycles can be counted, by trying.
fn hardware_counters() -> Fact {
    let mut counters = crate::perf::Counters::of_next_child(&[crate::perf::Event::Cycles]);
    match counters.take().pop().map(|count| count.value) {
        Some(Ok(_)) => true.into(),
        Some(Err(why)) => Fact::Unknown(why.to_string()),
        None => Fact::Unknown("no event was tried".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use procfs::FromBufRead;

    use super::*;

    #[test]
    fn a_field_is_not_the_prefix_of_another() {
        let info = |text: &str| {
            let text = format!("processor : 0\n{text}");
            CpuInfo::from_buf_read(text.as_bytes()).expect("fields")
        };
        let guest = info("model\t\t: 1\nmodel name\t: AMD EPYC\nflags : fpu hypervisor\n");
        assert_eq!(field(&guest, "model").expect("there"), "1");
        assert_eq!(field(&guest, "model name").expect("there"), "AMD EPYC");
        let error = field(&guest, "microcode").expect_err("not there");
        let words = "/proc/cpuinfo has no `microcode` on this architecture";
        assert_eq!(error.to_string(), words);
        let here = Host::real();
        assert!(virtualised(&here, Some(&guest)).expect("flags"));
        assert!(!virtualised(&here, Some(&info("flags : fpu\n"))).expect("flags"));
    }
}
