//! An engine that someone else runs, used only when asked for by `--docker-host`.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::process;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use measure_core::base::label::{LABEL, Owner};
use measure_core::contract::Scope;
use measure_core::driver_kit::DriverError;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use procfs::process::all_processes;

use crate::api::{ApiError, Client};
use crate::container;

/// Names put into a message.
const NAMED: usize = 5;

/// Someone else's engine. Only what carries our label in it is ever removed.
#[derive(Debug)]
pub struct Foreign {
    host: String,
    roots: Vec<i32>,
    others: Vec<String>,
}

impl Foreign {
    /// Its API address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Looks at the engine behind `client`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn open(client: &Client, host: &str) -> Result<Self, ApiError> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let all = client.call("list", client.api.docker.list_containers(Some(options)))?;
        let others: Vec<String> = all
            .into_iter()
            .filter(|c| maker(c).is_none())
            .filter_map(|c| c.names.and_then(|names| names.into_iter().next()).or(c.id))
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect();
        let foreign = Self {
            host: host.to_owned(),
            roots: find_daemons(host),
            others,
        };
        if !foreign.others.is_empty() {
            eprintln!("note: {}", foreign.others_in_words());
        }
        Ok(foreign)
    }

    fn others_in_words(&self) -> String {
        if self.others.is_empty() {
            return "it has no other containers".into();
        }
        let named: Vec<&str> = self.others.iter().take(NAMED).map(String::as_str).collect();
        let more = if self.others.len() > NAMED {
            ", ..."
        } else {
            ""
        };
        format!(
            "the engine at {} has {} other container(s), left alone, whose work may count as ours: {}{more}",
            self.host,
            self.others.len(),
            named.join(", ")
        )
    }

    /// What can be scoped of it from here.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let reach = if self.roots.is_empty() {
            "its daemon is not on this host or not to be seen, so nothing of it is in the scope"
        } else {
            "in the scope are dockerd and containerd; not in it: shims, runc and containers, which no group of ours holds"
        };
        Scope {
            roots: self.roots.clone(),
            cgroups: Default::default(),
            client: Some(process::id().cast_signed()),
            includes: format!(
                "a foreign docker engine at {}: {reach}; {}",
                self.host,
                self.others_in_words()
            ),
            ..Scope::default()
        }
    }
}

/// The driver that made a container; `None` for one that is not ours. Containers inherit the labels
/// of their image, so one that someone made of our image has our label too, but not with a process id.
fn maker(container: &ContainerSummary) -> Option<Owner> {
    container.labels.as_ref()?.get(LABEL)?.parse().ok()
}

/// Removes the containers of ours on the engine: those that `of` made, or all whose maker is gone.
/// Returns their names.
///
/// # Errors
/// The engine does not answer, or refuses.
pub fn remove_ours(client: &Client, of: Option<Owner>) -> Result<Vec<String>, DriverError> {
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&HashMap::from([("label", vec![LABEL])]))
        .build();
    let failed = |e: ApiError| DriverError::failed("cannot remove our containers", e);
    let all = client
        .call("list", client.api.docker.list_containers(Some(options)))
        .map_err(failed)?;
    let mut removed = Vec::new();
    for found in all {
        let wanted = match (of, maker(&found)) {
            (Some(owner), maker) => maker == Some(owner),
            (None, Some(owner)) => owner.is_gone(),
            (None, None) => false,
        };
        if let (true, Some(id)) = (wanted, found.id) {
            client
                .run(container::remove(&client.api, &id, true))
                .map_err(failed)?;
            removed.push(format!("container {id}"));
        }
    }
    Ok(removed)
}

/// dockerd behind a Unix socket, and its containerd.
fn find_daemons(host: &str) -> Vec<i32> {
    let Some(path) = host.strip_prefix("unix://") else {
        return Vec::new();
    };
    let peer = UnixStream::connect(path)
        .ok()
        .and_then(|socket| getsockopt(&socket, PeerCredentials).ok())
        .map(|peer| peer.pid());
    let all = processes();
    let is = |pid: i32, name: &str| all.iter().any(|p| p.0 == pid && p.1 == name);
    let dockerd = match peer {
        Some(pid) if is(pid, "dockerd") => pid,
        // With socket activation the listener is the service manager's.
        _ => {
            let mut found = all.iter().filter(|p| p.1 == "dockerd").map(|p| p.0);
            match (found.next(), found.next()) {
                (Some(pid), None) => pid,
                _ => return Vec::new(),
            }
        }
    };
    let mut roots = vec![dockerd];
    let containerds = || all.iter().filter(|p| p.1 == "containerd");
    // A child of dockerd's is in its tree already.
    if !containerds().any(|p| p.2 == dockerd) {
        roots.extend(containerds().filter(|p| p.2 == 1).map(|p| p.0));
    }
    roots
}

/// Process id, name and parent of every process.
fn processes() -> Vec<(i32, String, i32)> {
    let all = all_processes().into_iter().flatten().flatten();
    all.filter_map(|process| process.stat().ok())
        .map(|stat| (stat.pid, stat.comm, stat.ppid))
        .collect()
}
