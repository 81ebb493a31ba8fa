//! What runtimes run a function from: a root directory, and OCI bundles on it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use measure_core::base::ids::FunctionId;
use serde_json::{Value, json};

/// Directories that runtimes mount something on, or that they insist on.
const DIRS: [&str; 8] = ["dev", "etc", "proc", "root", "run", "sys", "tmp", "usr"];
/// Kept of root's capabilities, as by `runc spec`.
const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// Path of a function's executable within a root directory; the same as in the docker image.
pub(super) fn path_in_root(function: &FunctionId) -> String {
    format!("/function/{function}")
}

/// Makes the root directory `root` with the executable `native` in it.
pub(super) fn make_root(root: &Path, function: &FunctionId, native: &Path) -> io::Result<()> {
    for dir in DIRS {
        fs::create_dir_all(root.join(dir))?;
    }
    let path = root.join(path_in_root(function).trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    fs::copy(native, &path)?;
    // Root of a user namespace is anyone outside.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
}

/// Makes an OCI bundle at `bundle` that runs `program` of `root`, its cgroup at `cgroup`.
pub(super) fn make_bundle(
    bundle: &Path,
    root: &Path,
    program: &str,
    cgroup: Option<&str>,
) -> io::Result<()> {
    fs::create_dir_all(bundle)?;
    let config = serde_json::to_vec_pretty(&config(root, program, cgroup))?;
    fs::write(bundle.join("config.json"), config)
}

/// The paths of `workers` bundles below `dir`.
pub(super) fn bundles(dir: &Path, workers: usize) -> Vec<PathBuf> {
    (0..workers)
        .map(|i| dir.join(format!("bundle-{i}")))
        .collect()
}

fn config(root: &Path, program: &str, cgroup: Option<&str>) -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": [program],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES
            },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true
        },
        "root": { "path": root, "readonly": true },
        "hostname": "function",
        "mounts": mounts(),
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": namespaces,
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
            ]
        }
    });
    if let Some(cgroup) = cgroup {
        config["linux"]["cgroupsPath"] = json!(cgroup);
    }
    config
}

fn mounts() -> Value {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": kind, "options": options });
    json!([
        mount("/proc", "proc", &[]),
        mount(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"]
        ),
        mount(
            "/dev/pts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5"
            ]
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
        ),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ])
}
