//! Files, below any call of WASI: the descriptors of one start, and paths beneath the directories that it was given.
//!
//! Every call works on the calling thread, on descriptors in one small table, by as few calls to the kernel as it
//! takes. A path of more than one component is resolved by the kernel in one go, beneath the directory that it
//! starts from ([`resolve`]); a name is never given to the kernel together with a directory that was
//! resolved by anything else. Nothing is cached between two calls but the entries of a directory
//! that is being listed.
//!
//! Stands for the file half of `wasmtime-wasi`, whose every call goes through an asynchronous runtime and a pool of
//! threads, and which resolves a path a component at a time: `benches/overhead.rs` holds the two against each other, and
//! `tests/files_like_wasmtime` their answers.

pub(crate) mod descriptors;
pub(crate) mod errno;
mod listing;
pub(crate) mod resolve;
pub(crate) mod stat;
mod walk;
