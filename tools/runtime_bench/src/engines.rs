//! Engines of the user's own, in place of those that drivers start or find by themselves.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};
use structopt::StructOpt;

// Which. A doc comment would take the place of the commands' own in their --help.
#[derive(Debug, Clone, Default, Serialize, Deserialize, StructOpt)]
pub struct Engines {
    /// Measure this running docker engine, or podman's service (unix://PATH or tcp://HOST:PORT), instead of one of the driver's own;
    /// other containers in it are named and left alone
    #[structopt(long, name = "URL")]
    docker_host: Option<String>,
    /// Measure this firecracker executable [default: $FIRECRACKER, else the one on PATH]
    #[structopt(long, name = "FIRECRACKER", parse(from_os_str))]
    firecracker: Option<PathBuf>,
}

impl Engines {
    /// The options of driver `name` that say so.
    fn options_for(&self, name: &str) -> Vec<OsString> {
        let option = |option: &str, value: Option<OsString>| {
            value.map_or_else(Vec::new, |value| vec![option.into(), value])
        };
        match name {
            "docker-driver" => option(
                "--docker-host",
                self.docker_host.clone().map(OsString::from),
            ),
            "microvm-driver" => option(
                "--firecracker",
                self.firecracker.clone().map(OsString::from),
            ),
            _ => Vec::new(),
        }
    }
}

/// A driver's executable, with the options that each of its commands gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Driver {
    /// Where it lies.
    pub path: PathBuf,
    options: Vec<OsString>,
}

impl Driver {
    /// The driver `name`, which lies at `path`.
    #[must_use]
    pub fn new(name: &str, path: PathBuf, engines: &Engines) -> Self {
        Self {
            path,
            options: engines.options_for(name),
        }
    }

    /// A command of it, to which the subcommand is yet to be added.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.options);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_driver_gets_the_options_that_are_its_own() {
        let engines = Engines {
            docker_host: Some("unix:///x".into()),
            firecracker: Some("/opt/fc".into()),
        };
        assert_eq!(
            engines.options_for("docker-driver"),
            ["--docker-host", "unix:///x"]
        );
        assert_eq!(
            engines.options_for("microvm-driver"),
            ["--firecracker", "/opt/fc"]
        );
        assert_eq!(engines.options_for("faasm-driver"), Vec::<OsString>::new());
        let none = Engines::default();
        assert_eq!(none.options_for("docker-driver"), Vec::<OsString>::new());
    }
}
