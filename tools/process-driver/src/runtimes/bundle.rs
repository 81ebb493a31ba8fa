//! What runtimes run a function from: a root directory, and OCI bundles on it.
//!
//! The bundle's `config.json` stands in for what `runc spec` writes: entries for crun, runsc or youki need one
//! where no runc is installed, and each version of runc writes another, while every rung is to start from the
//! same. It is the default of runc 1.1 but for what a function without a terminal does not need; a test holds
//! the two against each other, line by line.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use measure_core::base::ids::FunctionId;
use measure_core::base::trust::Trusted;
use serde_json::{Value, json};

/// Directories that runtimes mount something on, or that they insist on.
const DIRS: [&str; 8] = ["dev", "etc", "proc", "root", "run", "sys", "tmp", "usr"];
/// Kept of root's capabilities, as by `runc spec`.
const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// Path of a function's executable within a root directory; the same as in the docker image.
pub(super) fn path_in_root(function: &FunctionId) -> String {
    format!("/function/{function}")
}

/// Makes the root directory `root`, with a copy of the executable `native` in it if there is one.
pub(super) fn make_root(
    root: &Path,
    function: &FunctionId,
    native: Option<&Trusted>,
) -> io::Result<()> {
    for dir in DIRS {
        fs::create_dir_all(root.join(dir))?;
    }
    let Some(native) = native else { return Ok(()) };
    let path = root.join(path_in_root(function).trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    io::copy(&mut native.file(), &mut File::create(&path)?)?;
    // Root of a user namespace is anyone outside.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
}

/// What a bundle runs.
#[derive(Debug)]
pub(super) struct BundleProcess<'a> {
    /// The program in the root directory, and its arguments.
    pub(super) words: Vec<&'a str>,
    pub(super) environment: &'a [(String, String)],
    /// A directory of the host that it may write to, and where it finds it.
    pub(super) output: Option<(&'a Path, &'a str)>,
}

/// Makes an OCI bundle at `bundle` that runs `process` of `root`, its cgroup at `cgroup`.
pub(super) fn make_bundle(
    bundle: &Path,
    root: &Path,
    process: &BundleProcess<'_>,
    cgroup: Option<&str>,
) -> io::Result<()> {
    fs::create_dir_all(bundle)?;
    let mut config = config(root, &process.words, cgroup);
    let variables = process.environment.iter();
    let variables = variables.map(|(name, value)| Value::from(format!("{name}={value}")));
    if let Some(all) = config["process"]["env"].as_array_mut() {
        all.extend(variables);
    }
    if let (Some((host, at)), Some(all)) = (process.output, config["mounts"].as_array_mut()) {
        all.push(json!({ "destination": at, "type": "bind", "source": host, "options": ["rbind", "rw", "nosuid", "nodev"] }));
    }
    let config = serde_json::to_vec_pretty(&config)?;
    fs::write(bundle.join("config.json"), config)
}

/// The paths of `workers` bundles below `dir`.
pub(super) fn bundles(dir: &Path, workers: usize) -> Vec<PathBuf> {
    (0..workers)
        .map(|i| dir.join(format!("bundle-{i}")))
        .collect()
}

fn config(root: &Path, words: &[&str], cgroup: Option<&str>) -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": words,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use driver_testkit::skipped;

    use super::*;

    /// What the configuration says, a line per value; members of lists go by what they are, not by their place.
    fn lines(at: &str, value: &Value) -> BTreeSet<String> {
        let named = |item: &Value| {
            let name = ["destination", "type"].map(|key| item[key].as_str());
            name.into_iter().flatten().next().map(str::to_owned)
        };
        match value {
            Value::Object(fields) => fields
                .iter()
                .flat_map(|(key, value)| lines(&format!("{at}.{key}"), value))
                .collect(),
            Value::Array(items) => items
                .iter()
                .flat_map(|item| match named(item) {
                    Some(name) => lines(&format!("{at}[{name}]"), item),
                    None => lines(&format!("{at}[]"), item),
                })
                .collect(),
            plain => BTreeSet::from([format!("{at} = {plain}")]),
        }
    }

    #[test]
    fn the_configuration_is_that_of_runc_spec_but_for_what_is_stated() {
        const WHAT: &str = "config.json against runc spec";
        let Ok(version) = Command::new("runc").arg("--version").output() else {
            return skipped(WHAT, "no runc; apt-get install runc");
        };
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        if !version.starts_with("runc version 1.1.") {
            return skipped(
                WHAT,
                format!("another default than that of runc 1.1: {version}"),
            );
        }
        let directory = tempfile::tempdir().expect("a directory");
        let spec = Command::new("runc")
            .args(["spec", "--bundle"])
            .arg(directory.path())
            .status();
        assert!(spec.is_ok_and(|status| status.success()), "runc spec fails");
        let theirs = fs::read(directory.path().join("config.json")).expect("written");
        let theirs = lines("", &serde_json::from_slice(&theirs).expect("JSON"));
        let ours = lines(
            "",
            &config(Path::new("/root"), &["/function/demo/noop"], None),
        );
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
            // The version of the specification is the runtime's own.
            let differ = one.difference(other);
            differ
                .filter(|line| !line.starts_with(".ociVersion"))
                .cloned()
                .collect()
        };
        assert_eq!(
            only(&ours, &theirs),
            [
                r#".hostname = "function""#,
                // runc calls it `shm`, which is only what /proc/mounts shows.
                r#".mounts[/dev/shm].source = "tmpfs""#,
                r#".process.args[] = "/function/demo/noop""#,
                ".process.terminal = false",
                r#".root.path = "/root""#,
            ]
        );
        let cgroup = |option| format!(r#".mounts[/sys/fs/cgroup].options[] = "{option}""#);
        let mut theirs_only = vec![
            r#".hostname = "runc""#.to_owned(),
            r#".mounts[/dev/shm].source = "shm""#.to_owned(),
            // No function looks at its cgroup.
            r#".mounts[/sys/fs/cgroup].destination = "/sys/fs/cgroup""#.to_owned(),
        ];
        theirs_only.extend(["nodev", "noexec", "nosuid", "relatime", "ro"].map(cgroup));
        theirs_only.extend([
            r#".mounts[/sys/fs/cgroup].source = "cgroup""#.to_owned(),
            r#".mounts[/sys/fs/cgroup].type = "cgroup""#.to_owned(),
            r#".process.args[] = "sh""#.to_owned(),
        ]);
        // None can be ambient that is not inheritable (capabilities(7)), and none is.
        let ambient = |name| format!(r#".process.capabilities.ambient[] = "{name}""#);
        theirs_only.extend(CAPABILITIES.map(ambient));
        theirs_only.extend([
            r#".process.env[] = "TERM=xterm""#.to_owned(),
            ".process.terminal = true".to_owned(),
            r#".root.path = "rootfs""#.to_owned(),
        ]);
        assert_eq!(only(&theirs, &ours), theirs_only);
    }
}
