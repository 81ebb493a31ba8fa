//! The pool of network namespaces: each with a veth pair, addresses, a default route and tbf shaping in
//! both directions, made through netlink.
//!
//! * [`Pool`]: n namespaces for n Faaslets, persistent ones first, anonymous ones for the rest.
//! * [`Namespace`]: one new anonymous namespace, for the rungs that make their own at every start.
//! * [`Hub`]: where the host ends lie of namespaces from which granted targets, and nothing else, are reached.
//! * [`ensure_persistent`], [`remove_persistent`]: the namespaces that outlive a process, under
//!   `/run/netns` where `ip netns list` sees them.
//! * [`enter()`]: moves the calling thread into a namespace.
//!
//! Design constraints:
//! * no process is started and no text of `ip` or `tc` is parsed;
//! * everything about a namespace follows from its index (names, interface indices, addresses), so a
//!   pair is made and configured without asking the kernel anything in between;
//! * an anonymous namespace exists as long as a descriptor or a thread is in it, so nothing is left of
//!   it after SIGKILL; a persistent one gets its name last, so a killed run leaves no half-made one.

mod config;
mod enter;
mod error;
mod hub;
mod namespace;
mod persistent;
mod pool;
mod requests;
mod socket;
mod survey;

pub use config::{
    Config, DEFAULT_RATE_BITS_PER_S, MAX_PERSISTENT, RATE_VARIABLE, Range, host_end_name,
    persistent_index, persistent_name,
};
pub use enter::enter;
pub use error::{NetnsError, RANGE_VARIABLE};
pub use hub::{Hub, HubError};
pub use namespace::{Cost, Namespace};
pub use persistent::{Ensured, ensure_persistent, remove_orphans, remove_persistent};
pub use pool::{Pool, checked_config, probe};
