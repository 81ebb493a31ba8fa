//! Kill, clear up, look.

use std::fmt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use measure_core::base::exit::Exit;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::census::{Census, Difference};
use crate::error::{SoakError, Step};
use crate::options::Options;
use crate::planted::Planted;
use crate::room;
use crate::victims::{self, Victim};

/// Removal by the kernel (namespaces, devices, what a dead parent's children are told) is over by then.
const SETTLED: Duration = Duration::from_secs(10);
/// A victim that had ended is started again and killed at half of the time, at most so often.
const TRIES: u32 = 5;
/// Between two looks.
const TICK: Duration = Duration::from_millis(50);
/// A driver that holds its workers has parked them by then.
const HOLDS: Duration = Duration::from_millis(400);
/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A victim that runs here, and how long it takes.
struct Known {
    victim: Victim,
    span: Duration,
}

/// One kill, as drawn.
struct Kill {
    victim: usize,
    /// When, as part of the victim's span.
    moment: f64,
    /// What follows: `clean`, or the next run.
    by_clean: bool,
}

impl Kill {
    /// The kill `number` of `seed`, among `victims`. Each is drawn on its own, so that one can be made again. They take turns.
    fn draw(seed: u64, number: u64, victims: usize) -> Self {
        let mut draw = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(number.rotate_left(32)));
        let turn = usize::try_from(number).unwrap_or(0);
        Self {
            victim: turn % victims,
            moment: draw.random_range(0.0..1.0),
            by_clean: draw.random_range(0..2) == 0,
        }
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = if self.by_clean {
            "clean"
        } else {
            "the next run"
        };
        write!(f, "killed at {:.3} of its time, then {next}", self.moment)
    }
}

/// Makes the kills that `options` ask for; each that leaves or takes something is a line, and the exit code 1.
pub fn run(options: &Options) -> Result<Exit, SoakError> {
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seed = options.seed.unwrap_or(clock.as_secs());
    println!("seed {seed}");
    let mut planted = Planted::plant()?;
    let mut wrong = 0;
    let known = get_to_know(options, &mut wrong)?;
    if known.is_empty() && wrong == 0 {
        let why =
            "nothing that could be killed runs here, see above; `make build functions` makes it";
        return Err(SoakError::Unavailable(why.to_owned()));
    }
    // Engines have loaded their images by now, locks are made: these stay.
    let mut before = Census::take()?;
    let (mut made, mut samples, mut too_late) = (0, 0, 0);
    for number in options.first..options.first.saturating_add(options.kills()) {
        if known.is_empty() || room::is_to_end(Duration::ZERO) {
            break;
        }
        let kill = Kill::draw(seed, number, known.len());
        let Known { victim, span } = &known[kill.victim];
        let mut findings = Vec::new();
        let read = make(&kill, victim, *span, &mut findings)?;
        // A terminal's Ctrl-C has ended what ran, too: nothing can be told of it.
        if room::is_to_end(Duration::ZERO) {
            break;
        }
        made += 1;
        too_late += usize::from(read.is_none());
        samples += read.unwrap_or(0);
        if options.leave {
            planted.leave_and_take()?;
        }
        if let Some(now) = look(&before, &planted, &mut findings)? {
            // What is wrong is said once.
            before = now;
        }
        println!(
            "kill {number}: {}: {kill}: {}",
            victim.line,
            verdict(&findings)
        );
        wrong += usize::from(!findings.is_empty());
        for finding in findings {
            println!("    {finding}");
        }
    }
    println!(
        "{} kills of {} victims, {too_late} of them after its end; {samples} whole samples and lines read; {wrong} wrong",
        made,
        known.len()
    );
    if wrong > 0 {
        println!(
            "again: soak --seed {seed} --first KILL --kills 1, with the same --quick and --only"
        );
    }
    Ok(if wrong > 0 { Exit::Failed } else { Exit::Ok })
}

fn verdict(findings: &[String]) -> &'static str {
    if findings.is_empty() {
        "nothing left"
    } else {
        "WRONG"
    }
}

/// Runs each victim to its own end; those that cannot run here are left out, with the reason.
fn get_to_know(options: &Options, wrong: &mut usize) -> Result<Vec<Known>, SoakError> {
    let mut known = Vec::new();
    let only = |victim: &Victim| {
        options
            .only
            .as_ref()
            .is_none_or(|text| victim.line.contains(text))
    };
    for victim in victims::all(options.quick).into_iter().filter(only) {
        victims::forget();
        if !victims::program(victim.name())?.exists() {
            println!("left out: {}: {} is not built", victim.line, victim.name());
            continue;
        }
        let begun = Instant::now();
        let status = to_its_end(victim.command()?, victim.holds())?;
        let span = begun.elapsed();
        let why = victims::said("stderr");
        let why = why.lines().last().unwrap_or("no reason given");
        match status.and_then(|status| status.code()) {
            Some(0) => {
                println!("runs here: {} ({:.2} s)", victim.line, span.as_secs_f64());
                known.push(Known { victim, span });
                for thing in settled_orphans()? {
                    println!("WRONG: left without any kill: {thing}");
                    *wrong += 1;
                }
            }
            Some(2 | 3) => println!("left out: {}: {why}", victim.line),
            code => {
                println!(
                    "WRONG: {} ends with {code:?}, without any kill: {why}",
                    victim.line
                );
                *wrong += 1;
            }
        }
    }
    Ok(known)
}

/// What carries our label and belongs to nobody, as soon as there is nothing or the kernel has had its time.
fn settled_orphans() -> Result<Vec<String>, SoakError> {
    let begun = Instant::now();
    loop {
        let orphans = Census::take()?.orphans();
        if orphans.is_empty() || begun.elapsed() > SETTLED {
            return Ok(orphans);
        }
        thread::sleep(TICK);
    }
}

/// Runs `command` to its end, which for one that `holds` is soon asked for; `None` if it hangs, and is killed.
fn to_its_end(mut command: Command, holds: bool) -> Result<Option<ExitStatus>, SoakError> {
    let mut child = command.spawn().step("start a victim")?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().step("wait for a victim")? {
            return Ok(Some(status));
        }
        if holds && begun.elapsed() > HOLDS {
            child.stdin = None;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().step("kill what hangs")?;
            child.wait().step("wait for what was killed")?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Kills `victim` and has it cleared up; how many whole samples it left, or `None` if it had ended before.
fn make(
    kill: &Kill,
    victim: &Victim,
    span: Duration,
    findings: &mut Vec<String>,
) -> Result<Option<usize>, SoakError> {
    let mut after = span.mul_f64(kill.moment);
    let mut killed = false;
    for _ in 0..TRIES {
        victims::forget();
        let mut child = victim.command()?.spawn().step("start a victim")?;
        thread::sleep(after);
        if child.try_wait().step("wait for a victim")?.is_none() {
            child.kill().step("kill a victim")?;
            child.wait().step("wait for what was killed")?;
            killed = true;
            break;
        }
        after /= 2;
    }
    let read = victim.readable().unwrap_or_else(|why| {
        findings.push(format!("cannot be read: {why}"));
        0
    });
    if kill.by_clean {
        for name in victim.cleaners() {
            let mut clean = Command::new(victims::program(name)?);
            clean
                .arg("clean")
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            let status = to_its_end(clean, false)?;
            if !status.is_some_and(|status| status.success()) {
                findings.push(format!("{name} clean: {status:?}"));
            }
        }
    } else {
        victims::forget();
        let status = to_its_end(victim.command()?, victim.holds())?;
        if !status.is_some_and(|status| status.success()) {
            findings.push(format!(
                "the next run: {status:?}: {}",
                victims::said("stderr")
            ));
        }
    }
    Ok(killed.then_some(read))
}

/// Takes a census until it is as `before`, for as long as the kernel may take; what then differs is found, and that census returned.
fn look(
    before: &Census,
    planted: &Planted,
    findings: &mut Vec<String>,
) -> Result<Option<Census>, SoakError> {
    let begun = Instant::now();
    loop {
        let now = Census::take()?;
        let difference = now.since(before);
        if difference.is_none() {
            return Ok(None);
        }
        if begun.elapsed() > SETTLED {
            let missing = planted.missing(&now);
            findings.extend(
                missing
                    .iter()
                    .map(|thing| format!("taken from others: {thing}")),
            );
            let Difference { left, gone } = difference;
            findings.extend(left.into_iter().map(|thing| format!("left: {thing}")));
            findings.extend(gone.into_iter().map(|thing| format!("gone: {thing}")));
            return Ok(Some(now));
        }
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_follows_from_its_seed_and_number_alone() {
        let drawn = |seed, number| Kill::draw(seed, number, 7);
        assert_eq!(drawn(3, 11).to_string(), drawn(3, 11).to_string());
        assert_ne!(drawn(3, 11).to_string(), drawn(3, 18).to_string());
        assert_ne!(drawn(3, 11).to_string(), drawn(4, 11).to_string());
        assert_eq!(drawn(3, 11).victim, 4);
        let both = (0..20).map(|number| drawn(3, number).by_clean);
        assert!(both.clone().any(|clean| clean) && !both.clone().all(|clean| clean));
    }
}
