//! The Wasm rungs: bare instances and Faaslets.
