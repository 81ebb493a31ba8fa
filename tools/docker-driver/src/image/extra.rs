//! Images beside faasm/noop, to see whether size matters: the functions alone, and the functions with many
//! files. Each is one layer, made here and imported.

use measure_core::driver_kit::DriverError;

use super::build::provide_layer;
use super::context::{Context, Tar};
use crate::api::Client;
use crate::kinds::Content;

const FILES: usize = 4096;
const FILE_BYTES: usize = 32 << 10;
const FILES_PER_DIR: usize = 64;

/// The name of the image with `content`, made of the functions of `context`.
fn repository_and_key(content: Content, context: &Context) -> (String, String) {
    let repository = match content {
        Content::Large => "faasm/noop-large",
        Content::Small | Content::Noop => "faasm/noop-small",
    };
    let key: String = context
        .key
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    (repository.to_owned(), key)
}

/// Has the engine make the image with `content`; returns its id.
///
/// # Errors
/// A function is missing, or the engine refuses.
pub fn provide(client: &Client, content: Content) -> Result<String, DriverError> {
    let context = Context::read()?;
    let (repository, key) = repository_and_key(content, &context);
    provide_layer(client, &repository, &key, || layer(content, &context))
}

fn layer(content: Content, context: &Context) -> std::io::Result<Vec<u8>> {
    let mut tar = Tar::new();
    for dir in ["dev", "etc", "proc", "sys"] {
        tar.dir(dir, 0o755)?;
    }
    context.add_functions(&mut tar)?;
    if content == Content::Large {
        tar.dir("data", 0o755)?;
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        let mut bytes = vec![0; FILE_BYTES];
        for file in 0..FILES {
            let dir = format!("data/{}", file / FILES_PER_DIR);
            if file % FILES_PER_DIR == 0 {
                tar.dir(&dir, 0o755)?;
            }
            noise.fill(&mut bytes);
            tar.file(format!("{dir}/{file}"), 0o644, &bytes)?;
        }
    }
    tar.finish()
}

/// Bytes that do not compress and are the same each time (xorshift64, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for word in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }
}
