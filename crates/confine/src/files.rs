//! The directories that a program of others sees.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, path_beneath_rules,
};

/// The newest rules that we know; an older kernel keeps those that it knows.
const RULES: ABI = ABI::V5;
/// What compilers and their libraries read wherever they are installed.
const SYSTEM: [&str; 7] = [
    "/bin",
    "/lib",
    "/lib64",
    "/usr",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/dev/null",
];

/// What a program may use of the file system. What is not there is passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Directories and files that it may read and execute, beside those of the system's programs and libraries.
    pub readable: Vec<PathBuf>,
    /// Directories and files that it may write to besides.
    pub writable: Vec<PathBuf>,
}

impl Files {
    /// The kernel's rules for it, to be put on a process; `None` where the kernel has no Landlock.
    pub(crate) fn rules(&self) -> Result<Option<OwnedFd>, RulesetError> {
        let reading = AccessFs::from_read(RULES);
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(RULES))?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, reading))?
            .add_rules(path_beneath_rules(&self.readable, reading))?
            .add_rules(path_beneath_rules(["/dev/null"], AccessFs::from_all(RULES)))?
            .add_rules(path_beneath_rules(
                &self.writable,
                AccessFs::from_all(RULES),
            ))?;
        Ok(rules.into())
    }
}
