//! `tune`: sets what makes a host quiet for measurements, and puts back exactly what it found.
//!
//! What was found is in a file of its own before anything is changed ([`state`]), so that a `tune` that is killed anywhere,
//! or a run under it, leaves a host that `tune off` restores. Which settings there are is [`knobs`]'s. [`limits`] raises others, for
//! `capacity`, and keeps what it found in the same file.

mod apply;
mod error;
mod knobs;
pub(crate) mod limits;
mod state;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;

use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::stdout::print;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use structopt::StructOpt;
use structopt::clap::AppSettings;

use self::apply::{now, put_back, quieten};
pub use self::error::TuneError;
use self::knobs::{Host, Offer, Setting};
use self::state::{Found, StateFile};

/// How long a command may go on after Ctrl-C before it is asked again, by SIGTERM.
const GRACE_MS: u16 = 5000;

/// Options of `tune`.
#[derive(Debug, StructOpt)]
pub struct TuneOptions {
    /// Where /sys, /proc and /run are looked for, for tests
    #[structopt(long, hidden = true, default_value = "/", parse(from_os_str))]
    root: PathBuf,
    #[structopt(subcommand)]
    command: TuneCommand,
}

#[derive(Debug, StructOpt)]
enum TuneCommand {
    /// Makes the host quiet, until `off` or the next boot (needs root)
    On,
    /// Puts back exactly what `on` found, also what one that was killed had changed (needs root)
    Off,
    /// Says of each setting what it is and what it should be, and whether the host is tuned
    Status,
    /// `on`, then a command, then `off`, also after Ctrl-C (needs root)
    #[structopt(settings = &[AppSettings::TrailingVarArg], usage = "runtime_bench tune run -- CMD [ARGS]...")]
    Run {
        /// The command and its arguments, after `--`
        #[structopt(name = "CMD", required = true, parse(from_os_str))]
        command: Vec<OsString>,
    },
}

/// What was done, in lines for the user, and the exit code that it deserves.
struct Done {
    text: String,
    exit: Exit,
}

impl Done {
    fn well(text: impl Into<String>) -> Self {
        let text = text.into();
        let exit = Exit::Ok;
        Self { text, exit }
    }
}

/// Carries out `tune`.
///
/// # Errors
/// See [`TuneError`].
pub(crate) fn run(options: TuneOptions) -> Result<Exit, TuneError> {
    let host = Host::at(options.root);
    let may_change = !host.is_this() || geteuid().is_root();
    let done = match options.command {
        TuneCommand::Status => status(&host)?,
        _ if !may_change => return Err(TuneError::NotRoot),
        TuneCommand::On => on(&host)?,
        TuneCommand::Off => off(&host)?,
        TuneCommand::Run { command } => return around(&host, &command),
    };
    print(done.text).map_err(TuneError::Output)?;
    Ok(done.exit)
}

fn on(host: &Host) -> Result<Done, TuneError> {
    let state = StateFile::lock(host)?;
    let offers = host.offers();
    let mut found = Found::of_this_boot(host, state.load()?);
    // What the first `on` found stays; a second only adds what was not there then.
    for offer in &offers {
        found.add(offer.knobs());
    }
    state.save(&found)?;
    let mut done = Done::well("");
    for offer in &offers {
        let words = match offer {
            Offer::Absent(_, why) => format!("unavailable: {why}"),
            Offer::There(setting, _) => {
                let applied = quieten(host, &found.knobs_for(*setting));
                if applied.is_refused() {
                    done.exit = Exit::Unavailable;
                }
                applied.to_string()
            }
        };
        done.text += &line(offer.setting(), &words);
        if let Some(exit) = interrupt::received() {
            put_back(host, &found, state.path())?;
            state.remove()?;
            let text = "interrupted: this host is as it was found\n".to_owned();
            return Ok(Done { text, exit });
        }
    }
    done.text += &host.warnings();
    done.text += &tuned(state.path());
    Ok(done)
}

fn off(host: &Host) -> Result<Done, TuneError> {
    let state = StateFile::lock(host)?;
    let Some(found) = state.load()? else {
        return Ok(Done::well("this host is not tuned: nothing to put back\n"));
    };
    if !found.is_of_this_boot(host) {
        state.remove()?;
        let text = "this host has been booted since it was tuned: nothing to put back\n";
        return Ok(Done::well(text));
    }
    let restored = put_back(host, &found, state.path())?;
    state.remove()?;
    let lines = restored
        .iter()
        .map(|(setting, words)| line(*setting, words));
    let lines = lines.collect::<String>();
    Ok(Done::well(lines + "this host is as it was found\n"))
}

fn status(host: &Host) -> Result<Done, TuneError> {
    let mut text = String::new();
    for offer in host.offers() {
        let words = match &offer {
            Offer::Absent(_, why) => format!("unavailable: {why}"),
            Offer::There(_, knobs) => now(host, knobs),
        };
        text += &line(offer.setting(), &words);
    }
    text += &host.warnings();
    text += &if is_tuned(host)? {
        tuned(&state::path(host))
    } else {
        "not tuned: `runtime_bench tune on` sets what can be quieter\n".to_owned()
    };
    Ok(Done::well(text))
}

fn is_tuned(host: &Host) -> Result<bool, TuneError> {
    let found = state::load(&state::path(host))?;
    Ok(found.is_some_and(|found| found.is_of_this_boot(host)))
}

fn tuned(path: &Path) -> String {
    let path = path.display();
    format!("tuned: what was found is in {path}; `runtime_bench tune off` puts it back\n")
}

/// `on`, `command`, `off`. What they say goes to standard error: the command's output is its own.
fn around(host: &Host, command: &[OsString]) -> Result<Exit, TuneError> {
    let was_tuned = is_tuned(host)?;
    eprint!("{}", on(host)?.text);
    // If a signal came, `on` has put back what it had changed.
    if let Some(exit) = interrupt::received() {
        return Ok(exit);
    }
    let ended = run_to_its_end(command);
    // Whoever tuned before has to put back.
    if !was_tuned {
        eprint!("{}", off(host)?.text);
    }
    ended.map(exit_with)
}

/// The exit code of a command that ended so, where it is one of our tools', else 1.
fn exit_with(status: ExitStatus) -> Exit {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Exit::from_code(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Runs `command` in the foreground; Ctrl-C reaches it from the terminal, SIGTERM from here.
fn run_to_its_end(command: &[OsString]) -> Result<ExitStatus, TuneError> {
    let program = command.first().cloned().unwrap_or_default();
    let cannot = |source: io::Error| TuneError::Command {
        program: program.to_string_lossy().into_owned(),
        source,
    };
    // Closed by the thread that waits, so that a wait for the end can be cut short by a signal to us.
    let (ends, held) = io::pipe().map_err(cannot)?;
    let mut child = Command::new(&program)
        .args(command.get(1..).unwrap_or_default())
        .spawn()
        .map_err(cannot)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    let waiting = thread::spawn(move || {
        let status = child.wait();
        drop(held);
        status
    });
    while interrupt::received().is_none() {
        match interrupt::wait_readable(ends.as_fd(), None) {
            Ok(false) => {}
            Ok(true) | Err(_) => break,
        }
    }
    let grace = match interrupt::received() {
        Some(Exit::Interrupted) => GRACE_MS,
        _ => 0,
    };
    let mut end = [PollFd::new(ends.as_fd(), PollFlags::POLLIN)];
    if interrupt::received().is_some() && poll(&mut end, grace) == Ok(0) {
        // It may have ended since.
        let _ = kill(pid, Signal::SIGTERM);
    }
    let status = waiting.join();
    status
        .unwrap_or_else(|_| Err(io::Error::other("no thread waits for it")))
        .map_err(cannot)
}

fn line(setting: Setting, words: &str) -> String {
    format!("{:<14} {words}\n", setting.to_string())
}
