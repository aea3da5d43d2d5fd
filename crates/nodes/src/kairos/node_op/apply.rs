//! The requests of a NodeOp.

use std::fmt;

use api::batch::pod;
use api::kairos::node_job::{self, NodeJobRow};
use api::kairos::node_op::{KIND, NodeOpRow};
use api::kairos::operation_pod::OperationPodRow;
use api::kairos::reboot_binding::{self, RebootBindingRow};
use api::kairos::{FINALIZER, REBOOT_FROM_ANNOTATION};
use api::nodes::disruption_budget::{self, DisruptionBudgetRow};
use api::nodes::node::{self, NodeRow};
use api::nodes::pod::NodePodRow;
use domain::object::{Kind, Meta, ObjectKey};
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::request::{Patch, Place, Shell};
use runtime::room::Applied;
use serde_json::{Value, json};

use super::manifest::Made;
use super::observe::CLAIM;
use crate::drain::{How, Removal};

/// The closed set of a NodeOp's requests.
#[derive(Clone, Debug)]
pub enum Step {
    /// Add the finalizer, so that a deletion waits until every cordon is undone.
    Hold {
        /// The NodeOp.
        op: Meta,
        /// Its finalizers.
        finalizers: Vec<Box<str>>,
    },
    /// Remove the finalizer.
    LetGo {
        /// The NodeOp.
        op: Meta,
        /// Its finalizers.
        finalizers: Vec<Box<str>>,
    },
    /// Ask whether a pod and a Job of the operation would be admitted, without making them.
    TryPod {
        /// The NodeOp.
        op: Meta,
        /// The pod.
        pod: Value,
        /// The Job.
        job: Value,
    },
    /// Write down what objects do not keep of nodes, with their entries.
    Write {
        /// The NodeOp.
        op: Meta,
        /// The nodes that get a place.
        approved: Vec<Box<str>>,
        /// The others of which something is written.
        changed: Vec<Box<str>>,
        /// When that was decided.
        at: Timestamp,
        /// The merge patch of its status.
        patch: Value,
    },
    /// Make one of the objects that give reboot pods their rights.
    Grant {
        /// The node whose reboot pod is the next to be made.
        node: Box<str>,
        /// The NodeOp.
        op: Meta,
        /// Which, from 0.
        nth: usize,
        /// Its kind.
        kind: &'static str,
        /// The object.
        body: Value,
    },
    /// Read a Node live.
    ReadNode {
        /// Its name.
        node: Box<str>,
    },
    /// Read a Job live that the watch does not show: whether it is gone.
    ReadJob {
        /// The node.
        node: Box<str>,
        /// The Job.
        job: ObjectKey,
    },
    /// Read the pods of a node and the budgets over them, live.
    ReadPods {
        /// The node.
        node: Box<str>,
    },
    /// Make a Job or a pod.
    Create {
        /// The node.
        node: Box<str>,
        /// What.
        made: Made,
        /// The NodeOp.
        op: ObjectKey,
        /// Its name.
        name: Box<str>,
        /// The object.
        body: Value,
    },
    /// Cordon a node, if it is as it was seen.
    Cordon {
        /// The Node.
        node: Meta,
        /// Who does it.
        claim: Box<str>,
    },
    /// Undo our cordon, if the node is as it was seen.
    Uncordon {
        /// The Node.
        node: Meta,
        /// Make it schedulable; otherwise somebody did, and only the claim is given up.
        schedulable: bool,
    },
    /// Evict or delete a pod.
    Remove {
        /// The node.
        node: Box<str>,
        /// The pod.
        removal: Removal,
    },
    /// Tell a reboot pod to reboot its node.
    Tell {
        /// The node.
        node: Box<str>,
        /// The pod.
        pod: Meta,
        /// The bootID that the node is to leave.
        boot_id: Box<str>,
    },
    /// Delete a Job or a pod of the operation.
    Delete {
        /// The node.
        node: Box<str>,
        /// What it is.
        what: &'static str,
        /// The object.
        object: Meta,
    },
    /// Look for the binding that the original made for this NodeOp.
    ReadBinding {
        /// The binding.
        key: ObjectKey,
    },
    /// Delete it.
    RemoveBinding {
        /// The binding.
        binding: Meta,
    },
}

impl Step {
    /// The node that it is about, if it is about one.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::ReadNode { node }
            | Self::ReadJob { node, .. }
            | Self::ReadPods { node }
            | Self::Create { node, .. }
            | Self::Grant { node, .. }
            | Self::Remove { node, .. }
            | Self::Tell { node, .. }
            | Self::Delete { node, .. } => Some(node),
            Self::Cordon { node, .. } | Self::Uncordon { node, .. } => Some(&node.key.name),
            Self::Hold { .. }
            | Self::LetGo { .. }
            | Self::TryPod { .. }
            | Self::Write { .. }
            | Self::ReadBinding { .. }
            | Self::RemoveBinding { .. } => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold { .. } => f.write_str("add the finalizer"),
            Self::LetGo { .. } => f.write_str("remove the finalizer"),
            Self::TryPod { .. } => f.write_str("try whether the pods are admitted"),
            Self::Write { approved, changed, .. } => match (&approved[..], &changed[..]) {
                ([], []) => f.write_str("write down the state of nodes"),
                ([], changed) => write!(f, "write down the state of {}", some(changed)),
                (approved, []) => write!(f, "give a place to {}", some(approved)),
                (approved, changed) => {
                    write!(
                        f,
                        "write down the state of {}, and give a place to {}",
                        some(changed),
                        some(approved)
                    )
                }
            },
            Self::Grant { kind, .. } => write!(f, "make the {kind} of reboot pods"),
            Self::ReadNode { node } => write!(f, "read Node {node}"),
            Self::ReadJob { job, .. } => write!(f, "read Job {}", job.name),
            Self::ReadPods { node } => write!(f, "read the pods of {node}"),
            Self::Create { node, made, name, .. } => match made {
                Made::Job => write!(f, "create Job {name} on {node}"),
                Made::Preflight => write!(f, "create preflight pod {name} on {node}"),
                Made::Reboot => write!(f, "create reboot pod {name} on {node}"),
            },
            Self::Cordon { node, .. } => write!(f, "cordon {}", node.key.name),
            Self::Uncordon { node, schedulable: true } => write!(f, "uncordon {}", node.key.name),
            Self::Uncordon { node, .. } => write!(f, "give up the claim to the cordon of {}", node.key.name),
            Self::Remove { node, removal } => write!(f, "{removal} from {node}"),
            Self::Tell { node, pod, .. } => write!(f, "tell {} to reboot {node}", pod.key.name),
            Self::Delete { node, what, object } => write!(f, "delete {what} {} of {node}", object.key.name),
            Self::ReadBinding { key } => write!(f, "look for ClusterRoleBinding {}", key.name),
            Self::RemoveBinding { binding } => write!(f, "delete ClusterRoleBinding {}", binding.key.name),
        }
    }
}

/// Names of nodes, and how many more there are: a step stands on one line.
fn some(names: &[Box<str>]) -> String {
    const SHOWN: usize = 5;
    let (shown, more) = names.split_at(names.len().min(SHOWN));
    let shown = shown.join(", ");
    if more.is_empty() { shown } else { format!("{shown} and {} more", more.len()) }
}

impl runtime::room::Step for Step {
    fn writes(&self) -> bool {
        !matches!(
            self,
            Self::ReadNode { .. } | Self::ReadJob { .. } | Self::ReadPods { .. } | Self::ReadBinding { .. }
        )
    }

    /// A verdict has one step for each node, and what counts all nodes is decided by the write that comes before them.
    fn is_independent(&self) -> bool {
        self.node().is_some()
    }
}

/// What a request brought back for the memory.
#[derive(Debug)]
pub enum Answer {
    /// It was done.
    Done,
    /// The pods of a node and the budgets.
    Pods {
        /// All pods of the node.
        pods: Vec<NodePodRow>,
        /// All budgets; none where no pod is subject to one.
        budgets: Vec<DisruptionBudgetRow>,
    },
    /// The original's binding.
    Binding(RebootBindingRow),
}

/// ServiceAccount, Role and RoleBinding.
const GRANTED: [Kind; 3] = [
    Kind { group: "", versions: &["v1"], kind: "ServiceAccount", plural: "serviceaccounts" },
    Kind { group: "rbac.authorization.k8s.io", versions: &["v1"], kind: "Role", plural: "roles" },
    Kind {
        group: "rbac.authorization.k8s.io",
        versions: &["v1"],
        kind: "RoleBinding",
        plural: "rolebindings",
    },
];

/// Makes the request of a step.
pub(super) async fn apply(shell: Shell, step: Step) -> Result<Applied<Answer>, Refusal> {
    match step {
        Step::Hold { op, mut finalizers } => {
            finalizers.push(FINALIZER.into());
            patch::<NodeOpRow>(&shell, KIND, &op, held(&op, &finalizers)).await
        }
        Step::LetGo { op, mut finalizers } => {
            finalizers.retain(|finalizer| **finalizer != *FINALIZER);
            patch::<NodeOpRow>(&shell, KIND, &op, held(&op, &finalizers)).await
        }
        Step::TryPod { op, pod, job } => {
            shell.try_create(&Place::of(pod::KIND), &op.key.namespace, &pod).await?;
            shell.try_create(&Place::of(node_job::KIND), &op.key.namespace, &job).await?;
            Ok(Applied::answer(Answer::Done))
        }
        Step::Write { op, patch, .. } => {
            let body = json!({"metadata": {"uid": op.uid}, "status": patch});
            let place = Place::of(KIND);
            let row = shell.patch::<NodeOpRow>(&place, &op.key, Some("status"), &Patch::Merge(body)).await?;
            Ok(Applied::wrote(row).with(Answer::Done))
        }
        Step::Grant { op, nth, body, .. } => {
            let kind = GRANTED.get(nth).copied().unwrap_or(GRANTED[0]);
            shell.create::<NodePodRow>(&Place::of(kind), &op.key.namespace, &body).await?;
            Ok(Applied::answer(Answer::Done))
        }
        Step::ReadNode { node } => {
            let row = shell.read::<NodeRow>(&Place::of(node::KIND), &ObjectKey::new("", &*node)).await?;
            Ok(Applied::wrote(row).with(Answer::Done))
        }
        Step::ReadJob { job, .. } => {
            let row = shell.read::<NodeJobRow>(&Place::of(node_job::KIND), &job).await?;
            Ok(Applied::wrote(row).with(Answer::Done))
        }
        Step::ReadPods { node } => read_pods(&shell, &node).await.map(Applied::answer),
        Step::Create { made: Made::Job, op, body, .. } => {
            let row = shell.create::<NodeJobRow>(&Place::of(node_job::KIND), &op.namespace, &body).await?;
            Ok(Applied::wrote(row).with(Answer::Done))
        }
        Step::Create { op, body, .. } => {
            let row = shell.create::<OperationPodRow>(&Place::of(pod::KIND), &op.namespace, &body).await?;
            Ok(Applied::wrote(row).with(Answer::Done))
        }
        Step::Cordon { node, claim } => {
            patch::<NodeRow>(&shell, node::KIND, &node, cordoned(&node, Some(true), Some(&claim))).await
        }
        Step::Uncordon { node, schedulable } => {
            let unschedulable = schedulable.then_some(false);
            patch::<NodeRow>(&shell, node::KIND, &node, cordoned(&node, unschedulable, None)).await
        }
        Step::Remove { removal, .. } => {
            let Removal { pod: key, uid, how, grace_seconds } = removal;
            let place = Place::of(pod::KIND);
            match how {
                How::Evict => shell.evict(&place, &key, &uid, grace_seconds).await?,
                How::Delete => shell.delete_pod(&place, &key, &uid, grace_seconds).await?,
            }
            Ok(Applied::answer(Answer::Done))
        }
        Step::Tell { pod: object, boot_id, .. } => {
            let annotations = json!({REBOOT_FROM_ANNOTATION: boot_id});
            let body = json!({"metadata": {"uid": object.uid, "annotations": annotations}});
            patch::<OperationPodRow>(&shell, pod::KIND, &object, body).await
        }
        Step::Delete { what, object, .. } => {
            let kind = if what == "Job" { node_job::KIND } else { pod::KIND };
            shell.delete(&Place::of(kind), &object.key, &object.uid, None).await?;
            Ok(Applied::answer(Answer::Done))
        }
        Step::ReadBinding { key } => {
            let row = shell.read::<RebootBindingRow>(&Place::of(reboot_binding::KIND), &key).await?;
            Ok(Applied::answer(Answer::Binding(row)))
        }
        Step::RemoveBinding { binding } => {
            shell.delete(&Place::of(reboot_binding::KIND), &binding.key, &binding.uid, None).await?;
            Ok(Applied::answer(Answer::Done))
        }
    }
}

/// The pods of a node, and the budgets where a pod may be under one.
async fn read_pods(shell: &Shell, node: &str) -> Result<Answer, Refusal> {
    let fields = format!("spec.nodeName={node}");
    let pods = shell.rows_by_fields::<NodePodRow>(&Place::of(pod::KIND), &fields).await?;
    let subject = |pod: &NodePodRow| !pod.mirror && !pod.daemon && pod.leaving_by.is_none();
    let budgets = if pods.iter().any(subject) {
        shell.rows_by_fields::<DisruptionBudgetRow>(&Place::of(disruption_budget::KIND), "").await?
    } else {
        Vec::new()
    };
    Ok(Answer::Pods { pods, budgets })
}

/// The merge patch that sets the finalizers, refused where somebody else changed the NodeOp.
fn held(op: &Meta, finalizers: &[Box<str>]) -> Value {
    json!({"metadata": {
        "uid": op.uid, "resourceVersion": op.resource_version.to_string(), "finalizers": finalizers,
    }})
}

/// The merge patch of a cordon and its claim, refused where the Node is not as it was seen.
fn cordoned(node: &Meta, unschedulable: Option<bool>, claim: Option<&str>) -> Value {
    let mut body = json!({"metadata": {
        "uid": node.uid, "resourceVersion": node.resource_version.to_string(), "annotations": {CLAIM: claim},
    }});
    if let Some(unschedulable) = unschedulable {
        // As kubectl has it: a node that is not cordoned has no such field.
        body["spec"] = json!({"unschedulable": unschedulable.then_some(true)});
    }
    body
}

async fn patch<R: domain::object::Row>(
    shell: &Shell,
    kind: Kind,
    object: &Meta,
    body: Value,
) -> Result<Applied<Answer>, Refusal> {
    let row = shell.patch::<R>(&Place::of(kind), &object.key, None, &Patch::Merge(body)).await?;
    Ok(Applied::wrote(row).with(Answer::Done))
}
