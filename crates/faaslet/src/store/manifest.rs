//! What a function is given at each start, as the file `grants.json` beside its module says, or, where somebody brought it with
//! a `function.toml`, that.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granted_network::{Grant, NetworkError};
use measure_core::base::ids::FunctionId;
use measure_core::contract::function::FILE as FUNCTION_FILE;
use measure_core::driver_kit::stored_function::{GivenTexts, StoredFunction};
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
    /// Hosts and ports that it may connect to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<Grant>,
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
        let stored = StoredFunction::read(dir.path())?;
        let manifest = match &stored {
            Some(stored) => from_stored(stored, id)?,
            None => read(&dir)?,
        };
        let stdin_file = match &stored {
            Some(stored) => stored.stdin()?.map(Arc::new),
            None => None,
        };
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
            stdin_file,
            network: manifest.network,
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
        if dir.open(FUNCTION_FILE)?.is_some() {
            let why = format!(
                "its {FUNCTION_FILE} says what it is given; bring it anew with `runtime_bench add {id} --replace`"
            );
            return Err(FaasletError::refused(id, why));
        }
        let text = serde_json::to_vec_pretty(manifest).map_err(|e| FaasletError::io(FILE, e))?;
        dir.install(FILE, &text)
    }
}

/// The interpreter finds its library where the native one has it.
const PYTHON_LIBRARY: (&str, &str) = ("../../../python/native/lib", "/python/lib");
/// Where it finds the script.
const SCRIPT_AT: &str = "/function";

/// What a function that was brought with a `function.toml` is given.
fn from_stored(stored: &StoredFunction, id: &FunctionId) -> Result<Manifest, FaasletError> {
    let GivenTexts { args, env } = stored.given_inside(None);
    let mut manifest = Manifest {
        args: vec![id.to_string()],
        env: env.into_iter().collect(),
        dirs: Vec::new(),
        network: stored.file.network_grants().map_err(NetworkError::from)?,
    };
    let dir = |host: PathBuf, guest: &str, writable| ManifestDir {
        host,
        guest: guest.to_owned(),
        writable,
    };
    // A handler's component has its interpreter in itself.
    let script = stored.file.python.as_ref();
    if let Some(script) = script.filter(|_| stored.file.wasm.is_none()) {
        let name = script.file_name().unwrap_or_default().to_string_lossy();
        let script_at = format!("{SCRIPT_AT}/{name}");
        manifest.args = ["python3", "-S", "-E", &script_at]
            .map(str::to_owned)
            .into();
        let (library, at) = PYTHON_LIBRARY;
        manifest.dirs.push(dir(library.into(), at, false));
        let scripts = script.parent().unwrap_or(Path::new(""));
        manifest.dirs.push(dir(scripts.into(), SCRIPT_AT, false));
    }
    manifest.args.extend(args);
    if let Some(files) = stored.files_dir() {
        manifest.dirs.push(dir(files, &stored.file.files_at, false));
    }
    if let (Some(at), Some(host)) = (&stored.file.output_at, stored.output_dir()?) {
        manifest.dirs.push(dir(host, at, true));
    }
    Ok(manifest)
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
