//! `serve`: the upload server, `PUT` and `GET /f/<user>/<function>`.
//!
//! Design constraints:
//! * nothing reaches the store but a whole, valid, compiled module;
//! * whoever can put code here can have it run: only this host by default, else whoever knows the token; with tokens of users,
//!   each their own functions alone, so that nobody's module gets the directories that were granted to another's;
//! * no client can hold a connection, a place, memory or the compiler for longer than it makes progress, nor all of them at once;
//! * modules are compiled elsewhere, in a process with limits that dies with the request.

mod access;
mod admission;
mod body;
mod connection;
mod download;
mod functions;
mod listen;
mod log;
mod peer;
mod refusal;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use faaslet::store::{MAX_MODULE_BYTES, Quota};
use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::range::in_range;
use measure_core::driver_kit::DriverError;
use structopt::StructOpt;

use crate::answers::driver_error;
use crate::settings::Settings;
use crate::token::Token;
use access::Access;
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
    /// File with a line `<user> <token>` for each user: the token is for that user's functions alone. None but its owner may read it
    #[structopt(
        long,
        parse(from_os_str),
        value_name = "FILE",
        conflicts_with = "token-file"
    )]
    users_file: Option<PathBuf>,
    /// The most functions that a user may have
    #[structopt(long, default_value = "1000", value_name = "COUNT")]
    user_functions: u64,
    /// The most MiB that modules and code of a user may have together
    #[structopt(long, default_value = "4096", value_name = "MIB")]
    user_mib: u64,
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
        in_range("--user-functions", self.user_functions, 1..=1_000_000)?;
        in_range("--user-mib", self.user_mib, 1..=1 << 30).map_err(|e| e.in_unit("MiB"))?;
        Ok(Limits {
            quota: Quota {
                bytes: self.user_mib << 20,
                functions: self.user_functions,
            },
            max_bytes: usize::try_from(self.max_bytes).unwrap_or(usize::MAX),
            timeout: Duration::from_secs_f64(self.timeout),
        })
    }

    /// Who may do what, and where.
    fn access(&self) -> Result<(Access, SocketAddr), DriverError> {
        if let Some(file) = &self.users_file {
            let address = listen::address(&self.listen, true)?;
            return Ok((Access::of_users(file)?, address));
        }
        let token = Token::find(self.token_file.as_deref())?;
        let address = listen::address(&self.listen, token.is_some())?;
        let local = address.ip().is_loopback();
        Ok((token.map_or(Access::Open { local }, Access::One), address))
    }
}

/// Serves until a signal comes.
pub(crate) fn run(settings: &Settings, options: &ServeOptions) -> Result<Exit, DriverError> {
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))?;
    let limits = options.limits()?;
    let timeout = limits.timeout;
    let (access, address) = options.access()?;
    let engine = settings.open_engine().map_err(driver_error)?;
    // One thread is enough for sockets; modules are compiled on threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| DriverError::failed("cannot start the server", e))?;
    let exit = runtime.block_on(async {
        let listener = listen::bind(address).await?;
        let app = functions::App::new(settings.clone(), engine, access, limits);
        listen::serve(listener, app.router(), timeout).await
    });
    // Compilers have been told to end with their requests.
    runtime.shutdown_timeout(listen::LAST_GRACE);
    exit
}
