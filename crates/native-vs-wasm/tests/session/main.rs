//! Sessions over columns that are made up: what is run in which order and what is kept, without a program.

mod comparison;
mod made_up;
mod watch;

use std::fs;
use std::path::Path;

use measure_core::base::exit::{Exit, HasExit};
use native_vs_wasm::{RunError, Task};

use crate::made_up::{Script, Setting, sound, twenty_ms};

#[test]
fn all_are_verified_first_and_then_timed_interleaved() {
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 6, twenty_ms), ("wasm", 4, twenty_ms)];
    let exit = setting
        .run(&["one", "two"], &columns, &[])
        .expect("a good end");
    assert_eq!(exit, Exit::Ok);
    let log = setting.log.borrow();
    // Output and one calibration of each, before anything is timed.
    let first: Vec<_> = log[..8].iter().map(|(c, b, t)| (&**c, &**b, *t)).collect();
    let once = Task::Time { repeats: 1 };
    for (at, benchmark) in [(0, "one"), (4, "two")] {
        assert_eq!(first[at], ("native", benchmark, Task::Output));
        assert_eq!(first[at + 1], ("wasm", benchmark, Task::Output));
        assert_eq!(first[at + 2], ("native", benchmark, once));
        assert_eq!(first[at + 3], ("wasm", benchmark, once));
    }
    assert_eq!(log.len(), 8 + 2 * 10);
    // Three times through the list.
    let mut parts: Vec<&str> = log[8..].iter().map(|(_, b, _)| b.as_str()).collect();
    parts.dedup();
    assert_eq!(parts, ["one", "two", "one", "two", "one", "two"]);
    drop(log);
    assert_eq!(setting.rows().len(), 20);
    assert_eq!(setting.rows()[0], "one,native,20000.000");
    let order = setting.timed("one");
    let firsts = |n: usize| order[2..2 + n].iter().filter(|c| *c == "native").count();
    assert!(firsts(5) < 5, "not one side after the other: {order:?}");
}

#[test]
fn a_short_kernel_is_repeated_as_often_in_every_column() {
    fn ms(_: &str, task: Task, _: usize) -> Result<String, RunError> {
        Ok(sound(task, 1_000_000))
    }
    fn two_ms(_: &str, task: Task, _: usize) -> Result<String, RunError> {
        Ok(sound(task, 2_000_000))
    }
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 6, ms), ("wasm", 6, two_ms)];
    setting.run(&["one"], &columns, &[]).expect("a good end");
    let last = setting.log.borrow().last().expect("runs").2;
    assert_eq!(last, Task::Time { repeats: 10 });
    // The mean of the repeats, not their sum.
    assert!(setting.rows().contains(&"one,wasm,2000.000".to_owned()));
    let ratios = fs::read_to_string(setting.path("run/made-up-ratios.csv")).expect("ratios");
    assert!(
        ratios.contains("one,,wasm,6,10,2000.000,0.000,40000.000,2.0000,2.0000,2.0000,1.0000"),
        "{ratios}"
    );
}

#[test]
fn one_that_disagrees_is_not_timed_and_the_others_are() {
    fn wrong(benchmark: &str, task: Task, _: usize) -> Result<String, RunError> {
        match (benchmark, task) {
            ("bad", Task::Output) => Ok("41".to_owned()),
            _ => Ok(sound(task, 20_000_000)),
        }
    }
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 3] = [
        ("native", 2, twenty_ms),
        ("wasm", 2, wrong),
        ("wasm-other", 2, twenty_ms),
    ];
    let error = setting
        .run(&["bad", "good"], &columns, &[])
        .expect_err("one disagrees");
    assert_eq!(error.exit(), Exit::StartFailed);
    assert!(error.to_string().contains("1 of 2 failed: bad"), "{error}");
    let bad = setting.timed("bad");
    assert!(!bad.contains(&"wasm".to_owned()) && bad.contains(&"wasm-other".to_owned()));
    assert_eq!(
        setting
            .timed("good")
            .iter()
            .filter(|c| *c == "wasm")
            .count(),
        3
    );
}

#[test]
fn without_a_reference_nothing_is_timed() {
    fn broken(benchmark: &str, task: Task, _: usize) -> Result<String, RunError> {
        if benchmark == "bad" {
            return Err(RunError::Failed("broken".to_owned()));
        }
        Ok(sound(task, 20_000_000))
    }
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 2, broken), ("wasm", 2, twenty_ms)];
    setting
        .run(&["bad", "good"], &columns, &[])
        .expect_err("one is broken");
    assert!(setting.timed("bad").is_empty());
    assert_eq!(setting.rows().len(), 4);
}

#[test]
fn without_native_runs_wasm_is_verified_all_the_same() {
    fn wrong(benchmark: &str, task: Task, _: usize) -> Result<String, RunError> {
        let ok = benchmark == "sound" || task != Task::Output;
        Ok(if ok {
            sound(task, 20_000_000)
        } else {
            "43".to_owned()
        })
    }
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 0, twenty_ms), ("wasm", 2, wrong)];
    let error = setting
        .run(&["sound", "other"], &columns, &[])
        .expect_err("one disagrees");
    assert!(
        error.to_string().contains("1 of 2 failed: other"),
        "{error}"
    );
    assert_eq!(setting.timed("sound"), ["wasm"; 3], "calibrated and timed");
    assert!(setting.timed("other").is_empty());
    let report = fs::read_to_string(setting.path("run/report.md")).expect("a report");
    assert!(report.contains("wasm agrees"), "{report}");
    assert!(!report.contains("native kernel"), "{report}");
}

#[test]
fn without_native_runs_and_programs_it_says_that_nothing_is_verified() {
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] =
        [("native-absent", 0, twenty_ms), ("wasm", 2, twenty_ms)];
    setting.run(&["one"], &columns, &[]).expect("a good end");
    assert_eq!(setting.rows().len(), 2);
    let report = fs::read_to_string(setting.path("run/report.md")).expect("a report");
    assert!(report.contains("outputs not compared: one"), "{report}");
}

#[test]
fn the_fastest_build_is_chosen_by_runs_that_are_not_reported() {
    fn slow(_: &str, task: Task, _: usize) -> Result<String, RunError> {
        Ok(sound(task, 40_000_000))
    }
    // The first in the runs that choose, and slower from then on.
    fn slowing(_: &str, task: Task, before: usize) -> Result<String, RunError> {
        Ok(sound(
            task,
            if before < 8 { 20_000_000 } else { 80_000_000 },
        ))
    }
    let columns: [(&str, u32, Script); 3] = [
        ("native", 6, slow),
        ("native-o3", 6, slowing),
        ("wasm", 6, slow),
    ];
    for best_build_only in [false, true] {
        let setting = Setting {
            builds: &["native", "native-o3"],
            best_build_only,
            ..Setting::new()
        };
        setting.run(&["one"], &columns, &[]).expect("a good end");
        let rows = setting.rows();
        let of = |column: &str| {
            rows.iter()
                .filter(|r| r.starts_with(&format!("one,{column},")))
                .count()
        };
        let native = if best_build_only { 0 } else { 6 };
        assert_eq!((of("native"), of("native-o3"), of("wasm")), (native, 6, 6));
        let report = fs::read_to_string(setting.path("run/report.md")).expect("a report");
        // Chosen by its luck, divided by what it is worth.
        for told in [
            "| native-o3 |",
            "best native kernel",
            "wasm/best native",
            "0.500",
        ] {
            assert!(report.contains(told), "no `{told}`: {report}");
        }
        assert!(report.contains("native | native-o3 | fastest"), "{report}");
    }
}

#[test]
fn a_failure_in_mid_run_keeps_what_was_measured_and_goes_on() {
    fn breaks(benchmark: &str, task: Task, before: usize) -> Result<String, RunError> {
        if benchmark == "bad" && matches!(task, Task::Time { .. }) && before == 3 {
            return Err(RunError::Failed("it broke".to_owned()));
        }
        Ok(sound(task, 20_000_000))
    }
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 9, twenty_ms), ("wasm", 9, breaks)];
    let error = setting
        .run(&["bad", "good"], &columns, &[])
        .expect_err("it broke");
    assert_eq!(error.exit(), Exit::StartFailed);
    let rows = setting.rows();
    let of = |start: &str| rows.iter().filter(|row| row.starts_with(start)).count();
    // One of its three good runs was for calibration; the other column goes on.
    assert_eq!((of("bad,wasm"), of("bad,native")), (2, 9));
    assert_eq!((of("good,wasm"), of("good,native")), (9, 9));
    let report = fs::read_to_string(setting.path("run/report.md")).expect("a report");
    assert!(report.contains("bad: wasm: it broke"), "{report}");
}

#[test]
fn processes_that_live_on_tell_each_iteration() {
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] =
        [("native", 6, twenty_ms), ("native-reuse", 6, twenty_ms)];
    setting.run(&["one"], &columns, &[]).expect("a good end");
    let curve = fs::read_to_string(setting.path("run/made-up-curve.csv")).expect("iterations");
    assert_eq!(curve.lines().count(), 1 + 6 * 12);
    assert!(curve.contains("one,native-reuse,6,12,5000.000"), "{curve}");
    // A process is a row, with its steady state.
    let rows = setting.rows();
    assert_eq!(
        rows.iter()
            .filter(|r| *r == "one,native-reuse,5000.000")
            .count(),
        6,
        "{rows:?}"
    );
    let report = fs::read_to_string(setting.path("run/report.md")).expect("a report");
    let line = report
        .lines()
        .find(|l| l.contains("native-reuse") && l.contains("4.00"));
    assert!(line.is_some_and(|l| l.contains("20.0 ms")), "{report}");
}

#[test]
fn what_is_absent_is_told_before_anything_runs() {
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 1, twenty_ms), ("wasm", 1, twenty_ms)];
    let error = setting
        .run(&["one", "absent"], &columns, &[])
        .expect_err("absent");
    assert_eq!(error.exit(), Exit::Unavailable);
    assert!(
        error.to_string().contains("it is absent; make it"),
        "{error}"
    );
    assert!(setting.log.borrow().is_empty());
    assert!(!Path::new(&setting.path("run")).exists());
}

#[test]
fn a_budget_shortens_what_would_not_fit() {
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 1000, twenty_ms), ("wasm", 3, twenty_ms)];
    setting
        .run(&["one"], &columns, &["--budget", "0"])
        .expect("a good end");
    let rows = setting.rows();
    assert_eq!(
        rows.iter()
            .filter(|row| row.starts_with("one,native"))
            .count(),
        6
    );
    assert_eq!(
        rows.iter()
            .filter(|row| row.starts_with("one,wasm"))
            .count(),
        3
    );
}
