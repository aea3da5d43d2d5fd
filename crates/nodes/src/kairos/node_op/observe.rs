//! What a decision about a NodeOp rests on: each node that it is about, with what is on it.

use std::collections::{BTreeMap, BTreeSet};

use api::kairos::cordon::CordonOwner;
use api::kairos::node_job::{self, NodeJobRow};
use api::kairos::node_op::{self, NodeOpRow};
use api::kairos::node_status::NodeStatus;
use api::kairos::operation_pod::{self, OperationPodRow};
use api::kairos::{CORDONED_BY_ANNOTATION, NodePhase};
use api::nodes::node::NodeRow;
use domain::object::{Meta, ObjectKey, ObjectRef};
use domain::verdict::Because;
use jiff::Timestamp;
use runtime::room::Recall;
use runtime::store::{Availability, Snapshot, Table};

use super::memory::{Admitted, Binding, Places, Role, Trouble};
use super::objects::{self, JobSeen, Objects};
use super::{NodeOpRoom, policy, record};
use crate::admit::{Candidate, Standing};
use crate::cordon::{Cordon, Owner};
use crate::drain::Removal;
use crate::kairos::Settings;
use crate::machine::{Action, Facts, Node, Record, next};
use crate::reason::Reason;

/// What a decision rests on.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The NodeOp.
    pub op: NodeOpRow,
    /// Nodes, Jobs or pods cannot be read: the server's words.
    pub hidden: Option<Box<str>>,
    /// The nodes on which something is to be done, is, or was left.
    pub nodes: BTreeMap<Box<str>, Seen>,
    /// The nodes on which it has ended.
    pub over: BTreeMap<Box<str>, Candidate>,
    /// Control-plane nodes that it is not about: they count where one goes at a time.
    pub bystanders: Vec<Candidate>,
    /// One of them has a cordon of ours, which stays.
    pub over_cordoned: bool,
    /// Whether the API server admits its pods.
    pub admitted: Option<Admitted>,
    /// How many of the objects that give a reboot pod its rights are made.
    pub access: usize,
    /// The original's binding, once it was looked for.
    pub binding: Binding,
    /// A reboot pod of the original is not finished: it needs that binding.
    pub sentinel: bool,
    /// The original's role for all of its reboot pods; nothing while another NodeOp may need it.
    pub role: Option<Role>,
    /// What the environment says.
    pub settings: Settings,
}

/// A node.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the engine is told; `record` is as written, or as an adoption makes it.
    pub facts: Facts,
    /// The record differs from what is written.
    pub adopted: bool,
    /// The Node's metadata; nothing when it is gone.
    pub node: Option<Meta>,
    /// It belongs to the control plane.
    pub control_plane: bool,
    /// Another operation is on it, or about to be.
    pub hold: Option<Because<Reason>>,
    /// Jobs and pods.
    pub objects: Objects,
    /// A step on it was refused, and until when it is not tried again.
    pub trouble: Option<Trouble>,
    /// It is to be read live before anything is done to it.
    pub reread: bool,
    /// It was read since its Job has succeeded.
    pub read: bool,
    /// Its Job is gone: that was read live.
    pub job_gone: bool,
    /// Pods that were asked to leave since they were read.
    pub asked: BTreeSet<Box<str>>,
}

impl Seen {
    /// The first of these pods that was not asked since the pods were read.
    pub(super) fn unasked<'a>(&self, removals: &'a [Removal]) -> Option<&'a Removal> {
        removals.iter().find(|removal| !self.asked.contains(&removal.uid))
    }

    /// The entry of the node in the status.
    pub(super) fn entry<'a>(&self, op: &'a NodeOpRow) -> Option<&'a NodeStatus> {
        op.status.node_statuses.get(&self.facts.name)
    }
}

/// The uid of whoever owns what a NodeOp does, as the annotation on Nodes has it.
pub(super) fn owner(op: &Meta) -> Owner {
    Owner { namespace: (&*op.key.namespace).into(), name: (&*op.key.name).into(), uid: op.uid.clone() }
}

pub(super) fn observe(
    snapshot: Snapshot<'_>,
    op: &NodeOpRow,
    settings: &Settings,
    recall: Recall<'_, NodeOpRoom>,
    now: Timestamp,
) -> Observed {
    let Recall { memory, shared } = recall;
    let access = memory.access_made(&op.meta);
    let expired = |of: &Admitted| of.refused.as_ref().is_some_and(|refused| refused.until <= now);
    memory.admitted.take_if(|of| of.of != (op.meta.uid.clone(), op.meta.generation));
    let mut observed = Observed {
        op: op.clone(),
        hidden: hidden(snapshot),
        nodes: BTreeMap::new(),
        over: BTreeMap::new(),
        bystanders: Vec::new(),
        over_cordoned: false,
        admitted: memory.admitted.clone().filter(|of| !expired(of)),
        access,
        binding: memory.binding.clone(),
        sentinel: false,
        role: (shared.role != Role::Settled && !others_need_role(snapshot, op)).then(|| shared.role.clone()),
        settings: settings.clone(),
    };
    let mut objects = on_nodes(snapshot, op);
    observed.sentinel = objects.values().any(|of| of.reboot.iter().any(acts_by_itself));
    let busy = busy(snapshot, op);
    let claim = owner(&op.meta).to_string();
    let nodes = snapshot.table::<NodeRow>();
    let mut bystanders = Vec::new();
    let mut names: BTreeSet<Box<str>> = op.status.node_statuses.keys().cloned().collect();
    names.extend(op.status.node_records.keys().cloned());
    names.extend(objects.keys().cloned());
    let ended = op.status.finished_at.is_some() || op.meta.deleting;
    let selects = |node: &NodeRow| op.selector.as_ref().is_ok_and(|selector| selector.matches(&node.labels));
    for node in nodes.into_iter().flat_map(Table::iter) {
        if (!ended && selects(node)) || node.cordoned_by.as_deref() == Some(&claim) {
            names.insert((&*node.meta.key.name).into());
        }
        if settings.one_control_plane_at_a_time && node.is_control_plane() {
            let name = &node.meta.key.name;
            let taken = busy.contains_key(&**name) || reserved(shared, name, op, now).is_some();
            bystanders.push(candidate(name, Some(node), Standing::Unwanted, taken));
        }
    }
    bystanders.retain(|node| !names.contains(&node.name));
    memory.nodes.retain(|name, _| names.contains(name));
    for name in names {
        let key = ObjectKey::new("", &*name);
        let node = nodes.and_then(|table| table.get(&key));
        let entry = op.status.node_statuses.get(&name);
        let claimed = node.is_some_and(|node| node.cordoned_by.as_deref() == Some(&claim));
        if let Some(entry) = settled(op, &name)
            && !claimed
            && objects.get(&name).is_none_or(Objects::leaves_nothing)
        {
            let standing = if entry.phase == NodePhase::Failed { Standing::Failed } else { Standing::Done };
            let taken = busy.contains_key(&name) || reserved(shared, &name, op, now).is_some();
            observed.over.insert(name.clone(), candidate(&name, node, standing, taken));
            continue;
        }
        let written = op.status.node_records.get(&name);
        let mut objects = objects.remove(&name).unwrap_or_default();
        objects.sort();
        let kept = memory.nodes.get(&name);
        let mut record = record::read(written, entry);
        let adopts = written.is_none() && record.end.is_none();
        let mut adopted = false;
        if adopts {
            let acts = objects.job.as_ref().map(|job| job.row.leaves_sentinel);
            let identity =
                node.map_or(("", ""), |node| (&*node.meta.uid, node.boot_id.as_deref().unwrap_or("")));
            if let Some(made) = record::adopted(entry, acts, identity, op.reboot_on_success) {
                (record, adopted) = (made, true);
            }
        }
        // A Job that was made here and is gone was deleted; or the NodeOp was, which the write of this tells.
        let made = kept.is_some_and(|kept| kept.made.as_ref() == Some(&op.meta.uid));
        if made
            && objects.job.is_none()
            && record.approved.is_some()
            && !record.started
            && record.end.is_none()
        {
            (record.started, adopted) = (true, true);
        }
        let has_begun = record != Record::default();
        let wanted = match (ended, node) {
            (true, _) | (_, None) => false,
            // What is wanted of others stays as it was while the selector cannot be read.
            (false, Some(node)) => {
                if op.selector.is_err() {
                    has_begun
                } else {
                    selects(node)
                }
            }
        };
        let facts = facts(op, &name, node, wanted, record, &objects, now);
        let facts = Facts {
            node: node.map(|node| described(snapshot, node)),
            pods: kept.and_then(|kept| kept.evictions.pods(settings.pod.as_ref(), &label(op), now)),
            ..facts
        };
        let other = busy.get(&name).cloned().or_else(|| reserved(shared, &name, op, now));
        if let Some(standing) = is_over(&facts, op, settings, adopted, now) {
            let cordon = facts.node.as_ref().map(|node| &node.cordon);
            observed.over_cordoned |= cordon.is_some_and(|cordon| cordon.is_claimed_by(&facts.owner));
            observed.over.insert(name.clone(), candidate(&name, node, standing, other.is_some()));
            continue;
        }
        let look = kept.and_then(|kept| kept.evictions.look.as_ref());
        let seen = Seen {
            adopted,
            node: node.map(|node| node.meta.clone()),
            control_plane: node.is_some_and(NodeRow::is_control_plane),
            hold: other.map(|other| {
                let message = "another operation is at work on the node";
                Because::new(Reason::OtherOperation, message).blocked_by(other)
            }),
            trouble: kept.and_then(|kept| kept.trouble.clone()).filter(|trouble| trouble.until > now),
            reread: kept.is_some_and(|kept| kept.reread),
            read: kept.is_some_and(|kept| kept.read),
            job_gone: kept.is_some_and(|kept| kept.job_gone),
            asked: look.map(|look| look.asked.clone()).unwrap_or_default(),
            objects,
            facts,
        };
        observed.nodes.insert(name, seen);
    }
    observed.bystanders = bystanders;
    observed
}

/// A node that another operation is on is `taken`: it counts as one that is not Ready, since it may not be in a moment.
fn candidate(name: &str, node: Option<&NodeRow>, standing: Standing, taken: bool) -> Candidate {
    Candidate {
        name: name.into(),
        control_plane: node.is_some_and(NodeRow::is_control_plane),
        standing,
        unready: taken || node.is_some_and(|node| !node.is_ready()),
        ..Candidate::default()
    }
}

/// The entry of a node whose way is over by it, in a NodeOp that stays. Most nodes of a long operation are such.
fn settled<'a>(op: &'a NodeOpRow, name: &str) -> Option<&'a NodeStatus> {
    let entry = op.status.node_statuses.get(name).filter(|entry| record::is_over(entry))?;
    (!op.meta.deleting && !op.status.node_records.contains_key(name)).then_some(entry)
}

/// The value of the label that names the NodeOp.
pub(super) fn label(op: &NodeOpRow) -> String {
    crate::names::label_value(&op.meta.key.name)
}

/// Whether nothing is to be done on the node any more, and how it counts for others.
fn is_over(
    facts: &Facts,
    op: &NodeOpRow,
    settings: &Settings,
    adopted: bool,
    now: Timestamp,
) -> Option<Standing> {
    let written = op.status.node_records.contains_key(&facts.name);
    let end = facts.record.end.as_ref().filter(|_| !written && !adopted)?;
    let policy = policy::policy(op, settings);
    let step = next(facts, &policy, now).steps.into_iter().next();
    if step.is_some_and(|step| !matches!(step, Action::ReadPods)) {
        return None;
    }
    Some(match end {
        crate::machine::End::Done(_) => Standing::Done,
        crate::machine::End::Failed(_) => Standing::Failed,
    })
}

fn facts(
    op: &NodeOpRow,
    name: &str,
    node: Option<&NodeRow>,
    wanted: bool,
    record: Record,
    objects: &Objects,
    now: Timestamp,
) -> Facts {
    let acts = record.adopted.is_some();
    Facts {
        name: name.into(),
        owner: owner(&op.meta),
        node: None,
        wanted: wanted && node.is_some(),
        deleted: op.meta.deleting,
        held: None,
        preflight: objects.check(),
        work: objects.work(now),
        reboot: objects.reboot(acts),
        pods: None,
        record,
    }
}

fn described(snapshot: Snapshot<'_>, node: &NodeRow) -> Node {
    Node {
        uid: node.meta.uid.clone(),
        cordon: Cordon {
            unschedulable: node.unschedulable,
            claim: node.cordoned_by.clone(),
            claim_is_dead: node.cordon_owner().is_some_and(|owner| is_dead(snapshot, &owner)),
        },
        ready: node.is_ready(),
        boot_id: node.boot_id.clone().unwrap_or_default(),
    }
}

/// Whether the NodeOp that an annotation names is gone.
fn is_dead(snapshot: Snapshot<'_>, owner: &CordonOwner) -> bool {
    let lives = snapshot.get::<NodeOpRow>(&owner.key).is_some_and(|op| op.meta.uid == owner.uid);
    snapshot.table::<NodeOpRow>().is_some_and(Table::is_synced) && !lives
}

fn hidden(snapshot: Snapshot<'_>) -> Option<Box<str>> {
    let tables = [
        snapshot.table::<NodeRow>().map(Table::availability),
        snapshot.table::<NodeJobRow>().map(Table::availability),
        snapshot.table::<OperationPodRow>().map(Table::availability),
    ];
    tables.into_iter().flatten().find_map(|availability| match availability {
        Availability::Forbidden(words) => Some(words.clone()),
        Availability::Syncing => Some("the first list is not complete".into()),
        Availability::NotInstalled => Some("the server does not serve them".into()),
        Availability::Synced { .. } => None,
    })
}

/// Jobs and pods of a NodeOp by node, found by their owner: a deleted namesake's have the same labels.
fn on_nodes(snapshot: Snapshot<'_>, op: &NodeOpRow) -> BTreeMap<Box<str>, Objects> {
    let namespace = &op.meta.key.namespace;
    let mut jobs: BTreeMap<&str, Vec<&NodeJobRow>> = BTreeMap::new();
    for job in snapshot.referring::<NodeJobRow>(node_job::OWNER_INDEX, namespace, &op.meta.uid) {
        // Of a node whose way is over its Job says nothing any more.
        if let Some(node) = job.node().filter(|node| settled(op, node).is_none()) {
            jobs.entry(node).or_default().push(job);
        }
    }
    let mut nodes: BTreeMap<Box<str>, Objects> = BTreeMap::new();
    for (name, jobs) in jobs {
        let named = op.status.node_statuses.get(name).and_then(NodeStatus::job);
        if let Some(job) = objects::chosen(&jobs, named) {
            let pods =
                snapshot.referring::<OperationPodRow>(operation_pod::OWNER_INDEX, namespace, &job.meta.uid);
            nodes.entry(name.into()).or_default().job = Some(JobSeen::new(job, &op.command, pods));
        }
    }
    for pod in snapshot.referring::<OperationPodRow>(operation_pod::OWNER_INDEX, namespace, &op.meta.uid) {
        if let Some(node) = pod.node() {
            nodes.entry(node.into()).or_default().take(pod);
        }
    }
    nodes
}

/// Whether it is a reboot pod of the original that is not finished. One that is being deleted ends whatever it waits for.
fn acts_by_itself(pod: &OperationPodRow) -> bool {
    pod.awaits_sentinel && !pod.is_finished() && !pod.meta.deleting
}

/// Whether the original's role may be needed beside this NodeOp: its bindings go with the finalizer of their NodeOp.
fn others_need_role(snapshot: Snapshot<'_>, op: &NodeOpRow) -> bool {
    let other = |other: &NodeOpRow| other.has_finalizer() && other.meta.uid != op.meta.uid;
    !op.has_finalizer()
        || snapshot.table::<NodeOpRow>().into_iter().flat_map(Table::iter).any(other)
        || snapshot.table::<OperationPodRow>().into_iter().flat_map(Table::iter).any(acts_by_itself)
}

/// The nodes that other NodeOps are at work on.
fn busy(snapshot: Snapshot<'_>, op: &NodeOpRow) -> BTreeMap<Box<str>, ObjectRef> {
    let mut busy = BTreeMap::new();
    for other in snapshot.table::<NodeOpRow>().into_iter().flat_map(Table::iter) {
        if other.meta.uid == op.meta.uid {
            continue;
        }
        let mut take = |name: &str| {
            busy.entry(name.into()).or_insert_with(|| ObjectRef::of(node_op::KIND, &other.meta));
        };
        let records = &other.status.node_records;
        records.iter().filter(|(_, record)| record.outcome.is_none()).for_each(|(name, _)| take(name));
        // Of the original, which keeps no records.
        if other.status.observed_generation.is_none() {
            let at_work = other.status.node_statuses.iter().filter(|(_, entry)| !record::is_over(entry));
            at_work.for_each(|(name, _)| take(name));
        }
    }
    busy
}

fn reserved(places: &Places, node: &str, op: &NodeOpRow, now: Timestamp) -> Option<ObjectRef> {
    let other = places.taken(node, &op.meta.key, now)?;
    Some(ObjectRef::named(node_op::KIND, other.clone()))
}

/// The annotation by which a NodeOp says that a cordon is its own.
pub(super) const CLAIM: &str = CORDONED_BY_ANNOTATION;
