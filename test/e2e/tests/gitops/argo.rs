//! Argo CD: client-side apply, or server-side apply as `argocd-controller`. With `RespectIgnoreDifferences=true` it puts the live
//! values where its ignore rules point, and applies the rest of Git.

use api::capi::cluster;
use controlplane::ControlPlane;
use e2e::{Apply, Objects};
use serde_json::Value;

use super::scene::{
    FIRST, IMAGE, IN_GIT, NAMESPACE, OURS, REGION, VERSION, get, in_git, owners, set, upgrade,
};
use crate::given;

const ARGO: &str = "argocd-controller";
const ARGO_OWNS: &str = "argocd-controller Apply";

/// Git's Cluster with the live values of what is ignored.
fn respectful(name: &str, live: &Value) -> Value {
    in_git(name, Some(set(live)))
}

/// `ServerSideApply=true`.
pub(super) async fn server_side_with_live_values(objects: &Objects) -> &'static str {
    let name = "argo";
    let apply = async |body| objects.apply(&cluster::KIND, Apply::forced(ARGO), &body).await;
    apply(in_git(name, Some(IN_GIT))).await.unwrap();
    upgrade(objects, name).await;
    let live = get(objects, name).await;
    let applied = apply(respectful(name, &live)).await.unwrap();
    assert_eq!(set(&applied), FIRST);
    // Both have said the same, so both own it.
    let mut both = owners(&applied, VERSION);
    both.sort();
    assert_eq!(both, [ARGO_OWNS, OURS]);
    assert_eq!(owners(&applied, REGION), [ARGO_OWNS]);
    given::capi::settle(objects, NAMESPACE, name).await;
    name
}

/// Without that option it is `kubectl apply`: three ways, by the annotation of the last one.
pub(super) async fn client_side_with_live_values(plane: &ControlPlane, objects: &Objects) -> &'static str {
    let name = "argo-client-side";
    let apply = async |body: Value, dry: bool| {
        let file = plane.write_file(&format!("{name}.json"), &body.to_string()).unwrap();
        let manager = format!("--field-manager={ARGO}");
        let file = file.to_str().unwrap();
        let mut command = vec!["apply", &manager, "-o", "json", "--show-managed-fields", "-f", file];
        if dry {
            command.push("--dry-run=server");
        }
        let applied = plane.run_kubectl(&command).await.unwrap();
        serde_json::from_str::<Value>(&applied).unwrap()
    };
    apply(in_git(name, Some(IN_GIT)), false).await;
    upgrade(objects, name).await;
    // Where nothing is ignored, Git wins; a real Cluster API refuses that.
    assert_eq!(set(&apply(in_git(name, Some(IN_GIT)), true).await), IN_GIT);
    let live = get(objects, name).await;
    let applied = apply(respectful(name, &live), false).await;
    assert_eq!(set(&applied), FIRST);
    assert_eq!(owners(&applied, IMAGE), [OURS], "a value that does not change stays whose it was");
    given::capi::settle(objects, NAMESPACE, name).await;
    name
}
