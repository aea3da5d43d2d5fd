//! The kinds that can be named on the command line.

use api::batch::{job, pod};
use api::capi::{cluster, cluster_class};
use api::kairos::{self, node_op, node_op_upgrade};
use api::upgrader::{
    self, cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer,
    machine_image_template, plan,
};
use domain::object::Kind;

/// Short names, as the CRDs have them, and the words that people say.
const WORDS: [(Kind, &[&str]); 10] = [
    (debian_repository_source::KIND, &["debsrc", "source", "sources"]),
    (machine_image_template::KIND, &["mimgtmpl", "template", "templates"]),
    (machine_image_syncer::KIND, &["mimgsync", "syncer", "syncers"]),
    (machine_image::KIND, &["mimg", "image", "images"]),
    (plan::KIND, &["kubeplan"]),
    (cluster_upgrader::KIND, &["ccup", "upgrader", "upgraders"]),
    (cluster::KIND, &["cl"]),
    (job::KIND, &[]),
    (node_op::KIND, &[]),
    (node_op_upgrade::KIND, &[]),
];

/// Every kind that is looked at, in the order of the chain; then those of operations on nodes.
pub(crate) const ALL: [Kind; 12] = [
    debian_repository_source::KIND,
    machine_image_template::KIND,
    machine_image_syncer::KIND,
    machine_image::KIND,
    job::KIND,
    pod::KIND,
    plan::KIND,
    cluster_upgrader::KIND,
    cluster::KIND,
    cluster_class::KIND,
    node_op_upgrade::KIND,
    node_op::KIND,
];

/// A kind by its name, plural, short name or `plural.group`, in any case.
pub(crate) fn named(word: &str) -> Option<Kind> {
    let word = word.to_ascii_lowercase();
    let (name, group) = word.split_once('.').map_or((&*word, None), |(name, group)| (name, Some(group)));
    WORDS.iter().find_map(|(kind, words)| {
        let called = kind.plural == name || kind.kind.to_ascii_lowercase() == name || words.contains(&name);
        (called && group.is_none_or(|group| group == kind.group)).then_some(*kind)
    })
}

/// The words for all kinds, for messages.
pub(crate) fn words() -> String {
    let words: Vec<String> = WORDS.iter().map(|(kind, _)| kind.kind.to_ascii_lowercase()).collect();
    words.join(", ")
}

/// The kind of an object, where it is one of [`ALL`].
pub(crate) fn of(group: &str, kind: &str) -> Option<Kind> {
    ALL.into_iter().find(|known| known.group == group && known.kind == kind)
}

/// Whether it is a kind of ours.
pub(crate) fn is_ours(group: &str) -> bool {
    group == upgrader::GROUP || group == kairos::GROUP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_many_names() {
        for word in ["cluster", "Clusters", "CLUSTER", "cl", "clusters.cluster.x-k8s.io"] {
            assert_eq!(named(word), Some(cluster::KIND), "{word}");
        }
        for word in ["upgrader", "ccup", "clusterclassclusterupgrader", "ClusterClassClusterUpgraders"] {
            assert_eq!(named(word), Some(cluster_upgrader::KIND), "{word}");
        }
        for word in ["nodeop", "NodeOps", "nodeops.operator.kairos.io"] {
            assert_eq!(named(word), Some(node_op::KIND), "{word}");
        }
        assert_eq!(named("plans.example.org"), None);
        assert_eq!(named("deployment"), None);
    }

    /// The short names are the server's.
    #[test]
    fn short_names_are_those_of_the_crds() {
        for text in crate::lint::crds::TEXTS {
            let crd: serde_json::Value = serde_saphyr::from_str(text).unwrap();
            let names = &crd["spec"]["names"];
            let kind = named(names["kind"].as_str().unwrap()).unwrap();
            for short in names["shortNames"].as_array().into_iter().flatten() {
                assert_eq!(named(short.as_str().unwrap()), Some(kind), "{short}");
            }
        }
    }
}
