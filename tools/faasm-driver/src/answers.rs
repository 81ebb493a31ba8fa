//! What users are told, whichever command they gave.

use faaslet::FaasletError;
use faaslet::error::CGROUP_MEND;
use faaslet::netns::NetnsError;
use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::ids::{FunctionId, FunctionIdError};
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::cli::print_lines;

/// What an error of the library means to a user.
pub(crate) fn driver_error(error: FaasletError) -> DriverError {
    match error {
        FaasletError::UnknownFunction(message) => DriverError::Usage(message),
        FaasletError::Cgroup(cause) => DriverError::Unavailable {
            why: format!("no CPU cgroup to be had ({cause})"),
            mend: CGROUP_MEND.to_owned(),
        },
        FaasletError::Lock(cause) => cause.into(),
        FaasletError::Stored(cause) => cause,
        FaasletError::Netns(cause) => no_namespaces(&cause),
        why @ FaasletError::SecondEngine { .. } => DriverError::Unavailable {
            why: why.to_string(),
            mend: "run it on the rungs without -llvm".to_owned(),
        },
        FaasletError::NotCompiled(id) => DriverError::Unavailable {
            mend: format!("`faasm-driver codegen --llvm {id}` does it once, in minutes"),
            why: FaasletError::NotCompiled(id).to_string(),
        },
        why @ FaasletError::SnapshotOfComponent(_) => DriverError::Unavailable {
            why: why.to_string(),
            mend: "start it without one (`faaslet`); a component's initialiser is run where it is built, as componentize-py and \
                   componentize-js do"
                .to_owned(),
        },
        FaasletError::Network(cause) => match cause.exit() {
            Exit::Usage => DriverError::Usage(cause.to_string()),
            Exit::Unavailable => DriverError::Unavailable {
                why: "what the function was granted of the network is not to be had".to_owned(),
                mend: cause.to_string(),
            },
            _ => DriverError::library(cause),
        },
        other => DriverError::library(other),
    }
}

/// What an error of the network namespaces means to a user.
pub(crate) fn netns_error(error: NetnsError) -> DriverError {
    match error.exit() {
        Exit::Usage => DriverError::Usage(error.to_string()),
        Exit::Busy => DriverError::Busy(error.to_string()),
        Exit::Unavailable => no_namespaces(&error),
        _ => DriverError::library(error),
    }
}

fn no_namespaces(error: &NetnsError) -> DriverError {
    DriverError::Unavailable {
        why: "no network namespaces to be had".to_owned(),
        mend: error.to_string(),
    }
}

/// The function that an argument names.
pub(crate) fn function_id(text: &str) -> Result<FunctionId, DriverError> {
    text.parse()
        .map_err(|e: FunctionIdError| DriverError::Usage(e.to_string()))
}

/// A line of the command's own output.
pub(crate) fn say(line: &str) -> Result<(), DriverError> {
    print_lines(line)
}
