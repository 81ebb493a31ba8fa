//! Setting what is quiet, and putting back what was found.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use nix::libc::{EIO, EPERM};

use super::error::{Refused, TuneError};
use super::knobs::{Host, Knob, Setting};
use super::state::Found;

/// What came of making one setting quiet.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// What there was, of those that were changed.
    was: Vec<String>,
    quiet: String,
    changed: usize,
    already: usize,
    /// Interrupts that the kernel spreads itself.
    managed: usize,
    refused: Vec<Refused>,
}

impl Applied {
    /// Whether it could have been made quiet and was not.
    pub(super) fn is_refused(&self) -> bool {
        self.changed + self.already == 0 && !self.refused.is_empty()
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.changed > 0 {
            parts.push(format!(
                "{} -> {}{}",
                self.was.join(" and "),
                self.quiet,
                times(self.changed)
            ));
        }
        if self.already > 0 {
            parts.push(format!("{} already{}", self.quiet, times(self.already)));
        }
        if self.managed > 0 {
            let times = self.managed;
            parts.push(format!("{times} that the kernel does not let be moved"));
        }
        if let Some(first) = self.refused.first() {
            parts.push(format!("refused{}: {first}", times(self.refused.len())));
        }
        f.write_str(&parts.join(", "))
    }
}

fn times(count: usize) -> String {
    if count == 1 {
        return String::new();
    }
    format!(" ({count} of them)")
}

/// Makes `knobs`, all of one setting, quiet. What does not take its value stays as it is.
pub(super) fn quieten(host: &Host, knobs: &[&Knob]) -> Applied {
    let mut applied = Applied::default();
    for knob in knobs {
        knob.quiet.trim().clone_into(&mut applied.quiet);
        // One that has gone since disturbs nobody.
        let Ok(now) = host.value(&knob.file) else {
            continue;
        };
        if now == applied.quiet {
            applied.already += 1;
            continue;
        }
        match set(host, &knob.file, &knob.quiet) {
            Ok(()) => {
                applied.changed += 1;
                if !applied.was.contains(&now) {
                    applied.was.push(now);
                }
            }
            Err(error) if knob.setting == Setting::Interrupts && is_managed(&error.source) => {
                applied.managed += 1;
            }
            Err(error) => applied.refused.push(error),
        }
    }
    applied
}

/// Whether the kernel spreads this interrupt itself (EPERM, before Linux 6.12 EIO): root may do anything else.
fn is_managed(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EIO | EPERM))
}

/// What `knobs` say now, and whether that is quiet.
pub(super) fn now(host: &Host, knobs: &[Knob]) -> String {
    let mut values = Vec::new();
    let mut loud = 0;
    let mut quiet = "";
    for knob in knobs {
        let Ok(value) = host.value(&knob.file) else {
            continue;
        };
        quiet = knob.quiet.trim();
        loud += usize::from(value != quiet);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let values = values.join(" and ");
    if loud == 0 {
        return format!("{values}, quiet");
    }
    format!("{values}, would be set to {quiet}{}", times(loud))
}

/// Puts everything back that is not as it was found; returns what it did, by setting.
///
/// # Errors
/// Some of it does not take its value; the rest was put back.
pub(super) fn put_back(
    host: &Host,
    found: &Found,
    kept_in: &Path,
) -> Result<Vec<(Setting, String)>, TuneError> {
    let mut left = Vec::new();
    let mut done: Vec<(Setting, String, usize)> = Vec::new();
    for knob in found.knobs.iter().rev() {
        let value = knob.found.trim();
        match host.value(&knob.file) {
            Ok(now) if now == value => continue,
            // A device that has been removed took its setting along.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Ok(_) | Err(_) => {}
        }
        if let Err(error) = set(host, &knob.file, &knob.found) {
            left.push(error);
            continue;
        }
        match done
            .iter_mut()
            .find(|(s, v, _)| (*s, &**v) == (knob.setting, value))
        {
            Some((_, _, count)) => *count += 1,
            None => done.push((knob.setting, value.to_owned(), 1)),
        }
    }
    if !left.is_empty() {
        let kept_in = kept_in.to_owned();
        return Err(TuneError::NotRestored { left, kept_in });
    }
    let words = |(setting, value, count)| (setting, format!("-> {value}{}", times(count)));
    Ok(done.into_iter().map(words).collect())
}

/// Writes `value` to `file` and looks whether it says so then: the kernel accepts some values and keeps its own.
fn set(host: &Host, file: &Path, value: &str) -> Result<(), Refused> {
    let outcome = host.write(file, value).and_then(|()| {
        let now = host.value(file)?;
        if now == value.trim() {
            return Ok(());
        }
        Err(io::Error::other(format!("it says `{now}` afterwards")))
    });
    outcome.map_err(|source| Refused {
        path: host.path(file),
        value: value.trim().to_owned(),
        source,
    })
}
