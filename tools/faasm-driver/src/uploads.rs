//! `upload` and `upload-all`: into the store, or through an upload server.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use faaslet::store::{Upload, read_module};
use faaslet::{FaasletEngine, Store};
use measure_core::base::exit::Exit;
use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::words::plain;
use measure_core::driver_kit::DriverError;
use structopt::StructOpt;

use crate::answers::{driver_error, say};
use crate::remote::Remote;
use crate::settings::Settings;
use crate::token::Token;

const SUFFIX: &str = ".wasm";

/// Where modules go.
#[derive(Debug, StructOpt)]
pub(crate) struct Destination {
    /// Upload through the server there (see serve) instead of into the store
    #[structopt(long, value_name = "HOST:PORT")]
    host: Option<String>,
    /// File with the server's token [default: $FAASM_BENCH_TOKEN]
    #[structopt(long, parse(from_os_str), value_name = "FILE", requires = "host")]
    token_file: Option<PathBuf>,
}

/// Options of `upload`.
#[derive(Debug, StructOpt)]
pub(crate) struct UploadOptions {
    /// Whose function it is
    #[structopt(name = "USER")]
    user: String,
    /// Its name
    #[structopt(name = "FUNCTION")]
    function: String,
    /// The module (a binary .wasm file)
    #[structopt(name = "FILE", parse(from_os_str))]
    file: PathBuf,
    #[structopt(flatten)]
    destination: Destination,
}

/// Options of `upload-all`.
#[derive(Debug, StructOpt)]
pub(crate) struct UploadAllOptions {
    /// Holds <user>/<function>.wasm [default: wasm/ below $FAASM_BENCH_HOME, or below build/ of the
    /// checkout]
    #[structopt(name = "DIR", parse(from_os_str))]
    dir: Option<PathBuf>,
    #[structopt(flatten)]
    destination: Destination,
}

/// An open [`Destination`].
enum Sink {
    Store { store: Store, engine: FaasletEngine },
    Remote(Remote),
}

impl Sink {
    fn open(settings: &Settings, destination: &Destination) -> Result<Self, DriverError> {
        if let Some(host) = &destination.host {
            let token = Token::find(destination.token_file.as_deref())?;
            return Remote::new(host, token).map(Self::Remote);
        }
        Ok(Self::Store {
            store: settings.store.clone(),
            engine: settings.open_engine().map_err(driver_error)?,
        })
    }

    /// Sees to it that `wasm` is there as `id`, compiled; says what that took.
    fn bring(&self, id: &FunctionId, wasm: &[u8]) -> Result<String, DriverError> {
        match self {
            Self::Store { store, engine } => store
                .upload_changed(engine, id, wasm)
                .map(|upload| done(upload).to_owned())
                .map_err(driver_error),
            Self::Remote(remote) if remote.has(id, wasm)? => Ok(done(Upload::Unchanged).to_owned()),
            Self::Remote(remote) => remote.put(id, wasm),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Store { store, .. } => store.root().display().to_string(),
            Self::Remote(remote) => remote.host().to_owned(),
        }
    }
}

/// What an upload did, in a word.
pub(crate) fn done(upload: Upload) -> &'static str {
    match upload {
        Upload::New => "installed",
        Upload::Replaced => "replaced",
        Upload::Unchanged => "unchanged",
    }
}

pub(crate) fn upload(settings: &Settings, options: &UploadOptions) -> Result<Exit, DriverError> {
    let id = FunctionId::new(&options.user, &options.function)
        .map_err(|e| DriverError::Usage(e.to_string()))?;
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))?;
    let wasm = read(&options.file)?;
    let sink = Sink::open(settings, &options.destination)?;
    let done = match (sink.bring(&id, &wasm), interrupt::received()) {
        (Err(_), Some(exit)) => return Ok(exit),
        (done, _) => done?,
    };
    say(&format!("{id}: {done} in {}", sink.name()))?;
    Ok(Exit::Ok)
}

pub(crate) fn upload_all(
    settings: &Settings,
    options: &UploadAllOptions,
) -> Result<Exit, DriverError> {
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))?;
    let dir = options
        .dir
        .clone()
        .unwrap_or_else(|| home::root().join("wasm"));
    let modules = modules(&dir)?;
    if modules.is_empty() {
        return Err(DriverError::Failed(format!(
            "{} holds no module: <user>/<function>{SUFFIX} is looked for, `make compile` builds them",
            dir.display()
        )));
    }
    let sink = Sink::open(settings, &options.destination)?;
    // One module that is refused does not keep the others from being uploaded.
    let mut first_error = None;
    for (user, function, file) in modules {
        if let Some(exit) = interrupt::received() {
            return Ok(exit);
        }
        let uploaded = FunctionId::new(&user, &function)
            .map_err(|e| DriverError::Usage(e.to_string()))
            .and_then(|id| sink.bring(&id, &read(&file)?));
        match uploaded {
            Ok(done) => say(&format!("{user}/{function}: {done}"))?,
            Err(error) => {
                if let Some(exit) = interrupt::received() {
                    return Ok(exit);
                }
                eprintln!("{}", plain(&format!("{}: {error}", file.display())));
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(Exit::Ok), Err)
}

/// User, function and file of each module in `dir`, in order; other files are none of ours.
fn modules(dir: &Path) -> Result<Vec<(String, String, PathBuf)>, DriverError> {
    let mut found = Vec::new();
    for (user, path) in entries(dir)? {
        if !path.is_dir() {
            continue;
        }
        for (name, file) in entries(&path)? {
            if let Some(function) = name.strip_suffix(SUFFIX) {
                found.push((user.clone(), function.to_owned(), file));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, DriverError> {
    let failed = |e| DriverError::failed(dir.display(), e);
    fs::read_dir(dir)
        .map_err(failed)?
        .map(|entry| {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, entry.path()))
        })
        .collect()
}

fn read(file: &Path) -> Result<Vec<u8>, DriverError> {
    // A pipe would block; it is refused once it is open.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file)
        .map_err(|e| DriverError::failed(file.display(), e))?;
    read_module(opened, file).map_err(driver_error)
}
