//! What can go wrong in a live test, printed as it is meant to be read.

use std::fmt;
use std::io;
use std::time::Duration;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a live test could not go on. Its `Debug` is its `Display`, so that `unwrap()` prints objects over several lines.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The control plane could not be started or asked.
    #[error(transparent)]
    ControlPlane(#[from] controlplane::Error),
    /// The API server refused, or could not be asked.
    #[error("Kubernetes API: {0}")]
    Kubernetes(#[source] Box<kube::Error>),
    /// What was awaited did not come.
    #[error("{what} did not come true within {} s; what is there:\n{found}", within.as_secs())]
    Deadline {
        /// What was awaited, in words.
        what: String,
        /// The time it was given.
        within: Duration,
        /// The objects concerned.
        found: String,
    },
    /// The manager could not be built, started or reached, or ended by itself.
    #[error("manager: {what}\n{log}")]
    Manager {
        /// What happened.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// A file, a socket or a process of this machine.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Something is not of the shape that is expected here.
    #[error("{0}")]
    Unexpected(String),
    /// The checks at the end of a live test found something.
    #[error("the checks at the end found {} problems:\n- {}", .0.len(), .0.join("\n- "))]
    Ending(Vec<String>),
}

impl Error {
    /// Attaches what was tried: `.map_err(Error::system("bind a socket"))`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}
