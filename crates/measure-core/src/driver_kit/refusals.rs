//! What a rung says that is asked for requests and has none to send.

use super::DriverError;

/// The error of a rung that starts no handlers, and why it does not.
#[must_use]
pub fn no_handlers(why: &str) -> DriverError {
    DriverError::Unavailable {
        why: format!("no request can be sent to a function on this rung: {why}"),
        mend: "take process, a container rung, wasm or a Faaslet for handlers".to_owned(),
    }
}

/// The error of requests to `function`, which is a program.
#[must_use]
pub fn no_handler(function: &str) -> DriverError {
    DriverError::Usage(format!(
        "{function} is no handler: it runs to its end and answers no requests"
    ))
}
