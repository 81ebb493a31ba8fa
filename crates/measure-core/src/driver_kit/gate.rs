//! What a driver is told through its standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;

use super::DriverError;
use crate::base::interrupt;
use crate::contract::protocol::Go;

/// The go-aheads: lines of standard input under `--gated`, else a single one.
pub(super) struct Gate {
    gated: bool,
    given: bool,
    input: BufReader<File>,
}

impl Gate {
    pub fn new(gated: bool) -> Result<Self, DriverError> {
        // A reader of our own: one must know whether a line already waits in the buffer before polling.
        let input = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| DriverError::failed("no standard input", e))?;
        Ok(Self {
            gated,
            given: false,
            input: BufReader::new(input.into()),
        })
    }

    /// From here on every line is waited for, gated or not.
    pub fn hold(&mut self) {
        self.gated = true;
    }

    /// The next go-ahead; `None` once standard input has closed or a signal came.
    pub fn next(&mut self) -> Result<Option<Go>, DriverError> {
        if !self.gated {
            let first = !std::mem::replace(&mut self.given, true);
            return Ok((first && interrupt::received().is_none()).then(Go::default));
        }
        let failed = |e| DriverError::failed("cannot read standard input", e);
        while self.input.buffer().is_empty()
            && !interrupt::wait_readable(self.input.get_ref().as_fd(), None).map_err(failed)?
        {
            if interrupt::received().is_some() {
                return Ok(None);
            }
        }
        if interrupt::received().is_some() {
            return Ok(None);
        }
        let mut line = String::new();
        if self.input.read_line(&mut line).map_err(failed)? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            return Ok(Some(Go::default()));
        }
        serde_json::from_str(&line)
            .map(Some)
            .map_err(|e| DriverError::Usage(format!("not a go-ahead ({e}): {}", line.trim())))
    }
}
