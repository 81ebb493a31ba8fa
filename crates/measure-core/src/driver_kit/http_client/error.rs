//! Why a handler did not answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection failed.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// The namespace in which it listens cannot be entered.
    #[error("its network namespace cannot be entered: {0}")]
    Namespace(#[source] nix::Error),
    /// Nobody listens.
    #[error("nothing listened on {address} within {} s", limit.as_secs_f64())]
    NotListening {
        /// Where the handler was to listen.
        address: SocketAddr,
        /// For how long it was tried.
        limit: Duration,
    },
    /// Nothing of an answer.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Not all of an answer.
    #[error("no whole answer within {} s, but {came}", limit.as_secs_f64())]
    Unfinished {
        /// For how long it was waited for.
        limit: Duration,
        /// What came of it.
        came: String,
    },
    /// A signal came to us.
    #[error("interrupted")]
    Interrupted,
    /// The handler is gone.
    #[error("it ended before it had answered")]
    Ended,
    /// It closed the connection.
    #[error("it closed the connection before it had answered")]
    Closed,
    /// It closed the connection within an answer.
    #[error("it closed the connection after {0}")]
    BrokenOff(String),
    /// It answered what is no HTTP.
    #[error("it answered what is no HTTP: {0}")]
    Http(#[from] httparse::Error),
    /// A part of a body that is said to come in parts.
    #[error("it answered a part of a body that is none (Transfer-Encoding: chunked)")]
    Chunk,
    /// A length that is none.
    #[error("it answered `{0}` as the length of its body, which is no number (Content-Length)")]
    Length(String),
    /// Lengths that are not the same.
    #[error("it answered two lengths of its body, {0} and {1} (Content-Length)")]
    Lengths(String, String),
    /// More than is taken for an answer.
    #[error("it answered more than {0} bytes")]
    TooMuch(usize),
}

impl HttpError {
    /// Whether it says that time ran out: then the handler may be there still, at work or elsewhere.
    fn is_late(&self) -> bool {
        matches!(
            self,
            Self::NotListening { .. } | Self::TimedOut(_) | Self::Unfinished { .. }
        )
    }

    /// Whether it may have come of the handler's end: of what was answered wrongly, or of time that ran out, that is no cause, though the handler
    /// may end when it is asked no more.
    #[must_use]
    pub fn may_be_its_end(&self) -> bool {
        let is_wrong = matches!(
            self,
            Self::Http(_) | Self::Chunk | Self::Length(_) | Self::Lengths(..) | Self::TooMuch(_)
        );
        !self.is_late() && !is_wrong
    }
}
