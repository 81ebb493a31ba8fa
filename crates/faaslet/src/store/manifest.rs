//! What a function is given at each start, as the file `grants.json` beside its module says.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

use measure_core::base::ids::FunctionId;
use serde::{Deserialize, Serialize};

use super::Store;
use super::dir::Dir;
use crate::error::FaasletError;
use crate::files;
use crate::grants::{DirGrant, Grants};

/// The file's name.
const FILE: &str = "grants.json";
/// No sensible one is larger.
const MAX_BYTES: u64 = 1 << 20;

/// What a function is given. Without a file it is its id as the only argument.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifest {
    /// Its arguments, the program's name first; its id if there are none.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Its directories, which it sees in this order.
    pub dirs: Vec<ManifestDir>,
}

/// A directory that a function is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestDir {
    /// Where it lies; if relative, below the function's directory in the store.
    pub host: PathBuf,
    /// What the function calls it.
    pub guest: String,
    /// Whether it may change anything below it.
    #[serde(default)]
    pub writable: bool,
}

impl Store {
    /// What `id` is given at each start.
    ///
    /// # Errors
    /// No such function, a file that is no manifest or that others can write to, a directory that is not
    /// there.
    pub fn grants(&self, id: &FunctionId) -> Result<Grants, FaasletError> {
        let dir = self.dir(id)?;
        let manifest = read(&dir)?;
        let args = if manifest.args.is_empty() {
            vec![id.to_string()]
        } else {
            manifest.args
        };
        let dirs = manifest.dirs.into_iter().map(|granted| {
            let path = dir.path().join(&granted.host);
            let host = files::path_without_links(&path).map_err(|e| {
                let why = format!("{e}, and {id} is to be given it");
                FaasletError::io(&path, io::Error::new(e.kind(), why))
            })?;
            if granted.writable {
                dir.require_apart(&host, id)?;
            }
            Ok(DirGrant {
                host,
                guest: granted.guest,
                writable: granted.writable,
            })
        });
        Ok(Grants {
            args,
            env: manifest.env.into_iter().collect(),
            dirs: dirs.collect::<Result<_, FaasletError>>()?,
            ..Grants::default()
        })
    }

    /// Has `id`, which need not be uploaded yet, given what `manifest` says from now on.
    ///
    /// # Errors
    /// An argument that C cannot hold, or the store is not to be trusted or not writable.
    pub fn set_grants(&self, id: &FunctionId, manifest: &Manifest) -> Result<(), FaasletError> {
        let guests = manifest.dirs.iter().map(|dir| &dir.guest);
        let env = manifest.env.iter().flat_map(|(name, value)| [name, value]);
        if manifest
            .args
            .iter()
            .chain(env)
            .chain(guests)
            .any(|text| text.contains('\0'))
        {
            return Err(FaasletError::refused(FILE, "a text with a zero byte"));
        }
        if let Some(name) = manifest
            .env
            .keys()
            .find(|name| name.is_empty() || name.contains('='))
        {
            return Err(FaasletError::refused(
                FILE,
                format!("`{name}` is no variable's name"),
            ));
        }
        let dir = Dir::create(&self.root, id)?;
        dir.require_trust()?;
        let text = serde_json::to_vec_pretty(manifest).map_err(|e| FaasletError::io(FILE, e))?;
        dir.install(FILE, &text)
    }
}

fn read(dir: &Dir) -> Result<Manifest, FaasletError> {
    let Some((file, path)) = dir.open_trusted(FILE)? else {
        return Ok(Manifest::default());
    };
    let mut text = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut text)
        .map_err(|e| FaasletError::io(&path, e))?;
    serde_json::from_slice(&text).map_err(|e| FaasletError::io(&path, e))
}
