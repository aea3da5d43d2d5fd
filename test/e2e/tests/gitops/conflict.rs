//! Git follows with the version but not with the image, or somebody else sets one: two writers of one variable would roll the
//! machines for ever, so ours stops and says so, until its plan has something new.

use api::capi::cluster;
use api::upgrader::cluster_upgrader;
use e2e::{Apply, Objects, WITHIN, find_condition};

use super::scene::{FIRST, IN_GIT, NAMESPACE, get, in_git, set, upgrade};
use crate::given;

pub(super) async fn same_version_another_image(objects: &Objects) -> &'static str {
    let name = "conflict";
    let apply =
        async |body| objects.apply(&cluster::KIND, Apply::forced("kustomize-controller"), &body).await;
    apply(in_git(name, Some(IN_GIT))).await.unwrap();
    upgrade(objects, name).await;
    let theirs = (FIRST.0, "another-image");
    apply(in_git(name, Some(theirs))).await.unwrap();
    given::capi::settle(objects, NAMESPACE, name).await;

    let upgrader = (&cluster_upgrader::KIND, NAMESPACE, name);
    let told = ("Ready", "False", "ConflictingOwner");
    let told = objects.await_condition(upgrader, told, WITHIN).await.unwrap();
    assert_eq!(find_condition(&told, "Stalled")["status"], "True", "a human must act");
    let message = find_condition(&told, "Ready")["message"].as_str().unwrap();
    assert!(message.contains("another-image") || message.contains("kustomize-controller"), "{message}");
    assert_eq!(set(&get(objects, name).await), theirs, "it is not taken back");
    name
}
