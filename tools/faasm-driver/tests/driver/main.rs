//! The real executable on a real store, kernel and engine, with programs that behave and programs that do
//! not.

mod bombs;
mod budgets;
mod closed_pipe;
mod common;
mod compile;
mod components;
mod crowd;
mod hostile;
mod llvm;
mod modules;
mod namespaces;
mod network;
mod new_seats;
mod python;
mod runs;
mod serve;
mod server;
mod signals;
mod snapshot;
mod store;
mod uploads;
mod users;
