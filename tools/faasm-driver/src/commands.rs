//! The commands beside the contract's.

use faaslet::netns::{self, NetnsError};
use faaslet::store::Codegen;
use faaslet::{FaasletEngine, FaasletError};
use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::cli::print_lines;

use crate::Settings;
use crate::snapshot::{self, SnapshotFlags};

/// What an error of the library means to a user.
pub(crate) fn driver_error(error: FaasletError) -> DriverError {
    match error {
        FaasletError::UnknownFunction(message) => DriverError::Usage(message),
        FaasletError::Host { why, mend } => DriverError::Unavailable { why, mend },
        other => DriverError::Failed(other.to_string()),
    }
}

fn netns_error(error: NetnsError) -> DriverError {
    match error.exit() {
        Exit::Usage => DriverError::Usage(error.to_string()),
        Exit::Busy => DriverError::Busy(error.to_string()),
        Exit::Unavailable => DriverError::Unavailable {
            why: "no network namespaces to be had".to_owned(),
            mend: error.to_string(),
        },
        _ => DriverError::Failed(error.to_string()),
    }
}

pub(crate) fn id(text: &str) -> Result<FunctionId, DriverError> {
    text.parse()
        .map_err(|e: measure_core::base::ids::FunctionIdError| DriverError::Usage(e.to_string()))
}

fn catch_signals() -> Result<(), DriverError> {
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))
}

pub(crate) fn say(line: &str) -> Result<(), DriverError> {
    print_lines(line)
}

pub(crate) fn codegen(
    settings: &Settings,
    flags: &SnapshotFlags,
    functions: &[String],
) -> Result<Exit, DriverError> {
    catch_signals()?;
    let engine = FaasletEngine::new(settings.engine.clone()).map_err(driver_error)?;
    let ids = if functions.is_empty() && flags.snapshot {
        snapshot::candidates(settings)?
    } else if functions.is_empty() {
        settings.store.list().map_err(driver_error)?
    } else {
        functions.iter().map(|f| id(f)).collect::<Result<_, _>>()?
    };
    if ids.is_empty() && !flags.snapshot {
        eprintln!(
            "nothing to compile: no function in {}",
            settings.store.root().display()
        );
    }
    // One function that is refused does not keep the others from being compiled.
    let mut first_error = None;
    for id in ids {
        if let Some(exit) = interrupt::received() {
            return Ok(exit);
        }
        let (made, done) = if flags.snapshot {
            let made = snapshot::take(settings, &engine, &id, flags);
            (made, "snapshot taken and compiled")
        } else {
            (settings.store.codegen(&engine, &id), "compiled")
        };
        match made {
            Ok(Codegen::Compiled) => say(&format!("{id}: {done}"))?,
            Ok(Codegen::Present) => say(&format!("{id}: up to date"))?,
            Err(error) => {
                eprintln!("{id}: {error}");
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(Exit::Ok), |error| Err(driver_error(error)))
}

pub(crate) fn list(settings: &Settings) -> Result<Exit, DriverError> {
    for id in settings.store.list().map_err(driver_error)? {
        say(&id.to_string())?;
    }
    Ok(Exit::Ok)
}

pub(crate) fn netns(count: usize) -> Result<Exit, DriverError> {
    catch_signals()?;
    let config = netns::Config::from_env().map_err(netns_error)?;
    let mut line = Line::default();
    let mut progress = |done: usize, of: usize| {
        line.show_seldom(|| format!("network namespace {done} of {of}"));
    };
    let ensured = netns::ensure_persistent(count, &config, &mut progress);
    line.clear();
    let ensured = ensured.map_err(netns_error)?;
    say(&format!(
        "{} network namespaces: {} kept, {} added, {} repaired",
        ensured.kept + ensured.added + ensured.repaired,
        ensured.kept,
        ensured.added,
        ensured.repaired
    ))?;
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}

pub(crate) fn netns_clean() -> Result<Exit, DriverError> {
    catch_signals()?;
    for name in netns::remove_persistent().map_err(netns_error)? {
        say(&format!("removed {name}"))?;
    }
    Ok(Exit::Ok)
}
