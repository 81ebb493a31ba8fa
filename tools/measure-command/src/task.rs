//! What is measured: commands, each with what is run around it.

use std::ffi::OsString;
use std::sync::Arc;

use super::CommandError;
use super::options::{Options, UsageError, split};
use super::parameters::{Parameters, combinations, fill_in, unused};
use super::program::{Program, Streams, is_program};

/// A command that is measured.
#[derive(Debug)]
pub(super) struct Task {
    /// As given with parameters filled in, or the name that the user gave it.
    pub(super) name: String,
    /// [`Task::name`] and the parameters that it does not mention: no two tasks of a run look alike by chance.
    pub(super) label: String,
    /// What is started, in words.
    pub(super) words: Vec<String>,
    pub(super) parameters: Parameters,
    pub(super) program: Program,
    pub(super) setup: Option<Aside>,
    pub(super) prepare: Option<Aside>,
    pub(super) cleanup: Option<Aside>,
}

/// A command that is run around those that are measured.
#[derive(Debug)]
pub(super) struct Aside {
    /// Which option gave it.
    pub(super) option: &'static str,
    pub(super) line: String,
    pub(super) program: Program,
}

/// A command as it was given.
#[derive(Debug)]
enum Given {
    Words(Vec<OsString>),
    Line(String),
}

/// All commands, each with each combination of parameters: commands change fastest, as in hyperfine.
///
/// # Errors
/// A line that is none, or a program that cannot be started.
pub(super) fn tasks(options: &Options) -> Result<Vec<Task>, CommandError> {
    let given = given(options)?;
    let maker = Maker {
        options,
        shell: options.shell_words()?,
        streams: Arc::new(Streams::open(options)?),
        aside_streams: Arc::new(Streams::without_input(options)?),
    };
    per_command("--command-name", &options.names, given.len())?;
    if options.names.len() == 1 && given.len() > 1 {
        return Err(per_command_error("--command-name", 1, given.len()).into());
    }
    per_command("--prepare", &options.prepare, given.len())?;
    let mut tasks = Vec::new();
    for parameters in combinations(&options.parameter_lists, given.len())? {
        for (number, given) in given.iter().enumerate() {
            tasks.push(maker.task(number, given, &parameters)?);
        }
    }
    Ok(tasks)
}

fn per_command_error(option: &'static str, given: usize, commands: usize) -> UsageError {
    UsageError::PerCommand {
        option,
        given,
        commands,
    }
}

/// Whether `values` of `option` are none, one, or one for each command.
fn per_command(option: &'static str, values: &[String], commands: usize) -> Result<(), UsageError> {
    if values.len() > 1 && values.len() != commands {
        return Err(per_command_error(option, values.len(), commands));
    }
    Ok(())
}

fn given(options: &Options) -> Result<Vec<Given>, UsageError> {
    let mut given: Vec<Given> = options.lines.iter().cloned().map(Given::Line).collect();
    if are_lines(&options.command) {
        for word in &options.command {
            given.push(Given::Line(text(word)?.to_owned()));
        }
    } else if !options.command.is_empty() {
        given.push(Given::Words(options.command.clone()));
    }
    Ok(given)
}

/// Whether `words` are command lines and not one command: the first has a blank in it and is no program by itself.
fn are_lines(words: &[OsString]) -> bool {
    let first = words.first();
    first.is_some_and(|first| {
        first.to_string_lossy().contains(char::is_whitespace) && !is_program(first)
    })
}

fn text(word: &OsString) -> Result<&str, UsageError> {
    word.to_str()
        .ok_or_else(|| UsageError::NoText(word.to_string_lossy().into_owned()))
}

/// Words as a shell would read them.
fn quoted<'a>(words: impl IntoIterator<Item = &'a str> + Clone) -> String {
    // Only a NUL byte cannot be quoted, and no program can be given one.
    shlex::try_join(words.clone())
        .unwrap_or_else(|_| words.into_iter().collect::<Vec<_>>().join(" "))
}

struct Maker<'a> {
    options: &'a Options,
    shell: Option<Vec<String>>,
    streams: Arc<Streams>,
    aside_streams: Arc<Streams>,
}

impl Maker<'_> {
    fn task(
        &self,
        number: usize,
        given: &Given,
        parameters: &Parameters,
    ) -> Result<Task, CommandError> {
        let options = self.options;
        let (pattern, words) = self.words(given, parameters)?;
        let shown = options.names.get(number).unwrap_or(&pattern);
        let name = fill_in(shown, parameters);
        let left: Vec<String> = unused(shown, parameters)
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        let label = match left.is_empty() {
            true => name.clone(),
            false => format!("{name} ({})", left.join(", ")),
        };
        let prepare = options.prepare.get(number).or(options.prepare.first());
        let aside = |option, line: Option<&String>| {
            line.map(|line| self.aside(option, &fill_in(line, parameters)))
                .transpose()
        };
        Ok(Task {
            name,
            label,
            program: Program::find(&words, Arc::clone(&self.streams))?,
            words: words
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            parameters: parameters.clone(),
            setup: aside("--setup", options.setup.as_ref())?,
            prepare: aside("--prepare", prepare)?,
            cleanup: aside("--cleanup", options.cleanup.as_ref())?,
        })
    }

    /// The command as it is shown, before parameters are filled in, and the words that are started.
    fn words(
        &self,
        given: &Given,
        parameters: &Parameters,
    ) -> Result<(String, Vec<OsString>), UsageError> {
        match given {
            Given::Line(line) => {
                let words = self.line("--command", &fill_in(line, parameters))?;
                Ok((line.clone(), words))
            }
            Given::Words(words) => {
                let shown: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                let shown = match &shown[..] {
                    [one] => one.clone().into_owned(),
                    many => quoted(many.iter().map(|word| &**word)),
                };
                if self.shell.is_some() {
                    for word in words {
                        text(word)?;
                    }
                    let words = self.line("--shell", &fill_in(&shown, parameters))?;
                    return Ok((shown, words));
                }
                let filled = words.iter().map(|word| match word.to_str() {
                    Some(word) => fill_in(word, parameters).into(),
                    None => word.clone(),
                });
                Ok((shown, filled.collect()))
            }
        }
    }

    /// The words that are started for `line`: the shell's, or its own.
    fn line(&self, option: &'static str, line: &str) -> Result<Vec<OsString>, UsageError> {
        let words = match &self.shell {
            Some(shell) => [shell.as_slice(), &["-c".to_owned(), line.to_owned()]].concat(),
            None => {
                let words = split(option, line)?;
                warn_of_operators(line, &words);
                words
            }
        };
        Ok(words.into_iter().map(OsString::from).collect())
    }

    fn aside(&self, option: &'static str, line: &str) -> Result<Aside, CommandError> {
        let words = self.line(option, line)?;
        Ok(Aside {
            option,
            line: line.to_owned(),
            program: Program::find(&words, Arc::clone(&self.aside_streams))?,
        })
    }
}

/// Says so where a line was meant for a shell.
fn warn_of_operators(line: &str, words: &[String]) {
    const OPERATORS: [&str; 9] = ["|", "||", "&&", "&", ";", ">", ">>", "<", "2>"];
    if let Some(operator) = words.iter().find(|word| OPERATORS.contains(&word.as_str())) {
        eprintln!(
            "warning: `{line}`: no shell reads this, `{operator}` is an argument like any other; --shell sh has one read it"
        );
    }
}
