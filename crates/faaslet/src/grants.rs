//! What a program is given.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use granted_network::{Grant, Reach};
use measure_core::driver_kit::stored_function::StdinFile;

use crate::exchange::Exchange;
use crate::stdin::Stdin;

/// What a program is given. Nothing else of the host is within its reach.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// Its arguments, the program's name first.
    pub args: Vec<String>,
    /// Its environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Directories, and whether it may write to them.
    pub dirs: Vec<DirGrant>,
    /// What it is asked, if it is a handler; without, it is asked for `/`.
    pub exchange: Option<Arc<Exchange>>,
    /// What it reads; nothing is an empty file, unless there is a `stdin_file`.
    pub stdin: Option<Arc<Stdin>>,
    /// A file that each start reads from its beginning, where there is no `stdin`.
    pub stdin_file: Option<Arc<StdinFile>>,
    /// What it may connect to, from a namespace of its own; nothing if there is none.
    pub network: Vec<Grant>,
    /// The same as it sees it, once that is made ([`crate::netns::Hub`]).
    pub reach: Option<Arc<Reach>>,
    /// Where its output goes; nothing is a sink.
    pub stdout: Option<Arc<OwnedFd>>,
    /// Where its standard error goes; nothing keeps the beginning of it for the message of a failure.
    pub stderr: Option<Arc<OwnedFd>>,
}

impl Grants {
    /// What one start reads; `None` is an empty file.
    ///
    /// # Errors
    /// The file cannot be opened once more.
    pub fn stdin_of_start(&self) -> io::Result<Option<Arc<Stdin>>> {
        match (&self.stdin, &self.stdin_file) {
            (None, Some(file)) => Ok(Some(Stdin::new(file.open()?.into()))),
            (stdin, _) => Ok(stdin.clone()),
        }
    }

    /// With one more directory: `host`, which the program calls `guest`.
    #[must_use]
    pub fn with_dir(
        mut self,
        host: impl Into<PathBuf>,
        guest: impl Into<String>,
        writable: bool,
    ) -> Self {
        self.dirs.push(DirGrant {
            host: host.into(),
            guest: guest.into(),
            writable,
        });
        self
    }
}

/// A directory of the host that a program may use.
#[derive(Debug, Clone)]
pub struct DirGrant {
    /// On the host.
    pub host: PathBuf,
    /// What the program calls it.
    pub guest: String,
    /// Whether it may change anything below it.
    pub writable: bool,
}
