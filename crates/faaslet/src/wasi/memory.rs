//! Access to a program's memory: every address is checked, none is trusted.

use wasmtime::{Caller, Extern};

use crate::files::descriptors::Descriptors;
pub(super) use crate::files::errno::{Answer, Errno};
use crate::host::Host;

/// A program that calls.
pub(super) type Call<'a> = Caller<'a, Host>;

/// Linux's limit for a path, its final NUL included.
const PATH_MAX_BYTES: usize = 4096;

/// A call moves no more bytes before it looks whether its program is late.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// Functions of preview 1 by their names: what each answers to the program that calls. Makes the list of the names and what
/// offers the functions to modules.
macro_rules! functions {
    ($($name:ident($c:ident $(, $arg:tt: $ty:ty)*) => $answer:expr;)*) => {
        pub(super) const NAMES: &[&str] = &[$(stringify!($name),)*];

        pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
            $(
                let function = |mut caller: Call<'_> $(, $arg: $ty)*| -> wasmtime::Result<i32> {
                    let answer = |$c: &mut Call<'_>| -> Answer { $answer };
                    let code = code(answer(&mut caller));
                    // Whatever it took, and even if it was cut short because of it.
                    caller.data().watch.in_time()?;
                    Ok(code)
                };
                linker.func_wrap(wasm_interface::WASI, stringify!($name), function)?;
            )*
            Ok(())
        }
    };
}
pub(super) use functions;

/// What a call returns for `answer`.
pub(super) fn code(answer: Answer) -> i32 {
    answer.map_or_else(|errno| errno as i32, |()| 0)
}

/// A program's memory and the host state beside it.
pub(super) struct Guest<'a> {
    pub(super) memory: &'a mut [u8],
    pub(super) host: &'a mut Host,
}

/// A buffer of a scatter/gather list.
#[derive(Clone, Copy)]
pub(super) struct IoVec {
    pub(super) at: u32,
    pub(super) len: u32,
}

impl<'a> Guest<'a> {
    pub(super) fn from_caller(caller: &'a mut Caller<'_, Host>) -> Answer<Self> {
        // A module without a memory of this name is refused at load; a call during its
        // instantiation finds it too.
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
            return Err(Errno::Fault);
        };
        let (memory, host) = memory.data_and_store_mut(caller);
        Ok(Self { memory, host })
    }

    pub(super) fn bytes(&mut self, at: u32, len: u32) -> Answer<&mut [u8]> {
        let start = at as usize;
        start
            .checked_add(len as usize)
            .and_then(|end| self.memory.get_mut(start..end))
            .ok_or(Errno::Fault)
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Answer {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Inval)?;
        self.bytes(at, len)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn write_u32(&mut self, at: u32, value: u32) -> Answer {
        self.write(at, &value.to_le_bytes())
    }

    pub(super) fn read_u32(&mut self, at: u32) -> Answer<u32> {
        let bytes = self.bytes(at, 4)?;
        Ok(bytes.try_into().map_or(0, u32::from_le_bytes))
    }

    pub(super) fn read_u64(&mut self, at: u32) -> Answer<u64> {
        let bytes = self.bytes(at, 8)?;
        Ok(bytes.try_into().map_or(0, u64::from_le_bytes))
    }

    /// Element `i` of the list at `list`.
    pub(super) fn iovec(&mut self, list: u32, i: u32) -> Answer<IoVec> {
        let at = i
            .checked_mul(8)
            .and_then(|offset| list.checked_add(offset))
            .ok_or(Errno::Fault)?;
        let len_at = at.checked_add(4).ok_or(Errno::Fault)?;
        Ok(IoVec {
            at: self.read_u32(at)?,
            len: self.read_u32(len_at)?,
        })
    }

    pub(super) fn descriptors(&mut self) -> Answer<&mut Descriptors> {
        descriptors_of(self.host)
    }

    /// The path of `len` bytes at `at`: not yet resolved, and not to be trusted.
    pub(super) fn path(&mut self, at: u32, len: u32) -> Answer<String> {
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

pub(super) fn descriptors_of(host: &mut Host) -> Answer<&mut Descriptors> {
    // Every store of a linker that offers files has them.
    host.files.as_deref_mut().ok_or(Errno::Nosys)
}

/// `bits` if it has none beyond `known`: what preview 1 does not define is refused rather than ignored.
pub(super) fn known(bits: u32, known: u32) -> Answer<u32> {
    if bits & !known == 0 {
        Ok(bits)
    } else {
        Err(Errno::Inval)
    }
}
