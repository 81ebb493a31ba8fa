//! Network namespaces on the real kernel, empty ones and those from which something granted is reached. A program of its own: where
//! devices and namespaces are counted, no start of another test makes any.

mod granted;
mod netns;
mod pools;
