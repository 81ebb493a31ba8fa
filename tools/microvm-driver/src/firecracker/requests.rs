//! What is said to Firecracker, laid out before any start.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::api::Request;
use crate::guest::linux::{Guest, Root};

/// The requests of a boot, in order.
#[derive(Debug)]
pub struct Boot {
    /// Machine, kernel, devices.
    pub configure: Vec<Request>,
    /// The one after which the guest runs.
    pub start: Request,
}

impl Boot {
    /// A boot of the flat guest at `image`.
    #[must_use]
    pub fn flat(image: &Path, memory_mib: u32) -> Self {
        Self::from_source(memory_mib, &json!({ "kernel_image_path": image }), None)
    }

    /// A boot of Linux.
    #[must_use]
    pub fn linux(guest: &Guest, memory_mib: u32) -> Self {
        // Through the keyboard controller: Firecracker ends when its guest resets so.
        let mut source = json!({
            "kernel_image_path": guest.kernel,
            "boot_args": guest.command_line("k"),
        });
        let drive = match &guest.root {
            Root::Initrd(initrd) => {
                source["initrd_path"] = json!(initrd);
                None
            }
            Root::Disk(image) => Some(Request::put(
                "/drives/rootfs",
                &json!({
                    "drive_id": "rootfs",
                    "path_on_host": image,
                    "is_root_device": true,
                    "is_read_only": true,
                }),
            )),
        };
        Self::from_source(memory_mib, &source, drive)
    }

    fn from_source(memory_mib: u32, source: &serde_json::Value, drive: Option<Request>) -> Self {
        let machine = json!({ "vcpu_count": 1, "mem_size_mib": memory_mib });
        let mut configure = vec![
            Request::put("/machine-config", &machine),
            Request::put("/boot-source", source),
        ];
        configure.extend(drive);
        Self {
            configure,
            start: Request::put("/actions", &json!({ "action_type": "InstanceStart" })),
        }
    }
}

/// The files of a snapshot.
#[derive(Debug)]
pub struct Snapshot {
    /// State of processor and devices.
    pub state: PathBuf,
    /// The guest's memory.
    pub memory: PathBuf,
}

impl Snapshot {
    /// In `directory`.
    #[must_use]
    pub fn below(directory: &Path) -> Self {
        Self {
            state: directory.join("snapshot"),
            memory: directory.join("memory"),
        }
    }

    /// Takes it of a paused guest.
    #[must_use]
    pub fn create(&self) -> Request {
        Request::put(
            "/snapshot/create",
            &json!({
                "snapshot_type": "Full",
                "snapshot_path": self.state,
                "mem_file_path": self.memory,
            }),
        )
    }

    /// Loads it and lets the guest run on.
    #[must_use]
    pub fn load(&self) -> Request {
        Request::put(
            "/snapshot/load",
            &json!({
                "snapshot_path": self.state,
                "mem_backend": { "backend_type": "File", "backend_path": self.memory },
                "resume_vm": true,
            }),
        )
    }
}

/// Stops the guest's processor.
#[must_use]
pub fn pause() -> Request {
    Request::patch("/vm", &json!({ "state": "Paused" }))
}

/// Lets it run on.
#[must_use]
pub fn resume() -> Request {
    Request::patch("/vm", &json!({ "state": "Resumed" }))
}
