//! What a rung says that is asked for requests or a network and has none.

use super::DriverError;
use crate::base::ids::FunctionId;

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

/// The error of `function`, which was granted something of the network, on a rung without: `why`.
#[must_use]
pub fn no_network(function: &FunctionId, why: &str) -> DriverError {
    DriverError::Unavailable {
        why: format!("{function} is granted the network, and {why}"),
        mend: "take process, faaslet (for components) or docker-bridge".to_owned(),
    }
}
