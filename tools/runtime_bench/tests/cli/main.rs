//! The executable on records and hosts that are trees of files: nothing is measured here.

mod closed_pipe;
mod compare;
mod habits;
mod history;
mod report;
mod schema;
mod tune;
mod unknown_function;
mod validate;
