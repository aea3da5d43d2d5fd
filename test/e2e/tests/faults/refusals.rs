//! Upgrades that cannot be, on the real Cluster API: what it would refuse is not sent, what is refused all the same is said in
//! the server's words, and is not sent again for a minute.

use std::time::Duration;

use api::capi::cluster;
use api::upgrader::{cluster_upgrader, plan};
use controlplane::ClassCluster;
use domain::object::Kind;
use e2e::{Installed, Objects, ROLLED_WITHIN, WITHIN};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::tail::{Tail, Write};
use crate::given;

const NAMESPACE: &str = "refusals";
const CLUSTER: &str = "green";
const UPGRADER: (&Kind, &str, &str) = (&cluster_upgrader::KIND, NAMESPACE, "green");
const OURS: (&Kind, &str, &str) = (&cluster::KIND, NAMESPACE, CLUSTER);
/// A refused write rests for a minute, and a tenth of it for the jitter.
const AGAIN_WITHIN: Duration = Duration::from_secs(120);
const BUMPS: usize = 5;
const WORDS: &str = "no upgrade before Monday";
const POLICY: Kind = Kind {
    group: "admissionregistration.k8s.io",
    versions: &["v1"],
    kind: "ValidatingAdmissionPolicy",
    plural: "validatingadmissionpolicies",
};
const BINDING: Kind = Kind {
    group: "admissionregistration.k8s.io",
    versions: &["v1"],
    kind: "ValidatingAdmissionPolicyBinding",
    plural: "validatingadmissionpolicybindings",
};

pub(super) async fn play(world: &Installed) {
    let objects = world.objects();
    let mut tail = Tail::of(world, NAMESPACE);
    let mut cluster = ClassCluster::new(CLUSTER, "v1.35.0");
    NAMESPACE.clone_into(&mut cluster.namespace);
    cluster.worker_replicas = 1;
    world.plane().create_class_cluster(&cluster).await.unwrap();
    for (name, version) in
        [("down", "v1.34.9"), ("next", "v1.35.1"), ("patch", "v1.35.2"), ("far", "v1.37.0")]
    {
        given::existing_image(objects, NAMESPACE, name, (version, &format!("id-{version}"))).await;
    }
    given::plan(objects, NAMESPACE, "plan", "v1.37.x").await;
    given::upgrader(objects, NAMESPACE, CLUSTER, (CLUSTER, "plan", "image")).await;
    let manager = world.start_manager_with(&[&format!("--namespace={NAMESPACE}")]).await.unwrap();
    world.plane().await_cluster_available(&cluster, ROLLED_WITHIN).await.unwrap();

    two_minors(objects).await;
    downgrade(objects).await;
    while_another_upgrade_runs(objects).await;
    assert_eq!(patches(&mut tail), Vec::<Write>::new(), "what would be refused is not sent");
    refused_in_the_servers_words(objects, &mut tail).await;
    assert!(manager.terminate().await.unwrap().success());
}

/// What we asked of the Cluster since the last look.
fn patches(tail: &mut Tail) -> Vec<Write> {
    tail.writes().into_iter().filter(|write| write.resource == "clusters").collect()
}

async fn plan_for(objects: &Objects, range: &str) {
    let range = json!({"spec": {"versionRange": range}});
    objects.merge(&plan::KIND, NAMESPACE, "plan", &range).await.unwrap();
}

/// An orderly wait for this reason, told by an Event.
async fn waits(objects: &Objects, reason: &str, within: Duration) -> Value {
    let waits = objects.await_condition(UPGRADER, ("UpToDate", "False", reason), within).await.unwrap();
    assert_eq!(e2e::find_condition(&waits, "Ready")["status"], "True", "{waits}");
    waits
}

/// What Cluster API says to a version, without setting it.
async fn refusal(objects: &Objects, version: &str) -> String {
    let version = json!({"spec": {"topology": {"version": version}}});
    let dry = format!("{CLUSTER}?dryRun=All");
    objects.merge(&cluster::KIND, NAMESPACE, &dry, &version).await.unwrap_err().to_string()
}

async fn two_minors(objects: &Objects) {
    waits(objects, "NoImageForHop", ROLLED_WITHIN).await;
    objects
        .await_event(UPGRADER, ("Normal", "NoImageForHop", "comes v1.36, which is outside v1.37.x"), WITHIN)
        .await
        .unwrap();
    let words = refusal(objects, "v1.37.0").await;
    assert!(words.contains("version cannot be increased from"), "{words}");
}

async fn downgrade(objects: &Objects) {
    plan_for(objects, "v1.34.x").await;
    waits(objects, "ClusterAhead", WITHIN).await;
    let told = ("Normal", "ClusterUsingLatestVersion", "a downgrade is never asked for");
    objects.await_event(UPGRADER, told, WITHIN).await.unwrap();
    let words = refusal(objects, "v1.34.9").await;
    assert!(words.contains("version cannot be decreased"), "{words}");
}

/// Somebody else sets a version, and at once ours is due as well.
async fn while_another_upgrade_runs(objects: &Objects) {
    let other = json!({"spec": {"topology": {
        "version": "v1.35.1", "variables": [{"name": "image", "value": "id-v1.35.1"}],
    }}});
    objects.merge(&cluster::KIND, NAMESPACE, CLUSTER, &other).await.unwrap();
    plan_for(objects, "v1.35.x").await;
    let rolling = waits(objects, "UpgradeInProgress", WITHIN).await;
    assert_eq!(e2e::find_condition(&rolling, "Reconciling")["status"], "True");
    let refused = async || {
        let words = refusal(objects, "v1.35.2").await;
        Ok(words.contains("version cannot be changed").then_some(()))
    };
    objects.await_that("Cluster API would refuse it", NAMESPACE, WITHIN, refused).await.unwrap();
}

/// Nothing that we observe predicts a policy of the user's own.
async fn refused_in_the_servers_words(objects: &Objects, tail: &mut Tail) {
    forbid(objects).await;
    let refused = async || {
        let words = refusal(objects, "v1.35.3").await;
        Ok(words.contains(WORDS).then_some(()))
    };
    // Cluster API's own refusal goes with the end of the other upgrade.
    objects.await_that("the policy holds", NAMESPACE, ROLLED_WITHIN, refused).await.unwrap();
    let blocked = waits(objects, "Blocked", ROLLED_WITHIN).await;
    let message = e2e::find_condition(&blocked, "UpToDate")["message"].as_str().unwrap();
    assert!(message.contains(WORDS) && message.contains("setting v1.35.2 was refused"), "{message}");
    objects.await_event(UPGRADER, ("Warning", "ErrorUpdatingVersion", WORDS), WITHIN).await.unwrap();

    // Each change of the Cluster could have made the difference, and none shortens the minute.
    for bump in 0..BUMPS {
        let bump = json!({"metadata": {"annotations": {"test.example.org/bump": bump.to_string()}}});
        objects.merge(&cluster::KIND, NAMESPACE, CLUSTER, &bump).await.unwrap();
    }
    objects.delete(&BINDING, "", "no-upgrades").await.unwrap();
    let moved = |cluster: &Value| cluster["spec"]["topology"]["version"] == "v1.35.2";
    let moved = objects.await_object("it is sent again", OURS, AGAIN_WITHIN, moved).await.unwrap();
    let variables = &moved["spec"]["topology"]["variables"];
    assert_eq!(
        *variables,
        json!([{"name": "image", "value": "id-v1.35.2"}]),
        "version and image in one write"
    );

    let sent = patches(tail);
    let codes: Vec<u64> = sent.iter().map(|write| write.code).collect();
    assert!(codes.len() == 2 && codes[0] >= 400 && codes[1] == 200, "{sent:?}");
    let at = |write: &Write| write.received.parse::<Timestamp>().unwrap();
    let between = at(&sent[1]).duration_since(at(&sent[0]));
    assert!(between.as_secs() >= 60, "sent again after {between:#}");
}

async fn forbid(objects: &Objects) {
    let policy = json!({"metadata": {"name": "no-upgrades"}, "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{
            "apiGroups": [cluster::KIND.group], "apiVersions": ["*"], "operations": ["UPDATE"],
            "resources": [cluster::KIND.plural],
        }]},
        "validations": [{
            "expression": "object.spec.topology.version == oldObject.spec.topology.version",
            "message": WORDS,
        }],
    }});
    objects.create(&POLICY, "", &policy).await.unwrap();
    let binding = json!({"metadata": {"name": "no-upgrades"}, "spec": {
        "policyName": "no-upgrades", "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}},
    }});
    objects.create(&BINDING, "", &binding).await.unwrap();
}
