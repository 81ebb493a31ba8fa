//! The docker rungs, on an engine of its own.
//!
//! `docker-none` and its kin (see [`kinds`]) start containers through the
//! API of a private dockerd that lives in namespaces and cgroups of its own (see [`engine`]), so that
//! all of docker's work is one scope, and nothing of it outlives the driver.

pub mod answer;
pub mod api;
pub mod backend;
pub mod container;
pub mod engine;
pub mod foreign;
mod granted;
mod handler;
pub mod image;
pub mod kinds;
mod options;
pub mod park;
pub mod prepared;
pub mod probe;
pub mod resume;
pub mod rung;

use std::path::{Path, PathBuf};

use measure_core::base::exit::{Exit, after_help};
use measure_core::base::interrupt;
use measure_core::driver_kit::cli::print_lines;
use measure_core::driver_kit::{Cleaned, ContractCommand, Driver, DriverError, Rung};
use structopt::StructOpt;
use structopt::clap::AppSettings;

use crate::image::archive::Archive;
use crate::image::base_choice::BaseChoice;
use crate::kinds::KINDS;
use crate::rung::DockerRung;

pub use options::Options;

const EXAMPLES: &str = "EXAMPLES:
    docker-driver info                                    what can run here
    docker-driver time 10 --rung docker-none              ten cold starts, a JSON line each
    docker-driver time 20 --rung docker-bridge --workers 4
    docker-driver hold 50 --rung docker-none --gated      park 50 containers until standard input closes
    docker-driver build-image --base local                build faasm/noop without Alpine
    docker-driver --docker-host unix:///var/run/docker.sock time 3 --rung docker-host
";

/// Starts functions in docker containers, on a docker engine of its own
#[derive(Debug, StructOpt)]
#[structopt(name = "docker-driver", after_help = after_help(EXAMPLES))]
pub struct Args {
    #[structopt(flatten)]
    options: Options,
    #[structopt(subcommand)]
    command: Command,
}

#[derive(Debug, StructOpt)]
enum Command {
    #[structopt(flatten)]
    Contract(ContractCommand),
    /// Builds the image faasm/noop of the store's native functions, unless it is there and up to date
    BuildImage {
        /// auto (Alpine where it is to be had, else local), alpine, or local (musl + busybox)
        #[structopt(long, default_value = "auto")]
        base: BaseChoice,
        /// Build it even if it is up to date
        #[structopt(long)]
        force: bool,
    },
    /// Checks that an image can run here, and keeps it as an archive that engines of any version load
    SaveImage {
        /// An archive that `docker save` or an OCI tool wrote, the directory of an OCI layout, or what an engine calls the image (that of
        /// --docker-host, the host's, or one of ours, which pulls it)
        #[structopt(name = "IMAGE")]
        image: String,
        /// Where it is kept
        #[structopt(name = "FILE", parse(from_os_str))]
        file: PathBuf,
    },
    /// Runs as init of an engine's namespaces; for the driver's own use
    #[structopt(name = engine::init::COMMAND, setting = AppSettings::Hidden)]
    EngineInit,
}

struct DockerDriver {
    options: Options,
}

impl Driver for DockerDriver {
    fn name(&self) -> &'static str {
        "docker-driver"
    }

    fn rungs(&self) -> Vec<String> {
        KINDS.iter().map(|kind| kind.id.to_owned()).collect()
    }

    fn open(&self, id: &str) -> Result<Box<dyn Rung>, DriverError> {
        let kind = KINDS
            .into_iter()
            .find(|kind| kind.id == id)
            .ok_or_else(|| {
                DriverError::Usage(measure_core::base::ids::unknown("rung", id, &self.rungs()))
            })?;
        Ok(Box::new(DockerRung::new(kind, self.options.clone())))
    }

    fn clean(&self) -> Result<Cleaned, DriverError> {
        let mut removed = engine::slot::clean()?;
        removed.extend(foreign::groups::remove_orphans());
        if let Some(host) = &self.options.docker_host {
            let client = api::Client::connect(host, self.options.limit())
                .map_err(|e| DriverError::failed("cannot clean there", e))?;
            removed.extend(foreign::remove_ours(&client, None)?);
        }
        Ok(Cleaned { removed })
    }
}

/// Carries out a command line.
///
/// # Errors
/// See [`DriverError`].
pub fn run(args: Args) -> Result<Exit, DriverError> {
    args.options.check()?;
    match args.command {
        Command::EngineInit => Ok(engine::init::run()),
        Command::Contract(command) => {
            let driver = DockerDriver {
                options: args.options,
            };
            measure_core::driver_kit::run(&driver, &command)
        }
        Command::BuildImage { base, force } => build_image(base, force),
        Command::SaveImage { image, file } => save_image(&args.options, &image, &file),
    }
}

fn save_image(options: &Options, image: &str, file: &Path) -> Result<Exit, DriverError> {
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))?;
    let archive = Path::new(image);
    let id = if archive.exists() {
        let archive = Archive::examine(archive)?;
        archive.copy_to(file)?;
        archive.id
    } else {
        let host = options.docker_host.as_deref();
        image::named::save(image, host, options.limit(), file)?
    };
    print_lines(&id)?;
    Ok(Exit::Ok)
}

fn build_image(base: BaseChoice, force: bool) -> Result<Exit, DriverError> {
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))?;
    let built = match image::ensure(base, force) {
        Err(_) if interrupt::received().is_some() => {
            return Ok(interrupt::received().unwrap_or(Exit::Failed));
        }
        built => built?,
    };
    print_lines(&format!(
        "{}\narchive {}",
        built.in_words(),
        image::built::archive().display()
    ))?;
    Ok(Exit::Ok)
}
