//! On the real kernel: software events prove the path that hardware events take too.

use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use measure_core::base::label;
use measure_core::driver_kit::cgroup::{Controller, Group};

const SOFTWARE: [Event; 3] = [Event::CpuClock, Event::PageFaults, Event::ContextSwitches];

fn counting_is_allowed(test: &str) -> bool {
    match &Counters::of_next_child(&[Event::CpuClock]).events[0].1 {
        Ok(_) => true,
        Err(error) => {
            eprintln!("SKIPPED: {test}: {error}");
            false
        }
    }
}

/// Has a shell start a second one that does the work, so that descendants are what is counted.
fn busy(iterations: u32) -> Command {
    let mut command = Command::new("/bin/sh");
    let work = format!("sh -c 'i=0; while [ $i -lt {iterations} ]; do i=$((i+1)); done'; true");
    command.args(["-c", &work]).stdin(Stdio::null());
    command
}

fn value(counts: &[Count], event: Event) -> u64 {
    let count = counts.iter().find(|c| c.event == event).expect("asked for");
    *count.value.as_ref().expect("software events count")
}

fn children_cpu_ns() -> u64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
        .expect("own usage");
    let ns = |t: nix::sys::time::TimeVal| {
        t.tv_sec().unsigned_abs() * 1_000_000_000 + t.tv_usec().unsigned_abs() * 1000
    };
    ns(usage.user_time()) + ns(usage.system_time())
}

#[test]
fn a_childs_tree_is_counted_from_exec_to_exit() {
    if !counting_is_allowed("a_childs_tree_is_counted_from_exec_to_exit") {
        return;
    }
    let mut counters = Counters::of_next_child(&SOFTWARE);
    // Own work is not the child's.
    std::hint::black_box((0..20_000_000_u64).fold(0, |a, b| a ^ b.wrapping_mul(a | 1)));
    let before = children_cpu_ns();
    assert!(busy(300_000).status().expect("a shell").success());
    let used = children_cpu_ns() - before;
    let counts = counters.take();
    let clock = value(&counts, Event::CpuClock);
    // Other tests' children run meanwhile and are in `used` but not in `clock`.
    assert!(
        clock > 10_000_000,
        "{clock} ns, of {used} ns used by all children"
    );
    assert!(
        clock < used + 50_000_000,
        "{clock} ns, more than the {used} ns used"
    );
    assert!(value(&counts, Event::PageFaults) > 50);
    assert!(value(&counts, Event::ContextSwitches) > 0);
    assert!(counts.iter().all(|c| c.coverage() > 0.99), "{counts:?}");
    // Taken once, gone.
    assert_eq!(value(&counters.take(), Event::CpuClock), 0);
}

#[test]
fn a_cgroup_is_counted_on_all_cpus_and_nothing_else_is() {
    let test = "a_cgroup_is_counted_on_all_cpus_and_nothing_else_is";
    let me = nix::unistd::getpid().as_raw();
    let group = match Group::create(&label::name(me, "perf-test"), &[Controller::Unified]) {
        Ok(group) => group,
        Err(error) => return eprintln!("SKIPPED: {test}: {error}"),
    };
    let dir = group.dir(Controller::Unified).expect("made").to_path_buf();
    if !counting_is_allowed(test) {
        return;
    }
    let mut counters = Counters::of_cgroup(&dir, &SOFTWARE);
    assert!(busy(200_000).status().expect("a shell").success());
    assert_eq!(value(&counters.take(), Event::CpuClock), 0, "work outside");
    let script = format!(
        "echo $$ > {}/cgroup.procs; for j in 1 2; do (i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done) & done; wait",
        dir.display()
    );
    let status = Command::new("/bin/sh").args(["-c", &script]).status();
    assert!(status.expect("a shell").success());
    let counts = counters.take();
    assert!(value(&counts, Event::CpuClock) > 10_000_000, "{counts:?}");
    assert!(value(&counts, Event::PageFaults) > 20, "{counts:?}");
    assert!(counts.iter().all(|c| c.coverage() > 0.99), "{counts:?}");
    group.remove().expect("empty again");
}

#[test]
fn a_running_tree_is_counted_from_then_on_with_what_it_starts() {
    let test = "a_running_tree_is_counted_from_then_on_with_what_it_starts";
    if !counting_is_allowed(test) {
        return;
    }
    let script = "read go; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sh -c 'read x < /dev/zero & sleep 0; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; kill $!'; echo done; read end";
    let mut child = Command::new("/bin/sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut counters = Counters::of_trees(&[child.id().cast_signed()], &SOFTWARE);
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, b"go\n").expect("it reads");
    let mut line = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut output, &mut line).expect("it writes");
    let counts = counters.take();
    assert!(value(&counts, Event::CpuClock) > 10_000_000, "{counts:?}");
    drop(input);
    child.wait().expect("it ends");
    let gone = Counters::of_trees(&[i32::MAX], &[Event::CpuClock]).take();
    assert_eq!(
        gone[0].value,
        Err(PerfError::Gone {
            event: Event::CpuClock
        })
    );
}

#[test]
fn hardware_events_count_or_say_why_not() {
    let mut counters = Counters::of_next_child(&[Event::Cycles, Event::Instructions]);
    assert!(busy(100_000).status().expect("a shell").success());
    for count in counters.take() {
        match count.value {
            Ok(value) => assert!(value > 1_000_000, "{}: {value}", count.event),
            Err(why @ (PerfError::NoHardware { .. } | PerfError::Denied { .. })) => {
                eprintln!("SKIPPED: hardware {}: {why}", count.event);
            }
            Err(why) => panic!("{why}"),
        }
    }
}

#[test]
fn what_is_no_cgroup_says_so() {
    for dir in ["/proc", "/nonexistent"] {
        let counts = Counters::of_cgroup(Path::new(dir), &[Event::CpuClock]).take();
        let error = counts[0].value.clone().expect_err("no cgroup");
        if matches!(error, PerfError::Denied { .. } | PerfError::NoKernelSupport) {
            return eprintln!("SKIPPED: what_is_no_cgroup_says_so: {error}");
        }
        assert!(error.to_string().contains(dir), "{error}");
    }
}

#[test]
fn errors_name_the_fix() {
    let of = |errno: i32| {
        PerfError::open(Event::Cycles, &std::io::Error::from_raw_os_error(errno)).to_string()
    };
    assert!(of(libc::ENOENT).contains("virtual PMU"));
    assert!(of(libc::EACCES).contains("perf_event_paranoid"));
    assert!(of(libc::ENOSYS).contains("seccomp"));
    assert!(of(libc::EMFILE).contains("ulimit"));
    assert!(of(libc::EBUSY).contains("EBUSY"));
}

#[test]
fn scaling_follows_the_manual() {
    let reading = |count, enabled_ns, running_ns| Reading {
        count,
        enabled_ns,
        running_ns,
    };
    assert_eq!(reading(100, 10, 10).scaled(), Some(100));
    assert_eq!(reading(100, 30, 10).scaled(), Some(300));
    assert_eq!(reading(0, 0, 0).scaled(), Some(0));
    assert_eq!(reading(0, 5, 0).scaled(), None);
    assert_eq!(reading(u64::MAX, u64::MAX, 1).scaled(), Some(u64::MAX));
}

#[test]
fn counters_that_took_turns_are_scaled_each_by_its_own_time_and_marked() {
    let new = |count, enabled_ns, running_ns| {
        Ok(Reading {
            count,
            enabled_ns,
            running_ns,
        })
    };
    let event = Event::Cycles;
    let whole = sum(event, [new(100, 10, 10), new(0, 0, 0)].into_iter());
    assert_eq!((whole.value.clone(), whole.is_scaled()), (Ok(100), false));
    // 100 of a third of the time and 100 of all of it are 400, not 200 x 40 / 20.
    let turns = sum(event, [new(100, 30, 10), new(100, 10, 10)].into_iter());
    assert_eq!(turns.value, Ok(400));
    assert_eq!((turns.enabled_ns, turns.running_ns), (40, 20));
    assert!(turns.is_scaled() && (turns.coverage() - 0.5).abs() < 1e-12);
    let never = sum(event, [new(0, 5, 0), new(7, 1, 1)].into_iter());
    assert_eq!(never.value, Err(PerfError::NeverRan { event }));
    assert_eq!(sum(event, std::iter::empty()).value, Ok(0));
}

proptest! {
    #[test]
    fn cpu_lists_parse(cpus in prop::collection::btree_set(0_usize..300, 0..20)) {
        let text = cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        prop_assert_eq!(parse_cpu_list(&text), cpus.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_cpu_list_panics(text in "[0-9,\\-x ]{0,40}") {
        let _ = parse_cpu_list(&text);
    }
}

#[test]
fn cpu_ranges_parse() {
    assert_eq!(parse_cpu_list("0-2,5\n"), [0, 1, 2, 5]);
}
