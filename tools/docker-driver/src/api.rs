//! The engine's API: one connection of our own per worker, every call bounded in time.

use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, Instant};

use bollard::errors::Error as BollardError;
use bollard::{API_DEFAULT_VERSION, Docker};
use measure_core::base::interrupt;
use tokio::runtime::{Builder, Runtime};

/// How long a call that is under way when a signal comes may still take.
const INTERRUPT_GRACE: Duration = Duration::from_secs(5);
/// How often a call looks at the interrupt flag.
const TICK: Duration = Duration::from_millis(100);

/// Why a call of the API failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The engine answered with an error.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// No answer in time.
    #[error("no answer to `{call}` within {} s", limit.as_secs())]
    Hung {
        /// The call, by the word that messages have for it.
        call: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A signal came and the call did not end soon after.
    #[error("interrupted during `{0}`")]
    Interrupted(&'static str),
    /// No connection, or it broke.
    #[error("`{call}`: {cause}")]
    Lost {
        /// The call, by the word that messages have for it.
        call: &'static str,
        /// What went wrong.
        cause: String,
    },
}

impl ApiError {
    fn new(call: &'static str, error: BollardError) -> Self {
        match error {
            BollardError::DockerResponseServerError {
                status_code,
                message,
            } => Self::Refused {
                status: status_code,
                message,
            },
            BollardError::DockerStreamError { error } => Self::Refused {
                status: 200,
                message: error,
            },
            other => {
                // The outer error only says that there was one.
                let mut cause = other.to_string();
                let mut source = std::error::Error::source(&other);
                while let Some(inner) = source {
                    let text = inner.to_string();
                    if !cause.ends_with(&text) {
                        cause = format!("{cause}: {text}");
                    }
                    source = inner.source();
                }
                Self::Lost { call, cause }
            }
        }
    }

    /// Whether the engine says that what was named does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// A client for one thread at a time: calls run on the calling thread, with no hand-over to another
/// that would cost the measured path two wake-ups.
pub struct Client {
    runtime: RefCell<Runtime>,
    /// Calls, for use within [`Client::run`].
    pub api: Api,
}

/// The asynchronous side of a [`Client`].
#[derive(Debug, Clone)]
pub struct Api {
    /// The API itself.
    pub docker: Docker,
    /// Limit of a call.
    pub limit: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to `host` and settles on an API version; each later call is bounded by `limit`.
    ///
    /// # Errors
    /// No engine answers there in time.
    pub fn connect(host: &str, limit: Duration) -> Result<Self, ApiError> {
        let lost = |cause: String| ApiError::Lost {
            call: "connect",
            cause: format!("no engine at {host}: {cause}"),
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| lost(e.to_string()))?;
        let docker = connect(host, limit).map_err(|e| lost(e.to_string()))?;
        let api = Api { docker, limit };
        let docker = runtime
            .block_on(api.call("version", api.docker.clone().negotiate_version()))
            .map_err(|error| match error {
                ApiError::Lost { cause, .. } => lost(cause),
                other => other,
            })?;
        Ok(Self {
            runtime: RefCell::new(runtime),
            api: Api { docker, limit },
        })
    }

    /// A further client of the same engine, for another thread.
    ///
    /// # Errors
    /// The system has no more descriptors.
    pub fn another(&self) -> Result<Self, ApiError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| ApiError::Lost {
                call: "connect",
                cause: e.to_string(),
            })?;
        Ok(Self {
            runtime: RefCell::new(runtime),
            api: self.api.clone(),
        })
    }

    /// Runs `work` to its end on this thread.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.borrow_mut().block_on(work)
    }

    /// One bounded call.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn call<T>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, BollardError>>,
    ) -> Result<T, ApiError> {
        self.run(self.api.call(call, work))
    }
}

impl Api {
    /// Waits for `work`, at most the limit, and not long after a signal has come.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn call<T>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, BollardError>>,
    ) -> Result<T, ApiError> {
        self.call_for(call, self.limit, work).await
    }

    /// As [`Self::call`], with a limit of its own.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn call_for<T>(
        &self,
        call: &'static str,
        limit: Duration,
        work: impl Future<Output = Result<T, BollardError>>,
    ) -> Result<T, ApiError> {
        let begun = Instant::now();
        let mut interrupted: Option<Instant> = None;
        tokio::pin!(work);
        loop {
            match tokio::time::timeout(TICK, &mut work).await {
                Ok(outcome) => return outcome.map_err(|error| ApiError::new(call, error)),
                Err(_) if begun.elapsed() >= limit => return Err(ApiError::Hung { call, limit }),
                Err(_) if interrupt::received().is_some() => {
                    let since = *interrupted.get_or_insert_with(Instant::now);
                    if since.elapsed() >= INTERRUPT_GRACE {
                        return Err(ApiError::Interrupted(call));
                    }
                }
                Err(_) => {}
            }
        }
    }
}

fn connect(host: &str, limit: Duration) -> Result<Docker, BollardError> {
    // Its own limit only backs up ours.
    let seconds = limit.as_secs() + 60;
    if host.starts_with("unix://") {
        Docker::connect_with_unix(host, seconds, API_DEFAULT_VERSION)
    } else if host.starts_with("tcp://") || host.starts_with("http://") {
        Docker::connect_with_http(host, seconds, API_DEFAULT_VERSION)
    } else {
        Err(BollardError::UnsupportedURISchemeError {
            uri: host.to_owned(),
        })
    }
}
