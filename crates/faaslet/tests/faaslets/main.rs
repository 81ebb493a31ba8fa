//! Faaslets as their users have them: engines, functions, files, snapshots and the store, on the real kernel. What changes the network
//! of the whole process is `../network`.

mod budgets;
mod common;
mod component_imports;
mod components;
mod confinement;
mod deadline;
mod descriptors;
mod handlers;
mod hostile;
mod left_overs;
mod library;
mod library_store;
mod library_tables;
mod python_snapshot;
mod races;
mod script;
mod slashes;
mod snapshot;
mod stored_snapshots;
mod wasi;
