//! The options that every tool has.

use std::ffi::OsString;
use std::io;

use structopt::clap::{App, Arg, ArgMatches, Shell};

use super::codes::Exit;
use crate::base::ids;
use crate::base::verbosity::Verbosity;

const QUIET: &str = "quiet";
const VERBOSE: &str = "verbose";
const COMPLETIONS: &str = "completions";

/// `app` with them. A tool that has a `--quiet` of its own keeps that.
pub(super) fn add<'a>(app: App<'a, 'a>) -> App<'a, 'a> {
    let mut help = Vec::new();
    // Into memory: it cannot fail.
    let _ = app.clone().write_help(&mut help);
    let has_quiet = String::from_utf8_lossy(&help).contains("--quiet");
    let flag = |name, help| Arg::with_name(name).long(name).help(help).global(true);
    let app = app
        .arg(
            flag(VERBOSE, "Logs what is started, chosen and written, on standard error")
                .conflicts_with(QUIET),
        )
        .arg(
            Arg::with_name(COMPLETIONS)
                .long(COMPLETIONS)
                .value_name("SHELL")
                .help("Prints what SHELL (bash, zsh, fish) needs to complete this tool's command lines, and does nothing else"),
        );
    if has_quiet {
        return app;
    }
    app.arg(flag(QUIET, "Says nothing but results, warnings and errors"))
}

/// The value of `--completions`, where a command line begins with it: what else a tool wants need not be there.
pub(super) fn shell_asked_for(mut arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let first = arguments.nth(1)?;
    let first = first
        .to_str()?
        .strip_prefix("--")?
        .strip_prefix(COMPLETIONS)?;
    match first.strip_prefix('=') {
        Some(shell) => Some(shell.to_owned()),
        None if first.is_empty() => {
            let shell = arguments.next().unwrap_or_default();
            Some(shell.to_string_lossy().into_owned())
        }
        None => None,
    }
}

/// Prints what `shell` needs.
pub(super) fn complete(app: &mut App<'_, '_>, shell: &str) -> Exit {
    let known = [Shell::Bash, Shell::Zsh, Shell::Fish];
    let named = |known: &Shell| known.to_string().eq_ignore_ascii_case(shell);
    let Some(kind) = known.into_iter().find(named) else {
        let names = known.map(|shell| shell.to_string().to_ascii_lowercase());
        eprintln!("error: {}", ids::unknown("shell", shell, &names));
        return Exit::Usage;
    };
    let name = app.get_name().to_owned();
    let mut script = Vec::new();
    app.gen_completions_to(name, kind, &mut script);
    match crate::base::stdout::print(script) {
        Ok(_) => Exit::Ok,
        Err(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> Exit {
    eprintln!("error: cannot write to standard output: {error}");
    Exit::Output
}

/// What a command line says of it, before or behind a subcommand.
pub(super) fn verbosity(matches: &ArgMatches<'_>) -> Verbosity {
    let (_, below) = matches.subcommand();
    if matches.is_present(VERBOSE) {
        Verbosity::Verbose
    } else if matches.is_present(QUIET) {
        Verbosity::Quiet
    } else {
        below.map_or(Verbosity::Usual, verbosity)
    }
}

#[cfg(test)]
mod tests {
    use structopt::StructOpt;

    use super::*;

    #[derive(Debug, StructOpt)]
    #[structopt(name = "tool")]
    struct Plain {
        #[structopt(subcommand)]
        command: Command,
    }

    #[derive(Debug, StructOpt)]
    enum Command {
        /// Does it
        Go,
    }

    #[derive(Debug, StructOpt)]
    #[structopt(name = "tool")]
    struct OwnQuiet {
        /// Its own
        #[structopt(short, long)]
        quiet: bool,
    }

    fn said(arguments: &[&str]) -> Verbosity {
        let matches = add(Plain::clap()).get_matches_from_safe(arguments);
        let matches = matches.expect("a command line");
        assert!(matches!(Plain::from_clap(&matches).command, Command::Go));
        verbosity(&matches)
    }

    #[test]
    fn they_stand_before_and_behind_a_subcommand() {
        assert_eq!(said(&["tool", "go"]), Verbosity::Usual);
        for quiet in [["tool", "--quiet", "go"], ["tool", "go", "--quiet"]] {
            assert_eq!(said(&quiet), Verbosity::Quiet);
        }
        assert_eq!(said(&["tool", "go", "--verbose"]), Verbosity::Verbose);
        let both = ["tool", "--quiet", "--verbose", "go"];
        let both = add(Plain::clap()).get_matches_from_safe(both);
        both.expect_err("one or the other");
    }

    #[test]
    fn a_quiet_of_the_tools_own_stays() {
        let matches = add(OwnQuiet::clap()).get_matches_from_safe(["tool", "-q"]);
        let matches = matches.expect("a command line");
        assert!(OwnQuiet::from_clap(&matches).quiet);
        assert_eq!(verbosity(&matches), Verbosity::Quiet);
    }

    #[test]
    fn completions_are_asked_for_alone() {
        let asked = |words: &[&str]| shell_asked_for(words.iter().map(OsString::from));
        assert_eq!(
            asked(&["tool", "--completions", "zsh"]).as_deref(),
            Some("zsh")
        );
        assert_eq!(
            asked(&["tool", "--completions=bash"]).as_deref(),
            Some("bash")
        );
        assert_eq!(asked(&["tool", "--completions"]).as_deref(), Some(""));
        assert_eq!(asked(&["tool", "--completionsx"]), None);
        assert_eq!(asked(&["tool", "go", "--completions", "zsh"]), None);
        assert_eq!(asked(&["tool"]), None);
    }
}
