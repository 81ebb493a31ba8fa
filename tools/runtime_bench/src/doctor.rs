//! `doctor`: what this host can and cannot measure, and how to mend it.

use std::collections::BTreeSet;
use std::path::Path;

use isolation::letters::differences;
use isolation::record::{Found, newest};
use measure_core::base::exit::Exit;
use measure_core::base::label;
use measure_core::base::programs::version_of;
use measure_core::base::stdout::{Reader, print};
use measure_core::contract::Probe;
use measure_core::driver_kit::cgroup::{Controller, Group};
use nix::unistd::geteuid;
use probes::disk_io::may_drop_caches;
use probes::memory::Sampler;
use probes::perf::{Counters, Event};
use table::{Align, Table};

use crate::drivers::Ladder;
use crate::engines::Engines;
use crate::error::BenchError;

/// Programs that prepare a run or that drivers start.
const TOOLS: [&str; 4] = ["dockerd", "clang-19", "musl-gcc", "cargo"];

/// Prints what there is to say, a part at a time.
///
/// # Errors
/// It cannot be printed.
pub(crate) fn run(engines: &Engines) -> Result<Exit, BenchError> {
    let ladder = Ladder::discover(engines);
    let parts: [&dyn Fn() -> String; 6] = [
        &|| rungs(&ladder),
        &isolation,
        &|| bounds(&ladder),
        &measurements,
        &tools,
        &fitness,
    ];
    for part in parts {
        if print(part()).map_err(BenchError::Output)? == Reader::Gone {
            break;
        }
    }
    Ok(Exit::Ok)
}

/// What can or cannot be done, and how: a line of a part.
fn line(what: &str, state: Result<&str, &str>) -> String {
    let (mark, words) = match state {
        Ok(words) => ("ok", words),
        Err(words) => ("--", words),
    };
    let Some(width) = table::terminal_width() else {
        return format!("  {mark}  {what:<20} {words}\n");
    };
    // Reasons are sentences: they go on below themselves.
    let what = format!("  {mark}  {what:<20}");
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    table.row([what.as_str(), words]);
    let text = table.text(Some(width));
    text.trim_start_matches('\n').to_owned()
}

fn rungs(ladder: &Ladder) -> String {
    let mut text = "Rungs\n".to_owned();
    for offer in &ladder.offers {
        text += &match &offer.probe {
            Probe::Ready => line(offer.rung(), Ok(&offer.description.engine)),
            Probe::Unavailable { why, mend } => line(offer.rung(), Err(&format!("{why}, {mend}"))),
        };
    }
    for (driver, why) in &ladder.missing {
        text += &line(driver, Err(&why.to_string()));
    }
    text
}

/// Where the newest run of probes found a rung otherwise than its entry states.
fn isolation() -> String {
    let mut text = "\nIsolation, as probes found it\n".to_owned();
    let Some(dir) = newest() else {
        let none = "no run of probes below results/; `runtime_bench isolation` makes one";
        return text + &line("probes", Err(none));
    };
    let found = match Found::read(&dir) {
        Ok(found) => found,
        Err(error) => return text + &line("probes", Err(&error.to_string())),
    };
    let differences: Vec<String> = found.rungs.iter().flat_map(differences).collect();
    if differences.is_empty() {
        text += &line("letters", Ok(&format!("as stated, in {}", dir.display())));
    }
    for words in differences {
        text += &line("letters", Err(&format!("{words} ({})", dir.display())));
    }
    text
}

/// What strangers' functions may take, as drivers describe it; each once, as most rungs of a driver share it.
fn bounds(ladder: &Ladder) -> String {
    let mut text = "\nWhat functions of strangers may take\n".to_owned();
    let all = ladder.offers.iter().flat_map(|o| o.description.bounds());
    let all: BTreeSet<(&str, &str)> = all.collect();
    if all.is_empty() {
        text += &line("bounds", Err("no driver here says any"));
    }
    for (what, words) in all {
        text += &line(what, Ok(words));
    }
    text
}

fn tools() -> String {
    let mut text = "\nTools\n".to_owned();
    for tool in TOOLS {
        text += &match version_of(tool) {
            Ok(version) => line(tool, Ok(&version)),
            Err(why) => line(tool, Err(&format!("{why}, `make setup` installs it"))),
        };
    }
    text
}

fn fitness() -> String {
    let mut text = "\nThis host\n".to_owned();
    let concerns = probes::environment::capture().concerns();
    if concerns.is_empty() {
        text += &line("fitness", Ok("nothing stands against measuring here"));
    }
    for concern in concerns {
        let words = format!("{}: {}", concern.what, concern.mend);
        text += &line(&concern.about, Err(&words));
    }
    text
}

fn measurements() -> String {
    let mut text = "\nMeasurements\n".to_owned();
    let root = match geteuid().is_root() {
        true => Ok("yes"),
        false => Err("no: no cgroups, no other users' memory, no dropped caches; run with sudo"),
    };
    text += &line("root", root);
    text += &counters();
    text += &match Sampler::new() {
        Ok(sampler) => {
            let source = sampler.source();
            let words = format!("smaps_rollup, processes found by {source}");
            line("PSS", Ok(&words))
        }
        Err(error) => line("PSS", Err(&error.to_string())),
    };
    for controller in [
        Controller::Cpuacct,
        Controller::Memory,
        Controller::Blkio,
        Controller::Cpu,
        Controller::Unified,
    ] {
        text += &cgroup(controller);
    }
    text += &match may_drop_caches() {
        Ok(()) => line("dropping caches", Ok("allowed")),
        Err(error) => line("dropping caches", Err(&error.to_string())),
    };
    let netns = if Path::new("/proc/self/ns/net").exists() {
        Ok("this kernel has them")
    } else {
        Err("this kernel has none, build it with CONFIG_NET_NS")
    };
    text += &line("network namespaces", netns);
    text
}

fn counters() -> String {
    let mut counters = Counters::of_trees(&[std::process::id().cast_signed()], &Event::ALL);
    counters
        .take()
        .into_iter()
        .map(|count| match count.value {
            Ok(_) => line(count.event.metric().as_str(), Ok("counts")),
            Err(error) => line(count.event.metric().as_str(), Err(&error.to_string())),
        })
        .collect()
}

/// Makes a group and removes it again: that a hierarchy is mounted does not say that one may.
fn cgroup(controller: Controller) -> String {
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
