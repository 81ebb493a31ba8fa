//! The image of one function: of a script, with its interpreter from the same native build that runs it in a process; or of a
//! function that somebody brought, with what it is given. One layer without a base, made here and imported, as [`super::extra`]
//! does; or the image that it was brought as.

use std::io;
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::native_command::NativeCommand;
use measure_core::driver_kit::stored_function::{GivenTexts, StoredFunction, lacks_side};

use super::archive::{self, Archive};
use super::build::provide_layer;
use super::context::path_in_image;
use super::layer::{Layer, libraries};
use crate::api::Client;

const REPOSITORY: &str = "faasm/function";
/// Directories of a function that go into its image, where they are.
const CARRIED: [&str; 3] = ["dynamic", "files", "python"];
/// Its executable.
const NATIVE: &str = "native";

/// A function with an image of its own.
#[derive(Debug)]
pub struct FunctionImage {
    /// What the container runs; as the image says if nothing.
    pub command: Vec<String>,
    /// Its environment, beside docker's own.
    pub environment: Vec<String>,
    /// What it reads from its standard input, if that is not empty.
    pub stdin: Option<Vec<u8>>,
    /// What is said of it, if somebody brought it.
    pub stored: Option<StoredFunction>,
    function: FunctionId,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// An archive of an image.
    Archive(PathBuf),
    /// A static executable.
    Executable(PathBuf),
    /// A loader with a program and its libraries.
    Dynamic,
    /// An interpreter on the host.
    Interpreter(PathBuf),
}

impl FunctionImage {
    /// That of the function `id`, if it is not in the image of the demo functions; a handler is told `port`.
    ///
    /// # Errors
    /// Its command cannot be read, or names an interpreter that is not below the home directory's; or it was brought without
    /// anything that a container could run.
    pub fn from_function(id: &FunctionId, port: Option<u16>) -> Result<Option<Self>, DriverError> {
        let dir = dir_of(id);
        let stored = StoredFunction::read(&dir)?;
        let Some((content, command)) = content(id, &dir, stored.as_ref())? else {
            return match stored {
                Some(_) => Err(lacks_side(id, "native side and no image")),
                None => Ok(None),
            };
        };
        let mut image = Self {
            command,
            environment: Vec::new(),
            stdin: None,
            stored: None,
            function: id.clone(),
            content,
        };
        if let Some(stored) = stored {
            let GivenTexts { args, env } = stored.given_inside(port);
            image.command.extend(args);
            let variables = env.iter().map(|(name, value)| format!("{name}={value}"));
            image.environment = variables.collect();
            let stdin = stored.stdin()?.map(|stdin| stdin.read());
            image.stdin = stdin
                .transpose()
                .map_err(|e| DriverError::failed("its standard input", e))?;
            image.stored = Some(stored);
        }
        Ok(Some(image))
    }

    /// Whether it is made for this rung; one that was brought may have been in an engine before.
    #[must_use]
    pub fn is_made_here(&self) -> bool {
        !matches!(self.content, Content::Archive(_))
    }

    /// In words, for the records.
    #[must_use]
    pub fn in_words(&self, id: &str) -> String {
        let function = &self.function;
        match self.content {
            Content::Archive(_) => format!("image {id}, as it was brought for {function}"),
            Content::Executable(_) => format!("image {id}, one layer: {function}"),
            Content::Dynamic => {
                format!("image {id}, one layer: {function}, its loader and libraries")
            }
            Content::Interpreter(_) => {
                format!("image {id}, one layer: {function} and its interpreter")
            }
        }
    }

    /// Has the engine make its image, unless it has it; returns its id.
    ///
    /// # Errors
    /// A file cannot be read, or the engine refuses.
    pub fn provide(&self, client: &Client) -> Result<String, DriverError> {
        if let Content::Archive(path) = &self.content {
            let archive = Archive::open(path)?;
            if !archive.has_command && self.command.is_empty() {
                return Err(DriverError::Unavailable {
                    why: format!(
                        "the image of {} does not say what it runs (ENTRYPOINT, CMD)",
                        self.function
                    ),
                    mend: "give that in its arguments (--args)".to_owned(),
                });
            }
            return archive::provide(client, &archive);
        }
        let layer = self.layer().map_err(|e| {
            DriverError::failed(format!("cannot make the image of {}", self.function), e)
        })?;
        provide_layer(client, REPOSITORY, &layer.key(), || layer.tar())
    }

    fn layer(&self) -> io::Result<Layer> {
        let mut layer = Layer::default();
        for dir in ["dev", "etc", "proc", "sys", "tmp"] {
            layer.dir(Path::new(dir));
        }
        let program = Path::new(&self.command[0]);
        match &self.content {
            Content::Archive(_) | Content::Dynamic => {}
            Content::Executable(executable) => layer.file(program, executable)?,
            Content::Interpreter(interpreter) => add_interpreter(&mut layer, program, interpreter)?,
        }
        let host = dir_of(&self.function);
        let inside = path_in_image(&self.function.to_string());
        for name in CARRIED.iter().filter(|name| host.join(name).is_dir()) {
            let inside = match &self.stored {
                Some(stored) if *name == "files" => PathBuf::from(&stored.file.files_at),
                _ => Path::new(&inside).join(name),
            };
            layer.tree(&inside, &host.join(name))?;
        }
        let stored = self.stored.as_ref();
        if let Some(at) = stored.and_then(|stored| stored.file.output_at.as_ref()) {
            layer.open_dir(Path::new(at));
        }
        Ok(layer)
    }
}

fn dir_of(id: &FunctionId) -> PathBuf {
    home::store().join(id.user()).join(id.function())
}

/// What a function's image is made of, and what runs in it.
fn content(
    id: &FunctionId,
    dir: &Path,
    stored: Option<&StoredFunction>,
) -> Result<Option<(Content, Vec<String>)>, DriverError> {
    if let Some(image) = stored.and_then(|stored| stored.file.image.as_ref()) {
        return Ok(Some((Content::Archive(dir.join(image)), Vec::new())));
    }
    let inside = path_in_image(&id.to_string());
    let Some(command) = NativeCommand::read(dir)? else {
        let native = dir.join(NATIVE);
        let brought = stored.is_some() && native.is_file();
        return Ok(brought.then(|| (Content::Executable(native), vec![inside])));
    };
    let home = home::root();
    let (home_text, dir_text) = (home.to_string_lossy(), dir.to_string_lossy());
    command.require_trust(&home_text, &dir_text)?;
    let program = PathBuf::from(&command.at(&home_text, &dir_text)[0]);
    let words = command.at("", &inside);
    if command.begins_with("{function}/") {
        return Ok(Some((Content::Dynamic, words)));
    }
    if stored.is_some() && !program.starts_with(&home) {
        return Err(DriverError::Unavailable {
            why: format!(
                "{id} runs by {}, a program of this host that does not come along",
                program.display()
            ),
            mend: "bring an image of it (--image)".to_owned(),
        });
    }
    if !program.starts_with(&home) || !program.is_file() {
        return Err(DriverError::Failed(format!(
            "{id} runs {}, which is no file below {}: run `make python python-functions`",
            program.display(),
            home.display()
        )));
    }
    Ok(Some((Content::Interpreter(program), words)))
}

fn add_interpreter(layer: &mut Layer, inside: &Path, host: &Path) -> io::Result<()> {
    layer.file(inside, host)?;
    for library in libraries(host)? {
        layer.file(&library, &library)?;
    }
    // It finds its library beside itself: bin/PROGRAM, lib/.
    if let Some(root) = host.parent().and_then(Path::parent) {
        let inside = inside.parent().and_then(Path::parent);
        let inside = inside.unwrap_or(Path::new("/"));
        layer.tree(&inside.join("lib"), &root.join("lib"))?;
    }
    Ok(())
}
