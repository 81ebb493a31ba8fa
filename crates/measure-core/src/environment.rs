//! The host as a run finds it, and whether it is fit to measure on.
