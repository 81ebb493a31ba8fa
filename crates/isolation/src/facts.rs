//! What probes are told of the host, so that they can tell it from what is theirs.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use nix::ifaddrs::getifaddrs;
use nix::sys::stat::{major, minor};
use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_gettime};

/// The file that only root of the host reads.
const SHADOW: &str = "/etc/shadow";
/// How much of a file its digest is of, as in functions/isolation/read.h.
const COMPARED_BYTES: u64 = 4096;

/// What probes are told of the host.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    /// Release and version of its kernel.
    pub kernel: String,
    /// When it was booted, in seconds since 1970.
    pub booted_s: i64,
    /// Digest of its /etc/shadow, where we may read it.
    pub shadow: Option<u64>,
    /// A block device, where we may read one.
    pub device: Option<Device>,
    /// Its addresses of IPv4 but for loopback.
    pub addresses: Vec<String>,
}

/// A block device of the host.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its node.
    pub path: String,
    pub numbers: (u64, u64),
    /// Digest of its beginning.
    pub digest: u64,
}

impl HostFacts {
    /// Those of this host; what cannot be known is left out, and its probes cannot try.
    #[must_use]
    pub fn gather() -> Self {
        let kernel = uname().map(|name| {
            let part = |text: &std::ffi::OsStr| text.to_string_lossy().replace(';', " ");
            format!("{} {}", part(name.release()), part(name.version()))
        });
        let up_s = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |up| up.tv_sec());
        let now_s = SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |now| now.as_secs());
        Self {
            kernel: kernel.unwrap_or_default(),
            booted_s: now_s.cast_signed() - up_s,
            shadow: digest_of_file(Path::new(SHADOW)),
            device: root_device(),
            addresses: addresses(),
        }
    }

    /// The path of the file that only root of the host reads.
    #[must_use]
    pub fn shadow_path(&self) -> &'static str {
        self.shadow.map_or("", |_| SHADOW)
    }
}

/// FNV-1a, as functions/isolation/probe.h has it: it tells files apart, nothing more.
#[must_use]
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn digest_of_file(path: &Path) -> Option<u64> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(COMPARED_BYTES).read_to_end(&mut bytes).ok()?;
    (!bytes.is_empty()).then(|| digest(&bytes))
}

/// The device of the root file system, else any.
fn root_device() -> Option<Device> {
    let root = fs::metadata("/").ok()?.dev();
    let others = fs::read_dir("/sys/dev/block")
        .into_iter()
        .flatten()
        .flatten();
    let numbers = others.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (major, minor) = name.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    let mut all = std::iter::once((major(root), minor(root))).chain(numbers);
    all.find_map(device)
}

fn device(numbers: (u64, u64)) -> Option<Device> {
    let event = format!("/sys/dev/block/{}:{}/uevent", numbers.0, numbers.1);
    let text = fs::read_to_string(event).ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("DEVNAME="))?;
    let path = format!("/dev/{name}");
    let digest = digest_of_file(Path::new(&path))?;
    Some(Device {
        path,
        numbers,
        digest,
    })
}

fn addresses() -> Vec<String> {
    let all = getifaddrs().into_iter().flatten();
    let v4 = all.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    v4.filter(|ip| !ip.is_loopback())
        .map(|ip| ip.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_its_authors() {
        // Of Fowler, Noll and Vo's own test vectors.
        assert_eq!(digest(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(digest(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(digest(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
