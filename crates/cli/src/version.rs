//! `version`: of this plugin, and what is installed in the cluster.

use api::capi::cluster;
use api::upgrader::plan;
use domain::object::Kind;
use serde::Serialize;

use crate::args::{self, Flags};
use crate::client::Live;
use crate::screen::Screen;
use crate::source::on_this_thread;
use crate::{End, Failure, output};

const DEPLOYMENT: Kind = Kind { group: "apps", versions: &["v1"], kind: "Deployment", plural: "deployments" };
/// A part of the name of the manager's image, wherever it is pulled from.
const IMAGE: &str = "kubernetes-upgrader";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    kubernetes: String,
    crds_installed: bool,
    cluster_api_installed: bool,
    /// Images of the Deployments that run the manager.
    managers: Vec<Manager>,
    /// Why the Deployments could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_looked_at: Option<String>,
}

#[derive(Serialize)]
struct Manager {
    namespace: String,
    name: String,
    image: String,
}

pub(crate) fn run(flags: &Flags, verb: &args::Version, screen: &mut Screen<'_>) -> Result<End, Failure> {
    let client = env!("CARGO_PKG_VERSION");
    let server = if verb.client { Ok(None) } else { on_this_thread(ask(flags)).map(Some) };
    let (server, failure) = match server {
        Ok(server) => (server, None),
        Err(failure) => (None, Some(failure)),
    };
    let versions = Versions { client, server };
    output::print(&versions, flags.output, screen, |_| shown(&versions))?;
    failure.map_or(Ok(End::Done), Err)
}

async fn ask(flags: &Flags) -> Result<Server, Failure> {
    let mut live = Live::connect(flags.kubeconfig.as_deref(), flags.context.as_deref()).await?;
    let kubernetes = live.server_version().await?;
    let crds_installed = live.serves(plan::KIND).await?;
    let cluster_api_installed = live.serves(cluster::KIND).await?;
    let namespace = flags.namespace.as_deref();
    let (managers, not_looked_at) = match live.list(DEPLOYMENT, namespace).await {
        Ok(deployments) => (deployments.iter().flat_map(managers).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Ok(Server { kubernetes, crds_installed, cluster_api_installed, managers, not_looked_at })
}

fn managers(deployment: &crate::object::Object) -> Vec<Manager> {
    let containers =
        deployment.body.pointer("/spec/template/spec/containers").and_then(serde_json::Value::as_array);
    let images = containers.into_iter().flatten().filter_map(|container| container.get("image")?.as_str());
    let ours = images.filter(|image| image.rsplit('/').next().is_some_and(|last| last.starts_with(IMAGE)));
    let manager = |image: &str| Manager {
        namespace: deployment.id.key.namespace.to_string(),
        name: deployment.id.key.name.to_string(),
        image: image.to_owned(),
    };
    ours.map(manager).collect()
}

fn shown(versions: &Versions) -> String {
    let mut lines = vec![format!("Client: v{}", versions.client)];
    if let Some(server) = &versions.server {
        let installed = |yes: bool| if yes { "installed" } else { "not installed" };
        lines.push(format!("Kubernetes: {}", server.kubernetes));
        lines.push(format!("CRDs: {}", installed(server.crds_installed)));
        lines.push(format!("Cluster API: {}", installed(server.cluster_api_installed)));
        for manager in &server.managers {
            lines.push(format!(
                "Manager: {} (Deployment {}/{})",
                manager.image, manager.namespace, manager.name
            ));
        }
        match &server.not_looked_at {
            Some(reason) => lines.push(format!("Manager: {reason}")),
            None if server.managers.is_empty() => lines.push("Manager: no Deployment of it found".to_owned()),
            None => {}
        }
    }
    lines.join("\n") + "\n"
}
