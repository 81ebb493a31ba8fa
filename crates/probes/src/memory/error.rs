//! Why memory cannot be read.

use nix::errno::Errno;

/// Why no memory can be read at all, or not of the one process asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// `/proc` cannot be opened.
    #[error("cannot open /proc: {}, mount it with `mount -t proc proc /proc`", .0.desc())]
    NoProc(#[source] Errno),
    /// The kernel has no `smaps_rollup`.
    #[error("no /proc/self/smaps_rollup: {}, it needs Linux 4.14 with CONFIG_PROC_PAGE_MONITOR", .0.desc())]
    NoRollup(#[source] Errno),
    /// There is no such process (any more).
    #[error("no process {0}")]
    Gone(i32),
    /// A kernel thread or a zombie.
    #[error("process {0} has no memory of its own: it is a kernel thread or has ended")]
    WithoutMemory(i32),
    /// Another user's process.
    #[error(
        "no permission to read the memory of process {0}, run as its user or as root (CAP_SYS_PTRACE)"
    )]
    Denied(i32),
    /// The kernel said something else.
    #[error("cannot read the memory of process {pid}: {why}")]
    Unreadable {
        pid: i32,
        /// What the kernel said, or what is wrong with the text.
        why: String,
    },
}
