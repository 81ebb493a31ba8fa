//! Exit codes, the same for every tool, and the way from an error to one of them.

mod codes;
mod common;

use std::fmt::Display;

use structopt::StructOpt;
use structopt::clap::{App, AppSettings};

use crate::base::verbosity;
use crate::base::words::plain;

pub use codes::{EXIT_CODES_HELP, Exit};

/// What ends a tool's `--help`: its `examples`, then [`EXIT_CODES_HELP`]. The parser keeps a borrowed text,
/// so it is leaked; a tool parses its command line once.
#[must_use]
pub fn after_help(examples: &str) -> &'static str {
    Box::leak(format!("{examples}\n{EXIT_CODES_HELP}").into_boxed_str())
}

/// An error that knows its exit code.
pub trait HasExit: Display {
    /// The code to end with.
    fn exit(&self) -> Exit;
}

/// Prints `error: <error>` for a failure (one whose code is [`Exit::Ok`] is none) and turns the outcome into a process exit code: the last
/// line of every `main`.
pub fn report<E: HasExit>(outcome: Result<Exit, E>) -> std::process::ExitCode {
    let exit = outcome.unwrap_or_else(|error| {
        let exit = error.exit();
        // Such as a reader of standard output that has seen enough.
        if exit != Exit::Ok {
            // It may quote a file of whomever.
            eprintln!("error: {}", plain(&error.to_string()));
        }
        exit
    });
    std::process::ExitCode::from(exit as u8)
}

/// Parses the command line, to which it adds what all tools have: `--quiet`, `--verbose` and `--completions SHELL`. Help, version
/// and completions print and end with 0, a wrong line ends with [`Exit::Usage`] (the parser's own choice would be 1).
///
/// `commit` is what the tool was built from, for `--version`: `option_env!("FAASM_BENCH_COMMIT")` in a tool's `main.rs`,
/// so that another commit builds anew nothing but the few lines there. The Makefile sets it.
pub fn parse_args<T: StructOpt>(commit: Option<&str>) -> T {
    parse_args_as(T::clap(), commit)
}

/// [`parse_args`] by `app`, which is [`StructOpt::clap`] of `T` with other settings.
pub fn parse_args_as<T: StructOpt>(app: App<'_, '_>, commit: Option<&str>) -> T {
    use structopt::clap::ErrorKind::{HelpDisplayed, VersionDisplayed};
    let version = version(commit);
    // So that a number below its range is told so, and not taken for an option.
    let app = app.global_setting(AppSettings::AllowNegativeNumbers);
    let mut app = common::add(app.version(&*version));
    if let Some(shell) = common::shell_asked_for(std::env::args_os()) {
        std::process::exit(common::complete(&mut app, &shell) as i32);
    }
    let matches = app
        .get_matches_from_safe(std::env::args_os())
        .unwrap_or_else(|error| match error.kind {
            HelpDisplayed | VersionDisplayed => error.exit(),
            _ => {
                eprintln!("{}", error.message);
                std::process::exit(Exit::Usage as i32)
            }
        });
    verbosity::set(common::verbosity(&matches));
    T::from_clap(&matches)
}

/// The version of all crates here, which they share, and the commit if it is known.
fn version(commit: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match commit {
        Some(commit) if !commit.is_empty() => format!("{version} ({commit})"),
        _ => version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use structopt::StructOpt;

    use super::version;

    #[derive(Debug, StructOpt)]
    struct Options {
        /// What to run
        #[structopt(long)]
        function: Option<String>,
    }

    #[test]
    fn a_version_names_the_commit_if_it_is_known() {
        let plain = env!("CARGO_PKG_VERSION");
        assert_eq!(version(None), plain);
        assert_eq!(version(Some("")), plain);
        let full = version(Some("180ba56, clean"));
        assert_eq!(full, format!("{plain} (180ba56, clean)"));
    }

    #[test]
    fn a_mistyped_option_is_told_the_nearest_without_colours() {
        let given = Options::from_iter_safe(["tool", "--function", "x"]).expect("known");
        assert_eq!(given.function.as_deref(), Some("x"));
        let error = Options::from_iter_safe(["tool", "--functio", "x"]).expect_err("unknown");
        assert!(
            error.message.contains("Did you mean --function?"),
            "{error}"
        );
        assert!(!error.message.contains('\x1b'), "{error}");
    }
}
