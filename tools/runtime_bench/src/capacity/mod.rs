//! `capacity`: how many parked workers a host holds until something gives, what that is, and what one more start takes beside them.
//!
//! A rung at a time is ramped up ([`ramp`]) by driver processes that hold parked workers ([`residents`]), while another one starts one
//! more now and then ([`one_more`]). What the host has left is looked at before each step and within it ([`room`]), so that a ramp
//! stops before the host is harmed.

mod gave;
mod one_more;
mod options;
mod plan;
mod ramp;
mod residents;
mod room;

use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::progress::{Line, Progress};
use measure_core::contract::Probe;
use nix::unistd::geteuid;

pub use self::options::CapacityOptions;
use self::options::Ends;
use crate::error::BenchError;
use crate::run::Run;
use crate::session::Job;
use crate::trouble::Trouble;
use crate::tune::limits::{self, RaisedLimits};

/// Ramps the rungs up, and prints what gave.
///
/// # Errors
/// See [`BenchError`].
pub(crate) fn run(options: &CapacityOptions) -> Result<Exit, BenchError> {
    let ends = options.ends()?;
    let is_root = geteuid().is_root();
    if options.raise_limits && !is_root {
        return Err(BenchError::Unavailable(
            "--raise-limits changes settings of the kernel: run it as root".into(),
        ));
    }
    let mut run = Run::prepare(&options.common, &options.which)?;
    run.begin("capacity", &in_words(options, ends))?;
    // We hold the host, so who had raised them is gone.
    if is_root {
        limits::put_back_left()?;
    }
    let raised = match options.raise_limits {
        true => Some(RaisedLimits::raise()?),
        false => None,
    };
    if let Some(raised) = &raised {
        let note = format!("raised for the time of the run: {}", raised.words);
        run.recorder.part().notes.push(note);
    }
    let trouble = ramp_all(&mut run, ends);
    // Whatever came of it.
    let put_back = raised.map_or(Ok(()), RaisedLimits::put_back);
    let mut trouble = trouble?;
    put_back?;
    run.say_who_answers_otherwise(&mut trouble)?;
    run.end_part()?;
    run.finish(vec![trouble])
}

fn ramp_all(run: &mut Run, ends: Ends) -> Result<Trouble, BenchError> {
    let mut trouble = Trouble::default();
    let mut line = Line::default();
    let function = run.function.clone();
    let job = Job {
        function: function.as_ref(),
        patience: run.patience,
    };
    for offer in run.offers_to_measure() {
        if interrupt::received().is_some() {
            break;
        }
        if offer.probe != Probe::Ready {
            continue;
        }
        let outcome = ramp::ramp(&mut run.recorder, &mut line, &offer, &job, ends);
        line.clear();
        if let Err(error) = outcome {
            let error = error.of_rung()?;
            let mut progress = Progress::begin("capacity");
            trouble.add(&mut run.recorder, &mut progress, &offer, job.named(), error)?;
        }
        run.recorder.save()?;
    }
    Ok(trouble)
}

fn in_words(options: &CapacityOptions, ends: Ends) -> String {
    let until = ends.until.map_or("until something gives".to_owned(), |n| {
        format!("until {n} are parked")
    });
    let slo = ends.slo.map_or(
        "the larger of ten times the median on the empty host and 1 ms".to_owned(),
        |slo| format!("{slo:?}"),
    );
    let limits = if options.raise_limits {
        ", limits raised"
    } else {
        ""
    };
    format!(
        "{until}, a start may take {slo}, {} % of the memory stay free{limits}",
        ends.floor_percent
    )
}
