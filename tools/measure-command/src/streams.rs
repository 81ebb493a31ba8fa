//! What a program reads and writes.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::spawn::PosixSpawnFileActions;

use super::Options;
use super::program::ProgramError;

/// What a program reads and writes.
#[derive(Debug)]
pub struct Streams {
    input: File,
    /// It is a file, which each run is to read from its beginning.
    rewinds: bool,
    null: File,
    output: Output,
}

/// Where standard output goes; but for the first, standard error goes to /dev/null.
#[derive(Debug)]
enum Output {
    /// To wherever ours goes, and standard error too.
    Inherited,
    Null,
    /// What stands in it is of the last run.
    File(File),
    /// Somebody reads it to its end.
    Pipe(OwnedFd),
}

impl Streams {
    /// /dev/null throughout.
    ///
    /// # Errors
    /// There is no /dev/null.
    pub fn null() -> Result<Self, ProgramError> {
        Self::new(None, Output::Null)
    }

    /// As the options say.
    pub(super) fn open(options: &Options) -> Result<Self, ProgramError> {
        let input = options.input.as_deref();
        let input = input.filter(|path| *path != Path::new("null"));
        let output = match options.output.as_deref() {
            None if options.show_output => Output::Inherited,
            None => Output::Null,
            Some(whereto) => match whereto.to_str() {
                Some("null") => Output::Null,
                Some("inherit") => Output::Inherited,
                Some("pipe") => Output::Pipe(forgetful_pipe()?),
                _ => Output::File(created(whereto)?),
            },
        };
        Self::new(input, output)
    }

    /// For what is run around a command: its input, and a file for its output, are the command's alone.
    pub(super) fn of_asides(&self) -> Result<Self, ProgramError> {
        match self.output {
            Output::Inherited => Self::new(None, Output::Inherited),
            _ => Self::null(),
        }
    }

    fn new(input: Option<&Path>, output: Output) -> Result<Self, ProgramError> {
        let null = Path::new("/dev/null");
        let given = opened(input.unwrap_or(null), OpenOptions::new().read(true))?;
        Ok(Self {
            rewinds: given.metadata().is_ok_and(|meta| meta.is_file()),
            input: given,
            null: opened(null, OpenOptions::new().read(true).write(true))?,
            output,
        })
    }

    /// Before a run, outside of its time: back to the beginning of files, as all runs share one offset.
    pub(super) fn rewind(&self) {
        if self.rewinds {
            // A file that was opened can be sought in.
            let _ = (&self.input).rewind();
        }
        if let Output::File(file) = &self.output {
            // A terminal has neither a length nor a place.
            let _ = file.set_len(0).and_then(|()| (&mut &*file).rewind());
        }
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        match &self.output {
            Output::Inherited => None,
            Output::Null => Some(self.null.as_fd()),
            Output::File(file) => Some(file.as_fd()),
            Output::Pipe(pipe) => Some(pipe.as_fd()),
        }
    }

    /// For posix_spawn.
    pub(super) fn actions(&self) -> Result<PosixSpawnFileActions, Errno> {
        let mut actions = PosixSpawnFileActions::init()?;
        // Descriptors that are open already: a dup2 is cheaper than an open in each child.
        let mut to =
            |from: BorrowedFd<'_>, target: RawFd| actions.add_dup2(from.as_raw_fd(), target);
        to(self.input.as_fd(), libc::STDIN_FILENO)?;
        if let Some(output) = self.output() {
            to(output, libc::STDOUT_FILENO)?;
            to(self.null.as_fd(), libc::STDERR_FILENO)?;
        }
        Ok(actions)
    }

    /// For the standard library's way of starting.
    pub(super) fn give_to(&self, command: &mut Command) -> io::Result<()> {
        command.stdin(self.input.try_clone()?);
        if let Some(output) = self.output() {
            command.stdout(output.try_clone_to_owned()?);
            command.stderr(Stdio::null());
        }
        Ok(())
    }
}

fn opened(path: &Path, how: &OpenOptions) -> Result<File, ProgramError> {
    how.open(path).map_err(|cause| ProgramError::Stream {
        path: path.to_path_buf(),
        cause,
    })
}

fn created(path: &Path) -> Result<File, ProgramError> {
    let mut how = OpenOptions::new();
    opened(path, how.write(true).create(true).truncate(true))
}

/// A pipe from which a thread of ours reads, and forgets, whatever is written into it.
fn forgetful_pipe() -> Result<OwnedFd, ProgramError> {
    let refused = |cause| ProgramError::Stream {
        path: "a pipe".into(),
        cause,
    };
    let (mut reader, writer) = io::pipe().map_err(refused)?;
    thread::Builder::new()
        .spawn(move || io::copy(&mut reader, &mut io::sink()))
        .map_err(refused)?;
    Ok(writer.into())
}
