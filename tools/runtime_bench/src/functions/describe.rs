//! What is to be brought, as the command line or a `function.toml` says.

use std::path::{Path, PathBuf};

use measure_core::base::ids::FunctionId;
use measure_core::contract::function::{FILE, FunctionFile, Handler, Kind};

use super::error::FunctionError;
use super::normalise::Normaliser;
use super::options::AddOptions;
use super::paths::read_text;

/// A function to be brought. The paths of its file are relative to `base`.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) id: FunctionId,
    pub(super) file: FunctionFile,
    pub(super) base: PathBuf,
}

impl Brought {
    /// As `options` say.
    pub(super) fn from_options(options: &AddOptions) -> Result<Self, FunctionError> {
        let dir = Path::new(&options.what);
        let brought = if dir.join(FILE).is_file() {
            Self::from_dir(dir, options)?
        } else {
            Self::from_line(options)?
        };
        brought.check()?;
        Ok(brought)
    }

    fn from_dir(dir: &Path, options: &AddOptions) -> Result<Self, FunctionError> {
        let path = dir.join(FILE);
        let wrong = |source| FunctionError::File {
            path: path.clone(),
            source: Box::new(source),
        };
        let file = FunctionFile::parse(&read_text(&path)?).map_err(wrong)?;
        if let Some((option, _)) = given(options).into_iter().find(|(_, given)| *given) {
            return Err(FunctionError::Refused(format!(
                "{} says what it is, so {option} is not taken: change it there, or give a name in place of the directory",
                path.display()
            )));
        }
        let Some(name) = &file.name else {
            return Err(FunctionError::Refused(format!(
                "{} does not say what the function is to be called: name = \"mine/hello\"",
                path.display()
            )));
        };
        Ok(Self {
            id: name.parse()?,
            file,
            base: dir.to_owned(),
        })
    }

    fn from_line(options: &AddOptions) -> Result<Self, FunctionError> {
        let id: FunctionId =
            options
                .what
                .parse()
                .map_err(|error| match Path::new(&options.what).is_dir() {
                    true => FunctionError::Refused(format!("{} holds no {FILE}", options.what)),
                    false => FunctionError::Id(error),
                })?;
        let default = FunctionFile::default();
        let is_handler = options.handler || options.request.is_some();
        let file = FunctionFile {
            kind: if is_handler {
                Kind::Handler
            } else {
                Kind::Program
            },
            handler: options.request.as_ref().map(|body| Handler {
                request: Some(body.clone()),
                ..Handler::default()
            }),
            name: Some(id.to_string()),
            native: options.native.clone(),
            interpreter: options.interpreter.clone(),
            wasm: options.wasm.clone(),
            python: options.python.clone(),
            image: options.image.clone(),
            source: options.source.clone(),
            args: options.args.iter().chain(&options.arg).cloned().collect(),
            env: options
                .env
                .iter()
                .map(|text| variable(text))
                .collect::<Result<_, _>>()?,
            files: options.files.clone(),
            output_at: options.output_at.clone(),
            stdin: options.stdin.clone(),
            network: options.network.clone(),
            varies: options.varies.clone(),
            timeout_s: options.timeout.unwrap_or(default.timeout_s),
            ..default
        };
        file.check().map_err(|source| FunctionError::File {
            path: "the command line".into(),
            source: Box::new(source),
        })?;
        Ok(Self {
            id,
            file,
            base: PathBuf::new(),
        })
    }

    /// What the file alone does not tell.
    fn check(&self) -> Result<(), FunctionError> {
        let file = &self.file;
        let refused = |why: &str| Err(FunctionError::Refused(format!("{}: {why}", self.id)));
        if !file.has_a_side() {
            return refused(
                "there is nothing to run: give --native, --wasm, --python, --image or --source",
            );
        }
        let compiled = [file.source.is_some(), file.python.is_some()];
        // A handler's component is made by a tool of its own, whatever its source.
        let given_wasm = file.wasm.is_some() && file.kind == Kind::Program;
        let one = |side: bool| compiled.iter().filter(|given| **given).count() + usize::from(side);
        if one(file.native.is_some()) > 1 {
            return refused("its native side is given twice: one of native, python and source");
        }
        if one(given_wasm) > 1 {
            return refused("its Wasm side is given twice: one of wasm, python and source");
        }
        if file.interpreter.is_some() && file.native.is_none() {
            return refused("an interpreter, and no native script for it");
        }
        Normaliser::new(&file.varies)?;
        Ok(())
    }

    /// Where a path of the file leads.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }
}

/// Each option that says what a function is, and whether it is given.
fn given(options: &AddOptions) -> [(&'static str, bool); 16] {
    [
        ("--native", options.native.is_some()),
        ("--interpreter", options.interpreter.is_some()),
        ("--wasm", options.wasm.is_some()),
        ("--python", options.python.is_some()),
        ("--image", options.image.is_some()),
        ("--source", options.source.is_some()),
        ("--args", !options.args.is_empty()),
        ("--arg", !options.arg.is_empty()),
        ("--env", !options.env.is_empty()),
        ("--files", options.files.is_some()),
        ("--output-at", options.output_at.is_some()),
        ("--stdin", options.stdin.is_some()),
        ("--handler", options.handler || options.request.is_some()),
        ("--network", !options.network.is_empty()),
        ("--varies", !options.varies.is_empty()),
        ("--timeout", options.timeout.is_some()),
    ]
}

fn variable(text: &str) -> Result<(String, String), FunctionError> {
    let pair = text.split_once('=');
    let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| {
        FunctionError::Refused(format!("--env `{text}` is not of the form NAME=VALUE"))
    })
}
