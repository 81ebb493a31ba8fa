//! A docker engine of somebody else's.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use measure_core::contract::protocol::{Message, parse_line};

/// A docker engine that a driver of its own holds, as somebody else's would be; it ends with this.
#[derive(Debug)]
pub struct EngineElsewhere {
    driver: Child,
    /// Kept, as a driver that nobody listens to ends.
    _said: BufReader<ChildStdout>,
    /// Where it answers.
    pub url: String,
}

impl EngineElsewhere {
    /// By the executable `docker_driver`, with the network that its `rung` has.
    #[must_use]
    pub fn start(docker_driver: &Path, rung: &str) -> Self {
        let mut driver = Command::new(docker_driver)
            .args(["hold", "1", "--gated", "--rung", rung])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the driver starts");
        let mut said = BufReader::new(driver.stdout.take().expect("a pipe"));
        let url = said.by_ref().lines().find_map(|line| {
            let Message::Scope { scope, .. } = parse_line(&line.ok()?).ok()? else {
                return None;
            };
            let mut words = scope.includes.split_whitespace();
            let url = words.find(|word| word.starts_with("unix://"))?;
            Some(url.trim_end_matches(':').to_owned())
        });
        let url = url.expect("a scope that names the engine");
        Self {
            driver,
            _said: said,
            url,
        }
    }
}

impl Drop for EngineElsewhere {
    fn drop(&mut self) {
        drop(self.driver.stdin.take());
        let _ = self.driver.wait();
    }
}
