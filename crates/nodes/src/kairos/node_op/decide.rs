//! What is done next for a NodeOp.
//!
//! In this order: the finalizer, before the first cordon and before anything that will reboot a node; whether pods are
//! admitted, before the first node gets a place; what must be written down; then the steps on nodes, each node on its own; and
//! at the end the leftovers of the original and the finalizer.

use std::time::Duration;

use api::kairos::CLUSTER_ROLE_BINDING_PREFIX;
use api::kairos::node_op::Reason;
use domain::object::{Meta, ObjectKey};
use domain::verdict::{Because, Reason as _, Then, Trouble, Verdict};
use jiff::Timestamp;
use runtime::clock::after;

use super::apply::Step;
use super::manifest::{self, GRANTS, Made};
use super::memory::Binding;
use super::observe::{Observed, Seen};
use super::plan::{Act, Plan, Writes, plan};
use super::{observe, status};
use crate::admit::Standing;
use crate::cordon::Undo;
use crate::machine::{Action, Leftover};

/// How long after it was made a NodeOp waits for a node to be selected, before it ends without one: nodes may be labelled at
/// the same time.
const NODES_APPEAR: Duration = Duration::from_secs(30);

pub(super) fn decide(observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
    let op = &observed.op;
    if let Some(words) = &observed.hidden {
        let message = format!("cannot see Nodes, or the Jobs and pods of the operation: {words}");
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Forbidden), message));
    }
    if op.meta.deleting {
        return undo(observed, now);
    }
    if let Some(error) = &op.malformed {
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Malformed), &**error));
    }
    if op.status.is_unreadable() {
        let message = "status cannot be read, so that it is not known on which nodes the command has run";
        let because = Because::new(Reason::StatusUnreadable, message);
        return Verdict::failed(because.unblock("correct the status, or delete the NodeOp and make another"));
    }
    let planned = plan(observed, Writes::Done, now);
    let then = then(observed, &planned, now);
    let at_rest =
        planned.nodes.values().all(|node| node.act.is_none() && node.standing != Standing::InFlight);
    let verdict = Verdict { steps: Vec::new(), recheck: None, then };
    let verdict = wakes(observed, &planned, verdict, now);
    let disturbs = planned.starts && (op.cordon || op.reboot_on_success) || is_cordoned(observed);
    if disturbs && !op.has_finalizer() {
        return verdict.step(Step::Hold { op: op.meta.clone(), finalizers: op.finalizers.clone() });
    }
    if planned.starts
        && observed.admitted.is_none()
        && let Some(node) = observed.nodes.values().find_map(|seen| seen.node.as_ref())
    {
        let (pod, job) = manifest::trial(op, node, &observed.settings);
        return verdict.step(Step::TryPod { op: op.meta.clone(), pod, job });
    }
    if planned.dirty
        && let Some(patch) = status::records(observed, &planned, now)
    {
        return verdict.step(Step::Write {
            op: op.meta.clone(),
            approved: planned.approved.clone(),
            changed: planned.changed.clone(),
            at: now,
            patch,
        });
    }
    let steps = steps(observed, &planned);
    if !steps.is_empty() {
        return Verdict { steps, ..verdict };
    }
    if at_rest && has_ended(observed, &planned, now) { farewell(observed, verdict) } else { verdict }
}

/// Everything of a NodeOp that is being deleted is undone on every node, and then it may go.
fn undo(observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
    let planned = plan(observed, Writes::Open, now);
    let because = Because::new(Reason::Deleting, "what the operation has made on nodes is being undone");
    let verdict = wakes(observed, &planned, Verdict::wait(because), now);
    if !observed.op.has_finalizer() {
        // It may vanish at any moment, and the garbage collector takes its Jobs and pods; a cordon stays for nobody.
        return Verdict { steps: steps(observed, &planned), ..verdict };
    }
    let steps = steps(observed, &planned);
    let busy = planned.nodes.values().any(|node| node.act.is_some());
    if !steps.is_empty() || busy {
        return Verdict { steps, ..verdict };
    }
    farewell(observed, verdict)
}

/// Removes what the original left for this NodeOp, once no reboot pod of its shape needs it, and then the finalizer.
fn farewell(observed: &Observed, verdict: Verdict<Step, Reason>) -> Verdict<Step, Reason> {
    let op = &observed.op;
    if !op.has_finalizer() || observed.sentinel {
        return verdict;
    }
    // The cordon of a node that has failed stays, and so does the finalizer: whoever deletes the NodeOp has it undone.
    if !op.meta.deleting && is_cordoned(observed) {
        return verdict;
    }
    let name = format!("{CLUSTER_ROLE_BINDING_PREFIX}{}", op.meta.key.name);
    match &observed.binding {
        Binding::Unread => verdict.step(Step::ReadBinding { key: ObjectKey::new("", name) }),
        Binding::Present(binding) if binding.is_of(&op.meta.key) => {
            verdict.step(Step::RemoveBinding { binding: binding.meta.clone() })
        }
        _ => verdict.step(Step::LetGo { op: op.meta.clone(), finalizers: op.finalizers.clone() }),
    }
}

/// Whether a node has a cordon of ours: the NodeOp must not vanish before that is undone, whoever took the finalizer away.
fn is_cordoned(observed: &Observed) -> bool {
    let claim = observe::owner(&observed.op.meta);
    let claimed =
        |seen: &Seen| seen.facts.node.as_ref().is_some_and(|node| node.cordon.is_claimed_by(&claim));
    observed.over_cordoned || observed.nodes.values().any(claimed)
}

/// Whether the operation has ended: nothing is to be started any more, and nothing is in flight.
pub(super) fn has_ended(observed: &Observed, plan: &Plan, now: Timestamp) -> bool {
    let op = &observed.op;
    if op.status.finished_at.is_some() {
        return true;
    }
    if op.malformed.is_some()
        || op.selector.is_err()
        || op.status.is_unreadable()
        || observed.hidden.is_some()
    {
        return false;
    }
    let over = plan
        .nodes
        .values()
        .all(|node| matches!(node.standing, Standing::Done | Standing::Failed | Standing::Unwanted));
    let none =
        observed.over.is_empty() && plan.nodes.values().all(|node| node.standing == Standing::Unwanted);
    over && (!none || appears_until(observed) <= now)
}

/// Until when nodes may appear.
fn appears_until(observed: &Observed) -> Timestamp {
    observed.op.meta.created.map_or(Timestamp::MIN, |created| after(created, NODES_APPEAR))
}

/// Where the operation is: the reason of the node that most needs attention.
fn then(observed: &Observed, plan: &Plan, now: Timestamp) -> Then<Reason> {
    let op = &observed.op;
    if let Err(problem) = &op.selector {
        return Then::Failed(Because::new(Reason::InvalidSelector, &**problem));
    }
    let waiting = status::waiting(observed, plan);
    let failed = failed(observed, plan);
    if has_ended(observed, plan, now) {
        return match failed {
            None => Then::Done,
            Some((name, count)) => {
                let message = match count {
                    1 => format!("the operation has failed on {name}"),
                    _ => format!("the operation has failed on {count} nodes, {name} among them"),
                };
                let because = Because::new(Reason::NodeFailed, message).blocked_by(crate::node(&name));
                Then::Failed(because.unblock("see status.nodeStatuses; start another operation for them"))
            }
        };
    }
    if let Some(refused) = observed.admitted.as_ref().and_then(|admitted| admitted.refused.as_ref())
        && plan.starts
    {
        let because = Because::new(refused.reason, refused.message.clone());
        return Then::Failed(because.unblock("let the namespace admit them, or correct the NodeOp"));
    }
    if let Some((name, count)) = &failed {
        let stopped = waiting.iter().any(|(_, because, _)| because.reason == Reason::StoppedAfterFailure);
        let reason = if stopped { Reason::StoppedAfterFailure } else { Reason::NodeFailed };
        let message = match (stopped, count) {
            (true, _) => format!("the operation has failed on {name}, and starts on no other node"),
            (false, 1) => format!("the operation has failed on {name}, and goes on with the others"),
            (false, _) => {
                format!("the operation has failed on {count} nodes, {name} among them, and goes on")
            }
        };
        return Then::Failed(Because::new(reason, message).blocked_by(crate::node(name)));
    }
    let needs = |because: &Because<Reason>| match () {
        () if because.reason.needs_human() => 0,
        () if because.reason.actor() == "fails" => 1,
        () if because.reason == Reason::MaxConcurrentReached => 4,
        () if because.reason.is_our_work() => 3,
        () => 2,
    };
    let most = waiting.into_iter().min_by_key(|(_, because, _)| needs(because));
    match most {
        None => Then::Wait(
            Because::new(Reason::AwaitingNodes, "no node is selected yet")
                .not_before(appears_until(observed)),
        ),
        Some((name, because, _)) => {
            let message = format!("{name}: {}", because.message);
            let because = Because { message, ..because };
            if because.reason.needs_human() || because.reason.actor() == "fails" {
                Then::Failed(because)
            } else {
                Then::Wait(because)
            }
        }
    }
}

/// The first node that has failed, and how many have.
fn failed(observed: &Observed, plan: &Plan) -> Option<(Box<str>, usize)> {
    let over = observed.over.values().filter(|node| node.standing == Standing::Failed).map(|node| &node.name);
    let now = plan.nodes.iter().filter(|(_, node)| super::plan::has_failed(&node.facts.record));
    let mut names: Vec<&Box<str>> = over.chain(now.map(|(name, _)| name)).collect();
    names.sort();
    Some(((*names.first()?).clone(), names.len()))
}

/// When the NodeOp is looked at again by itself.
fn wakes(
    observed: &Observed,
    plan: &Plan,
    mut verdict: Verdict<Step, Reason>,
    now: Timestamp,
) -> Verdict<Step, Reason> {
    let mut due: Vec<Timestamp> = plan.nodes.values().filter_map(|node| node.recheck).collect();
    // Not told in the status: it would be written for each try.
    let refused = observed.admitted.as_ref().and_then(|admitted| admitted.refused.as_ref());
    due.extend(refused.map(|refused| refused.until));
    due.extend(observed.nodes.values().filter_map(|seen| seen.trouble.as_ref()).map(|trouble| trouble.until));
    if verdict.then != Then::Done
        && let Some(at) = observed.op.status.last_updated
    {
        due.push(after(at, status::MOVES_ON));
    }
    let because = verdict.then.because().and_then(|because| because.not_before);
    for time in due.into_iter().chain(because).filter(|time| *time > now) {
        verdict = verdict.recheck(time);
    }
    verdict
}

/// The steps on nodes, one for each. Those of control-plane nodes are made before those of others; those of a node that was
/// refused one wait.
fn steps(observed: &Observed, plan: &Plan) -> Vec<Step> {
    let act = |name: &str| plan.nodes.get(name).and_then(|planned| planned.act.as_ref());
    let of = |control_plane: bool| -> Vec<Step> {
        let nodes = observed.nodes.iter();
        let nodes = nodes.filter(|(_, seen)| seen.trouble.is_none() && seen.control_plane == control_plane);
        nodes.filter_map(|(name, seen)| step(observed, seen, act(name)?)).collect()
    };
    let first = of(true);
    if first.is_empty() { of(false) } else { first }
}

fn step(observed: &Observed, seen: &Seen, act: &Act) -> Option<Step> {
    let op = &observed.op;
    let name = &seen.facts.name;
    let delete = |what: &'static str, object: &Meta| {
        (!object.deleting).then(|| Step::Delete { node: name.clone(), what, object: object.clone() })
    };
    let create = |made: Made| {
        let node = seen.node.as_ref()?;
        let (object, body) = manifest::of(made, op, node, &observed.settings);
        Some(Step::Create { node: name.clone(), made, op: op.meta.key.clone(), name: object, body })
    };
    let action = match act {
        Act::ReadNode => return Some(Step::ReadNode { node: name.clone() }),
        Act::ReadJob => {
            let named = seen.entry(op).and_then(|entry| entry.job().map(Box::from));
            let ours = || Some(manifest::of(Made::Job, op, seen.node.as_ref()?, &observed.settings).0);
            let job = op.meta.key.sibling(&named.or_else(ours)?);
            return Some(Step::ReadJob { node: name.clone(), job });
        }
        Act::RepeatPreflight => return delete("preflight pod", seen.objects.preflight_to_repeat()?),
        Act::RemoveStranger => {
            return delete("reboot pod", seen.objects.stranger(seen.facts.record.adopted.is_some())?);
        }
        Act::Engine(action) => action,
    };
    match action {
        Action::StartPreflight => create(Made::Preflight),
        Action::ArmReboot if observed.access < GRANTS => {
            let (kind, body) = manifest::grant(op, observed.access);
            Some(Step::Grant { node: name.clone(), op: op.meta.clone(), nth: observed.access, kind, body })
        }
        Action::ArmReboot => create(Made::Reboot),
        Action::Run => create(Made::Job),
        Action::Cordon => Some(Step::Cordon {
            node: seen.node.clone()?,
            claim: observe::owner(&op.meta).to_string().into(),
        }),
        Action::Uncordon(undo) => {
            Some(Step::Uncordon { node: seen.node.clone()?, schedulable: *undo == Undo::Uncordon })
        }
        Action::ReadPods => Some(Step::ReadPods { node: name.clone() }),
        Action::Remove(removals) => {
            Some(Step::Remove { node: name.clone(), removal: removals.first()?.clone() })
        }
        Action::Reboot => {
            let pod = seen.objects.reboot.first()?;
            let boot_id = seen.facts.record.ran.as_ref()?.boot_id.clone();
            Some(Step::Tell { node: name.clone(), pod: pod.meta.clone(), boot_id })
        }
        Action::CleanUp(Leftover::Preflight) => {
            delete("preflight pod", &seen.objects.preflight.iter().find(|pod| !pod.meta.deleting)?.meta)
        }
        Action::CleanUp(Leftover::Work) => delete("Job", &seen.objects.job.as_ref()?.row.meta),
        Action::CleanUp(Leftover::RebootPod) => {
            let pods = &mut seen.objects.reboot.iter();
            delete("reboot pod", &pods.find(|pod| !pod.meta.deleting && !pod.is_finished())?.meta)
        }
        // Writes: they are one step, of all nodes.
        Action::Approve | Action::Mark(_) | Action::Release | Action::End(_) => None,
    }
}
