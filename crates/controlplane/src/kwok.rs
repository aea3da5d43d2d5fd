//! What kwok does with nodes and pods, and how a test steers it.
//!
//! By default a pod runs as soon as it is scheduled, and a Job's pod completes at once. Annotations in the Job's pod template
//! change that, pod by pod:
//!
//! | annotation | effect |
//! |---|---|
//! | [`HOLD`]`: "true"` | the pod runs until it gets the annotation [`RELEASE`] (see [`ControlPlane::release_job`]) |
//! | [`TERMINATION_MESSAGE`] | its containers leave this message |
//! | [`EXIT_CODE`] | its containers end with this code; the pod fails if it is not `"0"` |
//!
//! A test that needs other behaviour gives its own Stages
//! ([`ControlPlaneBuilder::pod_stages`](crate::ControlPlaneBuilder::pod_stages)).
//!
//! [`ControlPlane::release_job`]: crate::ControlPlane::release_job

use serde_json::Value;

use crate::error::{Error, Result};

/// Annotation of a pod: with the value `true` a Job's pod does not complete by itself.
pub const HOLD: &str = "controlplane.test/hold";
/// Annotation of a pod: set, it lets a held pod complete.
pub const RELEASE: &str = "controlplane.test/release";
/// Annotation of a pod: what its containers leave as termination message.
pub const TERMINATION_MESSAGE: &str = "controlplane.test/termination-message";
/// Annotation of a pod: the exit code of its containers, as a string.
pub const EXIT_CODE: &str = "controlplane.test/exit-code";

/// Replaces kwok's own `pod-complete`.
const POD_COMPLETE: &str = include_str!("../fixtures/pod-complete.yaml");

/// kwok's configuration: its own node stages, and its own pod stages with a steerable completion, or the given ones.
pub(crate) fn stages(node_stages: &str, pod_stages: &str, own: Option<&str>) -> Result<String> {
    let pods = match own {
        Some(own) => own.to_owned(),
        None => format!("{}---\n{POD_COMPLETE}", without_completion(pod_stages)?),
    };
    Ok(format!("{node_stages}\n---\n{pods}"))
}

/// Drops the stage `pod-complete` from kwok's documents, as text: a stage's templates must arrive as they were written.
fn without_completion(stages: &str) -> Result<String> {
    let mut kept = String::new();
    for document in stages.split("\n---\n") {
        let stage: Value = serde_saphyr::from_str(document).map_err(|error| Error::Manifest {
            manifest: "kwok's pod stages".to_owned(),
            reason: error.to_string(),
        })?;
        if stage["metadata"]["name"] != "pod-complete" {
            kept.push_str("---\n");
            kept.push_str(document);
            kept.push('\n');
        }
    }
    Ok(kept)
}

/// A Node that kwok makes ready: no taint, and whatever the scheduler asks for. `labels` are added to its hostname.
pub(crate) fn node(name: &str, labels: &[(&str, &str)]) -> Value {
    let mut all = serde_json::json!({ "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" });
    for (key, value) in labels {
        all[*key] = Value::from(*value);
    }
    serde_json::json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": all } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KWOK: &str =
        "metadata:\n  name: pod-complete\n---\nmetadata:\n  name: pod-delete\nspec: |\n  {{ Now }}\n";

    #[test]
    fn completion_is_ours_and_the_rest_is_kwoks() {
        let text = stages("metadata:\n  name: node-initialize\n", KWOK, None).unwrap();
        let names: Vec<Value> = serde_saphyr::from_multiple::<Value>(&text).unwrap();
        let names: Vec<&str> =
            names.iter().map(|stage| stage["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["node-initialize", "pod-delete", "pod-complete"]);
        assert!(text.contains("{{ Now }}"));
    }

    #[test]
    fn own_stages_replace_all_pod_stages() {
        let text =
            stages("metadata:\n  name: node-initialize\n", KWOK, Some("metadata:\n  name: mine\n")).unwrap();
        assert!(text.contains("name: mine") && !text.contains("pod-"));
    }

    #[test]
    fn the_stage_reads_the_published_annotations() {
        for annotation in [HOLD, RELEASE, TERMINATION_MESSAGE, EXIT_CODE] {
            assert!(POD_COMPLETE.contains(&format!("\"{annotation}\"")), "{annotation}");
        }
    }
}
