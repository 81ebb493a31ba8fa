//! The commands beside the contract's.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use faaslet::netns;
use faaslet::store::Codegen;
use granted_network::key_value::KeyValueServer;
use measure_core::base::exit::Exit;
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::base::words::plain;
use measure_core::driver_kit::DriverError;

use crate::answers::{driver_error, function_id, netns_error, say};
use crate::second_engine;
use crate::settings::Settings;
use crate::snapshot::{self, SnapshotFlags};

fn catch_signals() -> Result<(), DriverError> {
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))
}

/// The functions that were named, else all that there is something to do for.
fn chosen(
    settings: &Settings,
    flags: &SnapshotFlags,
    functions: &[String],
) -> Result<Vec<FunctionId>, DriverError> {
    if functions.is_empty() && flags.snapshot {
        return snapshot::candidates(settings);
    }
    if functions.is_empty() {
        return settings.store.list().map_err(driver_error);
    }
    functions.iter().map(|f| function_id(f)).collect()
}

pub(crate) fn codegen(
    settings: &Settings,
    flags: &SnapshotFlags,
    llvm: bool,
    functions: &[String],
) -> Result<Exit, DriverError> {
    catch_signals()?;
    let engine = settings.open_engine().map_err(driver_error)?;
    let ids = chosen(settings, flags, functions)?;
    if ids.is_empty() && !flags.snapshot {
        eprintln!(
            "nothing to compile: no function in {}",
            settings.store.root().display()
        );
    }
    let tools = match llvm {
        true => Some(settings.second_engine.tools()?),
        false => None,
    };
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
        let mut outcomes = vec![(made.map_err(driver_error), done)];
        if let (Some(tools), Ok(_)) = (tools, &outcomes[0].0) {
            let made = second_engine::codegen(&settings.store, tools, &engine, &id);
            outcomes.push((made, "compiled by way of C"));
        }
        for (made, done) in outcomes {
            match made {
                Ok(Codegen::Compiled) => say(&format!("{id}: {done}"))?,
                Ok(Codegen::Present) => say(&format!("{id}: up to date"))?,
                Err(error) => {
                    if let Some(exit) = interrupt::received() {
                        return Ok(exit);
                    }
                    eprintln!("{id}: {}", plain(&error.to_string()));
                    first_error.get_or_insert(error);
                }
            }
        }
    }
    first_error.map_or(Ok(Exit::Ok), Err)
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

/// Answers `demo/fetch` at `port` of this host's loopback until a signal comes.
pub(crate) fn key_value(port: u16) -> Result<Exit, DriverError> {
    /// A signal ends it.
    const LONG: Duration = Duration::from_secs(3600);
    catch_signals()?;
    let failed = |e| DriverError::failed(format!("cannot listen at 127.0.0.1:{port}"), e);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
    let server = KeyValueServer::start(listener).map_err(failed)?;
    say(&format!("answering at {}", server.address()))?;
    while interrupt::sleep(LONG) {}
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}
