//! Why a run came to no end.

/// Why there is no timeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A controller, or the scenario, asked for something that the simulated cluster does not do.
    #[error("not simulated: {0}")]
    Unsupported(String),
    /// The manager ended by itself: a bug.
    #[error("the manager ended: {0}")]
    Ended(String),
    /// The manager could not be started.
    #[error("the manager did not start: {0}")]
    Start(String),
}
