//! Every reason, by the one thing that is wrong; and the words that people read.

use domain::verdict::Reason as _;

use super::*;

/// A world with one thing wrong, what it is, and the reason that it must give.
pub(super) fn cases() -> Vec<(&'static str, Reason, World)> {
    let mut cases = Vec::new();
    let mut put = |what, reason, world| cases.push((what, reason, world));
    let new = World::new;
    let up = "ClusterClassClusterUpgrader";

    put("spec is missing", Reason::Malformed, new().with(up, "spec", Value::Null));
    put("paused", Reason::Paused, new().with(up, "spec.paused", json!(true)));
    put(
        "plan elsewhere",
        Reason::CrossNamespaceReference,
        new().with(up, "spec.planRef.namespace", json!("other")),
    );
    let mut world = new();
    world.clusters = Availability::NotInstalled;
    put("no Cluster API", Reason::ClusterAPINotInstalled, world);
    let mut world = new();
    world.clusters = Availability::Forbidden("clusters is forbidden".into());
    put("Clusters are forbidden", Reason::Forbidden, world);
    let mut world = new();
    world.clusters = Availability::Syncing;
    put("Clusters are not listed", Reason::ApiUnavailable, world);
    put("no Cluster", Reason::ClusterMissing, new().without("Cluster"));
    put("odd Cluster", Reason::ClusterMalformed, new().with("Cluster", "spec.topology", json!("odd")));
    put(
        "B2: no topology",
        Reason::ClusterWithoutTopology,
        new().with("Cluster", "spec.topology", Value::Null),
    );
    put(
        "odd version",
        Reason::ClusterVersionInvalid,
        new().with("Cluster", "spec.topology.version", json!("latest")),
    );
    let deletion = json!("2026-11-21T10:00:00Z");
    put(
        "Cluster deleting",
        Reason::ClusterDeleting,
        new().with("Cluster", "metadata.deletionTimestamp", deletion.clone()),
    );
    put("Cluster paused", Reason::ClusterPaused, new().with("Cluster", "spec.paused", json!(true)));
    let annotated = new().with("Cluster", "metadata.annotations", json!({"cluster.x-k8s.io/paused": ""}));
    put("Cluster paused by annotation", Reason::ClusterPaused, annotated);
    put(
        "conditions before 1.9",
        Reason::ClusterAPIUnsupported,
        new().with("Cluster", "status.conditions", json!([])),
    );
    let old = json!({"type": "TopologyReconciled", "status": "True"});
    put(
        "condition without generation",
        Reason::ClusterAPIUnsupported,
        new().with("Cluster", "status.conditions.2", old),
    );
    put("no plan", Reason::PlanMissing, new().without("Plan"));
    put(
        "plan deleting",
        Reason::PlanMissing,
        new().with("Plan", "metadata.deletionTimestamp", deletion.clone()),
    );
    put(
        "no result",
        Reason::PlanWithoutResult,
        new().with("Plan", "status", json!({"observedGeneration": 1})),
    );
    let waiting = json!({"observedGeneration": 1, "conditions": [{"type": "UpToDate", "status": "False",
        "reason": "NoSuitableMachineImage", "message": "no selected machine image has an id",
        "lastTransitionTime": "2026-11-21T10:00:00Z"}]});
    put("no result, and why", Reason::PlanWithoutResult, new().with("Plan", "status", waiting));
    put(
        "result of an older spec",
        Reason::PlanWithoutResult,
        new().with("Plan", "metadata.generation", json!(2)),
    );
    let odd = new().with("Plan", "status.machineImageDetails.version", json!("1.36"));
    put("odd version of the plan", Reason::PlanVersionInvalid, odd);
    let ahead = new().with("Cluster", "spec.topology.version", json!("v1.37.0"));
    put("B13: downgrade", Reason::ClusterAhead, ahead);
    put(
        "Cluster of no controller yet",
        Reason::ClusterNotProvisioned,
        new().with("Cluster", "status", json!({})),
    );
    let waiting = new().with("Cluster", "status.phase", json!("Provisioning"));
    put("Cluster being provisioned", Reason::ClusterNotProvisioned, waiting);

    let upgrading = "Cluster is upgrading to v1.36.2\n  * ThinControlPlane upgrading to version v1.36.2";
    put("mid-upgrade", Reason::UpgradeInProgress, new().topology("False", "ClusterUpgrading", upgrading));
    let hook = "Following hooks are blocking upgrade: BeforeClusterUpgrade: not before six";
    put("blocked by a hook", Reason::UpgradeInProgress, new().topology("False", "ClusterUpgrading", hook));
    put(
        "before 1.12",
        Reason::UpgradeInProgress,
        new().topology("False", "ControlPlaneUpgradePending", "pending"),
    );
    put("unknown", Reason::UpgradeInProgress, new().topology("Unknown", "", ""));
    put(
        "rolling out",
        Reason::UpgradeInProgress,
        new().with("Cluster", "status.conditions.1.status", json!("True")),
    );
    let pending =
        json!({"runtime.cluster.x-k8s.io/pending-hooks": "AfterControlPlaneUpgrade,AfterClusterUpgrade"});
    put("hook pending", Reason::UpgradeInProgress, new().with("Cluster", "metadata.annotations", pending));
    let step = json!({"topology.internal.cluster.x-k8s.io/upgrade-step": "v1.36.2"});
    put("upgrade step", Reason::UpgradeInProgress, new().with("Cluster", "metadata.annotations", step));
    let deferred = "MachineDeployments md-0 upgrade deferred";
    put(
        "deferred",
        Reason::UpgradeDeferred,
        new().topology("False", "MachineDeploymentsUpgradeDeferred", deferred),
    );
    let failed = "error reconciling the Cluster topology:\n  cannot compute an upgrade plan";
    put(
        "topology fails",
        Reason::TopologyReconcileFailed,
        new().topology("False", "ReconcileFailed", failed),
    );
    put("topology paused", Reason::ClusterPaused, new().topology("False", "Paused", ""));
    put("topology deleting", Reason::ClusterDeleting, new().topology("False", "Deleting", ""));
    put(
        "topology creating",
        Reason::ClusterNotProvisioned,
        new().topology("False", "ClusterCreating", "hook"),
    );
    let class = new().topology("False", "ClusterClassNotReconciled", "ClusterClass not reconciled");
    put("class not reconciled, says the Cluster", Reason::ClassNotReconciled, class);
    let mut world = new().topology("False", "ClusterUpgrading", upgrading);
    world.pass();
    world.now = 3600;
    put("stalled", Reason::UpgradeStalled, world);

    let to = |version: &str| new().with("Plan", "status.machineImageDetails.version", json!(version));
    put("two minors, the one between outside the range", Reason::NoImageForHop, to("v1.38.0"));
    let wide = to("v1.38.0").with("Plan", "spec.versionRange", json!(">=1.36.0"));
    put("two minors", Reason::NoImageForHop, wide);
    put("a major", Reason::NoImageForHop, to("v2.0.0"));
    put("no class", Reason::ClassMissing, new().without("ClusterClass"));
    let elsewhere = new().with("Cluster", "spec.topology.classRef.namespace", json!("other"));
    put("class elsewhere", Reason::ClassMissing, elsewhere);
    put(
        "class not named",
        Reason::ClassMissing,
        new().with("Cluster", "spec.topology.classRef", Value::Null),
    );
    put("odd class", Reason::ClassNotReconciled, new().with("ClusterClass", "status", json!(7)));
    put(
        "class changed",
        Reason::ClassNotReconciled,
        new().with("ClusterClass", "metadata.generation", json!(4)),
    );
    let variables = new().with("ClusterClass", "status.conditions.0.status", json!("False"));
    put("class variables not ready", Reason::ClassNotReconciled, variables);
    let listed = new().with("ClusterClass", "spec.kubernetesVersions", json!(["v1.36.2", "v1.36.3"]));
    put("version not listed", Reason::VersionNotInClass, listed);
    let schema = |schema: Value| {
        new().with("ClusterClass", "status.variables.0.definitions.0.schema.openAPIV3Schema", schema)
    };
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    put("a string where the class has a map", Reason::VariableShapeUnsupported, schema(map));
    let map = json!({"type": "object", "additionalProperties": {"type": "integer"}});
    put("variable is a map of numbers", Reason::VariableShapeUnsupported, schema(map));
    put("variable is a number", Reason::VariableShapeUnsupported, schema(json!({"type": "integer"})));
    let unknown = || new().with(up, "spec.topologyVariable", json!("imageId"));
    put("B8: variable unknown", Reason::VariableUndefined, unknown());
    let entry = json!({"name": "imageId", "value": {"a": 1}});
    put(
        "variable of the Cluster alone, no string",
        Reason::VariableShapeUnsupported,
        unknown().with("Cluster", "spec.topology.variables.0", entry),
    );
    let overrides = json!({"overrides": [{"name": "image", "value": "x"}]});
    let overridden = new().with("Cluster", "spec.topology.controlPlane.variables", overrides.clone()).with(
        "Cluster",
        "spec.topology.workers.machineDeployments.0.variables",
        overrides,
    );
    put("variable overridden", Reason::ImageOverridden, overridden);

    put("not watched yet", Reason::Settling, new());
    let settled = World::settled;
    put("image gone", Reason::ImageGone, settled().without("MachineImage"));
    let replaced = settled().with("MachineImage", "metadata.uid", json!("another"));
    put("image replaced", Reason::ImageGone, replaced);
    let leaving = settled().with("MachineImage", "metadata.deletionTimestamp", deletion);
    put("image deleting", Reason::ImageGone, leaving);
    put("image has another id", Reason::ImageGone, settled().with("MachineImage", "spec.id", json!("img:5")));
    let other = settled().with("MachineImage", "spec.version", json!("v1.36.5"));
    put("image has another version", Reason::ImageGone, other);
    let mut world = settled();
    world.refuses = Some(refusals::refused("version cannot be changed: the control plane is upgrading"));
    put("refused", Reason::Blocked, world);
    let mut world = settled();
    world.add("b", "another");
    world.turn("another").set(up, "status.waiting", waiting_for("UpgradeStalled"));
    world.turn("another").set("Cluster", "spec.topology.version", json!("v1.36.4"));
    world.set("Cluster", "spec.topology.variables.2.value", json!("img:4"));
    world.turn("up");
    put("another Cluster stalled on the image", Reason::ImageSuspect, world);
    let mut world = settled().with("Plan", "spec.maxConcurrent", json!(1));
    world.add("b", "another");
    world.turn("another").set(up, "status.waiting", waiting_for("UpgradeInProgress"));
    world.turn("up");
    put("every place taken", Reason::MaxConcurrentReached, world);
    let mut world = new();
    world.add_upgrader("c", "a");
    put("an older upgrader", Reason::AnotherUpgrader, world);
    let last = json!({"cluster": "uid-cluster-c", "variable": "image", "version": "v1.36.2", "image": "img:1",
        "target": "v1.36.4", "targetImage": "img:4"});
    let annotation = json!({"kubernetesupgraded.dimitrikoshkin.com/last-set": last.to_string()});
    put("another writer", Reason::ConflictingOwner, new().with(up, "metadata.annotations", annotation));
    let old = json!([{"version": "v1.33.9"}, {"version": "v1.36.2"}]);
    let mut world = new().with("Cluster", "status.workers.versions", old);
    world.choose("v1.37.0");
    put("old workers", Reason::WorkerSkew, world);
    cases
}

fn waiting_for(reason: &str) -> Value {
    json!({"reason": reason, "since": "2026-11-21T10:00:00Z"})
}

#[test]
fn each_reason_blocks_and_nothing_is_written() {
    let mut texts = String::new();
    for (what, reason, mut world) in cases() {
        let text = world.pass();
        let word = text.split_once(": ").and_then(|(_, rest)| rest.split_once(" - ")).map(|(word, _)| word);
        assert_eq!(word, Some(reason.name()), "{what}: {text}");
        let sent = usize::from(reason == Reason::Blocked);
        assert_eq!((world.patches(), what), (sent, what));
        assert!(!text.contains('\n') || text.contains("\nagain in "), "{what}: {text}");
        texts.extend([what, "\n  ", &text.replace('\n', "\n  "), "\n"]);
        // Said once.
        let before = world.statuses.len();
        world.pass();
        assert_eq!((world.statuses.len(), what), (before, what));
    }
    insta::assert_snapshot!("reasons", texts);
}

/// Every reason of the set can be reached, but for those that the engine gives.
#[test]
fn every_reason_is_reachable() {
    let elsewhere = [
        // The engine's.
        Reason::WriteRefused,
        Reason::ForeignWebhook,
        Reason::DryRun,
        Reason::InternalError,
    ];
    let mut reached: Vec<Reason> = cases().into_iter().map(|(_, reason, _)| reason).collect();
    reached.extend(World::settled().decide().then.because().map(|because| because.reason));
    for reason in Reason::ALL {
        assert_ne!(reached.contains(reason), elsewhere.contains(reason), "{}", reason.name());
    }
}

/// An orderly wait never turns Ready false.
#[test]
fn ready_follows_who_must_act() {
    for (what, reason, mut world) in cases() {
        world.pass();
        let conditions = testkit::conditions(world.status());
        let orderly = matches!(reason.actor(), "waits" | "works");
        assert_eq!(conditions.contains("Ready=True/"), orderly, "{what}: {conditions}");
        assert_eq!(conditions.contains("UpToDate=False/"), orderly, "{what}: {conditions}");
        assert_eq!(conditions.contains("Stalled=True/"), reason.needs_human(), "{what}: {conditions}");
    }
}

#[test]
fn the_first_thing_that_is_wrong_is_named() {
    let mut world = World::new()
        .with("ClusterClassClusterUpgrader", "spec.paused", json!(true))
        .with("Cluster", "spec.topology", Value::Null)
        .without("Plan");
    assert!(world.shown().starts_with("wait: Paused"));
    world.set("ClusterClassClusterUpgrader", "spec.paused", json!(false));
    assert!(world.shown().starts_with("failed: ClusterWithoutTopology"));
}

#[test]
fn an_upgrader_that_is_deleted_is_left_alone() {
    let mut world = World::settled().with(
        "ClusterClassClusterUpgrader",
        "metadata.deletionTimestamp",
        json!("2026-11-21T10:00:00Z"),
    );
    assert_eq!(world.pass(), "done");
    assert!(world.requests.is_empty() && world.statuses.is_empty() && world.notes.is_empty());
}

/// Bug B13: the status tells what was set, not what the plan would like.
#[test]
fn a_cluster_that_is_ahead_keeps_what_was_set() {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.37.0")).with(
        "ClusterClassClusterUpgrader",
        "status.latestSetVersion",
        json!("v1.36.1"),
    );
    assert!(world.pass().starts_with("wait: ClusterAhead"));
    assert_eq!(world.status()["latestSetVersion"], "v1.36.1");
    assert!(testkit::conditions(world.status()).starts_with("Ready=True/ClusterAhead UpToDate=False/"));
}

/// The next minor is one step, and a class that lists it allows it.
#[test]
fn a_minor_is_moved_where_the_class_lists_it() {
    let mut world = World::settled()
        .with("Plan", "status.machineImageDetails.version", json!("1.37.0"))
        .with("MachineImage", "spec.version", json!("v1.37.0"))
        .with("ClusterClass", "spec.kubernetesVersions", json!(["v1.36.2", "v1.37.0"]));
    world.pass();
    assert_eq!(world.object("Cluster")["spec"]["topology"]["version"], "v1.37.0");
}

/// An image that was gone is looked for again after a minute, and not before.
#[test]
fn an_image_that_comes_back_is_taken() {
    let mut world = World::settled();
    let image = world.object("MachineImage").clone();
    world = world.without("MachineImage");
    assert!(world.pass().ends_with("again in 60 s"));
    assert_eq!(world.requests.len(), 1);
    world.objects.push(image);
    world.now += 60;
    world.pass();
    assert_eq!(world.patches(), 1);
}
