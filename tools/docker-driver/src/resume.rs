//! Starts that resume a container inside its function: paused, or from a checkpoint.

use bollard::container::CreateCheckpointOptions;
use bollard::errors::Error as BollardError;
use measure_core::base::clock::{PhaseClock, Phases};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::api::{Api, ApiError};
use crate::container::{self, StartError};
use crate::kinds::Way;

/// Name of a container's only checkpoint.
const CHECKPOINT: &str = "parked";
/// The API version that the raw request names; checkpoints are older.
const API: &str = "v1.40";

/// Stops container `id`, which is blocked inside its function, so that [`resume`] can go on from there.
///
/// # Errors
/// See [`ApiError`].
pub async fn suspend(api: &Api, way: Way, id: &str) -> Result<(), ApiError> {
    if way == Way::Unpause {
        return api.call("pause", api.docker.pause_container(id)).await;
    }
    let options = CreateCheckpointOptions {
        checkpoint_id: CHECKPOINT.to_owned(),
        checkpoint_dir: None,
        exit: true,
    };
    api.call("checkpoint", api.docker.create_checkpoint(id, options))
        .await
}

/// Lets it go on to its end: phases `resume`, `run`. The container is left to be removed.
///
/// # Errors
/// See [`StartError`].
pub async fn resume(
    api: &Api,
    way: Way,
    host: &str,
    id: &str,
    function: &str,
) -> Result<Phases, StartError> {
    let mut clock = PhaseClock::start();
    if way == Way::Unpause {
        api.call("unpause", api.docker.unpause_container(id))
            .await?;
    } else {
        api.call("restore", restore(host, id)).await?;
    }
    clock.lap("resume");
    container::close_stdin(api, id).await?;
    container::wait_for_end(api, id, function).await?;
    clock.lap("run");
    Ok(clock.finish())
}

/// `POST /containers/ID/start?checkpoint=...`, a parameter that the client library has no word for.
async fn restore(host: &str, id: &str) -> Result<(), BollardError> {
    let path = host.strip_prefix("unix://").ok_or_else(|| {
        let err = std::io::Error::other("checkpoints are restored through a unix socket only");
        BollardError::IOError { err }
    })?;
    let mut stream = UnixStream::connect(path).await?;
    let request = format!(
        "POST /{API}/containers/{id}/start?checkpoint={CHECKPOINT} HTTP/1.1\r\nHost: docker\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match status(&answer) {
        Some(200..=299) => Ok(()),
        code => Err(BollardError::DockerResponseServerError {
            status_code: code.unwrap_or(0),
            message: answer.lines().last().unwrap_or_default().to_owned(),
        }),
    }
}

/// The status of an HTTP answer.
fn status(answer: &str) -> Option<u16> {
    let mut words = answer.lines().next()?.split_whitespace();
    words
        .next()
        .filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_answer_is_read_and_nonsense_has_none() {
        assert_eq!(status("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"), Some(204));
        assert_eq!(status("HTTP/1.1 500 Internal Server Error\r\n"), Some(500));
        for nonsense in ["", "204", "HTTP/1.1", "HTTP/1.1 abc"] {
            assert_eq!(status(nonsense), None, "{nonsense}");
        }
    }
}
