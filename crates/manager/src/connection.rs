//! Where the API server is.

use std::path::Path;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::Config;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::options::VERSION;

/// No API server is known.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The file of `--kubeconfig` cannot be used.
    #[error("cannot use the file of --kubeconfig")]
    Kubeconfig(#[from] KubeconfigError),
    /// Neither a kubeconfig nor a pod.
    #[error("found neither a kubeconfig nor the environment of a pod")]
    Nowhere(#[from] InferConfigError),
}

/// The API server that a kubeconfig names; without one, what the environment names, as for kubectl, or the pod's own.
pub async fn configure(kubeconfig: Option<&Path>) -> Result<Config, ConnectionError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await?,
    };
    // Requests are told apart by it in the server's audit log.
    if let Ok(agent) = HeaderValue::from_str(&format!("kubernetes-upgrader/{VERSION}")) {
        config.headers.push((USER_AGENT, agent));
    }
    Ok(config)
}
