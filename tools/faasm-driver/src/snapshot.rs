//! Snapshots of functions, and what functions are given.

use std::path::PathBuf;

use faaslet::snapshot::INITIALIZERS;
use faaslet::store::{Codegen, Manifest, ManifestDir, SnapshotOptions};
use faaslet::{FaasletEngine, NetworkGrant};
use measure_core::base::exit::Exit;
use measure_core::base::ids::FunctionId;
use measure_core::driver_kit::DriverError;
use structopt::StructOpt;

use crate::answers::{driver_error, function_id, say};
use crate::settings::Settings;

// Options of `codegen` that concern snapshots. No doc comment: it would take the place of the command's own in its --help.
#[derive(Debug, StructOpt)]
pub(crate) struct SnapshotFlags {
    /// Takes snapshots, for the proto-faaslet rungs: runs each function's initialiser once and stores what it
    /// has become; without names, of every function that exports one
    #[structopt(long)]
    pub(crate) snapshot: bool,
    /// Export that initialises [default: wizer.initialize or wizer-initialize]
    #[structopt(long, name = "INITIALISER", requires = "snapshot")]
    init: Option<String>,
    /// Export that takes the place of _start afterwards [default: wizer.resume or wizer-resume]
    #[structopt(long, name = "ENTRY", requires = "snapshot")]
    entry: Option<String>,
    /// How many snapshots to keep, each of an initialisation of its own; workers are dealt them in turn
    #[structopt(long, name = "COUNT", requires = "snapshot")]
    count: Option<u32>,
    /// Takes them anew though they are up to date
    #[structopt(long, requires = "snapshot")]
    renew: bool,
}

impl SnapshotFlags {
    /// As last asked for, but for what is asked for now.
    fn options(&self, last: SnapshotOptions) -> SnapshotOptions {
        let mut options = last;
        options.count = self.count.unwrap_or(options.count);
        if self.init.is_some() || self.entry.is_some() {
            options.names.initializer.clone_from(&self.init);
            options.names.entry.clone_from(&self.entry);
        }
        options
    }
}

/// Functions that have something to snapshot, where none were named.
pub(crate) fn candidates(settings: &Settings) -> Result<Vec<FunctionId>, DriverError> {
    let mut found = Vec::new();
    for id in settings.store.list().map_err(driver_error)? {
        match settings.store.has_initializer(&id) {
            Ok(false) => {}
            // What is wrong with it is said when its snapshot is taken.
            Ok(true) | Err(_) => found.push(id),
        }
    }
    if found.is_empty() {
        eprintln!(
            "nothing to snapshot: no function in {} exports {}; name the functions, and the exports with --init and --entry",
            settings.store.root().display(),
            INITIALIZERS.join(" or "),
        );
    }
    Ok(found)
}

/// Takes the snapshots of `id`.
pub(crate) fn take(
    settings: &Settings,
    engine: &FaasletEngine,
    id: &FunctionId,
    flags: &SnapshotFlags,
) -> Result<Codegen, faaslet::FaasletError> {
    let options = flags.options(settings.store.snapshot_options(id)?);
    settings.store.snapshot(engine, id, &options, flags.renew)
}

/// Options of `grant`.
#[derive(Debug, StructOpt)]
pub(crate) struct GrantOptions {
    /// user/function; it need not be uploaded yet
    #[structopt(name = "USER/FUNCTION")]
    function: String,
    /// An argument, the program's own name first [default: the function's id alone]
    #[structopt(
        long = "arg",
        name = "ARG",
        number_of_values = 1,
        allow_hyphen_values = true
    )]
    args: Vec<String>,
    /// A variable of its environment
    #[structopt(long = "env", name = "NAME=VALUE", number_of_values = 1)]
    env: Vec<String>,
    /// A directory that it may read: where it lies (if relative, below the function's own in the store) and
    /// what the function calls it
    #[structopt(long = "dir", name = "HOST::GUEST", number_of_values = 1)]
    dirs: Vec<String>,
    /// The same, but it may write to it too
    #[structopt(long = "dir-writable", name = "WRITABLE::GUEST", number_of_values = 1)]
    writable: Vec<String>,
    /// A host and a port that it may connect to, and nothing else; host.internal is this host's own loopback
    #[structopt(long = "network", name = "HOST:PORT", number_of_values = 1)]
    network: Vec<NetworkGrant>,
}

/// Writes down what a function is given from now on.
pub(crate) fn grant(settings: &Settings, options: &GrantOptions) -> Result<Exit, DriverError> {
    let id = function_id(&options.function)?;
    let dirs = |those: &[String], writable| {
        those
            .iter()
            .map(|text| directory(text, writable))
            .collect::<Result<Vec<_>, _>>()
    };
    let mut manifest = Manifest {
        args: options.args.clone(),
        dirs: dirs(&options.dirs, false)?,
        network: options.network.clone(),
        ..Manifest::default()
    };
    manifest.dirs.extend(dirs(&options.writable, true)?);
    for text in &options.env {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            DriverError::Usage(format!("--env `{text}` is not of the form NAME=VALUE"))
        })?;
        manifest.env.insert(name.to_owned(), value.to_owned());
    }
    settings
        .store
        .set_grants(&id, &manifest)
        .map_err(driver_error)?;
    say(&format!("{id}: granted"))?;
    Ok(Exit::Ok)
}

fn directory(text: &str, writable: bool) -> Result<ManifestDir, DriverError> {
    match text.rsplit_once("::") {
        Some((host, guest)) if !host.is_empty() && !guest.is_empty() => Ok(ManifestDir {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            writable,
        }),
        _ => Err(DriverError::Usage(format!(
            "`{text}` is not of the form HOST::GUEST, for example ../../../python/lib::/lib"
        ))),
    }
}
