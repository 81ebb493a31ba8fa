//! One `workerd` process that serves the function on a socket of ours.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use measure_core::base::label;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::spawn::{Child, Program};
use measure_core::driver_kit::stored_function::GivenTexts;
use nix::unistd::getpid;
use serde_json::json;

use super::http::{Connection, HttpError};
use crate::child::{ended_badly, in_words};
use crate::runtimes::{ErrorText, START_VARIABLE};

/// What is asked of the first worker, and what of a new one.
pub(super) const OWN: &str = "/own";
pub(super) const NEW: &str = "/new";
/// What follows either where what the function writes is to be handed back.
pub(super) const ANSWER: &str = "?answer";
/// When a start has hung.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// How to start one.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) executable: PathBuf,
    pub(super) config: PathBuf,
    pub(super) names: AtomicU64,
}

/// A process that is being started or runs; killed on drop.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    errors: ErrorText,
}

/// Everything of a start that is not its own cost: the socket that it is to answer on, and its command line.
#[derive(Debug)]
pub(super) struct Prepared {
    program: Program,
    listener: UnixListener,
    address: SocketAddr,
    errors: ErrorText,
}

impl Recipe {
    pub(super) fn prepare(&self) -> Result<Prepared, DriverError> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let name = label::name(getpid().as_raw(), &format!("workerd-{number}"));
        let cannot = |e: io::Error| DriverError::failed("no socket for workerd", e);
        // In no directory: it is gone with its holders.
        let address = SocketAddr::from_abstract_name(&name).map_err(cannot)?;
        let listener = UnixListener::bind_addr(&address).map_err(cannot)?;
        let words = ["serve", "--experimental", "--socket-fd", "http=0"].map(OsStr::new);
        let words = words.into_iter().chain([self.config.as_os_str()]);
        let program = Program::new(&self.executable, words, [(START_VARIABLE, name.as_str())]);
        Ok(Prepared {
            program: program.map_err(|e| DriverError::failed("workerd", e))?,
            listener,
            address,
            errors: ErrorText::new()?,
        })
    }
}

impl Prepared {
    /// Starts the process; its standard input is the socket that it listens on.
    pub(super) fn spawn(self, null: &std::fs::File) -> Result<Server, DriverError> {
        let streams = [self.listener.as_fd(), null.as_fd(), self.errors.file()];
        let child = self.program.spawn(streams);
        Ok(Server {
            child: child.map_err(|e| DriverError::failed("cannot execute workerd", e))?,
            address: self.address,
            errors: self.errors,
        })
    }
}

impl Server {
    /// A connection, which the kernel has before the process listens.
    pub(super) fn connect(&self) -> Result<Connection, DriverError> {
        UnixStream::connect_addr(&self.address)
            .and_then(Connection::new)
            .map_err(|e| DriverError::failed("cannot reach workerd", e))
    }

    /// Whether the process still runs.
    pub(super) fn is_alive(&self) -> bool {
        !self.child.ended(Duration::ZERO).unwrap_or(true)
    }

    /// The error of a request, with how the process ended where it did, and what it said.
    pub(super) fn failure(&mut self, error: HttpError) -> DriverError {
        if matches!(error, HttpError::Interrupted) {
            return DriverError::Failed("interrupted".to_owned());
        }
        let said = |errors: &mut ErrorText| {
            let said = errors.last_lines();
            if said.is_empty() {
                said
            } else {
                format!(" (it said: {said})")
            }
        };
        if self.is_alive() {
            return DriverError::StartFailed(format!("workerd {error}{}", said(&mut self.errors)));
        }
        match self.child.reap() {
            Ok(status) => {
                let said = said(&mut self.errors);
                ended_badly(status, format!("workerd {}{said}", in_words(status)))
            }
            Err(error) => DriverError::failed("cannot wait for workerd", error),
        }
    }

    /// Kills it and waits until it is gone.
    pub(super) fn end(mut self) -> Result<(), DriverError> {
        self.child.kill();
        let reaped = self.child.reap().map(drop);
        reaped.map_err(|e| DriverError::failed("cannot wait for workerd", e))
    }
}

/// What stands in `run.mjs` in the place of what a function is given.
const GIVEN_PLACE: &str = "{ args: [], env: [] }";

/// Writes what the server is made of into `dir`: configuration, workers, the function's module and what it is given.
pub(super) fn write_files(dir: &Path, wasm: &Path, given: &GivenTexts) -> io::Result<PathBuf> {
    let run = include_str!("run.mjs").replacen(GIVEN_PLACE, &given_in_js(given), 1);
    for (name, text) in [
        ("config.capnp", include_str!("config.capnp")),
        ("main.mjs", include_str!("main.mjs")),
        ("run.mjs", &run),
    ] {
        std::fs::write(dir.join(name), text)?;
    }
    std::fs::copy(wasm, dir.join("function.wasm"))?;
    Ok(dir.join("config.capnp"))
}

/// A function that is given nothing has no name either.
fn given_in_js(given: &GivenTexts) -> String {
    if *given == GivenTexts::default() {
        return GIVEN_PLACE.to_owned();
    }
    let name = std::iter::once("function");
    let args: Vec<&str> = name.chain(given.args.iter().map(String::as_str)).collect();
    let variable = |(name, value): &(String, String)| format!("{name}={value}");
    let env: Vec<String> = given.env.iter().map(variable).collect();
    json!({ "args": args, "env": env }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_is_given_stands_in_its_worker() {
        assert_eq!(include_str!("run.mjs").matches(GIVEN_PLACE).count(), 1);
        let given = GivenTexts {
            args: vec!["it's \"a\"\n".into()],
            env: vec![("WHO".into(), "k=v".into())],
        };
        let text = given_in_js(&given);
        let expected = r#"{"args":["function","it's \"a\"\n"],"env":["WHO=k=v"]}"#;
        assert_eq!(text, expected);
        assert_eq!(given_in_js(&GivenTexts::default()), GIVEN_PLACE);
    }
}
