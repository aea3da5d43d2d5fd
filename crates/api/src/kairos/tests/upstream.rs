//! What kairos-operator v0.1.3 leaves in a cluster, in the middle of an operation.

use std::collections::BTreeSet;

use domain::object::ObjectKey;
use serde_json::Value;

use super::super::message::{NodeMessage, upgrade};
use super::super::node_job::{NodeJobRow, Progress};
use super::super::node_op::NodeOpRow;
use super::super::node_op_upgrade::NodeOpUpgradeRow;
use super::super::operation_pod::{OperationPodRow, Role};
use super::super::reboot_binding::RebootBindingRow;
use super::super::{
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING_PREFIX, MANAGED_BY_LABEL, NodePhase, OperationPhase, RebootStatus,
    SERVICE_ACCOUNT_SUFFIX, UPGRADE_MANAGER, UpgradePhase, cordon::CordonOwner,
};
use crate::nodes::node::NodeRow;
use crate::tests::{fixtures, references, row_of};

/// The objects of one file.
struct Left(Vec<Value>);

impl Left {
    fn read(name: &str) -> Self {
        let (_, yaml) =
            fixtures("kairos/upstream-v0.1.3").into_iter().find(|(file, _)| file == name).unwrap();
        Self(serde_saphyr::from_multiple(&yaml).unwrap())
    }

    fn of<R: domain::object::Row>(&self, kind: &str) -> Vec<R> {
        self.raw(kind).cloned().map(row_of).collect()
    }

    fn raw(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }
}

#[test]
fn an_upgrade_whose_second_node_is_about_to_reboot() {
    let left = Left::read("second-node-reboots");
    let [op] = <[NodeOpRow; 1]>::try_from(left.of("NodeOp")).unwrap();
    let [of_upgrade] = <[NodeOpUpgradeRow; 1]>::try_from(left.of("NodeOpUpgrade")).unwrap();
    assert_eq!((&op.malformed, &of_upgrade.malformed), (&None, &None));
    assert!(op.has_finalizer() && op.cordon && op.reboot_on_success && op.drain.is_some());
    assert_eq!((op.concurrency, op.stop_on_failure, op.backoff_limit), (Some(1), true, 6));
    assert_eq!(op.upgrade_name.as_deref(), Some("os-v3-7-0"));
    assert_eq!(references(&op), [("owner", of_upgrade.meta.uid.to_string())]);
    assert_eq!(left.raw("NodeOp").next().unwrap()["metadata"]["labels"][MANAGED_BY_LABEL], UPGRADE_MANAGER);
    assert_eq!((&op.status.phase, op.status.finished_at), (&Some(OperationPhase::Running), None));
    assert_eq!(of_upgrade.status.phase, Some(UpgradePhase::Running));
    assert_eq!(of_upgrade.status.message.as_deref(), Some(upgrade::RUNNING));
    assert_eq!(of_upgrade.status.node_statuses, op.status.node_statuses);

    let (first, second) = (&op.status.node_statuses["node-1"], &op.status.node_statuses["node-2"]);
    assert_eq!((&first.phase, &first.reboot_status), (&NodePhase::Completed, &Some(RebootStatus::Completed)));
    assert_eq!((&second.phase, &second.reboot_status), (&NodePhase::Completed, &Some(RebootStatus::Pending)));
    assert_eq!(
        (first.said(), second.said()),
        (NodeMessage::JobAndRebootCompleted, NodeMessage::JobCompleted)
    );
    assert!(!op.status.node_statuses.contains_key("node-3"), "it has not started");
}

#[test]
fn its_jobs_and_reboot_pods_are_found_by_the_node_op_and_say_their_node() {
    let left = Left::read("second-node-reboots");
    let [op] = <[NodeOpRow; 1]>::try_from(left.of("NodeOp")).unwrap();
    let jobs: Vec<NodeJobRow> = left.of("Job");
    assert_eq!(jobs.len(), 2);
    for job in &jobs {
        assert_eq!((&job.malformed, references(job)), (&None, vec![("owner", op.meta.uid.to_string())]));
        assert!(job.leaves_sentinel);
        let entry = &op.status.node_statuses[job.node().unwrap()];
        assert_eq!(entry.job(), Some(&*job.meta.key.name));
        let Progress::Succeeded(ended) = &job.progress else { panic!("{job:?}") };
        assert_eq!((&*ended.reason, ended.at.is_some()), ("CompletionsReached", true));
    }
    let pods: Vec<OperationPodRow> = left.of("Pod");
    let [done, running] = &pods[..] else { panic!("{pods:?}") };
    for (pod, node) in [(done, "node-1"), (running, "node-2")] {
        assert_eq!((pod.role, pod.node()), (Role::Reboot, Some(node)));
        assert_eq!((&pod.malformed, references(pod)), (&None, vec![("owner", op.meta.uid.to_string())]));
        assert!(pod.awaits_sentinel);
        assert_eq!(pod.reboot_state.as_deref(), Some("completed"), "set before the reboot");
    }
    assert!(done.reboot_is_done() && done.is_finished());
    assert!(!running.reboot_is_done() && !running.is_finished(), "the annotation alone proves nothing");
    assert_eq!(running.started, "2026-08-10T09:08:05Z".parse().ok());
}

#[test]
fn its_cordon_is_its_own_and_its_leftovers_have_the_names_of_the_contract() {
    let left = Left::read("second-node-reboots");
    let [op] = <[NodeOpRow; 1]>::try_from(left.of("NodeOp")).unwrap();
    let nodes: Vec<NodeRow> = left.of("Node");
    let cordoned: Vec<_> = nodes.iter().filter(|node| node.unschedulable).collect();
    let [node] = cordoned[..] else { panic!("{nodes:?}") };
    assert_eq!(&*node.meta.key.name, "node-2");
    assert_eq!(node.cordon_owner(), Some(CordonOwner::of(&op.meta)));
    assert!(nodes.iter().all(|node| node.boot_id.is_some() && node.is_ready()));
    assert_eq!(nodes.iter().filter(|node| node.is_control_plane()).count(), 1);

    let name = &*op.meta.key.name;
    let named = |kind: &str| left.raw(kind).next().unwrap()["metadata"]["name"].as_str().unwrap();
    assert_eq!(named("ClusterRole"), CLUSTER_ROLE);
    let [binding] = <[RebootBindingRow; 1]>::try_from(left.of("ClusterRoleBinding")).unwrap();
    assert_eq!(*binding.meta.key.name, format!("{CLUSTER_ROLE_BINDING_PREFIX}{name}"));
    assert!(binding.is_of(&op.meta.key) && !binding.is_of(&ObjectKey::new("elsewhere", name)));
    assert_eq!(named("ServiceAccount"), format!("{name}{SERVICE_ACCOUNT_SUFFIX}"));
}

/// v0.1.3 looks only at the nodes that have started.
#[test]
fn completed_between_two_nodes_is_not_the_end() {
    let left = Left::read("between-two-nodes");
    let [op] = <[NodeOpRow; 1]>::try_from(left.of("NodeOp")).unwrap();
    let [of_upgrade] = <[NodeOpUpgradeRow; 1]>::try_from(left.of("NodeOpUpgrade")).unwrap();
    assert_eq!(of_upgrade.status.message.as_deref(), Some(upgrade::COMPLETED));
    assert_eq!((&op.status.phase, op.status.finished_at), (&Some(OperationPhase::Completed), None));
    assert_eq!((op.status.node_statuses.len(), left.of::<NodeRow>("Node").len()), (1, 3));
}

#[test]
fn every_phase_reboot_status_and_message_is_recognised() {
    let left = Left::read("every-phase-and-message");
    let [op] = <[NodeOpRow; 1]>::try_from(left.of("NodeOp")).unwrap();
    assert!(!op.status.is_unreadable());
    let (mut phases, mut reboots, mut messages) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (node, entry) in &op.status.node_statuses {
        assert!(!matches!(entry.said(), NodeMessage::Other(_)), "{node}: {:?}", entry.message);
        phases.insert(entry.phase.clone());
        reboots.extend(entry.reboot_status.clone());
        messages.insert(entry.message.clone());
    }
    assert_eq!(phases.into_iter().collect::<Vec<_>>(), NodePhase::KNOWN);
    assert_eq!(reboots.into_iter().collect::<Vec<_>>(), RebootStatus::KNOWN);
    assert_eq!(messages.len(), 11);
    let said = |node: &str| op.status.node_statuses[node].said();
    assert_eq!(said("skipped"), NodeMessage::SkippedByPreflight("node is already at v3.7.0\n"));
    assert_eq!(op.status.node_statuses["pruned"].job(), None, "an empty name is none");

    let upgrades: Vec<NodeOpUpgradeRow> = left.of("NodeOpUpgrade");
    let told: Vec<_> =
        upgrades.iter().map(|of| (of.status.phase.clone(), of.status.message.as_deref())).collect();
    let none = UpgradePhase::Other("".into());
    assert_eq!(
        told,
        [(Some(UpgradePhase::Initializing), Some(upgrade::CREATED)), (Some(none), Some(upgrade::PENDING))]
    );
}

#[test]
fn a_preflight_pod_gives_its_verdict_as_it_wrote_it() {
    let left = Left::read("every-phase-and-message");
    let [pod] = <[OperationPodRow; 1]>::try_from(left.of("Pod")).unwrap();
    assert_eq!((pod.role, pod.node(), &*pod.phase), (Role::Preflight, Some("checked"), "Succeeded"));
    let terminated = pod.terminated.clone().unwrap();
    assert_eq!((terminated.exit_code, &*terminated.message), (0, "node is already at v3.7.0\n"));
    assert!(!pod.reboot_is_done() && !pod.awaits_sentinel);
}
