//! What every start of a function is given.

use std::ops::Deref;
use std::sync::Arc;

use crate::budget::Budget;
use crate::grants::Grants;

/// What every start of a function is given, and the budget that it is part of.
pub(crate) struct Given {
    grants: Grants,
    pub(crate) budget: Arc<Budget>,
    /// Linear memory that a start need not count.
    pub(crate) aside_bytes: usize,
}

impl Given {
    /// `grants`, for starts that begin with `memory_bytes`.
    pub(crate) fn new(mut grants: Grants, budget: &Arc<Budget>, memory_bytes: u64) -> Self {
        for dir in &mut grants.dirs {
            // No start follows a link that is put there later. One that is not there is told by the start.
            if let Ok(host) = dir.host.canonicalize() {
                dir.host = host;
            }
        }
        let aside = budget.put_aside(memory_bytes);
        Self {
            grants,
            budget: budget.clone(),
            aside_bytes: usize::try_from(aside).unwrap_or(0),
        }
    }
}

impl Deref for Given {
    type Target = Grants;

    fn deref(&self) -> &Grants {
        &self.grants
    }
}
