//! Why a server could not be asked: one sentence, with what to do.

use kube::client::AuthError;
use kube::config::KubeconfigError;

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("no kubeconfig: set KUBECONFIG, or name a file by --kubeconfig ({0})")]
    NoKubeconfig(String),
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(String),
    #[error("cannot reach the API server at {server}: {cause}")]
    Unreachable { server: String, cause: String },
    #[error(
        "the API server at {0} does not accept your credentials: sign in again, or choose another --context"
    )]
    Unauthorized(String),
    #[error("you may not {verb} {resource} {place}: ask for the verb {verb} on {resource} there")]
    Forbidden { verb: &'static str, resource: String, place: String },
    #[error(
        "you may not get {0}: ask for the verb get on the nonResourceURL {0}, as the ClusterRole system:discovery gives it"
    )]
    Undiscoverable(String),
    #[error("cannot sign in: {0}; sign in again, or choose another --context")]
    SignIn(String),
    #[error("the API server has {group} in {served} alone, and this program reads {known}: {advice}")]
    OtherVersions { group: &'static str, served: String, known: String, advice: &'static str },
    #[error(
        "kubernetes-upgrader's CRDs are not installed in this cluster: install them with `kubectl apply -k config/default`, \
         or with components.yaml of a release"
    )]
    NotInstalled,
    #[error(
        "Cluster API is not installed in this cluster: install it with `clusterctl init`, with the feature ClusterTopology \
         turned on (CLUSTER_TOPOLOGY=true)"
    )]
    NoClusterApi,
    #[error("the API server at {server} answered {code}: {message}")]
    Answered { server: String, code: u16, message: String },
    #[error("what the API server at {server} answered cannot be read: {cause}")]
    Unreadable { server: String, cause: String },
}

impl ReadError {
    /// Of a kubeconfig that cannot be used. The innermost cause says most.
    pub(crate) fn of_kubeconfig(error: &KubeconfigError) -> Self {
        match error {
            KubeconfigError::ReadConfig(cause, path) => {
                Self::NoKubeconfig(format!("{}: {cause}", path.display()))
            }
            KubeconfigError::FindPath => {
                Self::NoKubeconfig("there is no home directory to look in".to_owned())
            }
            KubeconfigError::CurrentContextNotSet => {
                Self::Kubeconfig("it has no current context: choose one by --context".to_owned())
            }
            KubeconfigError::LoadContext(name) => Self::Kubeconfig(format!("it has no context {name}")),
            other => Self::Kubeconfig(innermost(other)),
        }
    }
}

impl ReadError {
    /// Of credentials that could not be had, from a program that the kubeconfig names or otherwise.
    pub(crate) fn of_credentials(error: &AuthError, program: Option<&str>) -> Self {
        let program = program.unwrap_or("the credential plugin");
        Self::SignIn(match error {
            AuthError::AuthExecStart(cause) => format!("{program} cannot be started: {cause}"),
            AuthError::AuthExecRun { out, .. } => format!("{program} ended with {}", out.status),
            other => innermost(other),
        })
    }
}

/// The words of the innermost cause.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    crate::state::one_line(&innermost.to_string())
}
