//! A request's body: bounded in size, and by when its bytes must have come.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::admission::{Full, Place};

/// Beyond the first timeout, a body must come at this rate. One rule for clients that say nothing and for
/// those that send a byte now and then.
pub(super) const MIN_BYTES_PER_SECOND: usize = 64 << 10;
/// The same while others are kept out.
const CROWDED_TIMEOUT: Duration = Duration::from_secs(5);
const CROWDED_BYTES_PER_SECOND: usize = 1 << 20;
/// How often it is looked whether others are.
const LOOK: Duration = Duration::from_millis(500);
/// What is read of a refused body so that the client comes to read the refusal: closing a socket with
/// unread bytes discards what was sent.
const DISCARD_BYTES: usize = 32 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// More bytes than are accepted.
    TooLarge,
    /// They did not come in time.
    TimedOut,
    /// They came slowly, and others want the place.
    TooSlow,
    /// There is no room for them.
    Full(Full),
    /// The client went away or broke the protocol.
    Broken(axum::Error),
}

/// A body on its way.
pub(super) struct Incoming {
    stream: BodyDataStream,
    begun: Instant,
    timeout: Duration,
}

impl Incoming {
    pub(super) fn new(body: Body, timeout: Duration) -> Self {
        Self {
            stream: body.into_data_stream(),
            begun: Instant::now(),
            timeout,
        }
    }

    /// All of it; `declared` is what the client said of its length. Its bytes are held by `place`.
    pub(super) async fn read(
        &mut self,
        place: &mut Place,
        declared: usize,
        max_bytes: usize,
    ) -> Result<Vec<u8>, BodyError> {
        if declared > max_bytes {
            return Err(BodyError::TooLarge);
        }
        // A claim is not believed: room is made as bytes come.
        let mut bytes = Vec::new();
        loop {
            let limit = self.deadline(bytes.len());
            let look = limit.min(Instant::now() + LOOK);
            let Ok(next) = timeout_at(look, self.stream.next()).await else {
                if Instant::now() >= limit {
                    return Err(BodyError::TimedOut);
                }
                self.require_speed(bytes.len(), place)?;
                continue;
            };
            self.require_speed(bytes.len(), place)?;
            match next {
                None => return Ok(bytes),
                Some(Ok(chunk)) if bytes.len() + chunk.len() > max_bytes => {
                    return Err(BodyError::TooLarge);
                }
                Some(Ok(chunk)) => {
                    place.grow(chunk.len()).map_err(BodyError::Full)?;
                    bytes.extend_from_slice(&chunk);
                }
                Some(Err(error)) => return Err(BodyError::Broken(error)),
            }
        }
    }

    /// When the next byte after `received` must be there.
    fn deadline(&self, received: usize) -> Instant {
        let earned = Duration::from_secs_f64(received as f64 / MIN_BYTES_PER_SECOND as f64);
        self.begun + self.timeout + earned
    }

    /// Fails where `received` bytes are few for the time, and others want the place.
    fn require_speed(&self, received: usize, place: &Place) -> Result<(), BodyError> {
        let earned = Duration::from_secs_f64(received as f64 / CROWDED_BYTES_PER_SECOND as f64);
        let limit = self.begun + self.timeout.min(CROWDED_TIMEOUT) + earned;
        if Instant::now() > limit && place.is_crowded() {
            return Err(BodyError::TooSlow);
        }
        Ok(())
    }

    /// Reads on for a while, for nothing.
    pub(super) async fn discard(mut self) {
        let all = async {
            let mut left = DISCARD_BYTES;
            while let Some(Ok(chunk)) = self.stream.next().await {
                match left.checked_sub(chunk.len()) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        };
        let _ = timeout(DISCARD_TIME.min(self.timeout), all).await;
    }
}
