//! All 46 calls of preview 1: what each is told, and what of its answer two implementations have to share.

/// A parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// A descriptor.
    Fd,
    /// One of a directory.
    Dir,
    /// Where an answer goes.
    Out,
    /// Where the number of a new descriptor goes.
    NewFd,
    /// Where it says how much was moved.
    Used,
    /// Address and length of a path.
    Path,
    /// Address and length of what a link is to lead to.
    Target,
    /// Address and number of buffers.
    Buffers,
    /// Address and length of one buffer.
    Buffer,
    /// Address of one buffer, as large as need be.
    BufferAddress,
    /// Address and length of the buffer for a directory's listing, mostly long enough for all of it.
    Listing,
    /// Where in a directory's listing to begin.
    Cookie,
    /// Address of subscriptions to clocks.
    Subscriptions,
    /// A number of 32 bits below this one: those above mean nothing, and the other implementation ends the program.
    Below(u64),
    /// Flags below this number: every other time the first of them or none, which is what succeeds.
    Flags(u64),
    /// A small number of 32 bits.
    Small,
    /// A number of 64 bits, mostly small.
    Long,
    /// Rights, of which reading and writing count.
    Rights,
}

/// What two implementations have to answer alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// Error number, answer and buffer.
    Everything,
    /// Error number.
    Errno,
    /// Error number, kind, links and size.
    Stat,
    /// Error number, names and kinds in any order, as that is the file system's.
    Entries,
    /// Error number and how many entries.
    EntryCount,
    /// Nothing: no rule says what the one or the other is to say.
    Nothing,
}

/// A call.
pub struct Call {
    pub name: &'static str,
    pub params: &'static [Param],
    pub same: Same,
}

use Param::{
    Below, Buffer, BufferAddress, Buffers, Cookie, Dir, Fd, Flags, Listing, Long, NewFd, Out, Path,
    Rights, Small, Subscriptions, Target, Used,
};
use Same::{Entries, Errno, Everything, Nothing, Stat};

const fn call(name: &'static str, params: &'static [Param], same: Same) -> Call {
    Call { name, params, same }
}

/// All of them.
pub const CALLS: [Call; 46] = [
    call("args_get", &[Out, BufferAddress], Everything),
    call("args_sizes_get", &[Out, Used], Everything),
    call("clock_res_get", &[Below(2), Out], Errno),
    call("clock_time_get", &[Below(2), Long, Out], Errno),
    call("environ_get", &[Out, BufferAddress], Everything),
    call("environ_sizes_get", &[Out, Used], Everything),
    call("fd_advise", &[Fd, Long, Long, Below(6)], Errno),
    call("fd_allocate", &[Fd, Long, Long], Nothing),
    call("fd_close", &[Fd], Errno),
    call("fd_datasync", &[Fd], Errno),
    call("fd_fdstat_get", &[Fd, Out], Everything),
    call("fd_fdstat_set_flags", &[Fd, Below(32)], Errno),
    call("fd_fdstat_set_rights", &[Fd, Rights, Rights], Errno),
    call("fd_filestat_get", &[Fd, Out], Stat),
    call("fd_filestat_set_size", &[Fd, Long], Errno),
    call("fd_filestat_set_times", &[Fd, Long, Long, Below(16)], Errno),
    call("fd_pread", &[Fd, Buffers, Long, Used], Everything),
    call("fd_prestat_dir_name", &[Fd, Buffer], Everything),
    call("fd_prestat_get", &[Fd, Out], Everything),
    call("fd_pwrite", &[Fd, Buffers, Long, Used], Everything),
    call("fd_read", &[Fd, Buffers, Used], Everything),
    call("fd_readdir", &[Dir, Listing, Cookie, Used], Entries),
    call("fd_renumber", &[Fd, Fd], Errno),
    call("fd_seek", &[Fd, Long, Below(3), Out], Everything),
    call("fd_sync", &[Fd], Errno),
    call("fd_tell", &[Fd, Out], Everything),
    call("fd_write", &[Fd, Buffers, Used], Everything),
    call("path_create_directory", &[Dir, Path], Errno),
    call("path_filestat_get", &[Dir, Below(2), Path, Out], Stat),
    call(
        "path_filestat_set_times",
        &[Dir, Below(2), Path, Long, Long, Below(16)],
        Errno,
    ),
    call("path_link", &[Dir, Below(2), Path, Dir, Path], Errno),
    call(
        "path_open",
        &[
            Dir,
            Below(2),
            Path,
            Flags(16),
            Rights,
            Rights,
            Flags(32),
            NewFd,
        ],
        Errno,
    ),
    call("path_readlink", &[Dir, Path, Buffer, Used], Everything),
    call("path_remove_directory", &[Dir, Path], Errno),
    call("path_rename", &[Dir, Path, Dir, Path], Errno),
    call("path_symlink", &[Target, Dir, Path], Errno),
    call("path_unlink_file", &[Dir, Path], Errno),
    call("poll_oneoff", &[Subscriptions, Out, Small, Used], Errno),
    call("proc_exit", &[Small], Errno),
    call("proc_raise", &[Below(31)], Nothing),
    call("random_get", &[Buffer], Errno),
    call("sched_yield", &[], Errno),
    call("sock_accept", &[Fd, Below(32), NewFd], Nothing),
    call("sock_recv", &[Fd, Buffers, Below(4), Used, Out], Nothing),
    call("sock_send", &[Fd, Buffers, Below(4), Used], Nothing),
    call("sock_shutdown", &[Fd, Below(4)], Nothing),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_there_once_and_in_order() {
        assert!(CALLS.is_sorted_by(|a, b| a.name < b.name));
    }
}
