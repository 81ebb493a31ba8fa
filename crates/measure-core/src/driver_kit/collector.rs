//! What a function writes to its standard output while it runs, read so that neither much of it nor a process that keeps it open
//! keeps anybody waiting.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read};

use crate::contract::answer::{Content, Taking};

/// How long what is in the pipe may take to be read, once the function has ended. What it left running may hold the pipe for ever.
const GRACE: Duration = Duration::from_millis(300);
const SLICE_MS: u16 = 20;

/// A pipe's reading end, read by a thread of its own.
#[derive(Debug)]
pub struct Collector {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Content>,
}

impl Collector {
    /// A collector, and the writing end to give to the function.
    ///
    /// # Errors
    /// No pipe or thread is to be had.
    pub fn start() -> io::Result<(Self, OwnedFd)> {
        let (output, input) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ended);
        let thread = thread::Builder::new().spawn(move || collect(&output, &theirs))?;
        Ok((Self { ended, thread }, input))
    }

    /// All that was written, the function having ended and our own writing end being closed.
    #[must_use]
    pub fn finish(self) -> Content {
        self.ended.store(true, Ordering::Release);
        self.thread.join().unwrap_or_default()
    }
}

fn collect(output: &OwnedFd, ended: &AtomicBool) -> Content {
    let (mut taking, mut buffer) = (Taking::default(), vec![0; 1 << 16]);
    let mut until: Option<Instant> = None;
    loop {
        if ended.load(Ordering::Acquire) {
            let until = *until.get_or_insert_with(|| Instant::now() + GRACE);
            if Instant::now() > until {
                return taking.finish();
            }
        }
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(SLICE_MS)) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return taking.finish(),
        }
        match read(output, &mut buffer) {
            Ok(0) => return taking.finish(),
            Ok(n) => taking.take(&buffer[..n]),
            Err(Errno::EINTR) => {}
            Err(_) => return taking.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn all_that_was_written_is_there_even_if_somebody_keeps_it_open() {
        let (collector, input) = Collector::start().expect("a pipe");
        let kept = input.try_clone().expect("a descriptor");
        let mut input = File::from(input);
        let much = vec![b'x'; 3 << 20];
        input.write_all(&much).expect("read meanwhile");
        drop(input);
        let content = collector.finish();
        assert_eq!(content.length_bytes, much.len() as u64);
        assert_eq!(content.sha256, Content::of_bytes(&much).sha256);
        drop(kept);
    }
}
