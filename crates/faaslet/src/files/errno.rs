//! WASI's error numbers and which of them the host's become.

use rustix::io::Errno as Os;

/// WASI's error numbers, as far as we answer with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Errno {
    Acces = 2,
    Again = 6,
    Badf = 8,
    Busy = 10,
    Dquot = 19,
    Exist = 20,
    Fault = 21,
    Fbig = 22,
    Ilseq = 25,
    Intr = 27,
    Inval = 28,
    Io = 29,
    Isdir = 31,
    Loop = 32,
    Mfile = 33,
    Mlink = 34,
    Nametoolong = 37,
    Nfile = 41,
    Nodev = 43,
    Noent = 44,
    Nomem = 48,
    Nospc = 51,
    Nosys = 52,
    Notdir = 54,
    Notempty = 55,
    Notsock = 57,
    Notsup = 58,
    Notty = 59,
    Nxio = 60,
    Overflow = 61,
    Perm = 63,
    Pipe = 64,
    Rofs = 69,
    Spipe = 70,
    Stale = 72,
    Txtbsy = 74,
    Xdev = 75,
}

/// The outcome of a call as its program sees it.
pub(crate) type Answer<T = ()> = Result<T, Errno>;

impl From<Os> for Errno {
    fn from(os: Os) -> Self {
        match os {
            Os::ACCESS => Self::Acces,
            Os::AGAIN => Self::Again,
            Os::BADF => Self::Badf,
            Os::BUSY => Self::Busy,
            Os::DQUOT => Self::Dquot,
            Os::EXIST => Self::Exist,
            Os::FAULT => Self::Fault,
            Os::FBIG => Self::Fbig,
            Os::ILSEQ => Self::Ilseq,
            Os::INTR => Self::Intr,
            Os::INVAL => Self::Inval,
            Os::ISDIR => Self::Isdir,
            Os::LOOP => Self::Loop,
            Os::MFILE => Self::Mfile,
            Os::MLINK => Self::Mlink,
            Os::NAMETOOLONG => Self::Nametoolong,
            Os::NFILE => Self::Nfile,
            Os::NODEV => Self::Nodev,
            Os::NOENT => Self::Noent,
            Os::NOMEM => Self::Nomem,
            Os::NOSPC => Self::Nospc,
            Os::NOSYS => Self::Nosys,
            Os::NOTDIR => Self::Notdir,
            Os::NOTEMPTY => Self::Notempty,
            // EOPNOTSUPP is the same number.
            Os::NOTSUP => Self::Notsup,
            Os::NOTTY => Self::Notty,
            Os::NXIO => Self::Nxio,
            Os::OVERFLOW => Self::Overflow,
            Os::PERM => Self::Perm,
            Os::PIPE => Self::Pipe,
            Os::ROFS => Self::Rofs,
            Os::SPIPE => Self::Spipe,
            Os::STALE => Self::Stale,
            Os::TXTBSY => Self::Txtbsy,
            Os::XDEV => Self::Xdev,
            _ => Self::Io,
        }
    }
}
