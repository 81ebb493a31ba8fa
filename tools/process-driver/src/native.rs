//! The demo functions as they are linked into this driver.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

use measure_core::base::ids::{self, FunctionId};
use measure_core::driver_kit::DriverError;

unsafe extern "C" {
    /// `main` of functions/noop.c.
    safe fn noop_main() -> c_int;
    /// functions/park.c: reads `fd` to its end; 0 then, 1 if it cannot be read.
    safe fn park(fd: c_int) -> c_int;
}

/// A function that a thread can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Native {
    /// `demo/noop`.
    Noop,
    /// `demo/park`.
    Park,
}

/// The functions by id, in the order of [`Native`].
const KNOWN: [(&str, Native); 2] = [("demo/noop", Native::Noop), ("demo/park", Native::Park)];

impl Native {
    /// The function `id`, for `rung`.
    ///
    /// # Errors
    /// It is not one of those linked into this driver.
    pub fn linked(id: &FunctionId, rung: &str) -> Result<Self, DriverError> {
        let id = id.to_string();
        let found = KNOWN.iter().find(|(name, _)| *name == id);
        found.map(|(_, native)| *native).ok_or_else(|| {
            let known = KNOWN.map(|(name, _)| name.to_owned());
            DriverError::Usage(format!(
                "{}: rung `{rung}` runs only what is linked into this driver; use rung `process` for functions of the store",
                ids::unknown("function", &id, &known)
            ))
        })
    }

    /// Runs it to its end with `stdin` for its standard input; its exit code.
    #[must_use]
    pub fn run(self, stdin: BorrowedFd<'_>) -> c_int {
        match self {
            Self::Noop => noop_main(),
            Self::Park => park(stdin.as_raw_fd()),
        }
    }

    /// Its id in the store.
    #[must_use]
    pub fn id(self) -> &'static str {
        KNOWN[self as usize].0
    }
}

/// Checks an exit code.
///
/// # Errors
/// It is not 0.
pub(crate) fn check_exit_code(function: &str, code: c_int) -> Result<(), DriverError> {
    match code {
        0 => Ok(()),
        code => Err(DriverError::Exited {
            code,
            words: format!("{function} ended with exit code {code}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn ids_name_the_functions_that_run() {
        let null = File::open("/dev/null").expect("/dev/null");
        let directory = File::open("/").expect("/");
        for (id, native) in KNOWN {
            let id: FunctionId = id.parse().expect("an id");
            assert_eq!(Native::linked(&id, "thread").expect("known"), native);
            assert_eq!(native.id(), id.to_string());
            assert_eq!(native.run(null.as_fd()), 0);
        }
        // What cannot be read is a failure, not an end.
        assert_eq!(Native::Park.run(directory.as_fd()), 1);
    }

    #[test]
    fn other_functions_are_refused_with_the_way_out() {
        let id: FunctionId = "demo/nop".parse().expect("an id");
        let error = Native::linked(&id, "thread")
            .expect_err("refused")
            .to_string();
        assert!(error.contains("did you mean `demo/noop`?"), "{error}");
        assert!(error.contains("rung `process`"), "{error}");
    }
}
