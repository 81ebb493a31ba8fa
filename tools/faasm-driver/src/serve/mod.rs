//! `serve`: the upload server, `PUT` and `GET /f/<user>/<function>`.
//!
//! Design constraints:
//! * nothing reaches the store but a whole, valid, compiled module;
//! * whoever can put code here can have it run: only this host by default, else whoever knows the token;
//! * no client can hold a connection, a body's memory or the compiler for longer than it makes progress.

mod body;
mod connection;
mod functions;
mod listen;
mod log;

use std::path::PathBuf;
use std::time::Duration;

use faaslet::FaasletEngine;
use faaslet::store::MAX_MODULE_BYTES;
use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::range::in_range;
use measure_core::driver_kit::DriverError;
use structopt::StructOpt;

use crate::answers::driver_error;
use crate::settings::Settings;
use crate::token::Token;
use functions::Limits;

/// Options of `serve`.
#[derive(Debug, StructOpt)]
pub(crate) struct ServeOptions {
    /// Address and port (0: any free one; it is printed). Other than a loopback address needs a token
    #[structopt(long, default_value = "127.0.0.1:8080", value_name = "IP:PORT")]
    listen: String,
    /// File with the token that clients must send as `Authorization: Bearer <token>` [default:
    /// $FAASM_BENCH_TOKEN]
    #[structopt(long, parse(from_os_str), value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The largest module that is accepted, in bytes (1 to 134217728)
    #[structopt(long, default_value = "134217728")]
    max_bytes: u64,
    /// Seconds after which a client that stalls is sent away
    #[structopt(long, default_value = "30", value_name = "SECONDS")]
    timeout: f64,
}

impl ServeOptions {
    fn limits(&self) -> Result<Limits, DriverError> {
        in_range("--max-bytes", self.max_bytes, 1..=MAX_MODULE_BYTES)?;
        in_range("--timeout", self.timeout, 0.1..=3600.0).map_err(|e| e.in_unit("seconds"))?;
        Ok(Limits {
            max_bytes: usize::try_from(self.max_bytes).unwrap_or(usize::MAX),
            timeout: Duration::from_secs_f64(self.timeout),
        })
    }
}

/// Serves until a signal comes.
pub(crate) fn run(settings: &Settings, options: &ServeOptions) -> Result<Exit, DriverError> {
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))?;
    let limits = options.limits()?;
    let token = Token::find(options.token_file.as_deref())?;
    let address = listen::address(&options.listen, token.is_some())?;
    let engine = FaasletEngine::new(settings.engine.clone()).map_err(driver_error)?;
    // One thread is enough for sockets; modules are compiled on threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| DriverError::failed("cannot start the server", e))?;
    let exit = runtime.block_on(async {
        let listener = listen::bind(address).await?;
        let app = functions::App::new(
            settings.store.clone(),
            engine,
            token,
            &limits,
            address.ip().is_loopback(),
        );
        listen::serve(listener, app.router(), limits.timeout).await
    });
    // A module being compiled may be finished; one that takes longer is not installed.
    runtime.shutdown_timeout(listen::GRACE);
    exit
}
