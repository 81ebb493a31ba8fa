//! `GET`: a module from its file, a piece at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use futures_util::stream;
use hex::encode;
use sha2::{Digest, Sha256};

use super::admission::Place;

/// What of a module is in memory at once, for each answer.
const PIECE_BYTES: usize = 128 << 10;
/// Tags that are remembered.
const MAX_TAGS: usize = 4096;

/// What a file is, whatever its name: it is replaced as a whole and never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Entity tags of files, so that none is hashed again for each question.
#[derive(Default)]
pub(super) struct Tags(Mutex<HashMap<Identity, String>>);

impl Tags {
    /// The tag of `file`: quoted hex of its SHA-256. May take as long as reading it.
    pub(super) fn tag(&self, file: &File) -> io::Result<String> {
        let meta = file.metadata()?;
        let identity = Identity {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        if let Some(tag) = self.tags().get(&identity) {
            return Ok(tag.clone());
        }
        let tag = hash(file)?;
        let mut tags = self.tags();
        if tags.len() >= MAX_TAGS {
            tags.clear();
        }
        tags.insert(identity, tag.clone());
        Ok(tag)
    }

    fn tags(&self) -> std::sync::MutexGuard<'_, HashMap<Identity, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(file: &File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(format!("\"{}\"", encode(hasher.finalize()))),
            n => {
                hasher.update(&buffer[..n]);
                at += n as u64;
            }
        }
    }
}

/// The first `bytes` of `file`, read as the client takes them; `place` is kept until it has all.
pub(super) fn body(file: File, bytes: u64, place: Place) -> Body {
    let begin = (Arc::new(file), 0, place);
    Body::from_stream(stream::try_unfold(
        begin,
        move |(file, at, place)| async move {
            if at >= bytes {
                return Ok(None);
            }
            let source = file.clone();
            let read = tokio::task::spawn_blocking(move || piece(&source, at, bytes - at));
            let piece = read.await.map_err(io::Error::other)??;
            let next = at + piece.len() as u64;
            Ok::<_, io::Error>(Some((piece, (file, next, place))))
        },
    ))
}

fn piece(file: &File, at: u64, left: u64) -> io::Result<Bytes> {
    let size = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}
