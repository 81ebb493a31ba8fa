//! The engine's API: one connection of our own per worker, every call bounded in time.

use std::cell::RefCell;
use std::error::Error;
use std::future::Future;
use std::io;
use std::iter::successors;
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
#[derive(Debug, thiserror::Error)]
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
    #[error("`{call}`: {}", with_causes(source))]
    Lost {
        /// The call, by the word that messages have for it.
        call: &'static str,
        /// What went wrong.
        source: BollardError,
    },
    /// No engine at an address.
    #[error("`connect`: no engine at {host}: {}", with_causes(&**source))]
    Unreachable {
        /// The address.
        host: String,
        /// What went wrong.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// An error with all that it is due to: the client's outer ones only say that there was one.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in successors(error.source(), |&error| error.source()) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
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
            source => Self::Lost { call, source },
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
        let unreachable = |source: Box<dyn Error + Send + Sync>| ApiError::Unreachable {
            host: host.to_owned(),
            source,
        };
        let docker = connect(host, limit).map_err(|e| unreachable(e.into()))?;
        let client = Self::over(Api { docker, limit }).map_err(|e| unreachable(e.into()))?;
        let negotiated = client.api.docker.clone().negotiate_version();
        let docker = client
            .call("version", negotiated)
            .map_err(|error| match error {
                ApiError::Lost { source, .. } => unreachable(source.into()),
                other => other,
            })?;
        Ok(Self {
            api: Api { docker, limit },
            ..client
        })
    }

    /// A further client of the same engine, for another thread.
    ///
    /// # Errors
    /// The system has no more descriptors.
    pub fn another(&self) -> io::Result<Self> {
        Self::over(self.api.clone())
    }

    fn over(api: Api) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            runtime: RefCell::new(runtime),
            api,
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
