//! Which images go, and why each of the others stays.

use super::*;

/// A syncer whose range has moved on to 1.28, with three images of 1.27 and one of 1.28, all made long ago.
fn chain(retention: &str) -> World {
    let owner = "ownerReferences: [{apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1, \
                 kind: MachineImageSyncer, name: syncer, uid: uid-machineimagesyncer-syncer}]";
    let mut yaml =
        CHAIN.replace("versionRange: v1.27.x", &format!("versionRange: v1.28.x\n  retention: {retention}"));
    let image = |version: &str| {
        format!(
            "---\nkind: MachineImage\nmetadata: {{name: i-{version}, creationTimestamp: '2026-11-01T10:00:00Z', {owner}}}\n\
             spec: {{version: {version}, id: 'ami-{version}', jobTemplate: {{spec: {{containers: [{{name: c}}]}}}}}}\n\
             status: {{ready: true, phase: Created}}\n"
        )
    };
    yaml.extend(["v1.27.4", "v1.27.5", "v1.27.6", "v1.28.1"].map(image));
    let mut world = World::new(&yaml);
    world.syncer()["status"] = json!({"latestVersion": "v1.28.1"});
    world
}

fn image<'a>(world: &'a mut World, version: &str) -> &'a mut Value {
    world
        .objects
        .iter_mut()
        .find(|object| object["kind"] == "MachineImage" && object["spec"]["version"] == version)
        .unwrap()
}

/// `status.retention` as `version action: reason`.
fn told(world: &mut World) -> Vec<String> {
    let list = world.syncer()["status"]["retention"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
    list.iter()
        .map(|entry| {
            format!("{} {}: {}", text(entry, "version"), text(entry, "action"), text(entry, "reason"))
        })
        .collect()
}

fn left(world: &World) -> Vec<&str> {
    world.images().iter().map(|image| image["spec"]["version"].as_str().unwrap()).collect()
}

const READS: [&str; 4] = [
    "list the Clusters of namespace ns",
    "list the MachineDeployments of namespace ns",
    "list the MachinePools of namespace ns",
    "list the Machines of namespace ns",
];
const GONE: &str = "no plan leads to it, and no syncer wants it";

#[test]
fn a_dry_run_tells_of_each_image_why_and_deletes_none() {
    let mut world = chain("{mode: DryRun, keep: 1}").with_live(
        "kind: Machine\nmetadata: {name: m}\nspec: {version: v1.27.4}\n---\n\
         kind: Machine\nmetadata: {name: other}\nspec: {version: v1.26.0}",
    );
    let pass = world.pass(at(0));
    assert_eq!(pass.steps, READS);
    assert!(pass.decided.starts_with("done\nagain in 6"), "{}", pass.decided);
    assert_eq!(pass.conditions(), "Ready=True/ImagesExist UpToDate=True/ImagesExist");
    assert_eq!(
        told(&mut world),
        [
            "v1.28.1 Keep: MachineImageSyncer syncer wants v1.28.1",
            "v1.27.6 Keep: spec.retention.keep: nothing uses it, and it is among the newest of such",
            &format!("v1.27.5 Delete: nothing uses v1.27.5, {GONE}"),
            "v1.27.4 Keep: Machine m has v1.27.4",
        ]
    );
    assert_eq!((left(&world).len(), pass.notes()), (4, vec![]));
    // The same again costs nothing for ten minutes, then a look at the server, and no write.
    let pass = world.pass(at(300));
    assert_eq!((pass.steps.len(), pass.report), (0, Report::default()));
    let pass = world.pass(at(700));
    assert_eq!((pass.steps.len(), pass.report), (4, Report::default()));
    // Nor after a restart.
    world.restart();
    assert_eq!(world.pass(at(701)).report, Report::default());
}

#[test]
fn images_go_one_by_one_the_oldest_first_and_each_is_told_of() {
    let mut world = chain("{mode: Delete}");
    let first = world.pass(at(0));
    let delete = |version: &str| format!("delete MachineImage ns/i-{version} of {version}");
    assert_eq!(first.steps.last(), Some(&delete("v1.27.4")));
    assert!(first.decided.ends_with("\nagain in 0 s"), "{}", first.decided);
    assert_eq!(
        first.notes(),
        [format!("Normal DeletedMachineImage: deleted MachineImage i-v1.27.4: nothing uses v1.27.4, {GONE}")]
    );
    assert_eq!(
        first.conditions(),
        "Ready=True/ImagesExist UpToDate=True/ImagesExist",
        "none of it holds that up"
    );
    let (steps, last) = world.settle(at(1));
    let again = READS.iter().map(ToString::to_string);
    let expected: Vec<String> =
        again.clone().chain([delete("v1.27.5")]).chain(again).chain([delete("v1.27.6")]).collect();
    assert_eq!(steps, expected, "what is used is read again before each");
    assert_eq!((left(&world), last.decided.as_str()), (vec!["v1.28.1"], "done"));
    assert_eq!(told(&mut world), ["v1.28.1 Keep: MachineImageSyncer syncer wants v1.28.1"]);
    // What has gone is not made again; but what is wanted again is.
    assert_eq!(world.pass(at(60)).steps.len(), 0);
    world.syncer()["spec"]["versionRange"] = json!("*");
    world.syncer()["spec"]["versionPolicy"] = json!("NewestOfEachMinor");
    assert_eq!(world.pass(at(120)).steps.len(), 2);
    assert_eq!(left(&world), ["v1.28.1", "v1.27.6"]);
}

#[test]
fn nothing_goes_unless_asked_for() {
    let mut world = chain("null");
    let pass = world.pass(at(0));
    assert_eq!((pass.steps.len(), left(&world).len(), told(&mut world).len()), (0, 4, 0));
    // And what was told before is taken back.
    world.syncer()["status"]["retention"] =
        json!([{"machineImage": "x", "version": "v1", "action": "Keep", "reason": "r"}]);
    world.pass(at(0));
    assert_eq!(told(&mut world), [""; 0]);
}

/// Each of these keeps v1.27.5, and nothing else, besides what the range wants.
#[test]
fn every_use_keeps_an_image() {
    let overriding = |group: &str| {
        format!("kind: Cluster\nmetadata: {{name: c}}\nspec: {{topology: {{version: v1.20.0, {group}}}}}")
    };
    let value = "{variables: {overrides: [{name: image, value: {v1.27.5: ami-v1.27.5}}]}}";
    for (yaml, reason) in [
        ("kind: Cluster\nmetadata: {name: c}\nspec: {topology: {version: 1.27.5}}".to_owned(), "Cluster c has v1.27.5"),
        (
            "kind: Cluster\nmetadata: {name: c}\nstatus: {workers: {versions: [{version: v1.27.5}]}}".to_owned(),
            "Cluster c has v1.27.5",
        ),
        (
            "kind: Cluster\nmetadata: {name: c}\nstatus: {controlPlane: {upgradePlan: [{version: v1.27.5}]}}".to_owned(),
            "Cluster c has v1.27.5",
        ),
        (
            overriding("variables: [{name: image, value: ami-v1.27.5}]"),
            "variable image of Cluster c names its id",
        ),
        (overriding(&format!("controlPlane: {value}")), "variable image of Cluster c names its id"),
        (
            overriding(&format!("workers: {{machineDeployments: [{value}]}}")),
            "variable image of Cluster c names its id",
        ),
        (overriding(&format!("workers: {{machinePools: [{value}]}}")), "variable image of Cluster c names its id"),
        (
            "kind: Cluster\nmetadata: {name: c}\nspec: {controlPlaneRef: {apiGroup: controlplane.cluster.x-k8s.io, \
             kind: KubeadmControlPlane, name: cp}}\n---\nkind: KubeadmControlPlane\nmetadata: {name: cp}\n\
             spec: {version: v1.27.5}"
                .to_owned(),
            "KubeadmControlPlane cp has v1.27.5",
        ),
        (
            "kind: MachineDeployment\nmetadata: {name: md}\nspec: {template: {spec: {version: v1.27.5}}}".to_owned(),
            "MachineDeployment md has v1.27.5",
        ),
        (
            "kind: MachinePool\nmetadata: {name: mp}\nspec: {template: {spec: {version: v1.27.5}}}".to_owned(),
            "MachinePool mp has v1.27.5",
        ),
        (
            "kind: Machine\nmetadata: {name: m}\nspec: {version: v1.28.1}\n\
             status: {nodeInfo: {kubeletVersion: v1.27.5}}"
                .to_owned(),
            "Machine m has v1.27.5",
        ),
    ] {
        let mut world = chain("{mode: Delete}").with_live(&yaml);
        world.settle(at(0));
        assert_eq!(left(&world), ["v1.27.5", "v1.28.1"], "{yaml}");
        assert_eq!(told(&mut world)[1], format!("v1.27.5 Keep: {reason}"));
        // Rows of Clusters tell what they can, and spare the look at the server.
        if yaml.starts_with("kind: Cluster") && !yaml.contains("overrides") && !yaml.contains("Ref") {
            world.objects.extend(testkit::objects(&yaml));
            world.restart();
            assert_eq!(world.pass(at(1)).steps, [""; 0], "{yaml}");
        }
    }
}

#[test]
fn what_a_plan_leads_to_stays() {
    let plan = |status: &str| {
        format!(
            "kind: Plan\nmetadata: {{name: p, generation: 2}}\nspec: {{versionRange: '*'}}\nstatus: {status}"
        )
    };
    for status in [
        "{observedGeneration: 2, machineImageRef: {name: i-v1.27.5}}",
        "{observedGeneration: 2, machineImageDetails: {version: v1.27.5, id: ami-v1.27.5}}",
        "{observedGeneration: 2, path: [{minor: v1.27, version: v1.27.5, machineImage: i-v1.27.5}, {minor: v1.28, missing: true}]}",
    ] {
        let mut world = chain("{mode: Delete}");
        world.objects.extend(testkit::objects(&plan(status)));
        world.settle(at(0));
        assert_eq!(left(&world), ["v1.27.5", "v1.28.1"], "{status}");
        assert_eq!(told(&mut world)[1], "v1.27.5 Keep: Plan p leads to it");
    }
    // A plan that has yet to say where it leads keeps everything: after a move none has a status.
    for status in ["{}", "{observedGeneration: 1, machineImageRef: {name: i-v1.27.5}}"] {
        let mut world = chain("{mode: Delete}");
        world.objects.extend(testkit::objects(&plan(status)));
        let pass = world.pass(at(0));
        assert_eq!((pass.steps.len(), left(&world).len()), (0, 4), "{status}");
        assert_eq!(told(&mut world)[3], "v1.27.4 Keep: where Plan p leads is not known yet");
    }
}

#[test]
fn what_another_syncer_wants_stays_and_what_it_wants_must_be_known() {
    let other = |spec: &str| {
        format!(
            "kind: MachineImageSyncer\nmetadata: {{name: other}}\nspec: {{versionRange: v1.27.x, \
             sourceRef: {{apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1, \
             kind: DebianRepositorySource, name: source}}, machineImageTemplateRef: {{name: t}}{spec}}}"
        )
    };
    let mut world = chain("{mode: Delete}");
    world.objects.extend(testkit::objects(&other(", deniedVersions: [v1.27.6]")));
    world.settle(at(0));
    assert_eq!(left(&world), ["v1.27.5", "v1.28.1"]);
    assert_eq!(told(&mut world)[1], "v1.27.5 Keep: MachineImageSyncer other wants v1.27.5");
    for unknown in [
        other("").replace("name: source", "name: elsewhere"),
        other("").replace("v1.27.x", "x1"),
        other("").replace("v1.27.x", "v1.99.x"),
        other("").replace("v1.27.x", "[7]"),
        other("").replace("kind: DebianRepositorySource", "kind: Feed"),
    ] {
        let mut world = chain("{mode: Delete}");
        world.objects.extend(testkit::objects(&unknown));
        let pass = world.pass(at(0));
        assert_eq!((pass.steps.len(), left(&world).len()), (0, 4), "{unknown}");
        assert_eq!(
            told(&mut world)[1],
            "v1.27.6 Keep: which versions MachineImageSyncer other wants is not known"
        );
    }
}

#[test]
fn an_image_that_is_building_or_new_or_not_ours_stays() {
    for (change, reason) in [
        (json!({"spec": {"id": null}, "status": {"phase": "Building"}}), Some("it is being built")),
        (json!({"spec": {"id": null}, "status": {"phase": null}}), Some("it is being built")),
        (
            json!({"metadata": {"annotations": {"clusterctl.cluster.x-k8s.io/block-move": "x"}}}),
            Some("it is being built"),
        ),
        (
            json!({"metadata": {"creationTimestamp": "2026-11-21T09:30:00Z"}}),
            Some("it has been here for less than an hour"),
        ),
        (json!({"metadata": {"ownerReferences": null}}), None),
        (json!({"metadata": {"deletionTimestamp": "2026-11-21T09:30:00Z"}}), None),
    ] {
        let mut world = chain("{mode: Delete}");
        let merged = |target: &mut Value, patch: &Value| {
            for (part, fields) in patch.as_object().unwrap() {
                for (field, value) in fields.as_object().unwrap() {
                    target[part][field] = value.clone();
                }
            }
        };
        merged(image(&mut world, "v1.27.5"), &change);
        world.settle(at(0));
        assert_eq!(left(&world), ["v1.27.5", "v1.28.1"], "{change}");
        let told = told(&mut world);
        match reason {
            Some(reason) => assert_eq!(told[1], format!("v1.27.5 Keep: {reason}")),
            None => assert_eq!(told.len(), 1, "{told:?}"),
        }
    }
    // A build that has failed leaves nothing behind that runs, nor does one that never began.
    let stalled = json!({
        "type": "Stalled", "status": "True", "reason": "InvalidTemplate", "message": "",
        "lastTransitionTime": "2026-11-01T10:00:00Z",
    });
    for status in [json!({"phase": "Failed"}), json!({"conditions": [stalled]})] {
        let mut world = chain("{mode: Delete}");
        image(&mut world, "v1.27.5")["spec"]["id"] = Value::Null;
        image(&mut world, "v1.27.5")["status"] = status;
        world.settle(at(0));
        assert_eq!(left(&world), ["v1.28.1"]);
    }
}

#[test]
fn where_nothing_can_be_proven_everything_stays_and_the_words_say_why() {
    let mut world = chain("{mode: Delete}");
    world.live =
        Err("whether it is used cannot be told: grant the controller list on machines.cluster.x-k8s.io"
            .into());
    let pass = world.pass(at(0));
    assert_eq!((pass.steps.len(), left(&world).len()), (1, 4));
    assert!(pass.decided.starts_with("done\nagain in 6"), "{}", pass.decided);
    assert_eq!(
        told(&mut world)[3],
        "v1.27.4 Keep: whether it is used cannot be told: grant the controller list on machines.cluster.x-k8s.io"
    );
    assert_eq!(world.pass(at(60)).steps, [""; 0], "it is not asked at every look");
    world.live = Ok(Vec::new());
    world.settle(at(700));
    assert_eq!(left(&world), ["v1.28.1"]);
}

#[test]
fn the_newest_unused_ones_are_kept_without_a_look_at_the_server_where_that_is_all() {
    let mut world = chain("{mode: Delete, keep: 3}");
    let pass = world.pass(at(0));
    assert_eq!((pass.steps.len(), left(&world).len()), (0, 4));
    world.syncer()["spec"]["retention"]["keep"] = json!(2);
    world.settle(at(1));
    assert_eq!(left(&world), ["v1.27.5", "v1.27.6", "v1.28.1"]);
}

#[test]
fn a_refused_delete_is_told_and_not_repeated_until_something_changes() {
    let role = Refusal::Forbidden("machineimages is forbidden".into());
    let policy = Refusal::Admission { by: "p".into(), message: "no".into() };
    for (refusal, words) in [
        (role, "the controller may not delete it: machineimages is forbidden"),
        (policy, "the server does not delete it: no"),
        (Refusal::Conflict, "it has just changed"),
    ] {
        let mut world = chain("{mode: Delete, keep: 2}");
        let (_, verdict) = world.lead_to_delete(at(0));
        let recall = Recall { memory: &mut world.memory, shared: &mut () };
        assert!(SyncerRoom.learn(recall, &verdict.steps[0], Err(&refusal), at(0)), "it fails nothing");
        let (steps, last) = world.settle(at(0));
        assert_eq!((steps.len(), left(&world).len()), (0, 4), "{words}: {steps:?}");
        assert!(last.decided.starts_with("done"), "{}", last.decided);
        assert_eq!(told(&mut world)[3], format!("v1.27.4 Keep: {words}"));
        assert_eq!(world.pass(at(60)).steps.len(), 0);
        image(&mut world, "v1.27.4")["metadata"]["resourceVersion"] = json!("2");
        world.settle(at(61));
        assert_eq!(left(&world).len(), 3, "another version of it is another matter");
    }
}

/// The watch still shows what is deleted already.
#[test]
fn an_image_is_deleted_once() {
    let mut world = chain("{mode: Delete, keep: 2}");
    let (_, verdict) = world.lead_to_delete(at(0));
    for outcome in [Ok(Answer::Deleted), Err(&Refusal::NotFound)] {
        let recall = Recall { memory: &mut world.memory, shared: &mut () };
        assert!(SyncerRoom.learn(recall, &verdict.steps[0], outcome, at(0)));
        let (steps, _) = world.settle(at(1));
        assert_eq!(steps, [""; 0]);
        assert_eq!(told(&mut world).len(), 3);
    }
}

/// What was read for a dry run does not delete a minute later.
#[test]
fn what_was_read_a_while_ago_deletes_nothing() {
    let mut world = chain("{mode: DryRun, keep: 2}");
    assert_eq!(world.pass(at(0)).steps.len(), 4);
    world.syncer()["spec"]["retention"]["mode"] = json!("Delete");
    let (_, soon) = world.look(at(59));
    assert!(matches!(soon.steps[0], Step::DeleteImage { .. }));
    let (_, later) = world.look(at(60));
    assert!(matches!(later.steps[0], Step::ReadUse { part: Part::Clusters, .. }), "{:?}", later.steps);
}

#[test]
fn nothing_is_deleted_while_something_else_is_wrong_or_paused() {
    for (field, value) in [
        ("paused", json!(true)),
        ("versionRange", json!("x1")),
        ("versionRange", json!("v1.99.x")),
        ("machineImageTemplateRef", json!({"name": "gone"})),
        ("sourceRef", json!({"apiVersion": "a/v1", "kind": "K", "name": "gone"})),
    ] {
        let mut world = chain("{mode: Delete}");
        world.syncer()["spec"][field] = value;
        let (steps, _) = world.settle(at(0));
        assert_eq!((steps.len(), left(&world).len()), (0, 4), "{field}");
    }
}

#[test]
fn images_are_made_before_any_goes() {
    let mut world = chain("{mode: Delete}");
    world.get("DebianRepositorySource")["status"]["versions"] = json!(["v1.28.1", "v1.28.2"]);
    let pass = world.pass(at(0));
    assert_eq!((pass.steps.len(), pass.notes().len()), (2, 1), "and told of before: {:?}", pass.steps);
    assert!(pass.decided.ends_with("\nagain in 0 s"), "{}", pass.decided);
    assert!(left(&world).contains(&"v1.28.2"));
    let (steps, _) = world.settle(at(1));
    assert_eq!(steps.iter().filter(|step| step.starts_with("delete ")).count(), 4, "{steps:?}");
    let plans_wake = |before: &str, after: &str| {
        let store =
            testkit::store(&world.objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n"));
        let plan = |status: &str| {
            let yaml =
                format!("kind: Plan\nmetadata: {{name: p}}\nspec: {{versionRange: '*'}}\nstatus: {status}");
            testkit::row::<PlanRow>(&testkit::objects(&yaml)[0])
        };
        retainers_by(store.snapshot(), &ObjectKey::new("ns", "p"), Some(&plan(before)), Some(&plan(after)))
            .len()
    };
    assert_eq!(plans_wake("{observedGeneration: 1}", "{observedGeneration: 1, phase: x}"), 0);
    assert_eq!(plans_wake("{}", "{observedGeneration: 1}"), 1);
}

impl World {
    /// Looks until the next request deletes an image.
    fn lead_to_delete(&mut self, now: Timestamp) -> Looked {
        for _ in 0..8 {
            let (observed, verdict) = self.look(now);
            let step = verdict.steps[0].clone();
            if matches!(step, Step::DeleteImage { .. }) {
                return (observed, verdict);
            }
            let answer = self.answer(&step);
            let recall = Recall { memory: &mut self.memory, shared: &mut () };
            assert!(SyncerRoom.learn(recall, &step, Ok(answer), now));
        }
        panic!("no image is deleted");
    }
}
