//! What can go wrong between a published Go module and a ready control plane.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the control plane could not be built, started or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program this machine lacks.
    #[error("`{program}` is missing, which {purpose}: {remedy}")]
    MissingProgram {
        /// The program's name as looked up in `PATH`.
        program: String,
        /// What it is needed for.
        purpose: &'static str,
        /// How to get it.
        remedy: &'static str,
    },
    /// A file or folder of ours could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The path as used.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A command ended with a failure.
    #[error("`{command}` failed with {status}:\n{output}")]
    Command {
        /// The command line, shortened.
        command: String,
        /// The exit status in words.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A component ended before it was ready.
    #[error("{component} ended with {status}; the end of {}:\n{tail}", log.display())]
    Ended {
        /// The component's name.
        component: String,
        /// The exit status in words.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of that file.
        tail: String,
    },
    /// A component was still not ready when its time was over.
    #[error("{component} was not ready within {} s; the end of {}:\n{tail}", within.as_secs(), log.display())]
    NotReady {
        /// The component's name.
        component: String,
        /// The time it was given.
        within: Duration,
        /// Its log file.
        log: PathBuf,
        /// The last lines of that file.
        tail: String,
    },
    /// A condition did not hold when its time was over.
    #[error("{condition} did not hold within {} s; what is there:\n{found}", within.as_secs())]
    Deadline {
        /// The condition in words.
        condition: String,
        /// The time it was given.
        within: Duration,
        /// The objects concerned, as YAML.
        found: String,
    },
    /// A manifest is not of the shape that is expected here.
    #[error("{manifest}: {reason}")]
    Manifest {
        /// Which manifest.
        manifest: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A user that a client certificate cannot express.
    #[error("a client certificate made here carries two groups at most, {user:?} asks for {groups}")]
    TooManyGroups {
        /// The user's name.
        user: String,
        /// How many groups were asked for.
        groups: usize,
    },
    /// This machine or this control plane cannot have a sandbox node.
    #[error("no sandbox node: {0}")]
    NoSandbox(String),
    /// No port was free.
    #[error("no free port on the loopback address between {0} and {1}")]
    NoFreePort(u16, u16),
    /// The thread that starts processes is gone.
    #[error("the thread that starts processes has ended")]
    NoSpawner,
    /// A certificate or a key could not be made.
    #[error("certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The API server refused, or could not be asked.
    #[error("Kubernetes API: {0}")]
    Kubernetes(#[source] Box<kube::Error>),
    /// A kubeconfig is of no use.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[source] Box<kube::config::KubeconfigError>),
}

impl Error {
    /// Attaches a path to an I/O error: `.map_err(Error::file(path))`.
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::File { path, source }
    }

    /// True when a component ended because another process held its port.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { tail, .. } if tail.contains("address already in use"))
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

impl From<kube::config::KubeconfigError> for Error {
    fn from(error: kube::config::KubeconfigError) -> Self {
        Self::Kubeconfig(Box::new(error))
    }
}
