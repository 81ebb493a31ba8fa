//! A host and a port that a function may connect to, as the store, `function.toml` and command lines have it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name under which a function finds the ports of the host that it runs on: what listens on that host's loopback.
pub const HOST_END: &str = "host.internal";
/// The longest name that DNS has.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// Why a text is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` cannot be granted: {why}; a grant is HOST:PORT, for example db.example.org:5432, or host.internal:6379 for this host's own"
)]
pub struct NetworkGrantError {
    text: String,
    why: &'static str,
}

/// One of them. Written `HOST:PORT`, in a manifest `{"host": "...", "port": N}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct NetworkGrant {
    host: String,
    port: u16,
}

/// A grant that has not been looked at.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    host: String,
    port: u16,
}

/// What a manifest (`grants.json`) grants of the network; of its other grants nothing is read.
///
/// # Errors
/// It is no manifest.
pub fn network_of_manifest(json: &[u8]) -> Result<Vec<NetworkGrant>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(default)]
        network: Vec<NetworkGrant>,
    }
    serde_json::from_slice::<Manifest>(json).map(|manifest| manifest.network)
}

impl NetworkGrant {
    /// Of `port` at `host`: a name, an IPv4 address, or [`HOST_END`].
    ///
    /// # Errors
    /// It is none of these, or names what would mean another thing inside: loopback, or no port.
    pub fn new(host: &str, port: u16) -> Result<Self, NetworkGrantError> {
        let refused = |why| {
            let text = format!("{host}:{port}");
            Err(NetworkGrantError { text, why })
        };
        if port == 0 {
            return refused("there is no port 0");
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if host.parse::<Ipv6Addr>().is_ok() || host.starts_with('[') {
            return refused("its network has no IPv6");
        }
        match name.parse::<Ipv4Addr>() {
            Ok(address) if address.is_loopback() || address.is_unspecified() => {
                return refused("that is the function's own; this host is host.internal");
            }
            Ok(address) if address.is_multicast() || address.is_broadcast() => {
                return refused("that is no one host");
            }
            Ok(_) => {}
            Err(_) if name == "localhost" => {
                return refused("that is the function's own; this host is host.internal");
            }
            Err(_) if !is_name(&name) => {
                return refused("that is no host's name and no IPv4 address");
            }
            Err(_) => {}
        }
        Ok(Self { host: name, port })
    }

    /// The host: a name in small letters, or an IPv4 address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Whether `name` is one that DNS may have, of which the last label is not a number.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    name.len() <= MAX_NAME_BYTES
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_none_or(is_number)
}

impl FromStr for NetworkGrant {
    type Err = NetworkGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |why| NetworkGrantError {
            text: text.to_owned(),
            why,
        };
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| refused("it names no port"))?;
        let port = port
            .parse()
            .map_err(|_| refused("its port is no number from 1 to 65535"))?;
        Self::new(host, port)
    }
}

impl TryFrom<Written> for NetworkGrant {
    type Error = NetworkGrantError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        Self::new(&written.host, written.port)
    }
}

impl From<NetworkGrant> for Written {
    fn from(grant: NetworkGrant) -> Self {
        Self {
            host: grant.host,
            port: grant.port,
        }
    }
}

impl fmt::Display for NetworkGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_one_host_and_port_cannot_be_granted() {
        for (text, why) in [
            ("db", "names no port"),
            ("db:0", "no port 0"),
            ("db:65536", "no number"),
            ("db:http", "no number"),
            (":80", "no host's name"),
            ("localhost:80", "host.internal"),
            ("127.0.0.1:80", "host.internal"),
            ("0.0.0.0:80", "host.internal"),
            ("224.0.0.1:80", "no one host"),
            ("255.255.255.255:80", "no one host"),
            ("[::1]:80", "no IPv6"),
            ("::1:80", "no IPv6"),
            ("*:80", "no host's name"),
            ("a..b:80", "no host's name"),
            ("-a:80", "no host's name"),
            ("10.1.1:80", "no host's name"),
            ("db example:80", "no host's name"),
        ] {
            let error = text.parse::<NetworkGrant>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn names_are_one_however_they_are_written() {
        let grant: NetworkGrant = "DB.Example.ORG.:5432".parse().expect("a grant");
        assert_eq!(grant.to_string(), "db.example.org:5432");
        assert_eq!((grant.host(), grant.port()), ("db.example.org", 5432));
    }

    #[test]
    fn a_manifest_is_checked_as_a_command_line_is() {
        let read = |text: &str| serde_json::from_str::<NetworkGrant>(text);
        let grant = read(r#"{"host": "host.internal", "port": 6379}"#).expect("a grant");
        assert_eq!(grant, "host.internal:6379".parse().expect("a grant"));
        assert!(read(r#"{"host": "localhost", "port": 1}"#).is_err());
        assert!(read(r#"{"host": "a", "port": 1, "protocol": "udp"}"#).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<NetworkGrant>();
        }

        #[test]
        fn grants_survive_printing(host in "[a-z][a-z0-9]{0,20}(\\.[a-z][a-z0-9]{0,9}){0,3}", port in 1u16..) {
            prop_assume!(host != "localhost");
            let grant = NetworkGrant::new(&host, port).expect("a grant");
            prop_assert_eq!(grant.to_string().parse::<NetworkGrant>().expect("a grant"), grant);
        }
    }
}
