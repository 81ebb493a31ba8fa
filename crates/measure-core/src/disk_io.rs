//! Bytes read and written by a scope, and dropping page caches.
