//! What a monitor prints, its guest's serial port with it: read line by line, the end of it kept for messages.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use crate::limit::{Expired, Limit};

/// How much is kept, for messages; a guest may say any amount.
pub(super) const KEPT_BYTES: usize = 64 << 10;
/// How much of that goes into a message.
const SHOWN_BYTES: usize = 400;

/// The reading end of a monitor's output.
#[derive(Debug)]
pub(super) struct Console {
    output: File,
    said: Vec<u8>,
    /// Where the next line that has not been looked at begins, in `said`.
    read: usize,
    /// Its other end is: the monitor has ended or is about to.
    closed: bool,
}

impl Console {
    /// A console that nothing has been read from.
    pub(super) fn new(output: OwnedFd) -> Self {
        Self {
            output: output.into(),
            said: Vec::new(),
            read: 0,
            closed: false,
        }
    }

    /// Whether its end has been read.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Looks through the whole lines that have been read, up to the first that `wanted` accepts.
    pub(super) fn find_line<T>(&mut self, wanted: &dyn Fn(&str) -> Option<T>) -> Option<T> {
        while let Some(length) = self.said[self.read..].iter().position(|&b| b == b'\n') {
            let line = String::from_utf8_lossy(&self.said[self.read..self.read + length]);
            let found = wanted(line.trim_end_matches('\r'));
            self.read += length + 1;
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Reads what it says next; `false` at the end.
    ///
    /// # Errors
    /// Nothing within the limit.
    pub(super) fn listen(&mut self, limit: &Limit) -> Result<bool, Expired> {
        limit.readable(self.output.as_fd())?;
        let mut chunk = [0; 4096];
        let length = self.output.read(&mut chunk).unwrap_or(0);
        self.said.extend_from_slice(&chunk[..length]);
        self.closed |= length == 0;
        if let Some(surplus) = self.said.len().checked_sub(KEPT_BYTES) {
            self.said.drain(..surplus);
            self.read = self.read.saturating_sub(surplus);
        }
        Ok(length > 0)
    }

    /// What has been read and not looked at.
    pub(super) fn unread(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.said[self.read..])
    }

    /// All that is kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> &[u8] {
        &self.said
    }

    /// What was said last, for a message.
    pub(super) fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.said);
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        let mut said = lines.join(" | ");
        if said.len() > SHOWN_BYTES {
            let start = said.ceil_char_boundary(said.len() - SHOWN_BYTES);
            said = format!("...{}", &said[start..]);
        }
        if said.is_empty() {
            return "it said nothing".into();
        }
        format!("it said: {said}")
    }
}
