//! What must never be, seen in the world and in the requests, never in what the planner says of itself.

use nodes::cordon::Undo;
use nodes::machine::{Action, Check, End, Leftover, Outcome, RebootPod, Work};

use crate::scenario::{AtDeadline, Operation, PodSpec};
use crate::world::{Node, Pod, World};

#[derive(Default)]
pub(crate) struct Witness {
    pub(crate) seen: Vec<String>,
    limit: Option<usize>,
    one_control_plane: bool,
}

impl Witness {
    pub(crate) fn new(world: &World) -> Self {
        let operation = &world.scenario.operation;
        let limit = usize::try_from(operation.concurrency).unwrap();
        Self {
            seen: Vec::new(),
            limit: (limit > 0 && operation.concurrency_percent.is_none()).then_some(limit),
            one_control_plane: operation.one_control_plane,
        }
    }

    fn see(&mut self, what: String) {
        if !self.seen.contains(&what) {
            self.seen.push(what);
        }
    }

    /// After anything has happened.
    pub(crate) fn look(&mut self, world: &World) {
        let disturbed: Vec<&Node> =
            world.nodes.values().filter(|node| node.exists && is_disturbed(node)).collect();
        if let Some(limit) = self.limit
            && disturbed.len() > limit
        {
            self.see(format!("{} nodes are disturbed, and {limit} may be", disturbed.len()));
        }
        let control_plane = disturbed.iter().filter(|node| node.spec.control_plane).count();
        if self.one_control_plane && control_plane > 1 {
            self.see(format!("{control_plane} control-plane nodes are disturbed at once"));
        }
        for (name, node) in &world.nodes {
            if node.runs > 1 {
                self.see(format!("the command ran {} times on {name}", node.runs));
            }
            if node.reboots > 1 {
                self.see(format!("{name} was rebooted {} times", node.reboots));
            }
            if node.reboots > 0 && !node.succeeded && !world.scenario.operation.no_command {
                self.see(format!("{name} was rebooted, and its command has not succeeded"));
            }
            if node.foreign && node.exists && !node.unschedulable {
                self.see(format!("the cordon of {name} was another's, and is undone"));
            }
        }
    }

    /// Before a request.
    pub(crate) fn before(&mut self, world: &World, name: &str, action: &Action) {
        let node = &world.nodes[name];
        let tidies = matches!(action, Action::Uncordon(_) | Action::CleanUp(_));
        if node.record.end.is_some() && !tidies {
            self.see(format!("{name} has ended, and yet: {action}"));
        }
        if *action == Action::Approve && !is_disturbed(node) {
            self.starts(world, name, node);
        }
        match action {
            Action::Uncordon(_) if !node.is_ours() => {
                self.see(format!("the claim of {name} is not ours to clear"))
            }
            Action::Uncordon(Undo::Uncordon) if node.foreign => {
                self.see(format!("{name} is not ours to uncordon"))
            }
            Action::Cordon if node.unschedulable => self.see(format!("{name} is cordoned already")),
            Action::Run if world.scenario.operation.cordon && !node.unschedulable => {
                self.see(format!("the command is to run on {name}, which is not cordoned"));
            }
            Action::Run if must_be_drained(world) && node.pods.values().any(must_leave) => {
                self.see(format!("the command is to run on {name}, and not all pods have left"));
            }
            Action::End(End::Done(Outcome::Completed)) if node.is_ours() => {
                self.see(format!("{name} is said to be completed, and is still cordoned by us"));
            }
            Action::Run if !node.exists => {
                self.see(format!("the command is to run on {name}, which is gone"))
            }
            Action::CleanUp(Leftover::Work)
                if node.exists && !world.deleted && node.uid() == uid_of(node) =>
            {
                self.see(format!("the command of {name} is taken away"));
            }
            _ => {}
        }
    }

    /// Before a node begins.
    fn starts(&mut self, world: &World, name: &str, node: &Node) {
        let operation = &world.scenario.operation;
        let lost = world.nodes.values().find(|other| {
            other.exists && other.spec.control_plane && !other.ready && other.spec.name != name
        });
        if let Some(lost) = lost.filter(|_| self.one_control_plane && node.spec.control_plane) {
            self.see(format!("{name} starts while {} of the control plane is not Ready", lost.spec.name));
        }
        let failed =
            world.nodes.values().filter(|node| matches!(node.record.end, Some(End::Failed(_)))).count();
        let tolerated =
            operation.failure_budget.map_or(usize::MAX, |budget| usize::try_from(budget).unwrap());
        if failed > if operation.stop_on_failure { 0 } else { tolerated } {
            self.see(format!("{name} starts after {failed} failures"));
        }
        let newcomer = node.spec.later && !operation.live_targets;
        if newcomer || node.spec.bystander || world.gate_closed {
            self.see(format!("{name} starts, and must not"));
        }
    }

    /// When the course is over: cordons of ours stand only where they are meant to.
    pub(crate) fn at_the_end(&mut self, world: &World) {
        let Operation { uncordon_on_failure, no_command, .. } = world.scenario.operation;
        for (name, node) in world.nodes.iter().filter(|(_, node)| node.exists) {
            let touched = node.runs > 0 || no_command;
            let keeps = match &node.record.end {
                None => true,
                Some(End::Done(_)) => false,
                Some(End::Failed(_)) => {
                    // From then on nobody can tell whether it was told to reboot.
                    node.record.asked.is_some() || (touched && !uncordon_on_failure)
                }
            };
            let keeps = keeps && !world.deleted;
            if !keeps && node.is_ours() {
                self.see(format!("the cordon of {name} is ours, and stays"));
            }
            let over = node.record.end.is_some() || world.deleted;
            if over && (may_reboot(node) || !matches!(node.preflight, Check::Absent)) {
                self.see(format!("something of the operation is left on {name}"));
            }
        }
    }
}

/// The uid that was approved, or the present one.
fn uid_of(node: &Node) -> String {
    let approved = node.record.approved.as_ref().map(|approval| approval.node_uid.to_string());
    approved.filter(|uid| !uid.is_empty()).unwrap_or_else(|| node.uid())
}

/// Whether every pod has to leave before the command.
fn must_be_drained(world: &World) -> bool {
    let drain = world.scenario.operation.drain.as_ref().filter(|_| world.scenario.operation.cordon);
    drain.is_some_and(|drain| matches!(drain.at_deadline, AtDeadline::Fail))
}

fn must_leave(pod: &Pod) -> bool {
    let PodSpec { unowned, daemon, mirror, finished, own, .. } = pod.spec;
    !(unowned || daemon || mirror || finished || own)
}

fn may_reboot(node: &Node) -> bool {
    matches!(node.reboot, RebootPod::Starting | RebootPod::Stuck(_) | RebootPod::Armed | RebootPod::Asked)
}

/// Whether the operation keeps a node from its work, or may at any moment.
fn is_disturbed(node: &Node) -> bool {
    let works = matches!(node.work, Work::Running | Work::Stuck(_));
    let checks = matches!(node.preflight, Check::Running | Check::Stuck(_));
    let open = node.record.end.is_none();
    // One that is given up may go down later.
    let down = node.down && !matches!(node.record.end, Some(End::Failed(_)));
    works || checks || may_reboot(node) || down || (open && node.is_ours())
}
