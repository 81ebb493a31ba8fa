//! The bodies of requests, with the fields that the API knows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum HugePages {
    None,
    #[serde(rename = "2M")]
    Hugetlbfs2M,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub vcpu_count: u8,
    pub mem_size_mib: u64,
    #[serde(default)]
    pub smt: bool,
    #[serde(default, skip_serializing)]
    #[expect(dead_code, reason = "accepted and without effect here")]
    pub cpu_template: Option<Value>,
    #[serde(default)]
    pub track_dirty_pages: bool,
    #[serde(default = "no_huge_pages")]
    pub huge_pages: HugePages,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            vcpu_count: 1,
            mem_size_mib: 128,
            smt: false,
            cpu_template: None,
            track_dirty_pages: false,
            huge_pages: HugePages::None,
        }
    }
}

fn no_huge_pages() -> HugePages {
    HugePages::None
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub kernel_image_path: String,
    pub initrd_path: Option<String>,
    pub boot_args: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Drive {
    pub drive_id: String,
    pub path_on_host: String,
}

#[derive(Debug, Deserialize)]
pub enum ActionType {
    FlushMetrics,
    InstanceStart,
    SendCtrlAltDel,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    pub action_type: ActionType,
}

#[derive(Debug, Deserialize)]
pub enum VmState {
    Paused,
    Resumed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub state: VmState,
}

#[derive(Debug, Deserialize)]
pub struct Create {
    pub snapshot_path: String,
    pub mem_file_path: String,
}

#[derive(Debug, Deserialize)]
pub struct Backend {
    pub backend_path: String,
}

#[derive(Debug, Deserialize)]
pub struct Load {
    pub snapshot_path: String,
    pub mem_backend: Backend,
    #[serde(default)]
    pub resume_vm: bool,
}
