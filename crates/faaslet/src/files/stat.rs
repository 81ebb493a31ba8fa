//! What a program is told about a file.

use rustix::fs::{FileType, Stat};

/// `struct filestat`: device, inode, kind, links, size, three times.
pub(crate) const FILESTAT_BYTES: usize = 64;

/// WASI's number for a kind of file. It has none for a FIFO, and none for a socket without its type.
pub(crate) fn kind(of: FileType) -> u8 {
    match of {
        FileType::BlockDevice => 1,
        FileType::CharacterDevice => 2,
        FileType::Directory => 3,
        FileType::RegularFile => 4,
        FileType::Socket => 6,
        FileType::Symlink => 7,
        _ => 0,
    }
}

/// `stat` as the program reads it.
pub(crate) fn encode(stat: &Stat) -> [u8; FILESTAT_BYTES] {
    let mut out = [0_u8; FILESTAT_BYTES];
    let mut put = |at: usize, value: u64| out[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, stat.st_dev);
    put(8, stat.st_ino);
    put(16, u64::from(kind(FileType::from_raw_mode(stat.st_mode))));
    put(24, links(stat));
    put(32, stat.st_size.unsigned_abs());
    put(40, ns(stat.st_atime, stat.st_atime_nsec));
    put(48, ns(stat.st_mtime, stat.st_mtime_nsec));
    put(56, ns(stat.st_ctime, stat.st_ctime_nsec));
    out
}

#[expect(
    clippy::useless_conversion,
    reason = "the kernel's type is narrower on other architectures"
)]
fn links(stat: &Stat) -> u64 {
    u64::from(stat.st_nlink)
}

/// Since 1970; times before that are 1970, which is all that WASI has.
fn ns(seconds: i64, ns: u64) -> u64 {
    u64::try_from(seconds)
        .ok()
        .and_then(|s| s.checked_mul(1_000_000_000))
        .map_or(0, |s| s.saturating_add(ns))
}
