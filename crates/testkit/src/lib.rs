//! Fixtures for tests: YAML in, rows or a golden text out. For tests only.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture that cannot be read must stop its test"
)]

mod server;

use std::fmt::Write as _;

use api::batch::job::JobRow;
use api::capi::cluster::ClusterRow;
use api::capi::cluster_class::ClusterClassRow;
use api::kairos::node_job::NodeJobRow;
use api::kairos::node_op::NodeOpRow;
use api::kairos::node_op_upgrade::NodeOpUpgradeRow;
use api::kairos::operation_pod::OperationPodRow;
use api::nodes::node::NodeRow;
use api::source::VersionsRow;
use api::upgrader::cluster_upgrader::UpgraderRow;
use api::upgrader::debian_repository_source::SourceRow;
use api::upgrader::machine_image::MachineImageRow;
use api::upgrader::machine_image_syncer::SyncerRow;
use api::upgrader::machine_image_template::TemplateRow;
use api::upgrader::plan::PlanRow;
use domain::object::{Row, WireMeta};
use domain::verdict::{Reason, Then, Verdict};
use jiff::Timestamp;
use runtime::store::{Availability, DynamicKind, Store, TableId};
use serde_json::{Value, json};

pub use self::server::{Line, talk};

/// The time at which the stories of tests begin.
pub const EPOCH: &str = "2026-11-21T10:00:00Z";

/// [`EPOCH`] plus some seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(EPOCH.parse::<Timestamp>().unwrap().as_second() + seconds).unwrap()
}

/// Objects from YAML documents. What a server would add is added: namespace `ns`, uid `uid-<kind>-<name>` in lower case,
/// resourceVersion and generation 1, created at [`EPOCH`].
pub fn objects(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).map(completed).collect()
}

fn completed(mut object: Value) -> Value {
    let kind = object["kind"].as_str().unwrap_or("object").to_lowercase();
    let meta = object["metadata"].as_object_mut().expect("an object has metadata");
    let name = meta["name"].as_str().expect("an object has a name").to_owned();
    if !["node", "clusterrole", "clusterrolebinding"].contains(&&*kind) {
        meta.entry("namespace").or_insert(json!("ns"));
    }
    let defaults = [
        ("uid", json!(format!("uid-{kind}-{name}"))),
        ("resourceVersion", json!("1")),
        ("generation", json!(1)),
        ("creationTimestamp", json!(EPOCH)),
    ];
    for (field, value) in defaults {
        meta.entry(field).or_insert(value);
    }
    object
}

/// The row of one object.
pub fn row<R: Row>(object: &Value) -> R {
    let meta: WireMeta = serde_json::from_value(object["metadata"].clone()).unwrap();
    match serde_json::from_value::<R::Wire>(object.clone()) {
        Ok(wire) => R::from_wire(&meta, wire),
        Err(error) => R::malformed(&meta, &error.to_string()),
    }
}

/// A store that holds the objects of YAML documents, each in the table of its kind; a kind that the chain does not know is
/// a source of its own kind. Every table of the chain is complete.
pub fn store(yaml: &str) -> Store {
    let mut store = Store::default();
    known::<SourceRow>(&mut store, api::upgrader::debian_repository_source::KIND.api_version());
    known::<TemplateRow>(&mut store, api::upgrader::machine_image_template::KIND.api_version());
    known::<SyncerRow>(&mut store, api::upgrader::machine_image_syncer::KIND.api_version());
    known::<MachineImageRow>(&mut store, api::upgrader::machine_image::KIND.api_version());
    known::<PlanRow>(&mut store, api::upgrader::plan::KIND.api_version());
    known::<UpgraderRow>(&mut store, api::upgrader::cluster_upgrader::KIND.api_version());
    known::<JobRow>(&mut store, api::batch::job::KIND.api_version());
    known::<ClusterRow>(&mut store, api::capi::cluster::KIND.api_version());
    known::<ClusterClassRow>(&mut store, api::capi::cluster_class::KIND.api_version());
    for object in objects(yaml) {
        put(&mut store, &object);
    }
    store
}

/// The same for the kinds that operations on nodes read.
pub fn nodes(yaml: &str) -> Store {
    let mut store = Store::default();
    known::<NodeOpRow>(&mut store, api::kairos::node_op::KIND.api_version());
    known::<NodeOpUpgradeRow>(&mut store, api::kairos::node_op_upgrade::KIND.api_version());
    known::<NodeRow>(&mut store, api::nodes::node::KIND.api_version());
    known::<NodeJobRow>(&mut store, api::kairos::node_job::KIND.api_version());
    known::<OperationPodRow>(&mut store, api::kairos::operation_pod::KIND.api_version());
    for object in objects(yaml) {
        put_on_nodes(&mut store, &object);
    }
    store
}

/// Puts one more object into such a store; kinds that no table is of are left out.
pub fn put_on_nodes(store: &mut Store, object: &Value) {
    fn fixed<R: Row>(store: &mut Store, object: &Value) {
        store.put::<R>(&TableId::of::<R>(), row(object));
    }
    match object["kind"].as_str().unwrap() {
        "NodeOp" => fixed::<NodeOpRow>(store, object),
        "NodeOpUpgrade" => fixed::<NodeOpUpgradeRow>(store, object),
        "Node" => fixed::<NodeRow>(store, object),
        "Job" => fixed::<NodeJobRow>(store, object),
        "Pod" => fixed::<OperationPodRow>(store, object),
        _ => {}
    }
}

fn known<R: Row>(store: &mut Store, api_version: String) {
    store.set::<R>(&TableId::of::<R>(), Availability::Synced { api_version: api_version.into() });
}

fn put(store: &mut Store, object: &Value) {
    fn fixed<R: Row>(store: &mut Store, object: &Value) {
        store.put::<R>(&TableId::of::<R>(), row(object));
    }
    match object["kind"].as_str().unwrap() {
        "DebianRepositorySource" => fixed::<SourceRow>(store, object),
        "MachineImageTemplate" => fixed::<TemplateRow>(store, object),
        "MachineImageSyncer" => fixed::<SyncerRow>(store, object),
        "MachineImage" => fixed::<MachineImageRow>(store, object),
        "Plan" => fixed::<PlanRow>(store, object),
        "ClusterClassClusterUpgrader" => fixed::<UpgraderRow>(store, object),
        "Job" => fixed::<JobRow>(store, object),
        "Cluster" => fixed::<ClusterRow>(store, object),
        "ClusterClass" => fixed::<ClusterClassRow>(store, object),
        kind => {
            let api_version = object["apiVersion"].as_str().unwrap().into();
            let id = TableId::dynamic::<VersionsRow>(&DynamicKind { api_version, kind: kind.into() });
            store.put::<VersionsRow>(&id, row(object));
        }
    }
}

/// A verdict as golden files show it: the steps, what follows, and when it is looked at again, relative to `now`.
pub fn shown<S: std::fmt::Display, R: Reason>(verdict: &Verdict<S, R>, now: Timestamp) -> String {
    let mut text = String::new();
    for step in &verdict.steps {
        writeln!(text, "step: {step}").unwrap();
    }
    match &verdict.then {
        Then::Done => text.push_str("done"),
        Then::Wait(because) => write!(text, "wait: {} - {because}", because.reason.name()).unwrap(),
        Then::Failed(because) => write!(text, "failed: {} - {because}", because.reason.name()).unwrap(),
    }
    if let Some(time) = verdict.recheck {
        write!(text, "\nagain in {} s", time.duration_since(now).as_secs()).unwrap();
    }
    text
}

/// The conditions of a status patch as `Type=Status/Reason`, in their order.
pub fn conditions(status: &Value) -> String {
    let list = status["conditions"].as_array().cloned().unwrap_or_default();
    let one = |condition: &Value| {
        let field = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
        format!("{}={}/{}", field("type"), field("status"), field("reason"))
    };
    list.iter().map(one).collect::<Vec<_>>().join(" ")
}
