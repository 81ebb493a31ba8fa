//! Where results go.

use std::io;
use std::path::{Path, PathBuf};

use super::options::Options;
use super::report::Report;
use super::{CommandError, UsageError, exports, table};
use measure_core::base::files::OutputFile;
use measure_core::base::stdout::print;

/// A form of the results, by the option that asks for it.
type Form = (&'static str, fn(&Report) -> String);

const FORMS: [Form; 4] = [
    ("--json", Report::to_json),
    ("--export-json", exports::hyperfine_json),
    ("--export-csv", exports::csv),
    ("--export-markdown", exports::markdown),
];

/// Where results go: files, and to standard output a table or what was asked for in its place.
pub(super) struct Output {
    files: Vec<(Form, OutputFile)>,
    /// In place of the table.
    printed: Option<Form>,
}

impl Output {
    /// Finds out before anything is measured whether the results can be written.
    pub(super) fn open(options: &Options) -> Result<Self, CommandError> {
        let paths = [
            &options.json,
            &options.export_json,
            &options.export_csv,
            &options.export_markdown,
        ];
        let mut output = Self {
            files: Vec::new(),
            printed: None,
        };
        for (form, path) in FORMS.into_iter().zip(paths) {
            let Some(path) = path else {
                continue;
            };
            if path == Path::new("-") {
                if let Some((other, _)) = output.printed.replace(form) {
                    return Err(UsageError::TwiceStdout(other, form.0).into());
                }
                continue;
            }
            let file = OutputFile::open(path).map_err(refused(form.0, path))?;
            output.files.push((form, file));
        }
        Ok(output)
    }

    /// Writes the files, if there are any, with what there is so far.
    pub(super) fn keep(&self, report: &Report) -> Result<(), CommandError> {
        for ((option, text), file) in &self.files {
            file.write(text(report).as_bytes())
                .map_err(refused(option, file.path()))?;
        }
        Ok(())
    }

    /// Writes the files, all that can be, and prints to standard output.
    pub(super) fn finish(&self, report: &Report) -> Result<(), CommandError> {
        let mut outcome = Ok(());
        for ((option, text), file) in &self.files {
            let written = file.finish(text(report).as_bytes());
            outcome = outcome.and(written.map_err(refused(option, file.path())));
        }
        let text = match self.printed {
            Some((_, text)) => text(report),
            None => table::render(report, ::table::terminal_width()),
        };
        // The command was measured, whether or not anyone reads of it: its outcome is the exit code.
        if let Err(error) = print(text) {
            eprintln!("error: cannot write to standard output: {error}");
        }
        outcome
    }
}

fn refused(option: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CommandError {
    let path: PathBuf = path.to_owned();
    move |cause| CommandError::Output {
        option,
        path,
        cause,
    }
}
