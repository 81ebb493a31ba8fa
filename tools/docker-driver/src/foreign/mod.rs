//! An engine that someone else runs, used only when asked for by `--docker-host`.

mod daemons;
pub mod groups;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process;

use bollard::models::{ContainerSummary, SystemInfoCgroupDriverEnum};
use bollard::query_parameters::ListContainersOptionsBuilder;
use measure_core::base::label::{LABEL, Owner};
use measure_core::contract::Scope;
use measure_core::driver_kit::DriverError;

use crate::api::{ApiError, Client};
use crate::container;
use groups::{ContainerGroup, NoGroup};

/// Names put into a message.
const NAMED: usize = 5;

/// Someone else's engine. Only what carries our label in it is ever removed.
#[derive(Debug)]
pub struct Foreign {
    host: String,
    /// Its daemons; none if they are not on this host, or not to be seen.
    roots: Vec<i32>,
    /// Where the daemons' work is counted, if each has a group of its own.
    daemon_groups: Option<Vec<BTreeMap<String, PathBuf>>>,
    /// Our containers', or why there is none.
    group: Result<ContainerGroup, NoGroup>,
    others: Vec<String>,
}

impl Foreign {
    /// Its API address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// One of its daemons, if they are on this host and to be seen.
    #[must_use]
    pub fn daemon(&self) -> Option<i32> {
        self.roots.first().copied()
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
        let roots = daemons::find(host);
        let group = match roots.is_empty() {
            true => Err(NoGroup::Elsewhere),
            false => {
                ContainerGroup::make(makes_groups_by_systemd(client)?).map_err(NoGroup::Refused)
            }
        };
        let foreign = Self {
            host: host.to_owned(),
            daemon_groups: daemons::own_groups(&roots),
            roots,
            group,
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
            "the engine at {} has {} other container(s), left alone, of whose work the daemons' part may count as ours: {}{more}",
            self.host,
            self.others.len(),
            named.join(", ")
        )
    }

    /// What containers are to have as cgroup parent.
    #[must_use]
    pub fn cgroup_parent(&self) -> Option<String> {
        self.group.as_ref().ok().map(ContainerGroup::parent)
    }

    /// Our containers' groups, one below it for each, in the hierarchy of `controller`.
    #[must_use]
    pub fn container_groups(&self, controller: &str) -> Option<PathBuf> {
        self.group.as_ref().ok()?.dirs.get(controller).cloned()
    }

    /// What can be scoped of it from here. CPU time is either that of all of it, or of nothing: where the daemons have no groups of
    /// their own, runs of runc and shims that have ended are in none, and the scope has no group that counts time.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let mut scope = Scope {
            roots: self.roots.clone(),
            client: Some(process::id().cast_signed()),
            ..Scope::default()
        };
        let reach = match (&self.group, &self.daemon_groups) {
            _ if self.roots.is_empty() => {
                "its daemon is not on this host or not to be seen, so nothing of it is in the scope"
                    .to_owned()
            }
            (Ok(group), Some(daemons)) => {
                scope.cgroups = group.dirs.clone();
                scope.more_cgroups.clone_from(daemons);
                "in the scope are its daemons, all that they start, and our containers".to_owned()
            }
            (Ok(group), None) => {
                let memory = ["memory", "unified"]
                    .iter()
                    .find_map(|key| group.dirs.get(*key));
                scope.cgroups = memory
                    .map(|dir| ("memory".to_owned(), dir.clone()))
                    .into_iter()
                    .collect();
                scope.starters = true;
                "in the scope are its daemons, our containers and their shims; its CPU time is not known, as its daemons have no cgroup \
                 of their own: start it as a service"
                    .to_owned()
            }
            (Err(why), _) => format!(
                "in the scope are dockerd and containerd; not in it: shims, runc and containers, which no group of ours holds: {why}"
            ),
        };
        scope.includes = format!(
            "a foreign docker engine at {}: {reach}; {}",
            self.host,
            self.others_in_words()
        );
        scope
    }
}

/// Whether the engine has systemd make its groups.
fn makes_groups_by_systemd(client: &Client) -> Result<bool, ApiError> {
    let info = client.call("info", client.api.docker.info())?;
    Ok(info.cgroup_driver == Some(SystemInfoCgroupDriverEnum::SYSTEMD))
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
