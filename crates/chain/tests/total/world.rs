//! A namespace with a few objects of every kind, as hostile as a server can hold them.

use std::collections::BTreeMap;
use std::fmt;

use api::batch::job::JobRow;
use api::capi::cluster::ClusterRow;
use api::capi::cluster_class::ClusterClassRow;
use api::source::VersionsRow;
use api::upgrader::cluster_upgrader::UpgraderRow;
use api::upgrader::debian_repository_source::SourceRow;
use api::upgrader::machine_image::MachineImageRow;
use api::upgrader::machine_image_syncer::SyncerRow;
use api::upgrader::machine_image_template::TemplateRow;
use api::upgrader::plan::PlanRow;
use domain::object::{Row, WireMeta};
use proptest::collection::vec;
use proptest::prelude::*;
use runtime::store::{Availability, DynamicKind, Store, TableId};
use serde_json::{Map, Value, json};

use super::choices::{ANY, Choices, NAMES, UIDS};
use super::schema;

const KINDS: &[&str] = &[
    "Plan",
    "ClusterClassClusterUpgrader",
    "MachineImage",
    "MachineImageSyncer",
    "DebianRepositorySource",
    "MachineImageTemplate",
    "Cluster",
    "ClusterClass",
    "Job",
    "MachineImage",
    "Versions",
];
/// Kinds whose schemas the server holds them to.
const OURS: &str = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
const ANNOTATIONS: &[&str] = &[
    api::upgrader::machine_image::CLONED_FROM_ANNOTATION,
    api::upgrader::machine_image::SOURCE_ANNOTATION,
    api::upgrader::machine_image::PACKAGE_ANNOTATION,
    api::upgrader::machine_image::REPOSITORY_ANNOTATION,
    api::upgrader::machine_image::ATTEMPT_ANNOTATION,
    api::upgrader::cluster_upgrader::LAST_SET_ANNOTATION,
    api::upgrader::debian_repository_source::REQUESTED_AT_ANNOTATION,
    api::clusterctl::BLOCK_MOVE_ANNOTATION,
    api::clusterctl::DELETE_FOR_MOVE_ANNOTATION,
    api::capi::cluster::PAUSED_ANNOTATION,
    api::capi::cluster::PENDING_HOOKS_ANNOTATION,
    api::capi::cluster::UPGRADE_STEP_ANNOTATION,
    api::batch::job::IMAGE_ID,
];
const LABELS: &[&str] = &[
    api::upgrader::machine_image::SYNCER_NAME_LABEL,
    api::upgrader::machine_image::KUBERNETES_VERSION_LABEL,
    api::batch::job::MACHINE_IMAGE_NAME_LABEL,
    api::batch::job::IMAGE_ID,
    api::capi::CLUSTER_NAME_LABEL,
    "a",
];

/// The objects, and what happens to them.
#[derive(Clone)]
pub(crate) struct World {
    objects: BTreeMap<(String, String), Value>,
    pub(crate) script: Choices,
}

/// One JSON document a line: enough to make a test of it.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.values().try_for_each(|object| write!(f, "\n{object}"))
    }
}

pub(crate) fn worlds() -> impl Strategy<Value = World> {
    let one = vec(any::<u32>(), 0..160);
    (vec(any::<u32>(), 1..120), vec(one, 1..18)).prop_map(|(script, objects)| World::of(script, objects))
}

impl World {
    fn of(script: Vec<u32>, objects: Vec<Vec<u32>>) -> Self {
        let mut script = Choices::of(script);
        let mut world = Self { objects: BTreeMap::new(), script: script.clone() };
        let mut sources = objects.into_iter().map(Choices::of);
        if script.below(3) > 0 {
            for good in testkit::objects(include_str!("good.yaml")) {
                world.put(spoilt(good, &mut sources.next().unwrap_or_else(|| Choices::of(Vec::new()))));
            }
        }
        for mut choices in sources {
            let kind = choices.word(KINDS);
            world.put(hostile(&kind, &mut choices));
        }
        world.script = script;
        world
    }

    fn put(&mut self, object: Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.objects.entry((text(&object["kind"]), text(&object["metadata"]["name"]))).or_insert(object);
    }

    /// The rows. Now and then the server does not show a kind.
    pub(crate) fn store(&mut self) -> Store {
        let mut store = testkit::store("");
        for object in self.objects.values() {
            store_of(&mut store, object);
        }
        if self.script.once_in(6) {
            let availability = match self.script.below(3) {
                0 => Availability::Syncing,
                1 => Availability::NotInstalled,
                _ => Availability::Forbidden("two\nlines".into()),
            };
            match self.script.below(6) {
                0 => store.set::<MachineImageRow>(&TableId::of::<MachineImageRow>(), availability),
                1 => store.set::<TemplateRow>(&TableId::of::<TemplateRow>(), availability),
                2 => store.set::<JobRow>(&TableId::of::<JobRow>(), availability),
                3 => store.set::<ClusterRow>(&TableId::of::<ClusterRow>(), availability),
                4 => store.set::<ClusterClassRow>(&TableId::of::<ClusterClassRow>(), availability),
                _ => store.set::<SourceRow>(&TableId::of::<SourceRow>(), availability),
            }
        }
        store
    }

    /// Writes a status as the server does: the merged object, checked by its schema.
    pub(crate) fn write_status(&mut self, store: &mut Store, kind: &str, name: &str, patch: &Value) -> Value {
        let object = self.objects.get_mut(&(kind.to_owned(), name.to_owned())).unwrap();
        merge(&mut object["status"], patch);
        let problem = schema::problem(&schema::of(kind)["properties"]["status"], &object["status"], "status");
        assert_eq!(problem, None, "the server refuses the status of {kind} {name}");
        let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        store_of(store, object);
        object["status"].clone()
    }
}

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let into = into.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            into.remove(name);
        } else {
            merge(into.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn store_of(store: &mut Store, object: &Value) {
    fn put<R: Row>(store: &mut Store, object: &Value) {
        store.put::<R>(&TableId::of::<R>(), testkit::row(object));
    }
    match object["kind"].as_str().unwrap() {
        "DebianRepositorySource" => put::<SourceRow>(store, object),
        "MachineImageTemplate" => put::<TemplateRow>(store, object),
        "MachineImageSyncer" => put::<SyncerRow>(store, object),
        "MachineImage" => put::<MachineImageRow>(store, object),
        "Plan" => put::<PlanRow>(store, object),
        "ClusterClassClusterUpgrader" => put::<UpgraderRow>(store, object),
        "Job" => put::<JobRow>(store, object),
        "Cluster" => put::<ClusterRow>(store, object),
        "ClusterClass" => put::<ClusterClassRow>(store, object),
        kind => {
            let kind = DynamicKind { api_version: "example.org/v1".into(), kind: kind.into() };
            store.put::<VersionsRow>(&TableId::dynamic::<VersionsRow>(&kind), testkit::row(object));
        }
    }
}

fn is_ours(kind: &str) -> bool {
    !matches!(kind, "Job" | "Cluster" | "ClusterClass" | "Versions" | "Pod" | "Machines")
}

/// An object of a kind that its schema admits.
pub(crate) fn hostile(kind: &str, choices: &mut Choices) -> Value {
    let mut object = schema::value(schema::of(kind), "", choices, !is_ours(kind));
    if !object.is_object() {
        object = json!({});
    }
    object["apiVersion"] = json!(if is_ours(kind) { OURS } else { "example.org/v1" });
    object["kind"] = json!(kind);
    object["metadata"] = metadata(choices);
    object
}

/// A good object of which some fields are others that its schema admits.
fn spoilt(mut object: Value, choices: &mut Choices) -> Value {
    let kind = object["kind"].as_str().unwrap().to_owned();
    spoil(&mut object, schema::of(&kind), "", choices, !is_ours(&kind));
    if choices.once_in(4) {
        let (before, mut after) = (object["metadata"].take(), metadata(choices));
        after["name"] = before["name"].clone();
        if choices.below(4) > 0 {
            after["ownerReferences"] = before["ownerReferences"].clone();
            after["uid"] = before["uid"].clone();
        }
        object["metadata"] = after;
    }
    object
}

fn spoil(value: &mut Value, schema: &Value, field: &str, choices: &mut Choices, wild: bool) {
    match value {
        Value::Object(fields) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                if matches!(&**name, "apiVersion" | "kind" | "metadata" if field.is_empty()) {
                    continue;
                }
                match fields.get_mut(name) {
                    Some(value) if choices.below(8) < 7 => spoil(value, schema, name, choices, wild),
                    None if choices.below(12) < 11 => {}
                    _ => _ = fields.insert(name.clone(), schema::value(schema, name, choices, wild)),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                spoil(item, &schema["items"], field, choices, wild);
            }
        }
        _ if choices.once_in(10) => *value = schema::value(schema, field, choices, wild),
        _ => {}
    }
}

fn metadata(choices: &mut Choices) -> Value {
    let mut meta = json!({
        "name": choices.word(NAMES),
        "namespace": "ns",
        "uid": choices.word(UIDS),
        "resourceVersion": choices.word(&["7", "1", "100"]),
        "generation": choices.one(&[1, 2, 0]),
        "creationTimestamp": choices.word(&["2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-30T21:59:59Z"]),
    });
    if choices.once_in(6) {
        meta["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
    }
    if choices.once_in(8) {
        meta["creationTimestamp"] = Value::Null;
    }
    let map = |choices: &mut Choices, keys: &[&str]| -> Value {
        let entries = (0..choices.below(4)).map(|_| {
            let key = choices.word(keys);
            let value = if choices.once_in(2) { choices.word(ANY) } else { choices.text(&key) };
            (key, json!(value))
        });
        Value::Object(entries.collect::<Map<_, _>>())
    };
    meta["labels"] = map(choices, LABELS);
    meta["annotations"] = map(choices, ANNOTATIONS);
    let owners = (0..choices.below(3)).map(|_| {
        json!({
            "apiVersion": OURS,
            "kind": choices.word(KINDS),
            "name": choices.word(NAMES),
            "uid": choices.word(UIDS),
            "controller": choices.one(&[Some(true), Some(true), Some(false), None]),
        })
    });
    meta["ownerReferences"] = owners.collect();
    // What any server makes of it must be readable: the engine's watch drops what has no metadata.
    assert!(serde_json::from_value::<WireMeta>(meta.clone()).is_ok(), "{meta}");
    meta
}
