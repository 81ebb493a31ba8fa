//! How much of the store a user has, and may have.

use measure_core::base::ids::FunctionId;

use super::dir::Dir;
use super::{Store, WASM};
use crate::error::FaasletError;

/// What a user may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Of modules and their code, snapshots too; files that functions wrote do not count.
    pub bytes: u64,
    pub functions: u64,
}

/// What a user has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of modules and their code.
    pub bytes: u64,
    pub functions: u64,
}

impl Quota {
    /// Whether `id` may be installed with so many bytes (module and code) beside `others`, the other functions of its user.
    ///
    /// # Errors
    /// How much it would be of what.
    pub fn allows(&self, id: &FunctionId, others: Usage, bytes: u64) -> Result<(), FaasletError> {
        let no_room = |cause| {
            Err(FaasletError::NoRoom {
                what: id.to_string(),
                cause,
            })
        };
        let functions = others.functions + 1;
        if functions > self.functions {
            return no_room(format!(
                "{} would have {functions} functions and may have {}",
                id.user(),
                self.functions
            ));
        }
        let bytes = others.bytes.saturating_add(bytes);
        if bytes > self.bytes {
            return no_room(format!(
                "modules and code of {} would have {bytes} bytes and may have {}",
                id.user(),
                self.bytes
            ));
        }
        Ok(())
    }
}

impl Store {
    /// What the user of `id` has in functions other than that.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn usage_beside(&self, id: &FunctionId) -> Result<Usage, FaasletError> {
        let mut usage = Usage::default();
        if !self.root.exists() {
            return Ok(usage);
        }
        let Some(user) = Dir::root(&self.root)?.child(id.user())? else {
            return Ok(usage);
        };
        for function in user.names()? {
            if function == id.function() {
                continue;
            }
            let Ok(Some(dir)) = user.child(&function) else {
                continue;
            };
            for name in dir.names()? {
                if ![".wasm", ".cwasm", ".so"]
                    .iter()
                    .any(|own| name.ends_with(own))
                {
                    continue;
                }
                usage.functions += u64::from(name == WASM);
                // It may just have been replaced.
                if let Some(file) = dir.open(&name)?
                    && let Ok(meta) = file.metadata()
                {
                    usage.bytes += meta.len();
                }
            }
        }
        Ok(usage)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_a_user_has_is_counted_and_bounded() {
        let root = tempfile::tempdir().expect("a directory");
        let store = Store::at(root.path().join("store"));
        let id = |name: &str| FunctionId::new("ann", name).expect("an id");
        assert_eq!(
            store.usage_beside(&id("a")).expect("nothing"),
            Usage::default()
        );
        for (path, bytes) in [
            ("ann/a/function.wasm", 10),
            ("ann/a/function-1-2-3.cwasm", 100),
            ("ann/b/function.wasm", 1000),
            ("ann/b/grants.json", 7),
            ("ann/b/files/x.wasm", 7),
            ("bob/c/function.wasm", 10_000),
        ] {
            let path = store.root().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, vec![0; bytes]).expect("written");
        }
        let beside = |name: &str| store.usage_beside(&id(name)).expect("counted");
        let usage = |bytes, functions| Usage { bytes, functions };
        assert_eq!(beside("b"), usage(110, 1));
        assert_eq!(beside("new"), usage(1110, 2));
        let quota = Quota {
            bytes: 1200,
            functions: 2,
        };
        let allows = |name: &str, bytes| quota.allows(&id(name), beside(name), bytes);
        allows("a", 200).expect("room");
        let error = allows("a", 201).expect_err("too much").to_string();
        assert!(error.contains("1201 bytes and may have 1200"), "{error}");
        let error = allows("new", 1).expect_err("too many").to_string();
        assert!(error.contains("3 functions and may have 2"), "{error}");
    }
}
