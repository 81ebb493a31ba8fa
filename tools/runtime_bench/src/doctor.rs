//! `doctor`: what this host can and cannot measure, and how to mend it.

use std::path::Path;

use measure_core::base::exit::Exit;
use measure_core::base::label;
use measure_core::base::programs::version_of;
use measure_core::contract::Probe;
use measure_core::driver_kit::cgroup::{Controller, Group};
use nix::unistd::geteuid;
use probes::disk_io::may_drop_caches;
use probes::memory::Sampler;
use probes::perf::{Counters, Event};
use table::{Align, Table};

use crate::drivers::Ladder;
use crate::error::BenchError;

/// Programs that prepare a run or that drivers start.
const TOOLS: [&str; 4] = ["dockerd", "clang-19", "musl-gcc", "cargo"];

/// Prints what there is to say; always succeeds.
///
/// # Errors
/// None so far.
pub(crate) fn run() -> Result<Exit, BenchError> {
    println!("Rungs");
    let ladder = Ladder::discover();
    for offer in &ladder.offers {
        match &offer.probe {
            Probe::Ready => line(offer.rung(), Ok(&offer.description.engine)),
            Probe::Unavailable { why, mend } => line(offer.rung(), Err(&format!("{why}, {mend}"))),
        }
    }
    for (driver, why) in &ladder.missing {
        line(driver, Err(&why.to_string()));
    }
    println!("\nMeasurements");
    facilities();
    println!("\nTools");
    for tool in TOOLS {
        match version_of(tool) {
            Ok(version) => line(tool, Ok(&version)),
            Err(why) => line(tool, Err(&format!("{why}, `make setup` installs it"))),
        }
    }
    println!("\nThis host");
    let concerns = probes::environment::capture().concerns();
    if concerns.is_empty() {
        line("fitness", Ok("nothing stands against measuring here"));
    }
    for concern in concerns {
        line(
            &concern.about,
            Err(&format!("{}: {}", concern.what, concern.mend)),
        );
    }
    Ok(Exit::Ok)
}

fn line(what: &str, state: Result<&str, &str>) {
    let (mark, words) = match state {
        Ok(words) => ("ok", words),
        Err(words) => ("--", words),
    };
    let Some(width) = table::terminal_width() else {
        println!("  {mark}  {what:<20} {words}");
        return;
    };
    // Reasons are sentences: they go on below themselves.
    let what = format!("  {mark}  {what:<20}");
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    table.row([what.as_str(), words]);
    let text = table.text(Some(width));
    print!("{}", text.trim_start_matches('\n'));
}

fn facilities() {
    if geteuid().is_root() {
        line("root", Ok("yes"));
    } else {
        line(
            "root",
            Err("no: no cgroups, no other users' memory, no dropped caches; run with sudo"),
        );
    }
    counters();
    match Sampler::new() {
        Ok(sampler) => line(
            "PSS",
            Ok(&format!(
                "smaps_rollup, processes found by {}",
                sampler.source()
            )),
        ),
        Err(error) => line("PSS", Err(&error.to_string())),
    }
    for controller in [
        Controller::Cpuacct,
        Controller::Memory,
        Controller::Blkio,
        Controller::Cpu,
        Controller::Unified,
    ] {
        cgroup(controller);
    }
    match may_drop_caches() {
        Ok(()) => line("dropping caches", Ok("allowed")),
        Err(error) => line("dropping caches", Err(&error.to_string())),
    }
    if Path::new("/proc/self/ns/net").exists() {
        line("network namespaces", Ok("this kernel has them"));
    } else {
        line(
            "network namespaces",
            Err("this kernel has none, build it with CONFIG_NET_NS"),
        );
    }
}

fn counters() {
    let mut counters = Counters::of_trees(&[std::process::id().cast_signed()], &Event::ALL);
    for count in counters.take() {
        match count.value {
            Ok(_) => line(count.event.metric(), Ok("counts")),
            Err(error) => line(count.event.metric(), Err(&error.to_string())),
        }
    }
}

/// Makes a group and removes it again: that a hierarchy is mounted does not say that one may.
fn cgroup(controller: Controller) {
    let what = format!("cgroup {controller}");
    let name = label::name(std::process::id().cast_signed(), "doctor");
    match Group::create_where_possible(&name, &[controller]) {
        Ok(group) => match group.missing().first() {
            None => line(&what, Ok("groups can be made")),
            Some((_, why)) => line(&what, Err(&why.to_string())),
        },
        Err(error) => line(&what, Err(&error.to_string())),
    }
}
