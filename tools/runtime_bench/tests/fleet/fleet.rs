//! The hosts of a test, and the playbook called for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use driver_testkit::playbooks::{self, said};
use driver_testkit::skipped;
use measure_core::base::label;
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use nix::unistd::geteuid;
use serde_json::Value;
use tempfile::TempDir;

use crate::host::{Host, KERNEL_ROOT};
use crate::tree;

/// Two processes of two rungs, a few starts each: seconds, most of them docker's.
const PLAN: &str =
    "time --rungs thread,docker-none --isolated 1 --iterations 2 --repetitions 2 --workers 1";
/// Connections are told dead after 6 s instead of 15, and are not kept after the test.
const SSH: &str =
    "-o ControlMaster=auto -o ControlPersist=5s -o ServerAliveInterval=2 -o ServerAliveCountMax=3";

pub struct Fleet {
    scratch: TempDir,
    tree: PathBuf,
    archive: PathBuf,
    pub key: String,
    pub hosts: Vec<Host>,
}

impl Fleet {
    /// Why `test` cannot be made here is said.
    pub fn new(test: &str) -> Option<Self> {
        remove_orphans();
        match Self::begun() {
            Ok(fleet) => Some(fleet),
            Err(why) => {
                skipped(test, why);
                None
            }
        }
    }

    fn begun() -> Result<Self, String> {
        if std::env::var_os("FAASM_BENCH_TEST_FLEET").is_none() {
            return Err("minutes: asked for by `make test-fleet`".to_owned());
        }
        if !geteuid().is_root() {
            return Err("not root, which namespaces and overlays need".to_owned());
        }
        for (program, package) in [
            ("ansible-playbook", "ansible"),
            ("ssh-keygen", "openssh-client"),
            ("debootstrap", "debootstrap"),
            ("unshare", "util-linux"),
            ("ip", "iproute2"),
        ] {
            if Command::new(program).arg("--version").output().is_err() {
                return Err(format!("no {program}; apt-get install {package}"));
            }
        }
        let tools = Path::new(env!("CARGO_BIN_EXE_runtime_bench"));
        let tools = tools.parent().expect("a directory");
        let prefix = label::name(std::process::id().cast_signed(), "fleet");
        let scratch = tempfile::Builder::new()
            .prefix(&format!("{prefix}."))
            .tempdir();
        let scratch = scratch.map_err(|e| e.to_string())?;
        let archive = scratch.path().join("tools.tar.gz");
        let pack = playbooks::directory().join("../tools/fleet-archive");
        let packed = Command::new(pack).arg(&archive).arg(tools).output();
        let packed = packed.map_err(|e| e.to_string())?;
        if !packed.status.success() {
            return Err(said(&packed).trim().to_owned());
        }
        let tree = tree::debian()?;
        let below = statfs(&tree).map_err(|e| e.to_string())?;
        if below.filesystem_type() == OVERLAYFS_SUPER_MAGIC {
            let why = "lies on an overlay: hosts above it would be two deep, where docker's daemons write to the host (docs/docker.md)";
            return Err(format!("{} {why}", tree.display()));
        }
        let key = scratch.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status();
        assert!(made.expect("ssh-keygen").success());
        let key = fs::read_to_string(key.with_extension("pub")).expect("a key");
        let hosts = Vec::new();
        Ok(Self {
            scratch,
            tree,
            archive,
            key,
            hosts,
        })
    }

    /// A further host, not yet booted, and its line of the inventory's file.
    pub fn add(&mut self, name: &'static str) -> &mut Host {
        let number = u8::try_from(self.hosts.len()).expect("few");
        let host = Host::new(name, number, &self.tree, self.scratch.path(), &self.key);
        self.hosts.push(host);
        self.hosts.last_mut().expect("added")
    }

    pub fn host(&mut self, name: &str) -> &mut Host {
        self.hosts
            .iter_mut()
            .find(|host| host.name == name)
            .expect("a host")
    }

    pub fn results(&self) -> PathBuf {
        self.scratch.path().join("results")
    }

    /// `ansible-playbook` for these hosts, in the order in which they were added, `variables` after each's name.
    pub fn playbook(&self, variables: &[(&str, &str)], more: &[String]) -> Command {
        let mut inventory = String::from("[containers]\n");
        for host in &self.hosts {
            let own = variables.iter().filter(|(name, _)| *name == host.name);
            let own: String = own.map(|(_, words)| format!(" {words}")).collect();
            inventory += &format!("{} ansible_host={}{own}\n", host.name, host.address());
        }
        let key = self.scratch.path().join("key");
        inventory += &format!(
            "[containers:vars]\nansible_user=root\nansible_ssh_private_key_file={}\nansible_python_interpreter=/usr/bin/python3\n\
             ansible_ssh_common_args=-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null\nfleet_kind=container\n",
            key.display()
        );
        let file = self.scratch.path().join("hosts");
        fs::write(&file, inventory).expect("written");
        let mut command = playbooks::command("ansible-playbook", self.scratch.path());
        command.arg("-i").arg(file).arg("fleet.yml");
        let variables = serde_json::json!({
            "fleet_plan": PLAN,
            "fleet_results": self.results(),
            "fleet_archive": self.archive,
            "fleet_tune_root": KERNEL_ROOT,
            "fleet_ssh_args": SSH,
            "fleet_return_s": 10,
            "ansible_timeout": 3,
            "fleet_report_tool": env!("CARGO_BIN_EXE_runtime_bench"),
        });
        command.args(["-e", &variables.to_string()]);
        for variable in more {
            command.args(["-e", variable]);
        }
        command
    }

    pub fn record(&self, host: &str) -> Value {
        let file = self.results().join(host).join("fleet.json");
        let text = fs::read_to_string(file).expect("a record");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Whether all that `host` gave is as its readers take it, and what is said of it.
    pub fn validate(&self, host: &str) -> (bool, String) {
        let validate = Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
            .arg("validate")
            .arg(self.results().join(host))
            .output();
        let validate = validate.expect("it runs");
        (validate.status.success(), said(&validate))
    }

    pub fn file(&self, host: &str, name: &str) -> String {
        let file = self.results().join(host).join(name);
        fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }
}

/// What tests that were killed have left: directories alone, as hosts die with the test.
fn remove_orphans() {
    let entries = fs::read_dir(std::env::temp_dir())
        .expect("a directory")
        .flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(".fleet.") && label::is_orphan(&name) {
            fs::remove_dir_all(entry.path()).expect("removed");
        }
    }
}
