//! Files: the descriptors of one start, and the functions of preview 1 that need them.
//!
//! Every call works on the calling thread, on descriptors in one small table, by as few calls to the kernel as it
//! takes. A path of more than one component is resolved by the kernel in one go, beneath the directory that it
//! starts from (`resolve`); a name is never given to the kernel together with a directory that was
//! resolved by anything else. Nothing is cached between two calls but the entries of a directory
//! that is being listed.

mod descriptors;
mod fds;
mod listing;
mod paths;
mod resolve;
mod stat;
mod streams;
mod walk;

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use wasmtime::{Caller, Linker};

use super::errno::Errno;
use super::memory::{Answer, Guest};
use crate::host::{Grants, Host};

use descriptors::{Descriptor, Descriptors, Dir};

/// What programs that deal with files have besides: what they opened.
pub(crate) struct Files {
    descriptors: Descriptors,
}

impl Files {
    /// The standard streams and the directories of `grants`, under the numbers that WASI gives them.
    pub(crate) fn open(grants: &Grants) -> io::Result<Box<Self>> {
        let mut descriptors = Descriptors::with_streams();
        for (i, grant) in grants.dirs.iter().enumerate() {
            let named =
                |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", grant.host.display()));
            let fd = open_granted(&grant.host).map_err(named)?;
            let dir = Dir::granted(fd, grant.writable, i);
            descriptors
                .insert(Descriptor::Dir(Box::new(dir)))
                .map_err(|_| io::Error::other("too many directories are granted"))?;
        }
        Ok(Box::new(Self { descriptors }))
    }
}

fn open_granted(path: &Path) -> io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Offers the functions of [`super::FILES`], and those of [`super::LIGHT`] that are told a descriptor.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    streams::link(linker)?;
    fds::link(linker)?;
    paths::link(linker)
}

type Call<'a> = Caller<'a, Host>;

impl Guest<'_> {
    fn descriptors(&mut self) -> Answer<&mut Descriptors> {
        descriptors_of(self.host)
    }

    /// The path of `len` bytes at `at`: not yet resolved, and not to be trusted.
    fn path(&mut self, at: u32, len: u32) -> Answer<String> {
        let bytes = self.bytes(at, len)?;
        // The kernel's own limit, which a copy of the guest's gigabytes need not be made to find out.
        if bytes.len() >= PATH_MAX_BYTES {
            return Err(Errno::Nametoolong);
        }
        let path = std::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)?;
        if path.contains('\0') {
            return Err(Errno::Inval);
        }
        Ok(path.to_owned())
    }
}

/// Linux's limit for a path, its final NUL included.
const PATH_MAX_BYTES: usize = 4096;

fn descriptors_of(host: &mut Host) -> Answer<&mut Descriptors> {
    // Every store of this linker has them.
    host.files
        .as_mut()
        .map(|files| &mut files.descriptors)
        .ok_or(Errno::Nosys)
}

/// `bits` if it has none beyond `known`: what preview 1 does not define is refused rather than ignored.
fn known(bits: u32, known: u32) -> Answer<u32> {
    if bits & !known == 0 {
        Ok(bits)
    } else {
        Err(Errno::Inval)
    }
}
