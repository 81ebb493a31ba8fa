//! Files, below any call of WASI: the descriptors of one start, and paths beneath the directories that it was given.
//!
//! Every call works on the calling thread, on descriptors in one small table, by as few calls to the kernel as it
//! takes. A path of more than one component is resolved by the kernel in one go, beneath the directory that it
//! starts from ([`resolve`]); a name is never given to the kernel together with a directory that was
//! resolved by anything else. Nothing is cached between two calls but the entries of a directory
//! that is being listed.
//!
//! Stands for the file half of `wasmtime-wasi`, whose calls are futures over a general table of resources, by default carried out on
//! a pool of threads: there, reading a file takes 1.5 times and listing a directory eight times as long, even on the calling thread
//! (`benches/overhead.rs`). `fuzz calls` (tools/fuzz) holds our answers to be the same.

pub(crate) mod descriptors;
pub(crate) mod errno;
pub(crate) mod granted;
pub(crate) mod listing;
pub(crate) mod resolve;
pub(crate) mod stat;
mod walk;

pub(crate) use granted::path_without_links;
