//! A process as far as it must be known to be found: its id, its parent's, its name.

use std::fmt;

use serde::{Serialize, Serializer};

/// A process's name as the kernel keeps it: at most 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Comm {
    bytes: [u8; 15],
    len: u8,
}

impl Comm {
    /// The bytes up to the first NUL or newline.
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut comm = Self::default();
        let text = text.split(|&b| b == 0 || b == b'\n').next().unwrap_or(&[]);
        for (to, &from) in comm.bytes.iter_mut().zip(text) {
            *to = from;
            comm.len += 1;
        }
        comm
    }

    /// Whether it is `name`, which may be longer than the kernel keeps.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        !name.is_empty() && Self::new(name.as_bytes()) == *self
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl Serialize for Comm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    pub pid: i32,
    pub ppid: i32,
    pub comm: Comm,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_match_what_the_kernel_keeps_of_them() {
        let comm = Comm::new(b"containerd-shim\0\0");
        assert!(comm.is("containerd-shim-runc-v2"));
        assert!(!comm.is("containerd") && !comm.is(""));
    }
}
