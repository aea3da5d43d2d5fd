//! Of all processes that compete for the lease, one writes.

use std::collections::BTreeSet;

use super::{Broken, Write, holds};

const INVARIANT: &str = "no write without the lease";

/// Who writes, and who has written before.
#[derive(Debug, Default)]
pub(super) struct Lease {
    last: u32,
    /// A process that has lost the lease never acts again: it ends.
    over: BTreeSet<u32>,
}

impl Lease {
    pub(super) fn check(&mut self, write: &Write<'_>) -> Result<(), Broken> {
        if !write.is_ours() || write.process == self.last {
            return Ok(());
        }
        let late = self.over.contains(&write.process);
        self.over.insert(self.last);
        let last = std::mem::replace(&mut self.last, write.process);
        holds(!late, INVARIANT, || {
            format!(
                "process {} has written {} {} after process {last} has",
                write.process, write.kind, write.key
            )
        })
    }
}
