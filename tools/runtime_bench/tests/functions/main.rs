//! `add` and what follows it, as a process over the real drivers, each test in a home of its own. What a host cannot do is said and
//! skipped.

mod bad;
mod examples;
mod given;
mod handlers;
mod home;
mod images;
mod network;
mod registry;
mod sides;
mod sources;
mod whole;
