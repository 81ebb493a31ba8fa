//! Handlers that serve HTTP on a port: how one is told its port, asked, and asked again.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};

use super::DriverError;
use super::http_client::{Answered, Connection, HttpError, Patience, Place};
use super::stored_function::StoredFunction;
use crate::base::clock::{PhaseClock, Phases};
use crate::contract::answer::{Answer, REQUESTS};
use crate::contract::exchange::wrong_status;

pub use super::refusals::{no_handler, no_handlers};

/// What a handler is asked at each start.
#[derive(Debug, Clone)]
pub struct Question {
    /// `user/function`.
    pub function: String,
    /// The variable that tells it its port.
    port_env: String,
    /// The request, as HTTP has it.
    request: Vec<u8>,
    expected: Option<u16>,
    limit: Duration,
}

impl Question {
    /// What `stored`, called `function`, is asked; `None` of a program.
    ///
    /// # Errors
    /// Others could have written the body of its request, or it is not there.
    pub fn to_stored(function: &str, stored: &StoredFunction) -> Result<Option<Self>, DriverError> {
        let (Some(handler), Some(request)) = (stored.file.served(), stored.request()?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            function: function.to_owned(),
            port_env: handler.port_env,
            request: request.to_http(),
            expected: stored.file.expect.as_ref().and_then(|expect| expect.status),
            limit: stored.timeout(),
        }))
    }

    /// How long an answer may take.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Connects to the handler at `place`, and has it answer its first request.
    ///
    /// # Errors
    /// It does not.
    fn first<'a>(
        &'a self,
        place: &'a Place,
        alive: &'a dyn Fn() -> bool,
        clock: &mut PhaseClock,
    ) -> Result<Talk<'a>, HttpError> {
        let patience = Patience {
            limit: self.limit,
            alive,
        };
        let mut connection = place.connect(patience, clock)?;
        let answered = connection.ask(&self.request, patience, clock)?;
        Ok(Talk {
            question: self,
            place,
            patience,
            connection,
            answered,
        })
    }

    /// Has the handler at `place` answer its first request with a status that it may have, and does with it what `then` does.
    ///
    /// # Errors
    /// It does not answer so, or `then` fails.
    pub fn asked<T>(
        &self,
        place: &Place,
        alive: &dyn Fn() -> bool,
        clock: &mut PhaseClock,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<T, HttpOrDriverError> {
        let mut talk = self.first(place, alive, clock)?;
        talk.check()?;
        then(&mut talk)
    }

    /// The error of a start that was not answered; `said` is what it wrote to its standard error.
    #[must_use]
    pub fn failure(&self, error: &HttpError, listens_on: &[u16], said: &str) -> DriverError {
        if matches!(error, HttpError::Interrupted) {
            return DriverError::Failed("interrupted".to_owned());
        }
        let mut words = format!("{}: {error}", self.function);
        if matches!(error, HttpError::NotListening { .. }) {
            let ports: Vec<String> = listens_on.iter().map(u16::to_string).collect();
            words += &match &ports[..] {
                [] => String::new(),
                ports => format!(", but on port {}", ports.join(", ")),
            };
            let variable = &self.port_env;
            words += &format!("; it has to listen on the port that the variable {variable} says");
        }
        if !said.is_empty() {
            words += &format!("; it said: {said}");
        }
        DriverError::StartFailed(words)
    }
}

/// A handler that has answered.
#[derive(Debug)]
pub struct Talk<'a> {
    question: &'a Question,
    place: &'a Place,
    patience: Patience<'a>,
    connection: Connection,
    answered: Answered,
}

impl std::fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Talk<'_> {
    /// Asks once more: over the same connection, or, where the handler has closed that, over a new one.
    fn again(&mut self, clock: &mut PhaseClock) -> Result<(), HttpError> {
        if !self.answered.stays_open {
            self.connection = self.place.connect(self.patience, clock)?;
        }
        self.answered = self
            .connection
            .ask(&self.question.request, self.patience, clock)?;
        Ok(())
    }

    /// Whether the last answer has a status that it may have.
    ///
    /// # Errors
    /// It has another.
    pub fn check(&self) -> Result<(), DriverError> {
        match wrong_status(self.answered.status, self.question.expected) {
            None => Ok(()),
            Some(words) => {
                let function = &self.question.function;
                Err(DriverError::StartFailed(format!("{function}: {words}")))
            }
        }
    }

    /// Asks `count` times more, each time a start of its own by the clock, as long as `each` wants them.
    ///
    /// # Errors
    /// A request was not answered, or not as it should be.
    pub fn timed(
        &mut self,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), HttpOrDriverError> {
        for _ in 0..count {
            let mut clock = PhaseClock::start();
            self.again(&mut clock)?;
            self.check()?;
            if !each(clock.finish()) {
                break;
            }
        }
        Ok(())
    }

    /// What it answers to [`REQUESTS`] requests, the first among them.
    ///
    /// # Errors
    /// It does not answer all of them.
    pub fn answer(&mut self) -> Result<Answer, HttpError> {
        let mut responses = vec![self.answered.to_response()];
        while (responses.len() as u64) < REQUESTS {
            self.again(&mut PhaseClock::start())?;
            responses.push(self.answered.to_response());
        }
        Ok(Answer {
            responses,
            ..Answer::default()
        })
    }
}

/// Why a request is no sample.
#[derive(Debug, thiserror::Error)]
pub enum HttpOrDriverError {
    /// It was not answered.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It was answered otherwise than it should be.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// What of the answers of a handler that `ended` so is told.
///
/// # Errors
/// It could not be asked at all.
pub fn answer_of_handler(asked: Result<Answer, DriverError>) -> Result<Answer, DriverError> {
    match asked {
        Err(DriverError::StartFailed(words) | DriverError::Exited { words, .. }) => Ok(Answer {
            failure: Some(words),
            ..Answer::default()
        }),
        asked => asked,
    }
}

/// Ports below those that the kernel gives to clients, unless a host has them otherwise.
const PORTS: std::ops::Range<u32> = 10_000..32_768;

/// A port of this host that nobody listens on, and that this process has not handed out in a long time: one that was just used may still
/// be kept by the kernel. None of those from which the kernel takes ports for clients, one of which might be ours while it is tried.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16, DriverError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(97);
    let span = PORTS.end - PORTS.start;
    let clients = client_ports();
    for _ in 0..span {
        let nth = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % span;
        let port = u16::try_from(PORTS.start + nth).unwrap_or(u16::MAX);
        let kept = clients.is_some_and(|(low, high)| (low..=high).contains(&port));
        if !kept && TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(DriverError::Unavailable {
        why: format!("no port from {} to {} is free", PORTS.start, PORTS.end),
        mend: "end what listens there, or raise net.ipv4.ip_local_port_range".to_owned(),
    })
}

/// The ports that the kernel gives to clients, unless they are nearly all that there are.
fn client_ports() -> Option<(u16, u16)> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    let (low, high) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (u32::from(low) > PORTS.start + 1000).then_some((low, high))
}

/// The ports that process `pid` listens on, in its own network namespace.
#[must_use]
pub fn ports_of(pid: i32) -> Vec<u16> {
    let Ok(process) = Process::new(pid) else {
        return Vec::new();
    };
    let files = process.fd().into_iter().flatten().flatten();
    let sockets: Vec<u64> = files
        .filter_map(|file| match file.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    let listening = [process.tcp(), process.tcp6()]
        .into_iter()
        .flatten()
        .flatten();
    let mut ports: Vec<u16> = listening
        .filter(|entry| entry.state == TcpState::Listen && sockets.contains(&entry.inode))
        .map(|entry| entry.local_address.port())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_and_no_clients_and_who_listens_is_found() {
        let one = free_port().expect("one");
        let other = free_port().expect("another");
        assert_ne!(one, other);
        let listener = TcpListener::bind(("127.0.0.1", one)).expect("free");
        let own = i32::try_from(std::process::id()).expect("a process id");
        assert!(ports_of(own).contains(&one), "{listener:?}");
        assert!(!ports_of(own).contains(&other));
    }
}
