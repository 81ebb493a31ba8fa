//! Things of others that nobody may touch, some with names much like ours.

use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command};

use measure_core::base::{home, label};
use measure_core::driver_kit::cgroup::MountedHierarchy;

use crate::census::Census;
use crate::error::{SoakError, Step};

/// They are there as long as this is.
#[derive(Debug)]
pub struct Planted {
    things: Vec<String>,
    /// The one that was planted, then those that were left.
    left: Vec<Child>,
    sockets: Vec<UnixListener>,
}

impl Planted {
    /// Plants a process, cgroups, a link, a network namespace with its mount, a socket and files.
    pub fn plant() -> Result<Self, SoakError> {
        let process = Command::new("sleep")
            .arg("1000000")
            .spawn()
            .step("start `sleep`")?;
        let pid = process.id().cast_signed();
        let mut things = vec![format!(
            "process {pid} (of {}) sleep 1000000",
            std::process::id()
        )];
        // Of nobody, of a program with a longer name, and of a process that lives.
        let names = [
            "planted".to_owned(),
            "faasm-benchmark.42.x".to_owned(),
            label::name(pid, "planted"),
        ];
        for hierarchy in MountedHierarchy::all()? {
            for name in &names {
                let dir = hierarchy.point.join(name);
                fs::create_dir(&dir).step(format!("make {}", dir.display()))?;
                things.push(format!("cgroup {}", dir.display()));
            }
        }
        for (arguments, found) in [
            (
                "link add planted type veth peer name planted-peer",
                &["link planted:"][..],
            ),
            (
                "netns add planted",
                &["mount /run/netns/planted", "file /run/netns/planted"],
            ),
        ] {
            ip(arguments).step(format!("run `ip {arguments}`"))?;
            things.extend(found.iter().map(|&thing| thing.to_owned()));
        }
        let path = "/run/planted.socket";
        let socket = UnixListener::bind(path).step(format!("make {path}"))?;
        things.extend([format!("socket {path}"), format!("file {path}")]);
        for place in [
            "/tmp".into(),
            home::state(),
            home::runtime(),
            home::state().join("runtimes"),
        ] {
            fs::create_dir_all(&place).step(format!("make {}", place.display()))?;
            for name in &names {
                let path = place.join(name);
                fs::write(&path, "theirs").step(format!("write {}", path.display()))?;
                things.push(format!("file {}", path.display()));
            }
        }
        Ok(Self {
            things,
            left: vec![process],
            sockets: vec![socket],
        })
    }

    /// Does what a campaign is to find: leaves one thing of each kind and takes a cgroup. Twice it cannot be done.
    pub fn leave_and_take(&mut self) -> Result<(), SoakError> {
        ip("link add left type veth peer name left-peer").step("make a link")?;
        ip("netns add left").step("make a network namespace")?;
        let inside = "netns exec left sleep 1000000";
        let process = Command::new("ip").args(inside.split(' ')).spawn();
        self.left.push(process.step("start a process")?);
        let socket = UnixListener::bind("/run/left.socket").step("make a socket")?;
        self.sockets.push(socket);
        for hierarchy in MountedHierarchy::all()? {
            fs::create_dir(hierarchy.point.join("left")).step("make a cgroup")?;
            fs::remove_dir(hierarchy.point.join("planted")).step("remove a cgroup")?;
        }
        Ok(())
    }

    /// What is not in `census` though it was planted.
    pub fn missing(&self, census: &Census) -> Vec<&str> {
        let things = self.things.iter().map(String::as_str);
        things.filter(|thing| !census.has(thing)).collect()
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        // The rest goes with the room.
        for process in &mut self.left {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn ip(arguments: &str) -> io::Result<()> {
    let status = Command::new("ip").args(arguments.split(' ')).status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("it ended with {status}")))
}
