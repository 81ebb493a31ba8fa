//! What the original published of its machine: no-op, cold starts of new functions at a rate (Shillaker & Pietzuch, "Faasm:
//! Lightweight Isolation for Efficient Stateful Serverless Computing", USENIX ATC 2020, section 6.5; four cores of a Xeon E3-1220).

/// A runtime as published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    /// The original's name for it.
    pub name: &'static str,
    /// What a start takes while it follows.
    pub start_ns: f64,
    /// The rate up to which it does, starts a second.
    pub follows_to_per_s: f64,
}

/// The curves.
pub(super) const PUBLISHED: [Published; 3] = [
    Published {
        name: "Docker",
        start_ns: 2.8e9,
        follows_to_per_s: 3.0,
    },
    Published {
        name: "Faaslet",
        start_ns: 5.2e6,
        follows_to_per_s: 600.0,
    },
    Published {
        name: "Proto-Faaslet",
        start_ns: 0.5e6,
        follows_to_per_s: 4000.0,
    },
];

/// What the plot says of them.
pub(super) const WHOSE: &str = "dashed: published, another machine";
