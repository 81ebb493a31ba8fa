//! What can go wrong with a cgroup.

use std::io;
use std::path::{Path, PathBuf};

use super::controller::Controller;
use crate::driver_kit::DriverError;

/// Why a cgroup could not be made, joined, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No mounted hierarchy has the controller.
    #[error(
        "no mounted cgroup hierarchy has the controller {controller}, mount one (v1: `mount -t cgroup -o {controller} none DIR`; v2: delegate it in cgroup.subtree_control)"
    )]
    NotMounted {
        /// The controller asked for.
        controller: Controller,
    },
    /// The kernel refuses for lack of rights.
    #[error(
        "no permission for cgroup file {path}, run as root with the hierarchy mounted writable"
    )]
    Denied {
        /// The file or directory.
        path: PathBuf,
    },
    /// The v2 controllers cannot be had where this process is.
    #[error(
        "cgroup v2 does not give the controllers {wanted} to groups of ours ({why}), run under `systemd-run --scope -p Delegate=yes` or in a container that shares the host's cgroup namespace"
    )]
    NotDelegated {
        /// Space-separated v2 controller names.
        wanted: String,
        /// What the kernel said.
        why: String,
    },
    /// A living group has this name.
    #[error("cgroup {path} exists already and is in use")]
    Exists {
        /// The directory that cannot be made again.
        path: PathBuf,
    },
    /// Not a name that may be removed later.
    #[error("`{0}` is no cgroup name of ours: make it with label::name, parts separated by /")]
    Name(String),
    /// Still inhabited or held after the bounded wait.
    #[error("cgroup {path} cannot be removed: {why}")]
    Busy {
        /// The group that stays, the given one or one below it.
        path: PathBuf,
        /// The last refusal.
        why: String,
    },
    /// Neither version's file for a value is there.
    #[error("{dir} has none of {files}: {why}")]
    NoSuchValue {
        /// The group's directory.
        dir: PathBuf,
        /// Files looked for.
        files: String,
        /// Why it may be absent.
        why: &'static str,
    },
    /// Anything else the kernel said.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// In words: `write 12 to`, `read`.
        action: String,
        /// The control file or group.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl CgroupError {
    /// The error of doing `action` to `path`.
    pub(super) fn io(action: impl Into<String>, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { path }
            }
            _ => Self::Io {
                action: action.into(),
                path,
                source,
            },
        }
    }

    /// The errno behind it, if the kernel gave one.
    pub(super) fn errno(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

impl From<CgroupError> for DriverError {
    fn from(error: CgroupError) -> Self {
        let text = error.to_string();
        match error {
            CgroupError::NotMounted { .. }
            | CgroupError::Denied { .. }
            | CgroupError::NotDelegated { .. } => match text.split_once(", ") {
                Some((why, mend)) => Self::Unavailable {
                    why: why.to_owned(),
                    mend: mend.to_owned(),
                },
                None => Self::Failed(text),
            },
            CgroupError::Exists { .. } | CgroupError::Busy { .. } => Self::Busy(text),
            other => Self::library(other),
        }
    }
}
