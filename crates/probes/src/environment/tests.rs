//! On this machine, and on made-up ones.

use measure_core::contract::environment::{Activity, CpuTime, Load, Severity};

use super::*;
use crate::host::tests::made_up;

fn environment_of(host: &Host) -> Environment {
    let idle = Load {
        unix_seconds: 0,
        average: Fact::Unknown("made up".into()),
        cpu: Some(CpuTime {
            cpus: 2,
            busy: 10,
            idle: 90,
            steal: 0,
        }),
        swapped_pages: Some(5),
        watched: Some(Activity {
            busy_cpus: 0.0,
            steal_share: 0.0,
        }),
    };
    Environment {
        schema: SCHEMA,
        cpu: cpu::facts(host),
        system: kernel::facts(host),
        run: Facts::new(),
        engines: BTreeMap::new(),
        before: idle,
        after: None,
    }
}

fn about(environment: &Environment, severity: Severity) -> Vec<String> {
    environment
        .concerns()
        .into_iter()
        .filter(|concern| concern.severity == severity)
        .map(|concern| concern.about)
        .collect()
}

#[test]
fn this_machine_is_described_and_survives_json() {
    let mut environment = capture();
    environment.note_run("seed", 7_u64);
    environment.note_engine("wasmtime", "version", "48.0.8");
    environment.note_engine("docker", "image", Err::<String, _>("no daemon"));
    finish(&mut environment);
    let read: Environment = serde_json::from_str(&environment.to_json()).expect("its own form");
    assert_eq!(read, environment);
    for name in "kernel cpu_model cpus_online aslr cgroup_version libc host".split(' ') {
        let fact = environment.fact(name).expect("asked for");
        assert!(
            fact.text().is_some_and(|t| !t.is_empty()),
            "{name}: {fact:?}"
        );
    }
    let known_or_not = "governor turbo smt virtualised perf_event_paranoid transparent_huge_pages ksm sched_autogroup \
        swap_total_bytes git_revision executable_sha256 command_line";
    for name in known_or_not.split_whitespace() {
        match environment.fact(name) {
            Some(Fact::Unknown(why)) => assert!(!why.is_empty(), "{name}"),
            Some(Fact::Value(value)) => assert!(!value.is_null(), "{name}"),
            None => panic!("{name} is missing"),
        }
    }
    assert_eq!(environment.fact("seed").and_then(Fact::number), Some(7.0));
    let cpus = environment
        .fact("cpus_of_this_process")
        .and_then(Fact::number);
    assert!(cpus.is_some_and(|n| n >= 1.0), "{cpus:?}");
    assert!(environment.before.watched.is_some());
    assert!(environment.after.is_some());
}

#[test]
fn a_laptop_at_rest_is_told_from_a_tuned_server() {
    let common = "/proc/cpuinfo: processor : 0 | model name : X | flags : fpu sse2
        /sys/devices/system/cpu/cpu0/cpufreq/scaling_driver: intel_pstate
        /proc/mounts: cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
    let at_rest = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor: powersave
        /sys/devices/system/cpu/intel_pstate/no_turbo: 0
        /sys/devices/system/cpu/smt/active: 1
        /sys/kernel/mm/transparent_hugepage/enabled: [always] madvise never
        /sys/kernel/mm/ksm/run: 1
        /proc/sys/kernel/randomize_va_space: 0";
    let (_keep, laptop) = made_up(&format!("{common}{at_rest}"));
    let environment = environment_of(&laptop);
    assert_eq!(
        environment.fact("cgroup_version").and_then(Fact::text),
        Some("v2")
    );
    assert_eq!(about(&environment, Severity::Unfit), ["governor", "ksm"]);
    let notes = about(&environment, Severity::Note);
    for note in ["turbo", "smt", "huge-pages", "aslr"] {
        assert!(notes.iter().any(|n| n == note), "{note} in {notes:?}");
    }
    let tuned = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor: performance
        /sys/devices/system/cpu/intel_pstate/no_turbo: 1
        /sys/devices/system/cpu/smt/active: 0
        /sys/kernel/mm/transparent_hugepage/enabled: always [madvise] never
        /sys/kernel/mm/ksm/run: 0
        /proc/sys/kernel/randomize_va_space: 2
        /sys/devices/system/clocksource/clocksource0/current_clocksource: tsc";
    let (_keep, server) = made_up(&format!("{common}{tuned}"));
    let mut environment = environment_of(&server);
    environment
        .cpu
        .insert("hardware_counters".into(), true.into());
    assert_eq!(environment.concerns(), Vec::new());
}

#[test]
fn what_happens_during_a_run_is_a_concern() {
    let (_keep, host) = made_up("");
    let mut environment = environment_of(&host);
    environment.before.watched = Some(Activity {
        busy_cpus: 1.2,
        steal_share: 0.1,
    });
    assert_eq!(about(&environment, Severity::Unfit), ["load", "steal"]);
    environment.before.watched = None;
    let mut after = environment.before.clone();
    after.cpu = Some(CpuTime {
        cpus: 2,
        busy: 60,
        idle: 90,
        steal: 50,
    });
    after.swapped_pages = Some(6);
    environment.after = Some(after);
    assert_eq!(about(&environment, Severity::Unfit), ["steal", "swap"]);
    assert!(environment.concerns().iter().all(|c| !c.mend.is_empty()));
}

#[test]
fn a_bare_machine_says_why_of_everything() {
    let (_keep, host) = made_up("");
    let environment = environment_of(&host);
    for name in "governor turbo smt cpu_model aslr ksm cgroup_version".split(' ') {
        let fact = environment.fact(name).expect("asked for");
        assert!(
            matches!(fact, Fact::Unknown(why) if why.len() > 10),
            "{name}: {fact:?}"
        );
    }
}
