//! What a function answers in a container: attached to before it starts, its files fetched before it is removed.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptionsBuilder,
};
use futures_util::TryStreamExt;
use measure_core::base::words::one_line;
use measure_core::contract::answer::{Content, Taking};
use measure_core::driver_kit::output_dir;
use tokio::io::AsyncWriteExt;

use crate::api::{Api, ApiError};
use crate::container::{self, StartError};

/// So much of standard error goes into a message.
const SAID_CHARS: usize = 400;
/// How long what is still on its way may take to come, once the container has ended.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked how much a container has written.
const LOOK: Duration = Duration::from_millis(250);
/// More than this is no answer that is compared.
const MAX_ARCHIVE_BYTES: usize = 64 << 20;

/// What is asked of a container.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// `user/function`.
    pub function: &'a str,
    /// What it reads, if that is not empty.
    pub stdin: Option<&'a [u8]>,
    /// How long it may take.
    pub limit: Duration,
    /// Where it finds the directory that it may write to, if it has one.
    pub output_at: Option<&'a str>,
}

/// What it answered.
#[derive(Debug)]
pub struct Heard {
    /// How it ended.
    pub ended: Result<(), StartError>,
    /// What it wrote to its standard output.
    pub stdout: Content,
    /// What it said to its standard error, in one line.
    pub said: String,
    /// What it wrote into its directory.
    pub files: BTreeMap<String, Content>,
}

/// Runs a container of `body` to its end; nothing of it is left.
///
/// # Errors
/// The engine refuses or is gone; how the function ended is in [`Heard`].
pub async fn ask(
    api: &Api,
    body: ContainerCreateBody,
    name: &str,
    question: Question<'_>,
) -> Result<Heard, ApiError> {
    let id = container::create(api, body, name).await?;
    let heard = hear(api, &id, question).await;
    container::remove(api, &id, true).await?;
    heard
}

async fn hear(api: &Api, id: &str, question: Question<'_>) -> Result<Heard, ApiError> {
    let options = AttachContainerOptionsBuilder::default()
        .stdin(question.stdin.is_some())
        .stdout(true)
        .stderr(true)
        .stream(true)
        .build();
    let attached = api.docker.attach_container(id, Some(options));
    let AttachContainerResults { output, mut input } = api.call("attach", attached).await?;
    container::start(api, id).await?;
    let (mut stdout, mut stderr) = (Taking::default(), Vec::new());
    let write = async {
        let Some(stdin) = question.stdin else { return };
        // One that reads less ends before, which is its own affair.
        if input.write_all(stdin).await.is_ok() {
            let _ = input.shutdown().await;
        }
    };
    let read = async {
        tokio::pin!(output);
        while let Ok(Some(part)) = output.try_next().await {
            match part {
                LogOutput::StdErr { message } => {
                    let room = (4 * SAID_CHARS).saturating_sub(stderr.len());
                    stderr.extend_from_slice(&message[..message.len().min(room)]);
                }
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    stdout.take(&message);
                }
                LogOutput::StdIn { .. } => {}
            }
        }
    };
    let wait = async {
        let function = question.function.to_owned();
        tokio::select! {
            ended = container::wait_for_end(api, id, question.function) => ended,
            () = tokio::time::sleep(question.limit) => Err(StartError::NoAnswer {
                function,
                seconds: question.limit.as_secs(),
            }),
            () = filled(api, id) => Err(StartError::WroteTooMuch {
                function,
                limit_bytes: output_dir::LIMIT_BYTES,
            }),
        }
    };
    let streams = async {
        tokio::join!(write, read);
    };
    let ended = until_ended(streams, wait).await;
    let files = match (question.output_at, &ended) {
        (Some(at), Ok(()) | Err(StartError::ExitCode { .. })) => files_at(api, id, at).await?,
        _ => BTreeMap::new(),
    };
    Ok(Heard {
        ended,
        stdout: stdout.finish(),
        said: one_line(&String::from_utf8_lossy(&stderr), SAID_CHARS),
        files,
    })
}

/// Ends once the container has written too much into its own layer.
async fn filled(api: &Api, id: &str) {
    let limit = i64::try_from(output_dir::LIMIT_BYTES).unwrap_or(i64::MAX);
    loop {
        tokio::time::sleep(LOOK).await;
        let options = InspectContainerOptionsBuilder::default().size(true).build();
        let inspected = api.docker.inspect_container(id, Some(options));
        // What is wrong with the engine is told by who waits for the end.
        let inspected = api.call("inspect", inspected).await.ok();
        if inspected.and_then(|container| container.size_rw) > Some(limit) {
            return;
        }
    }
}

/// What `wait` ends with, `streams` carried on beside it and, where they have not ended by then, a little longer.
async fn until_ended<T>(streams: impl Future<Output = ()>, wait: impl Future<Output = T>) -> T {
    tokio::pin!(streams, wait);
    let mut all_read = false;
    let ended = loop {
        tokio::select! {
            () = &mut streams, if !all_read => all_read = true,
            ended = &mut wait => break ended,
        }
    };
    if !all_read {
        // What it has left running may hold its output for ever.
        let _ = tokio::time::timeout(GRACE, &mut streams).await;
    }
    ended
}

/// What lies below `at` in a container that has ended.
async fn files_at(api: &Api, id: &str, at: &str) -> Result<BTreeMap<String, Content>, ApiError> {
    let options = DownloadFromContainerOptionsBuilder::default()
        .path(at)
        .build();
    let stream = api.docker.download_from_container(id, Some(options));
    let download = async {
        tokio::pin!(stream);
        let mut bytes = Vec::new();
        while let Some(part) = stream.try_next().await? {
            bytes.extend_from_slice(&part);
            if bytes.len() > MAX_ARCHIVE_BYTES {
                let why = format!(
                    "it wrote more than {MAX_ARCHIVE_BYTES} bytes of files, which are not compared"
                );
                return Err(bollard::errors::Error::DockerStreamError { error: why });
            }
        }
        Ok(bytes)
    };
    let bytes = api.call("download", download).await?;
    let wrong = |e: io::Error| ApiError::Refused {
        status: 200,
        message: format!("what it wrote is no archive: {e}"),
    };
    files_of(&bytes).map_err(wrong)
}

/// The files of an archive whose first entry is the directory itself.
fn files_of(archive: &[u8]) -> io::Result<BTreeMap<String, Content>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(Cursor::new(archive)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let below = path.components().skip(1).collect::<std::path::PathBuf>();
        let content = match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                Content::of_bytes(&bytes)
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                Content::of_bytes(&target)
            }
            _ => continue,
        };
        files.insert(name_of(&below), content);
    }
    Ok(files)
}

fn name_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::context::Tar;

    #[test]
    fn files_are_named_by_their_paths_below_the_directory() {
        let mut tar = Tar::new();
        tar.dir("output", 0o755).expect("added");
        tar.file("output/a.txt", 0o644, b"a").expect("added");
        tar.dir("output/d", 0o755).expect("added");
        tar.file("output/d/b", 0o644, b"b").expect("added");
        tar.link("output/l", "a.txt").expect("added");
        let files = files_of(&tar.finish().expect("an archive")).expect("read");
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["a.txt", "d/b", "l"]);
        assert_eq!(files["d/b"].kept, b"b");
    }
}
