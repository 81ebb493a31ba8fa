//! The executable itself: on the built interpreters where they are there, and what it says where something is wrong.

mod common;
mod comparing;
mod digest;
mod faults;
mod installed;
mod signals;
