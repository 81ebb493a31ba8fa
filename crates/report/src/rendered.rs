//! What a report is made of.

/// A file of the run directory that is made from its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its name in the run directory.
    pub name: &'static str,
    /// Its whole content.
    pub content: String,
}
