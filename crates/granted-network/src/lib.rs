//! What a function may reach over the network: the hosts and ports that it was granted, through a proxy of ours, and nothing else.
//!
//! * [`Grant`]: a host and a port.
//! * [`Reach`]: grants with the host's names resolved: which addresses a function may connect to, and which names it may look up.
//! * [`Proxy`]: takes connections at listeners that somebody made where the function can see them, and carries each to its target
//!   from the host's own network.
//! * [`key_value`]: a server for `demo/fetch` to ask.
//!
//! Design constraints:
//! * what a function sees has no way to the host's network but the listeners, so whatever is not granted is not there, and no firewall is needed;
//! * whatever a function does to the proxy, it has so many connections at once, and others theirs.

mod background;
mod error;
pub mod key_value;
mod proxy;
mod reach;

pub use measure_core::contract::network_grant::{HOST_END, NetworkGrant as Grant};

pub use error::NetworkError;
pub use proxy::{Limits, Proxy};
pub use reach::{Reach, Target};
