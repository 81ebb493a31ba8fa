//! WASI's error numbers and which of them the host's become.

use rustix::io::Errno as Os;

macro_rules! errnos {
    ($($name:ident = $number:literal $(from $os:ident)?,)*) => {
        /// WASI's error numbers, as far as we answer with them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(i32)]
        pub(crate) enum Errno {
            $($name = $number,)*
        }

        impl From<Os> for Errno {
            fn from(os: Os) -> Self {
                match os {
                    $($(Os::$os => Self::$name,)?)*
                    _ => Self::Io,
                }
            }
        }
    };
}

errnos! {
    Acces = 2 from ACCESS,
    Again = 6 from AGAIN,
    Badf = 8 from BADF,
    Busy = 10 from BUSY,
    Dquot = 19 from DQUOT,
    Exist = 20 from EXIST,
    Fault = 21 from FAULT,
    Fbig = 22 from FBIG,
    Ilseq = 25 from ILSEQ,
    Intr = 27 from INTR,
    Inval = 28 from INVAL,
    Io = 29,
    Isdir = 31 from ISDIR,
    Loop = 32 from LOOP,
    Mfile = 33 from MFILE,
    Mlink = 34 from MLINK,
    Nametoolong = 37 from NAMETOOLONG,
    Nfile = 41 from NFILE,
    Nodev = 43 from NODEV,
    Noent = 44 from NOENT,
    Nomem = 48 from NOMEM,
    Nospc = 51 from NOSPC,
    Nosys = 52 from NOSYS,
    Notdir = 54 from NOTDIR,
    Notempty = 55 from NOTEMPTY,
    Notsock = 57,
    // EOPNOTSUPP is the same number.
    Notsup = 58 from NOTSUP,
    Notty = 59 from NOTTY,
    Nxio = 60 from NXIO,
    Overflow = 61 from OVERFLOW,
    Perm = 63 from PERM,
    Pipe = 64 from PIPE,
    Rofs = 69 from ROFS,
    Spipe = 70 from SPIPE,
    Stale = 72 from STALE,
    Txtbsy = 74 from TXTBSY,
    Xdev = 75 from XDEV,
}

/// The outcome of a call as its program sees it.
pub(crate) type Answer<T = ()> = Result<T, Errno>;
