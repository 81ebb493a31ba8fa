//! Which runs were made on the same machine.

use measure_core::contract::environment::{Environment, Fact};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What tells machines apart. Kernel, settings and versions are not among them: by them one machine changes.
const OF_THE_MACHINE: [&str; 9] = [
    "host",
    "cpu_vendor",
    "cpu_model",
    "cpu_family",
    "cpu_model_number",
    "cpu_stepping",
    "cpus_online",
    "memory_total_bytes",
    "hypervisor",
];
/// Enough to tell apart as many machines as one page can show.
const FINGERPRINT_BYTES: usize = 4;

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Machine {
    /// The same for runs of one machine.
    pub fingerprint: String,
    /// What it is called; empty if that is not known.
    pub host: String,
    /// What it is.
    pub words: String,
}

impl Machine {
    /// The one of `environment`; runs that say nothing of theirs are all of one that is not known.
    #[must_use]
    pub fn from_environment(environment: Option<&Environment>) -> Self {
        let Some(environment) = environment else {
            return Self {
                fingerprint: "unknown".to_owned(),
                host: String::new(),
                words: "no environment.json: nothing is known of the machine".to_owned(),
            };
        };
        let fact = |name: &str| match environment.fact(name) {
            Some(Fact::Value(value)) => Some(value.to_string()),
            Some(Fact::Unknown(_)) | None => None,
        };
        let mut hash = Sha256::new();
        for name in OF_THE_MACHINE {
            hash.update(format!("{name}={}\n", fact(name).unwrap_or_default()));
        }
        let text = |name: &str| environment.fact(name)?.text();
        let host = text("host").unwrap_or_default();
        let cpu = crate::summary_file::cpu(environment).unwrap_or_default();
        let cpus = text("cpus_online").unwrap_or_default();
        Self {
            fingerprint: hex::encode(&hash.finalize()[..FINGERPRINT_BYTES]),
            host: host.to_owned(),
            words: format!("{cpu}, processors {cpus}"),
        }
    }

    /// Its name, and what tells it from others of that name.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} {}", self.host, self.fingerprint)
            .trim_start()
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(model: &str, kernel: &str) -> Environment {
        serde_json::from_value(json!({
            "schema": 1,
            "cpu": { "cpu_model": { "value": model } },
            "system": { "kernel": { "value": kernel } },
            "run": { "host": { "value": "h" } },
            "engines": {},
            "before": { "unix_seconds": 1, "average": { "unknown": "?" }, "cpu": null, "swapped_pages": null, "watched": null },
            "after": null,
        }))
        .expect("an environment")
    }

    #[test]
    fn another_processor_is_another_machine_and_another_kernel_is_not() {
        let of = |model, kernel| Machine::from_environment(Some(&environment(model, kernel)));
        assert_eq!(of("A", "1"), of("A", "2"));
        assert_ne!(of("A", "1").fingerprint, of("B", "1").fingerprint);
        assert!(of("A", "1").words.starts_with("A,"));
        assert!(of("A", "1").label().starts_with("h "));
        assert_eq!(Machine::from_environment(None).label(), "unknown");
    }
}
