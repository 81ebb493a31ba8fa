//! `add`: a function is put together, checked, compiled, and takes its place.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::contract::function::{FILE, FunctionFile, Handler, Kind};

use super::describe::Brought;
use super::error::FunctionError;
use super::options::AddOptions;
use super::paths::{READABLE, copy_dir, copy_file, open_file, read_text, write_text};
use super::stage::{Stage, exists, place_of};
use super::{elf, python, script, source, stored};
use crate::drivers;
use crate::engines::{Driver, Engines};

/// How long compiling a module, or taking its snapshot, may take: CPython takes a minute.
const COMPILE_LIMIT: Duration = Duration::from_secs(600);
/// How long an engine may take to hand over an image.
const IMAGE_LIMIT: Duration = Duration::from_secs(600);

/// What a component exports that answers requests, and one that runs to its end.
const HANDLER: &str = "wasi:http/incoming-handler@0.2.";
const PROGRAM: &str = "wasi:cli/run@0.2.";

const FUNCTION_WASM: &str = "function.wasm";
const IMAGE: &str = "image.tar";
const FILES: &str = "files";
const STDIN: &str = "stdin";
const REQUEST: &str = "request";

/// Brings a function, and has rungs run it once.
///
/// # Errors
/// Something that was given is refused, and the store is as it was; or, once it is there, a rung fails with it.
pub(crate) fn add(options: &AddOptions) -> Result<Exit, FunctionError> {
    let brought = Brought::from_options(options)?;
    if !options.replace && place_of(&brought.id).exists() {
        return Err(exists(&brought.id));
    }
    let mut line = Line::default();
    let stage = Stage::make(&brought.id)?;
    let mut making = Making {
        brought: &brought,
        stage: &stage,
        engines: &options.on.engines,
        notes: Vec::new(),
        line: &mut line,
    };
    let made = making.all();
    let notes = making.notes;
    line.clear();
    // What a signal cut short failed because of it.
    stop_if_told()?;
    made?;
    stage.install(options.replace)?;
    for note in notes {
        eprintln!("note: {note}");
    }
    stored::try_on_rungs(&brought.id, &options.on)
}

fn stop_if_told() -> Result<(), FunctionError> {
    interrupt::received().map_or(Ok(()), |exit| Err(FunctionError::Interrupted(exit)))
}

/// Whether a Wasm side is given as text.
fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "wat")
}

/// Writes what the text `from` says to `to`, in binary form.
fn assemble(from: &Path, to: &Path) -> Result<(), FunctionError> {
    let text = read_text(from)?;
    let binary = wat::parse_str(&text).map_err(|mut error| {
        error.set_path(from);
        FunctionError::Refused(format!("{} is no text of Wasm: {error}", from.display()))
    })?;
    fs::write(to, binary).map_err(FunctionError::io(to))
}

/// A function in the making.
struct Making<'a> {
    brought: &'a Brought,
    stage: &'a Stage,
    /// Who may have its image.
    engines: &'a Engines,
    notes: Vec<String>,
    line: &'a mut Line,
}

impl Making<'_> {
    fn all(&mut self) -> Result<(), FunctionError> {
        let file = &self.brought.file;
        let dir = self.stage.dir();
        let (native, wasm) = self.sides()?;
        let kind = self.kind(wasm.as_deref())?;
        let mut stored = FunctionFile {
            name: Some(self.brought.id.to_string()),
            native: None,
            wasm: None,
            python: None,
            image: None,
            source: None,
            interpreter: None,
            kind,
            ..file.clone()
        };
        match (&native, &file.interpreter) {
            (Some(from), Some(interpreter)) => {
                stored.native = Some(script::install(from, interpreter, &dir)?.into());
            }
            (Some(from), None) => {
                elf::install(from, &dir)?;
                stored.native = Some(elf::installed(&dir).into());
            }
            (None, _) => {}
        }
        if let Some(from) = &file.python {
            let starts = match kind {
                Kind::Program => python::Starts::Main,
                Kind::Handler => python::Starts::Script,
            };
            python::install(&self.brought.at(from), &dir, starts)?;
            stored.python = Some(python::SCRIPT.into());
        }
        if let Some(image) = &file.image {
            self.image(image)?;
            stored.image = Some(IMAGE.to_owned());
        }
        if let Some(files) = &file.files {
            copy_dir(&self.brought.at(files), &dir.join(FILES))?;
            stored.files = Some(FILES.into());
        }
        if let Some(stdin) = &file.stdin {
            copy_file(&self.brought.at(stdin), &dir.join(STDIN), READABLE)?;
            stored.stdin = Some(STDIN.into());
        }
        if let Some(Handler {
            request: Some(body),
            ..
        }) = &file.handler
        {
            copy_file(&self.brought.at(body), &dir.join(REQUEST), READABLE)?;
            stored.handler = file.handler.clone().map(|handler| Handler {
                request: Some(REQUEST.into()),
                ..handler
            });
        }
        if wasm.is_some() && (file.python.is_none() || kind == Kind::Handler) {
            stored.wasm = Some(FUNCTION_WASM.into());
        }
        write_text(&dir.join(FILE), &stored.to_toml())?;
        match wasm {
            Some(wasm) => self.compile(&wasm),
            None => Ok(()),
        }
    }

    /// Where its native and its Wasm side are to be had from.
    fn sides(&mut self) -> Result<(Option<PathBuf>, Option<PathBuf>), FunctionError> {
        let file = &self.brought.file;
        let at = |path: &PathBuf| self.brought.at(path);
        let (mut native, mut wasm) = (file.native.as_ref().map(at), file.wasm.as_ref().map(at));
        if let Some(from) = &file.source {
            self.line.show(format!("compiling {}", from.display()));
            let sides = match wasm {
                Some(_) => source::Sides::Native,
                None => source::Sides::Both,
            };
            let from = self.brought.at(from);
            let compiled = source::compile(&from, &self.stage.scratch()?, sides)?;
            native = Some(compiled.native);
            wasm = wasm.or(compiled.wasm);
            self.notes.extend(compiled.note);
        }
        if let Some(text) = wasm.as_ref().filter(|path| is_text(path)) {
            let assembled = self.stage.scratch()?.join(FUNCTION_WASM);
            assemble(text, &assembled)?;
            wasm = Some(assembled);
        }
        if file.python.is_some() && file.kind == Kind::Program {
            wasm = Some(measure_core::base::home::root().join(python::MODULE));
        }
        Ok((native, wasm))
    }

    /// What it is: a component that answers requests makes it a handler.
    fn kind(&self, wasm: Option<&Path>) -> Result<Kind, FunctionError> {
        let file = &self.brought.file;
        let Some(path) = wasm.filter(|_| file.kind == Kind::Program) else {
            return Ok(file.kind);
        };
        let mut bytes = Vec::new();
        open_file(path)?
            .read_to_end(&mut bytes)
            .map_err(FunctionError::io(path))?;
        // What is wrong with it is told by who compiles it.
        let exports = wasm_interface::exports_of_component(&bytes).unwrap_or_default();
        let exported = |name: &str| exports.iter().any(|export| export.starts_with(name));
        Ok(match exported(HANDLER) && !exported(PROGRAM) {
            true => Kind::Handler,
            false => Kind::Program,
        })
    }

    /// Compiles the module ahead of time in confinement, and takes its snapshot if it has an initialiser.
    fn compile(&mut self, wasm: &Path) -> Result<(), FunctionError> {
        let id = &self.brought.id;
        let (store, wasm) = (self.stage.root().to_string_lossy(), wasm.to_string_lossy());
        self.line.show(format!("compiling {id} ahead of time"));
        let upload = ["--store", &store, "upload", id.user(), id.function(), &wasm];
        self.driver(
            "faasm-driver",
            &upload,
            COMPILE_LIMIT,
            &self.wasm_comes_from(),
        )?;
        self.line.show(format!("taking a snapshot of {id}"));
        let snapshot = ["--store", &store, "codegen", "--snapshot"];
        self.driver("faasm-driver", &snapshot, COMPILE_LIMIT, "its snapshot")
    }

    /// What its user called that of which its Wasm side was made.
    fn wasm_comes_from(&self) -> String {
        let file = &self.brought.file;
        let from = [&file.wasm, &file.source, &file.python];
        let from = from.into_iter().flatten().next();
        from.map_or_else(String::new, |path| path.display().to_string())
    }

    /// Keeps the image as an archive.
    fn image(&mut self, image: &str) -> Result<(), FunctionError> {
        self.line.show(format!("keeping the image {image}"));
        let there = self.brought.at(Path::new(image));
        let image = match there.exists() {
            true => there.to_string_lossy().into_owned(),
            false => image.to_owned(),
        };
        let kept = self.stage.dir().join(IMAGE);
        let save = ["save-image", &image, &kept.to_string_lossy()];
        self.driver("docker-driver", &save, IMAGE_LIMIT, &image)
    }

    fn driver(
        &self,
        name: &str,
        arguments: &[&str],
        limit: Duration,
        what: &str,
    ) -> Result<(), FunctionError> {
        let failed = |source| FunctionError::Driver {
            what: what.to_owned(),
            source: Box::new(source),
        };
        let path = drivers::find(name).ok_or_else(|| failed(drivers::DriverError::Absent))?;
        let driver = Driver::new(name, path, self.engines);
        drivers::run(&driver, arguments, limit)
            .map(drop)
            .map_err(failed)
    }
}
