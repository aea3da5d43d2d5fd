//! What exists is never made again: images of older releases, of a moved syncer, of a killed process.

use proptest::prelude::*;
use runtime::room::Recall;

use super::*;

/// An image as v0.5.0 made it; v0.6.0 put `controller` and `blockOwnerDeletion` into its owner reference.
fn old(owner: Value, status: Value) -> String {
    let mut image = json!({
        "kind": "MachineImage",
        "metadata": {
            "name": "syncer-v1.27.6-x7k2p",
            "labels": {
                "imageBuilderVersion": "v1",
                "kubernetes-upgrader.dimitrikoshkin.com/machine-image-syncer-name": "syncer",
                "kubernetes-upgrader.dimitrikoshkin.com/kubernetes-version": "v1.27.6",
            },
            "annotations": {"kubernetes-upgrader.dimitrikoshkin.com/cloned-from": "template"},
        },
        "spec": {"version": "v1.27.6", "jobTemplate": {"spec": {"containers": [{"name": "c"}]}}},
        "status": status,
    });
    if !owner.is_null() {
        image["metadata"]["ownerReferences"] = json!([owner]);
    }
    format!("{CHAIN}\n---\n{image}")
}

fn owner(uid: &str) -> Value {
    let api_version = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
    json!({"apiVersion": api_version, "kind": "MachineImageSyncer", "name": "syncer", "uid": uid})
}

const OURS: &str = "uid-machineimagesyncer-syncer";

#[test]
fn images_of_older_releases_count_in_any_state() {
    let mut controller = owner(OURS);
    controller["controller"] = json!(true);
    controller["blockOwnerDeletion"] = json!(true);
    for owner in [owner(OURS), controller] {
        for status in
            [json!({}), json!({"phase": "Building"}), json!({"phase": "Failed"}), json!({"ready": true})]
        {
            let pass = World::new(&old(owner.clone(), status)).pass(at(0));
            assert_eq!((pass.steps.len(), pass.decided.as_str()), (0, "done"));
            assert_eq!(pass.report.status.unwrap()["latestVersion"], "v1.27.6");
        }
    }
}

/// What v0.6.0 wrote of it stays, and is no news.
#[test]
fn an_adopted_status_is_kept() {
    let mut world = World::new(&old(owner(OURS), json!({})));
    world.syncer()["status"] = json!({"latestVersion": "v1.27.6"});
    let pass = world.pass(at(0));
    assert_eq!(pass.report.status.as_ref().unwrap().get("latestVersion"), None);
    assert_eq!(pass.notes(), [""; 0]);
}

/// Bug B12 as v0.5.0 left it: the template had overwritten the labels.
#[test]
fn an_owned_image_counts_whatever_its_labels_say() {
    let mut world = World::new(&old(owner(OURS), json!({})));
    world.get("MachineImage")["metadata"]["labels"] =
        json!({"kubernetes-upgrader.dimitrikoshkin.com/machine-image-syncer-name": "mine"});
    assert_eq!(world.pass(at(0)).decided, "done");
}

/// `clusterctl move` gives new uids, rewrites owners, and moves no status.
#[test]
fn a_moved_syncer_knows_its_image() {
    for owner in [owner("uid-moved"), Value::Null] {
        let mut world = World::new(&old(owner, Value::Null));
        world.syncer()["metadata"]["uid"] = json!("uid-moved");
        let pass = world.pass(at(0));
        assert_eq!((pass.steps.len(), pass.decided.as_str()), (0, "done"));
        assert_eq!(pass.report.status.unwrap()["latestVersion"], "v1.27.6");
    }
}

#[test]
fn images_of_others_do_not_count() {
    // Another syncer's, or one whose syncer is gone and which will follow it.
    let mut world = World::new(&old(owner("uid-another"), json!({})));
    assert_eq!(world.pass(at(0)).steps.len(), 2);
    // A user's own: it has no identity of a syncer, or that of another version.
    for label in ["machine-image-syncer-name", "kubernetes-version"] {
        let mut world = World::new(&old(Value::Null, json!({})));
        let labels = world.get("MachineImage")["metadata"]["labels"].as_object_mut().unwrap();
        labels.remove(&format!("kubernetes-upgrader.dimitrikoshkin.com/{label}"));
        assert_eq!(world.pass(at(0)).steps.len(), 2, "without {label}");
    }
    // One in another namespace.
    let mut world = World::new(&old(Value::Null, json!({})));
    world.get("MachineImage")["metadata"]["namespace"] = json!("elsewhere");
    assert_eq!(world.pass(at(0)).steps.len(), 2);
}

/// A source that drops or adds the `v` names the same version.
#[test]
fn a_version_is_the_same_with_and_without_its_v() {
    let mut world = World::new(&old(owner(OURS), json!({})));
    world.get("DebianRepositorySource")["status"]["versions"] = json!(["1.27.6"]);
    assert_eq!(world.pass(at(0)).decided, "done");
}

#[test]
fn a_taken_name_is_waited_for() {
    let mut world = World::new(CHAIN);
    world.pass(at(0));
    // Somebody took the image over: neither owner nor labels are left.
    let metadata = world.get("MachineImage")["metadata"].as_object_mut().unwrap();
    metadata.remove("ownerReferences");
    metadata.remove("labels");
    let name = metadata["name"].as_str().unwrap().to_owned();
    world.restart();
    let pass = world.pass(at(1));
    assert_eq!(pass.steps, [""; 0]);
    assert_eq!(
        pass.decided,
        format!(
            "wait: ImageNameTaken - another machine image has the name of the one for v1.27.6 \
             (MachineImage ns/{name}); delete it"
        )
    );
    assert_eq!(pass.conditions(), "Ready=True/ImageNameTaken UpToDate=False/ImageNameTaken");
    assert!(pass.notes()[0].starts_with("Warning CreateMachineImageFailed: "), "{:?}", pass.notes());
    world.get("MachineImage")["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:01Z");
    assert!(world.pass(at(2)).decided.starts_with("wait: ImageDeleting"));
    // An image of its own whose version was edited has the name as well.
    let mut world = World::new(CHAIN);
    world.pass(at(0));
    world.get("MachineImage")["spec"]["version"] = json!("v1.27.1");
    assert!(world.pass(at(1)).decided.starts_with("wait: ImageNameTaken"));
}

/// Killed after the image was made and before anything was said of it: the next process says it.
#[test]
fn a_kill_loses_no_event() {
    let mut world = World::new(CHAIN);
    assert_eq!(world.lead(at(0), 1).0.len(), 1, "killed between reading and making");
    assert!(world.images().is_empty());
    let (steps, _) = world.lead(at(0), 2);
    assert_eq!((steps.len(), world.images().len()), (2, 1));
    world.restart();
    let pass = world.pass(at(1));
    assert_eq!((pass.steps.len(), pass.notes().len()), (0, 1));
    assert!(pass.notes()[0].starts_with("Normal CreatedMachineImage: v1.27.6 has "), "{:?}", pass.notes());
}

/// Without its own watches nothing is made: what cannot be seen may exist.
#[test]
fn a_blind_controller_makes_nothing() {
    for (availability, reason) in [
        (Availability::Forbidden("no list".into()), "Forbidden"),
        (Availability::NotInstalled, "ApiUnavailable"),
        (Availability::Syncing, "ApiUnavailable"),
    ] {
        let mut store = testkit::store(CHAIN);
        store.set::<MachineImageRow>(&TableId::of::<MachineImageRow>(), availability);
        let row = store.snapshot().get::<SyncerRow>(&ObjectKey::new("ns", "syncer")).unwrap();
        let observed = SyncerRoom.observe(
            store.snapshot(),
            row,
            Recall { memory: &mut Memory::default(), shared: &mut () },
            at(0),
        );
        let verdict = SyncerRoom.decide(&observed, at(0));
        assert!(shown(&verdict, at(0)).starts_with(&format!("failed: {reason} - ")), "{verdict:?}");
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Pass,
    KilledAfter(usize),
    StatusLost,
    Moved,
    Orphaned,
    Published(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::Pass),
        (0..3_usize).prop_map(Happening::KilledAfter),
        Just(Happening::StatusLost),
        Just(Happening::Moved),
        Just(Happening::Orphaned),
        (6..9_u8).prop_map(Happening::Published),
    ]
}

proptest! {
    /// Whatever happens, each version has one image, and the newest is told.
    #[test]
    fn one_image_per_version(happenings in proptest::collection::vec(happening(), 1..30)) {
        let mut world = World::new(CHAIN);
        let mut uid = 0;
        for (second, happening) in (0..).zip(happenings) {
            match happening {
                Happening::Pass => drop(world.pass(at(second))),
                Happening::KilledAfter(steps) => {
                    world.lead(at(second), steps);
                    world.restart();
                }
                Happening::StatusLost => drop(world.syncer().as_object_mut().unwrap().remove("status")),
                Happening::Moved => {
                    uid += 1;
                    let new = json!(format!("uid-{uid}"));
                    for object in &mut world.objects {
                        for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
                            owner["uid"] = new.clone();
                        }
                    }
                    world.syncer()["metadata"]["uid"] = new;
                    world.restart();
                }
                Happening::Orphaned => {
                    for object in &mut world.objects {
                        object["metadata"].as_object_mut().unwrap().remove("ownerReferences");
                    }
                }
                Happening::Published(patch) => {
                    let versions = &mut world.get("DebianRepositorySource")["status"]["versions"];
                    versions.as_array_mut().unwrap().push(json!(format!("v1.27.{patch}")));
                }
            }
            let mut versions: Vec<String> =
                world.images().iter().map(|image| image["spec"]["version"].to_string()).collect();
            versions.sort();
            let before = versions.len();
            versions.dedup();
            prop_assert_eq!(before, versions.len());
        }
        world.pass(at(100));
        let newest = world.images().iter().map(|image| image["spec"]["version"].clone())
            .max_by_key(ToString::to_string).unwrap();
        prop_assert_eq!(&world.syncer()["status"]["latestVersion"], &newest);
    }
}
