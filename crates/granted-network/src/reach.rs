//! What grants come to: addresses, and names that have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs};

use crate::error::NetworkError;
use crate::{Grant, HOST_END};

/// More would be no grant any more, but a network.
const MAX_GRANTS: usize = 64;
/// How many addresses of one name count.
const MAX_ADDRESSES: usize = 8;

/// Where a function connects to, and where its connection is carried to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// As the function sees it.
    pub seen: SocketAddrV4,
    /// As the host does.
    pub real: SocketAddrV4,
}

/// What a function may connect to, and which names it may look up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    grants: Vec<Grant>,
    targets: BTreeSet<Target>,
    names: BTreeMap<String, Vec<Ipv4Addr>>,
}

impl Reach {
    /// Looks up the names in `grants`, as this host sees them now. A function sees this host at `host_end`, every other at its own
    /// address.
    ///
    /// # Errors
    /// There are too many, or a name has no IPv4 address here.
    pub fn resolve(grants: &[Grant], host_end: Ipv4Addr) -> Result<Self, NetworkError> {
        Self::resolve_by(grants, host_end, &look_up)
    }

    fn resolve_by(
        grants: &[Grant],
        host_end: Ipv4Addr,
        look_up: &dyn Fn(&str) -> io::Result<Vec<Ipv4Addr>>,
    ) -> Result<Self, NetworkError> {
        if grants.len() > MAX_GRANTS {
            return Err(NetworkError::TooMany {
                count: grants.len(),
                most: MAX_GRANTS,
            });
        }
        let mut reach = Self {
            grants: grants.to_vec(),
            ..Self::default()
        };
        for grant in grants {
            let host = grant.host();
            if host == HOST_END {
                reach.add(grant, &[host_end], Some(Ipv4Addr::LOCALHOST));
            } else if let Ok(address) = host.parse() {
                reach.add(grant, &[address], None);
            } else {
                // Once, as another answer might be in another order, or another part of many.
                let found = match reach.names.get(host) {
                    Some(known) => known.clone(),
                    None => look_up(host).map_err(|source| NetworkError::Unresolved {
                        host: host.to_owned(),
                        source,
                    })?,
                };
                reach.add(grant, &found, None);
            }
        }
        Ok(reach)
    }

    fn add(&mut self, grant: &Grant, addresses: &[Ipv4Addr], real: Option<Ipv4Addr>) {
        for &address in addresses {
            self.targets.insert(Target {
                seen: SocketAddrV4::new(address, grant.port()),
                real: SocketAddrV4::new(real.unwrap_or(address), grant.port()),
            });
        }
        if grant.host().parse::<Ipv4Addr>().is_err() {
            self.names
                .insert(grant.host().to_owned(), addresses.to_vec());
        }
    }

    /// Every address and port, each once.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.targets.iter().copied()
    }

    /// The addresses as a function sees them, each once.
    #[must_use]
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        let addresses: BTreeSet<Ipv4Addr> = self.targets.iter().map(|t| *t.seen.ip()).collect();
        addresses.into_iter().collect()
    }

    /// Whether a function may connect to `address`.
    #[must_use]
    pub fn allows(&self, address: SocketAddr) -> bool {
        let IpAddr::V4(ip) = address.ip().to_canonical() else {
            return false;
        };
        let seen = SocketAddrV4::new(ip, address.port());
        self.targets.iter().any(|target| target.seen == seen)
    }

    /// The addresses of `name`, if that is granted.
    #[must_use]
    pub fn addresses_of(&self, name: &str) -> Option<&[Ipv4Addr]> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.names.get(&name).map(Vec::as_slice)
    }
}

/// In words, for records: what was granted.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grants: Vec<String> = self.grants.iter().map(Grant::to_string).collect();
        f.write_str(&grants.join(", "))
    }
}

/// By this host's own resolver.
fn look_up(name: &str) -> io::Result<Vec<Ipv4Addr>> {
    let mut found = Vec::new();
    for address in (name, 0).to_socket_addrs()? {
        if let IpAddr::V4(address) = address.ip()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    // What names lead to is held to what may be granted by number.
    found.retain(|address| {
        !address.is_loopback() && !address.is_unspecified() && !address.is_multicast()
    });
    found.truncate(MAX_ADDRESSES);
    match found.is_empty() {
        true => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "it has none beyond loopback",
        )),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Ipv4Addr = Ipv4Addr::new(10, 232, 0, 1);
    const DB: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(192, 0, 2, 8)];

    fn reach(grants: &[&str]) -> Result<Reach, NetworkError> {
        let grants: Vec<Grant> = grants.iter().map(|g| g.parse().expect("a grant")).collect();
        Reach::resolve_by(&grants, END, &|name| match name {
            "db.example.org" => Ok(DB.to_vec()),
            _ => Err(io::Error::other("no such name")),
        })
    }

    #[test]
    fn nothing_but_what_is_granted_is_allowed() {
        let reach = reach(&[
            "host.internal:6379",
            "db.example.org:5432",
            "198.51.100.1:80",
        ])
        .expect("resolved");
        let allows = |text: &str| reach.allows(text.parse().expect("an address"));
        for granted in [
            "10.232.0.1:6379",
            "192.0.2.7:5432",
            "192.0.2.8:5432",
            "198.51.100.1:80",
            "[::ffff:192.0.2.7]:5432",
        ] {
            assert!(allows(granted), "{granted}");
        }
        for other in [
            "10.232.0.1:22",
            "10.232.0.1:5432",
            "192.0.2.7:80",
            "192.0.2.9:5432",
            "127.0.0.1:6379",
            "[::1]:6379",
            "0.0.0.0:6379",
        ] {
            assert!(!allows(other), "{other}");
        }
        let real: Vec<String> = reach.targets().map(|t| t.real.to_string()).collect();
        assert_eq!(
            real,
            [
                "127.0.0.1:6379",
                "192.0.2.7:5432",
                "192.0.2.8:5432",
                "198.51.100.1:80"
            ]
        );
        assert_eq!(reach.addresses().len(), 4);
    }

    #[test]
    fn only_granted_names_are_known() {
        let reach = reach(&["db.example.org:5432", "host.internal:1"]).expect("resolved");
        assert_eq!(reach.addresses_of("DB.example.org."), Some(&DB[..]));
        assert_eq!(reach.addresses_of("host.internal"), Some(&[END][..]));
        for other in ["example.org", "www.db.example.org", "192.0.2.7", ""] {
            assert_eq!(reach.addresses_of(other), None, "{other}");
        }
        assert_eq!(reach.to_string(), "db.example.org:5432, host.internal:1");
    }

    #[test]
    fn a_name_is_looked_up_once_whatever_is_granted_of_it() {
        let grants =
            ["db.example.org:5432", "db.example.org:80"].map(|g| g.parse().expect("a grant"));
        let asked = std::cell::Cell::new(0);
        let reach = Reach::resolve_by(&grants, END, &|_| {
            asked.set(asked.get() + 1);
            Ok(vec![DB[(asked.get() - 1) % 2]])
        });
        let reach = reach.expect("resolved");
        assert_eq!(asked.get(), 1);
        assert!(reach.targets().all(|target| *target.seen.ip() == DB[0]));
        assert_eq!(reach.targets().count(), 2);
    }

    #[test]
    fn names_without_address_and_too_many_grants_are_refused() {
        let error = reach(&["nowhere.example:1"])
            .expect_err("unknown")
            .to_string();
        assert!(
            error.contains("nowhere.example") && error.contains("no such name"),
            "{error}"
        );
        let many = vec!["198.51.100.1:80"; MAX_GRANTS + 1];
        assert!(matches!(reach(&many), Err(NetworkError::TooMany { .. })));
    }

    #[test]
    fn a_name_of_the_hosts_loopback_alone_has_no_address_to_grant() {
        let error = look_up("localhost").expect_err("loopback").to_string();
        assert!(error.contains("beyond loopback"), "{error}");
    }
}
