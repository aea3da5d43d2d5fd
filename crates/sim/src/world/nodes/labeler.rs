//! What labels nodes: the controller of DaemonSets, and the pods in which `manager label-node` runs. What a node is labelled with
//! the labeler's own code says; the invariants know it without that.

use std::collections::BTreeMap;

use api::batch::pod;
use api::kairos::labeler::{APP_LABEL, NAME};
use api::kairos::{MANAGED_LABEL, TRUE};
use api::nodes::node;
use domain::object::{ObjectKey, WireMeta};
use nodes::kairos::node_labeler::labels::{self, BOOT_STATE_LABEL, Told};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::containers::{End, Running};
use super::{AGAIN, Fate, Soon, bound_to, controller, has_ended, is_leaving, uid};
use crate::apiserver::delete::Deletion;
use crate::apiserver::write::Patch;
use crate::world::World;

/// Who writes what a pod of the labeler writes.
pub(crate) const LABELER: &str = "label-node";
/// Who makes the pods of DaemonSets.
pub(crate) const DAEMONS: &str = "daemonset-controller";
/// Longest time until a pod of the DaemonSet finds that labels were changed by hand, in seconds.
const LOOKS_EVERY: u64 = 600;

/// What a node that runs Kairos tells of itself: it is upgraded from one version to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kairos {
    pub(crate) version: u32,
}

impl Kairos {
    fn told(self) -> Told {
        let Self { version } = self;
        let mut text = format!(
            "KAIROS_VERSION=\"v3.{version}.0\"\nKAIROS_FLAVOR=ubuntu\nKAIROS_SOFTWARE_VERSION='v1.30.{version}+k3s1'\nKAIROS_MODEL=\n"
        );
        if self.has_variant() {
            text.push_str("KAIROS_VARIANT=standard\n");
        }
        let cmdline = "root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img".to_owned();
        Told { kairos_release: Some(text), cmdline, ..Told::default() }
    }

    /// Every other release leaves something out, so that an upgrade takes a label away.
    fn has_variant(self) -> bool {
        self.version.is_multiple_of(2)
    }

    /// Its labels.
    pub(crate) fn labels(self) -> BTreeMap<&'static str, String> {
        let mut labels = BTreeMap::from([
            (MANAGED_LABEL, TRUE.to_owned()),
            (BOOT_STATE_LABEL, "active".to_owned()),
            ("kairos.io/flavor", "ubuntu".to_owned()),
            ("kairos.io/software-version", format!("v1.30.{}-k3s1", self.version)),
        ]);
        if self.has_variant() {
            labels.insert("kairos.io/variant", "standard".to_owned());
        }
        labels
    }

    /// Its annotations.
    pub(crate) fn annotations(self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("kairos.io/version", format!("v3.{}.0", self.version))])
    }
}

/// Whether a Job, a pod or a DaemonSet is the labeler's.
pub(crate) fn is_of_labeler(object: &Value) -> bool {
    object["metadata"]["labels"][APP_LABEL] == NAME
}

/// What a pod of the labeler finds on its node.
enum Read {
    NoNode,
    AsItShouldBe,
    /// This patch.
    Needs(Value),
}

impl World {
    /// A pod of the labeler reads its node.
    pub(super) fn labeler_reads(&mut self, key: &ObjectKey, of: &str, start: u64) {
        let Some((_, pod, running)) = self.live(key, of, start) else { return };
        if is_leaving(&pod) {
            return;
        }
        let node = running.node.clone();
        let failures = self.nodes.labelers_failed.entry(node.clone()).or_default();
        let fails = match self.nodes.habits.labelers.get(&node).copied().unwrap_or_default() {
            Fate::Well => false,
            Fate::After(attempts) => *failures < attempts,
            Fate::Never => true,
        };
        if fails {
            *failures += 1;
            return self.labeler_fails(key, &pod);
        }
        match self.labels_of(&node) {
            Read::NoNode => self.labeler_fails(key, &pod),
            Read::AsItShouldBe => self.labeler_is_done(key, &pod),
            Read::Needs(patch) => {
                let wait = self.nodes.seconds(0, 4, &["labels", of]);
                self.soon(wait, Soon::Labels(key.clone(), of.into(), start, patch.to_string().into()));
            }
        }
    }

    /// It writes what it has found.
    pub(super) fn labeler_writes(&mut self, key: &ObjectKey, of: &str, start: u64, patch: &str) {
        let Some((_, pod, Running { node, .. })) = self.live(key, of, start) else { return };
        let (Some(id), Ok(patch)) = (self.kind_id("", node::KIND.kind), serde_json::from_str(patch)) else {
            return;
        };
        match self.patch(LABELER, id, &ObjectKey::new("", node), false, Patch::Merge(patch)) {
            Ok(_) => self.labeler_is_done(key, &pod),
            Err(refused) if refused.code == 409 => {
                self.soon(1, Soon::Reads(key.clone(), of.into(), start));
            }
            Err(_) => self.labeler_fails(key, &pod),
        }
    }

    fn labels_of(&self, name: &str) -> Read {
        let id = self.kind_id("", node::KIND.kind);
        let node = id.and_then(|id| self.objects.get(id, &ObjectKey::new("", name)));
        let meta = node.and_then(|node| WireMeta::deserialize(&node.value["metadata"]).ok());
        let Some(meta) = meta else { return Read::NoNode };
        let wanted = self.nodes.kairos.get(name).and_then(|kairos| labels::wanted(&kairos.told()));
        let patch =
            wanted.and_then(|wanted| labels::patch(&wanted, &meta.meta(), &meta.labels, &meta.annotations));
        patch.map_or(Read::AsItShouldBe, Read::Needs)
    }

    fn labeler_is_done(&mut self, key: &ObjectKey, pod: &Value) {
        if is_daemon(pod) {
            return;
        }
        self.pod_over(key, uid(pod), &End { code: 0, reason: "Completed", message: "" });
    }

    fn labeler_fails(&mut self, key: &ObjectKey, pod: &Value) {
        if is_daemon(pod) {
            return self.labeler_looks_again(bound_to(pod));
        }
        self.pod_over(key, uid(pod), &End { code: 1, reason: "Error", message: "" });
    }

    /// The pod of the DaemonSet on a node finds that something has changed there.
    pub(super) fn labeler_looks_again(&mut self, node: &str) {
        if self.nodes.habits.labelers.get(node) == Some(&Fate::Never) {
            return;
        }
        for (key, pod) in self.pods_where(|pod| is_of_labeler(pod) && is_daemon(pod) && bound_to(pod) == node)
        {
            let of = uid(&pod);
            let Some(start) = self.nodes.running.get(of).map(|running| running.start) else { continue };
            let wait = self.nodes.seconds(60, LOOKS_EVERY, &["again", of]);
            self.soon(wait, Soon::Reads(key, of.into(), start));
        }
    }

    /// The system of a node was upgraded.
    pub(super) fn is_upgraded(&mut self, node: &str) {
        if let Some(kairos) = self.nodes.kairos.get_mut(node) {
            kairos.version += 1;
            self.labeler_looks_again(node);
        }
    }

    pub(super) fn daemons_soon(&mut self) {
        let Some(id) = self.kind_id("apps", "DaemonSet") else { return };
        let all = self.objects.all(id).filter(|(_, set)| !set["spec"]["template"].is_null());
        for key in all.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            if self.nodes.due.insert(key.clone()) {
                self.soon(1, Soon::Daemons(key));
            }
        }
    }

    /// Somebody refuses for a while what is to be done for a DaemonSet.
    fn daemons_again(&mut self, key: &ObjectKey) {
        if self.nodes.due.insert(key.clone()) {
            self.soon(AGAIN, Soon::Daemons(key.clone()));
        }
    }

    /// One pod of a DaemonSet on each node that it selects, and none elsewhere.
    pub(super) fn daemons_look(&mut self, key: &ObjectKey) {
        let (Some(id), Some(pods), Some(nodes)) = (
            self.kind_id("apps", "DaemonSet"),
            self.kind_id(pod::KIND.group, pod::KIND.kind),
            self.kind_id("", node::KIND.kind),
        ) else {
            return;
        };
        let Some(set) = self.objects.get(id, key).map(|entry| entry.value.clone()) else { return };
        let template = &set["spec"]["template"];
        if is_leaving(&set) || template.is_null() {
            return;
        }
        let wanted = template["spec"]["nodeSelector"].as_object().cloned().unwrap_or_default();
        let selects =
            |node: &Value| wanted.iter().all(|(name, value)| node["metadata"]["labels"][name] == *value);
        let selected: Vec<Box<str>> = self
            .objects
            .all(nodes)
            .filter(|(_, node)| !is_leaving(node) && selects(node))
            .map(|(key, _)| (&*key.name).into())
            .collect();
        let mine = self.pods_where(|pod| controller(pod).is_some_and(|(_, _, owner)| owner == uid(&set)));
        let set_key = key;
        for (key, pod) in &mine {
            let stays = selected.iter().any(|name| **name == *bound_to(pod)) && !has_ended(pod);
            if !stays && !is_leaving(pod) {
                let gone = self.delete(DAEMONS, pods, key, &Deletion::default());
                if gone.is_err() {
                    self.daemons_again(set_key);
                }
            }
        }
        for name in selected.iter().filter(|name| !mine.iter().any(|(_, pod)| *bound_to(pod) == ***name)) {
            let mut spec = template["spec"].clone();
            spec["nodeName"] = json!(name);
            let body = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "generateName": format!("{}-", key.name), "labels": template["metadata"]["labels"],
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": key.name,
                        "uid": uid(&set), "controller": true, "blockOwnerDeletion": true}],
                },
                "spec": spec,
            });
            if self.create(DAEMONS, pods, &key.namespace, body).is_err() {
                self.daemons_again(key);
            }
        }
    }
}

fn is_daemon(pod: &Value) -> bool {
    controller(pod).is_some_and(|(kind, ..)| kind == "DaemonSet")
}
