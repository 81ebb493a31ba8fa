//! What is measured: commands, each with what is run around it.

use std::ffi::OsString;
use std::sync::Arc;

use super::error::{CommandError, UsageError};
use super::options::{Options, split};
use super::parameters::{Parameters, combinations, fill_in, lists, unused};
use super::program::{Program, is_program};
use super::streams::Streams;

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
    pub(super) conclude: Option<Aside>,
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
    let streams = Arc::new(Streams::open(options)?);
    let maker = Maker {
        options,
        shell: options.shell_words()?,
        aside_streams: Arc::new(streams.of_asides()?),
        streams,
    };
    let names = &options.names;
    per_command("--command-name", names, given.len())?;
    if names.len() == 1 && given.len() > 1 {
        return Err(per_command_error("--command-name", 1, given.len()).into());
    }
    let reference = options.reference.clone().map(Given::Line);
    let before = usize::from(reference.is_some());
    per_command("--prepare", &options.prepare, before + given.len())?;
    per_command("--conclude", &options.conclude, before + given.len())?;
    let mut tasks = Vec::new();
    if let Some(reference) = &reference {
        let name = options.reference_name.as_ref();
        tasks.push(maker.task(0, reference, name, &Parameters::new())?);
    }
    for parameters in combinations(&lists(options)?, given.len())? {
        for (number, given) in given.iter().enumerate() {
            let name = names.get(number);
            tasks.push(maker.task(before + number, given, name, &parameters)?);
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
        warn_of_programs(options);
        given.push(Given::Words(options.command.clone()));
    }
    Ok(given)
}

/// Whether `words` are command lines and not one command: the first has a blank in it and is no program by itself.
pub(super) fn are_lines(words: &[OsString]) -> bool {
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
        name: Option<&String>,
        parameters: &Parameters,
    ) -> Result<Task, CommandError> {
        let options = self.options;
        let (pattern, words) = self.words(given, parameters)?;
        let shown = name.unwrap_or(&pattern);
        let name = fill_in(shown, parameters);
        let left: Vec<String> = unused(shown, parameters)
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        let label = match left.is_empty() {
            true => name.clone(),
            false => format!("{name} ({})", left.join(", ")),
        };
        let aside = |option, line: Option<&String>| {
            line.map(|line| self.aside(option, &fill_in(line, parameters)))
                .transpose()
        };
        let of_each = |option, lines: &[String]| aside(option, lines.get(number).or(lines.first()));
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
            prepare: of_each("--prepare", &options.prepare)?,
            conclude: of_each("--conclude", &options.conclude)?,
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
                warn_of_signs(line);
                split(option, line)?
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
fn warn_of_signs(line: &str) {
    if let Some(sign) = sign_for_a_shell(line) {
        eprintln!(
            "warning: `{line}`: no shell reads this, `{sign}` is a character like any other; --shell sh has one read it"
        );
    }
}

/// The first character outside of quotes that would make a shell do more than split `line` into words.
fn sign_for_a_shell(line: &str) -> Option<char> {
    let (mut is_single, mut is_double) = (false, false);
    let mut before = ' ';
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if !is_single => {
                chars.next();
            }
            '\'' if !is_double => is_single = !is_single,
            '"' if !is_single => is_double = !is_double,
            '$' | '`' if !is_single => return Some(c),
            '|' | '&' | ';' | '<' | '>' | '(' | '*' if !is_single && !is_double => return Some(c),
            '~' if before == ' ' && !is_single && !is_double => return Some(c),
            _ => {}
        }
        before = c;
    }
    None
}

/// Says so where words, each of which is a program, were meant for commands of one word each.
fn warn_of_programs(options: &Options) {
    let words = &options.command;
    if words.len() > 1 && !options.is_behind_dashes() && words.iter().all(|word| is_program(word)) {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        eprintln!(
            "warning: `{}` is measured as one command; for commands of one word each: --command {}",
            words.join(" "),
            words.join(" --command ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_for_a_shell_are_those_outside_of_quotes() {
        for (line, sign) in [
            ("gzip < big | wc -c", Some('<')),
            ("make 2>/dev/null", Some('>')),
            ("sync; echo 3", Some(';')),
            ("grep -R TODO *.rs", Some('*')),
            ("echo \"$HOME\"", Some('$')),
            ("ls ~/x", Some('~')),
            ("git show HEAD~1", None),
            ("grep -E '^a|b$' *", Some('*')),
            ("grep -E '^a|(b)*$' file", None),
            ("echo \"a;b|c\" a\\;b", None),
        ] {
            assert_eq!(sign_for_a_shell(line), sign, "{line}");
        }
    }
}
