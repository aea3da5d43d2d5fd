//! Which Clusters may start now: what one upgrader cannot decide alone.

/// What the upgraders of this process have reserved, lost with the process.
#[derive(Debug, Default)]
pub struct Fleet {}
