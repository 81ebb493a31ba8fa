//! The Wasm side: function store, AOT code, isolation of a Faaslet.

pub mod netns;
