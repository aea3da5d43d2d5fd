//! Flux: server-side apply as `kustomize-controller`, by force. A field that an apply leaves out is removed, unless somebody else
//! owns it too: how the fields may leave Git.

use api::capi::cluster;
use e2e::{Apply, Objects};
use serde_json::{Value, json};

use super::scene::{FIRST, IN_GIT, NAMESPACE, OURS, REGION, VERSION, in_git, owners, set, upgrade};
use crate::given;

const FLUX: Apply<'static> = Apply { manager: "kustomize-controller", force: true, dry_run: false };
const FLUX_OWNS: &str = "kustomize-controller Apply";

/// Version and image alone.
fn both(name: &str, (version, image): (&str, &str)) -> Value {
    json!({
        "apiVersion": cluster::KIND.api_version(), "kind": cluster::KIND.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"topology": {"version": version, "variables": [{"name": "image", "value": image}]}},
    })
}

/// What the page tells people to do once: somebody else owns both fields as well, with the values that they have.
async fn hand_over(objects: &Objects, name: &str, live: (&str, &str)) {
    objects.apply(&cluster::KIND, Apply::unforced("handover"), &both(name, live)).await.unwrap();
}

/// Before our first write.
pub(super) async fn before_our_write(objects: &Objects) {
    let name = "early";
    let apply = async |body| objects.apply(&cluster::KIND, FLUX, &body).await;
    let created = apply(in_git(name, Some(IN_GIT))).await.unwrap();
    assert_eq!(owners(&created, VERSION), [FLUX_OWNS]);
    let refused = apply(in_git(name, None)).await.unwrap_err().to_string();
    assert!(refused.contains("spec.topology.version: Required value"), "{refused}");
    let mut version_only = in_git(name, None);
    version_only["spec"]["topology"]["version"] = IN_GIT.0.into();
    let would_be = objects.apply(&cluster::KIND, FLUX.dry(), &version_only).await.unwrap();
    assert_eq!(set(&would_be), (IN_GIT.0, ""), "the image would be lost");

    hand_over(objects, name, IN_GIT).await;
    let left = apply(in_git(name, None)).await.unwrap();
    assert_eq!(set(&left), IN_GIT);
    assert_eq!(owners(&left, VERSION), ["handover Apply"]);
    objects.delete(&cluster::KIND, NAMESPACE, name).await.unwrap();
}

/// After our first write: the version is ours then, and the value of the variable; but the entry of the list that holds the value
/// is still Git's, and goes with it.
pub(super) async fn after_our_write(objects: &Objects) -> &'static str {
    let name = "flux";
    let apply = async |body| objects.apply(&cluster::KIND, FLUX, &body).await;
    apply(in_git(name, Some(IN_GIT))).await.unwrap();
    let ours = upgrade(objects, name).await;
    assert_eq!(owners(&ours, REGION), [FLUX_OWNS], "the rest stays Git's");

    // Whoever does not force is told whose the field is.
    let refused =
        objects.apply(&cluster::KIND, Apply::unforced("someone"), &in_git(name, Some(IN_GIT))).await;
    let refused = refused.unwrap_err().to_string();
    let (manager, _) = OURS.split_once(' ').unwrap();
    assert!(refused.contains("conflict") && refused.contains(manager), "{refused}");

    let would_be = objects.apply(&cluster::KIND, FLUX.dry(), &in_git(name, None)).await.unwrap();
    assert_eq!(set(&would_be), (FIRST.0, ""), "the image would be lost");
    hand_over(objects, name, FIRST).await;
    let applied = apply(in_git(name, None)).await.unwrap();
    assert_eq!(set(&applied), FIRST);
    assert_eq!(owners(&applied, REGION), [FLUX_OWNS]);
    // And it stays so at the next one.
    assert_eq!(set(&apply(in_git(name, None)).await.unwrap()), FIRST);
    given::capi::settle(objects, NAMESPACE, name).await;
    name
}

/// The image was never in Git: our first write adds it, and all of it is ours.
pub(super) async fn image_never_in_git(objects: &Objects) -> &'static str {
    let name = "flux-without-image";
    let apply = async |body| objects.apply(&cluster::KIND, FLUX, &body).await;
    let mut with_version = in_git(name, None);
    with_version["spec"]["topology"]["version"] = IN_GIT.0.into();
    apply(with_version).await.unwrap();
    upgrade(objects, name).await;
    assert_eq!(set(&apply(in_git(name, None)).await.unwrap()), FIRST);
    given::capi::settle(objects, NAMESPACE, name).await;
    name
}
