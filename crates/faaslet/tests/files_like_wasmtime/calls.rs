//! Calls about files, made at random, and how their answers compare.

use crate::script::Arg::{Fd, I, L, Out, Used};
use crate::script::{Answer, CREATE, DIRECTORY, Open, READ, Script, WRITE};

/// Names, ways to spell them, and ways out.
const PATHS: [&str; 44] = [
    "a",
    "b",
    "n",
    "d",
    "d/a",
    "d/e",
    "d/e/f",
    "d/n",
    "d/e/n",
    "a/",
    "d/",
    "n/",
    "./a",
    "d/.",
    "d/..",
    "d/../a",
    "d/e/../../a",
    "..",
    "../a",
    "d/../..",
    "d/../../granted/a",
    "/a",
    "/",
    "",
    ".",
    "l",
    "l/",
    "l/n",
    "to-a",
    "to-a/",
    "to-d",
    "to-d/a",
    "to-d/e/f",
    "up",
    "up/a",
    "out",
    "out/secret",
    "absolute",
    "loop",
    "dangling",
    "dangling/x",
    "chain",
    "a/x",
    "d//a",
];

/// What links are made to lead to.
const TARGETS: [&str; 12] = [
    "a",
    "d",
    "d/a",
    "../a",
    "..",
    "../outside",
    "/etc",
    "l",
    "nowhere",
    ".",
    "d/",
    "",
];

/// A call, made of numbers so that anything comes up: which, on which descriptors, with which paths and values.
pub type Step = (u8, u8, u8, usize, usize, u64);

/// Which answers can be compared byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Bytes,
    /// Kind, links and size; times and inode are their own, and a directory's size is the file system's business.
    Stat,
    /// Names and kinds in any order; how many, if listed from somewhere in the middle, as their order is the file system's.
    Entries {
        from_the_start: bool,
    },
    /// Opening with `O_DIRECTORY` what turns out to be a link fails one way or the other.
    OpenDirectory,
    /// They hold granted directories by descriptors that can only be looked through, and cannot set their times.
    DirectoryTimes,
}

pub fn step(script: &mut Script, (call, fd, other, path, path2, value): Step) -> Compare {
    // Granted directories more often than what was opened, of which there are four.
    let slot = |n: u8| u32::from(if n < 6 { n } else { 0 });
    let opened = |n: u8| 2 + u32::from(n % 4);
    let (dir, dir2) = (slot(fd), slot(other));
    let text = |script: &mut Script, i: usize| {
        let [at, len] = script.text(PATHS[i % PATHS.len()].as_bytes());
        (at, len)
    };
    let small = value % 40;
    match call {
        0..=5 => {
            let how = Open {
                lookup: u32::from(other & 1),
                oflags: u32::try_from(value % 16).expect("small"),
                rights: [READ, WRITE, READ | WRITE, 0][usize::from(other / 2) % 4],
                fdflags: [0, 0, 0, 1, 4, 16][usize::from(fd) % 6],
            };
            let how = if call < 2 {
                Open {
                    oflags: u32::from(value % 3 == 0) * CREATE,
                    fdflags: 0,
                    ..how
                }
            } else {
                how
            };
            script.open(
                dir,
                PATHS[path % PATHS.len()].as_bytes(),
                how,
                opened(other),
            );
            if how.oflags & DIRECTORY != 0 {
                return Compare::OpenDirectory;
            }
        }
        6 | 7 => script.write(
            opened(fd),
            &b"some bytes to write"[..usize::from(other) % 20],
            None,
        ),
        8 => script.write(opened(fd), b"written at", Some(small)),
        9 | 10 => script.read(opened(fd), u32::from(other) * 3, None),
        11 => script.read(slot(fd), 1 + u32::from(other), Some(small)),
        12 => {
            let offset = small.wrapping_sub(u64::from(other));
            let args = [Fd(opened(fd)), L(offset), I(u32::from(other) % 3), Out];
            script.ask("fd_seek", &args, Answer::Bytes(8));
        }
        13 => script.ask("fd_tell", &[Fd(dir), Out], Answer::Bytes(8)),
        14 => script.call("fd_filestat_set_size", &[Fd(dir), L(small)]),
        15 => {
            script.ask("fd_filestat_get", &[Fd(dir), Out], Answer::Bytes(64));
            return Compare::Stat;
        }
        16 => script.ask("fd_fdstat_get", &[Fd(dir), Out], Answer::Bytes(24)),
        17 => {
            let args = [Fd(opened(fd)), I(u32::from(other) % 32)];
            script.call("fd_fdstat_set_flags", &args);
        }
        18 => script.ask("fd_prestat_get", &[Fd(dir), Out], Answer::Bytes(8)),
        19 => {
            script.close(Fd(opened(fd)));
            script.forget(opened(fd));
        }
        20 => {
            script.call("fd_renumber", &[Fd(opened(fd)), Fd(opened(other))]);
            // Where it failed, its number may stand for something else by now.
            if fd % 4 != other % 4 {
                script.forget(opened(fd));
            }
        }
        21 | 22 => {
            let cookie = value % 2 * small;
            script.readdir(dir, cookie);
            return Compare::Entries {
                from_the_start: cookie == 0,
            };
        }
        23 | 24 => {
            let (at, len) = text(script, path);
            script.call("path_create_directory", &[Fd(dir), at, len]);
        }
        25 | 26 => {
            let (at, len) = text(script, path);
            // With a slash at the end wasmtime-wasi forgets the slash if it does not follow links.
            let follow = u32::from(other & 1 | u8::from(PATHS[path % PATHS.len()].ends_with('/')));
            let args = [Fd(dir), I(follow), at, len, Out];
            script.ask("path_filestat_get", &args, Answer::Bytes(64));
            return Compare::Stat;
        }
        27 => {
            let (at, len) = text(script, path);
            let time = L(1_000_000_000 * value + value);
            let args = [
                Fd(dir),
                I(u32::from(other & 1)),
                at,
                len,
                time,
                time,
                I(u32::from(other / 2) % 16),
            ];
            script.call("path_filestat_set_times", &args);
        }
        28 => {
            let time = L(1_000_000_000 * value + value);
            let args = [Fd(dir), time, time, I(u32::from(other) % 16)];
            script.call("fd_filestat_set_times", &args);
            return Compare::DirectoryTimes;
        }
        29 => {
            let (at, len) = text(script, path);
            let args = [Fd(dir), at, len, I(0x8000), I(u32::from(other)), Used];
            script.ask("path_readlink", &args, Answer::Buffer);
        }
        30 | 31 => {
            let (at, len) = text(script, path);
            let name = if call == 30 {
                "path_unlink_file"
            } else {
                "path_remove_directory"
            };
            script.call(name, &[Fd(dir), at, len]);
        }
        32 | 33 => {
            let ((at, len), (to, to_len)) = (text(script, path), text(script, path2));
            script.call("path_rename", &[Fd(dir), at, len, Fd(dir2), to, to_len]);
        }
        34 => {
            let ((at, len), (to, to_len)) = (text(script, path), text(script, path2));
            let args = [
                Fd(dir),
                I(u32::from(value % 5 == 0)),
                at,
                len,
                Fd(dir2),
                to,
                to_len,
            ];
            script.call("path_link", &args);
        }
        35 | 36 => {
            let [at, len] = script.text(TARGETS[path2 % TARGETS.len()].as_bytes());
            let (link, link_len) = text(script, path);
            script.call("path_symlink", &[at, len, Fd(dir), link, link_len]);
        }
        37 => {
            let args = [Fd(dir), L(small), L(value), I(u32::from(other) % 6)];
            script.call("fd_advise", &args);
        }
        38 => script.call("fd_allocate", &[Fd(dir), L(0), L(1)]),
        39 => script.call("fd_datasync", &[Fd(dir)]),
        _ => script.call("fd_fdstat_set_rights", &[Fd(dir), L(0), L(0)]),
    }
    Compare::Bytes
}
