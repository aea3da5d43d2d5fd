//! A kubelet with the pods that are pinned to its node.

use api::kairos::{
    REBOOT_DONE, REBOOT_FROM_ANNOTATION, REBOOT_STATE_ANNOTATION, SENTINEL_CONTAINER, SENTINEL_VOLUME,
    node_op, node_op_upgrade,
};
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::containers::{self, End, Role, Running};
use super::{Checked, Fate, KUBELET, Outcome, Run, Soon, bound_to, controller, has_ended, is_leaving, uid};
use crate::apiserver::delete::Deletion;
use crate::apiserver::eviction::is_ready;
use crate::apiserver::write::Patch;
use crate::world::World;

impl World {
    /// A pod was written.
    pub(super) fn pod_changed(&mut self, key: &ObjectKey, before: Option<&Value>, after: &Value) {
        let of = uid(after);
        let (leaves, left) = (is_leaving(after), before.is_some_and(is_leaving));
        if before.is_none() && !bound_to(after).is_empty() {
            let wait = self.nodes.seconds(1, 6, &["starts", of]);
            self.soon(wait, Soon::Starts(key.clone(), of.into()));
            if !self.nodes.machines.contains_key(bound_to(after)) {
                self.soon(60, Soon::Removed(key.clone(), of.into()));
            }
        }
        if leaves && !left {
            // What runs in it is ended at once, and takes a while to be gone.
            self.stops(of);
            let grace = after["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(0);
            let wait = self.nodes.seconds(1, grace.clamp(2, 40), &["leaves", of]);
            self.soon(wait, Soon::Removed(key.clone(), of.into()));
        }
        let annotations = |pod: &Value| pod["metadata"]["annotations"].clone();
        if before.is_some_and(|before| annotations(before) != annotations(after))
            && let Some(running) = self.nodes.running.get(of)
        {
            let start = running.start;
            let wait = self.nodes.seconds(0, 4, &["looks", of]);
            self.soon(wait, Soon::Looks(key.clone(), of.into(), start));
        }
        let counts = |pod: &Value| (is_ready(pod), is_leaving(pod), has_ended(pod));
        if before.is_some_and(|before| before["status"]["phase"] != after["status"]["phase"]) {
            self.operation_comes(after);
        }
        if before.is_none_or(|before| counts(before) != counts(after)) {
            self.budgets_soon(&key.namespace);
            self.tell_owner(key, after);
        }
    }

    /// Whoever made a pod looks what became of it.
    pub(super) fn tell_owner(&mut self, key: &ObjectKey, pod: &Value) {
        match controller(pod) {
            Some(("Job", name, of)) => self.soon(1, Soon::Job(key.sibling(name), of.into())),
            Some(("ReplicaSet", name, _)) => self.workload_soon(key.sibling(name)),
            Some(("DaemonSet", ..)) => self.daemons_soon(),
            _ => {}
        }
    }

    /// A pod that was there from the beginning.
    pub(super) fn adopt_pod(&mut self, key: &ObjectKey, pod: &Value) {
        let of = uid(pod);
        if pod["status"]["phase"] == "Running" {
            self.nodes.starts += 1;
            let (node, start) = (bound_to(pod).into(), self.nodes.starts);
            let running = Running { node, start, initialised: true, acting: false };
            self.nodes.running.insert(of.into(), running);
            self.soon(3, Soon::Looks(key.clone(), of.into(), start));
        } else if !has_ended(pod) {
            if pod["status"]["phase"].is_null()
                && let Some((id, _)) = self.pod(key, of)
            {
                self.set_status(KUBELET, id, key, json!({"phase": "Pending"}));
            }
            self.soon(1, Soon::Starts(key.clone(), of.into()));
        }
    }

    /// Nothing runs in a pod any more.
    pub(super) fn stops(&mut self, of: &str) {
        if self.nodes.running.remove(of).is_some() {
            self.outcome(of, Outcome::Killed);
        }
    }

    fn outcome(&mut self, pod: &str, outcome: Outcome) {
        let mut runs = self.nodes.runs.iter_mut().rev();
        if let Some(run) = runs.find(|run| *run.pod == *pod && run.outcome == Outcome::Runs) {
            run.outcome = outcome;
        }
    }

    pub(super) fn pod_starts(&mut self, key: &ObjectKey, of: &str) {
        let Some((id, pod)) = self.pod(key, of) else { return };
        let node: Box<str> = bound_to(&pod).into();
        let up = self.nodes.machines.get(&node).filter(|machine| machine.up).cloned();
        let Some(machine) = up else { return };
        if is_leaving(&pod) || has_ended(&pod) || self.nodes.running.contains_key(of) {
            return;
        }
        let now = self.stamp();
        if pod["status"]["startTime"].is_null()
            && let Some(deadline) = pod["spec"]["activeDeadlineSeconds"].as_i64()
        {
            self.soon(deadline, Soon::Deadline(key.clone(), of.into()));
        }
        if containers::lacks_image(&pod) {
            return self.set_status(KUBELET, id, key, containers::unpulled(&pod, &now));
        }
        self.nodes.starts += 1;
        let start = self.nodes.starts;
        let running = Running { node: node.clone(), start, initialised: false, acting: false };
        self.nodes.running.insert(of.into(), running);
        let ends = Soon::Ends(key.clone(), of.into(), start);
        match containers::role(&pod) {
            Role::Command => {
                let op = self.op_of(&pod).unwrap_or_default();
                let job = controller(&pod).map_or("", |(_, _, uid)| uid).into();
                let (node_uid, boot_id) = (machine.uid, machine.boot_id);
                let outcome = Outcome::Runs;
                self.nodes.runs.push(Run { op, job, pod: of.into(), node, node_uid, boot_id, outcome });
                let most = self.nodes.habits.command.max(2);
                let takes = self.nodes.seconds(1, most, &["command", of]);
                self.soon(takes, ends);
                let first = containers::has_init(&pod);
                let status = if first { containers::initialising } else { containers::running };
                self.set_status(KUBELET, id, key, status(&pod, &now));
            }
            Role::Preflight => {
                let takes = self.nodes.seconds(1, 20, &["preflight", of]);
                self.soon(takes, ends);
                self.set_status(KUBELET, id, key, containers::running(&pod, &now));
            }
            Role::Reboot => {
                self.soon(1, Soon::Looks(key.clone(), of.into(), start));
                self.set_status(KUBELET, id, key, containers::running(&pod, &now));
            }
            Role::Labels => {
                let wait = self.nodes.seconds(1, 8, &["reads", of]);
                self.soon(wait, Soon::Reads(key.clone(), of.into(), start));
                self.set_status(KUBELET, id, key, containers::running(&pod, &now));
            }
            Role::Workload => self.set_status(KUBELET, id, key, containers::running(&pod, &now)),
        }
    }

    /// A pod whose process of a start still runs.
    pub(super) fn live(
        &self,
        key: &ObjectKey,
        of: &str,
        start: u64,
    ) -> Option<(crate::apiserver::catalogue::Id, Value, Running)> {
        let running = self.nodes.running.get(of).filter(|running| running.start == start)?.clone();
        let (id, pod) = self.pod(key, of)?;
        Some((id, pod, running))
    }

    pub(super) fn pod_ends(&mut self, key: &ObjectKey, of: &str, start: u64) {
        let Some((id, pod, running)) = self.live(key, of, start) else { return };
        let now = self.stamp();
        match containers::role(&pod) {
            Role::Command => {
                let fails = self.fails(&running.node, of);
                if !fails && containers::has_init(&pod) && !running.initialised {
                    if let Some(running) = self.nodes.running.get_mut(of) {
                        running.initialised = true;
                    }
                    let takes = self.nodes.seconds(1, 4, &["after", of]);
                    self.soon(takes, Soon::Ends(key.clone(), of.into(), start));
                    return self.set_status(KUBELET, id, key, containers::running(&pod, &now));
                }
                let mut message = Box::default();
                if !fails && containers::has_init(&pod) {
                    if containers::has(&pod, SENTINEL_CONTAINER) {
                        self.leave_sentinel(&pod, &running.node);
                    } else if let Some(machine) = self.nodes.machines.get(&running.node) {
                        message = machine.boot_id.clone();
                    }
                }
                if !fails && self.upgrades(&pod) {
                    self.is_upgraded(&running.node);
                }
                let (code, reason) = if fails { (1, "Error") } else { (0, "Completed") };
                self.pod_over(key, of, &End { code, reason, message: &message });
            }
            Role::Preflight => {
                let said = self.nodes.habits.preflights.get(&running.node).copied().unwrap_or_default();
                let message = match said {
                    Checked::Fails => {
                        return self.set_status(KUBELET, id, key, containers::crashing(&pod, &now));
                    }
                    Checked::Passes => "",
                    Checked::Skips => "nothing to do",
                };
                self.pod_over(key, of, &End { code: 0, reason: "Completed", message });
            }
            Role::Reboot | Role::Labels | Role::Workload => {}
        }
    }

    /// Whether the command of a pod upgrades the system of its node.
    fn upgrades(&self, pod: &Value) -> bool {
        let op = self.op_of(pod).unwrap_or_default();
        let op = self.by_uid(node_op::KIND.group, node_op::KIND.kind, &op).and_then(|(_, op)| controller(op));
        op.is_some_and(|(kind, ..)| kind == node_op_upgrade::KIND.kind)
    }

    /// Whether the attempt of a pod fails: the first ones of a NodeOp on a node may, or all.
    fn fails(&self, node: &str, pod: &str) -> bool {
        let fate = self.nodes.habits.commands.get(node).copied().unwrap_or_default();
        let runs = &self.nodes.runs;
        let op = runs.iter().find(|run| *run.pod == *pod).map(|run| (&run.op, &run.node_uid));
        let before = runs.iter().filter(|run| Some((&run.op, &run.node_uid)) == op && *run.pod != *pod);
        match fate {
            Fate::Well => false,
            Fate::After(attempts) => before.count() < attempts as usize,
            Fate::Never => true,
        }
    }

    /// A pod is done.
    pub(super) fn pod_over(&mut self, key: &ObjectKey, of: &str, end: &End<'_>) {
        let Some((id, pod)) = self.pod(key, of) else { return };
        let initialised = self.nodes.running.remove(of).is_some_and(|running| running.initialised);
        self.outcome(of, if end.code == 0 { Outcome::Succeeded } else { Outcome::Failed });
        let mut status = containers::ended(&pod, end, initialised, &self.stamp());
        if end.reason == "DeadlineExceeded" {
            status["reason"] = json!(end.reason);
        }
        self.set_status(KUBELET, id, key, status);
    }

    pub(super) fn pod_is_late(&mut self, key: &ObjectKey, of: &str) {
        let Some((id, pod)) = self.pod(key, of) else { return };
        if has_ended(&pod) || is_leaving(&pod) {
            return;
        }
        if !self.is_up(bound_to(&pod)) {
            // Its kubelet notices when it is back; a node that is gone takes its pods with it.
            if self.nodes.machines.contains_key(bound_to(&pod))
                && !self.nodes.habits.lost.contains(bound_to(&pod))
            {
                self.soon(10, Soon::Deadline(key.clone(), of.into()));
            }
            return;
        }
        let mut status = pod["status"].clone();
        self.stops(of);
        status["phase"] = json!("Failed");
        status["reason"] = json!("DeadlineExceeded");
        self.set_status(KUBELET, id, key, status);
    }

    /// A pod that leaves is gone, unless its node is down; then it is when the node is back.
    pub(super) fn pod_is_gone(&mut self, key: &ObjectKey, of: &str) {
        let Some((id, pod)) = self.pod(key, of) else { return };
        let there = self.nodes.machines.get(bound_to(&pod));
        let goes = there.is_none_or(|machine| machine.up && is_leaving(&pod));
        if goes {
            let now = Deletion { grace: Some(0), ..Deletion::default() };
            // Nobody refuses it to a kubelet.
            let _ = self.delete(KUBELET, id, key, &now);
        }
    }

    pub(super) fn is_up(&self, node: &str) -> bool {
        self.nodes.machines.get(node).is_some_and(|machine| machine.up)
    }

    /// As `manager reboot` looks at its own pod; or as the pod of the original looks for the file that its Job leaves.
    pub(super) fn reboot_pod_looks(&mut self, key: &ObjectKey, of: &str, start: u64) {
        let Some((id, pod, running)) = self.live(key, of, start) else { return };
        if containers::role(&pod) != Role::Reboot || running.acting || is_leaving(&pod) {
            return;
        }
        let Some(machine) = self.nodes.machines.get(&running.node) else { return };
        let annotations = &pod["metadata"]["annotations"];
        let (acts, over) = if waits_for_sentinel(&pod) {
            let awaited = machine.sentinels.iter().find(|job| pod.to_string().contains(&format!("/{job}-")));
            let done = annotations[REBOOT_STATE_ANNOTATION] == REBOOT_DONE;
            // One that was found annotated at the beginning of the world is about to act.
            let about_to = done
                && pod["status"]["containerStatuses"][0]["restartCount"] == 0
                && start_is_first(self, of);
            (awaited.is_some() || about_to, done && !about_to)
        } else {
            match annotations[REBOOT_FROM_ANNOTATION].as_str() {
                None => (false, false),
                Some(from) => (*from == *machine.boot_id, *from != *machine.boot_id),
            }
        };
        if over {
            return self.pod_over(key, of, &End { code: 0, reason: "Completed", message: "" });
        }
        if !acts {
            return;
        }
        if let Some(running) = self.nodes.running.get_mut(of) {
            running.acting = true;
        }
        let mut wait = self.nodes.seconds(0, 4, &["acts", of]);
        if waits_for_sentinel(&pod) {
            wait = 5;
            if let Some(machine) = self.nodes.machines.get_mut(&running.node) {
                machine.sentinels.clear();
            }
            let done = json!({"metadata": {"annotations": {REBOOT_STATE_ANNOTATION: REBOOT_DONE}}});
            // The original does not look whether it could.
            let _ = self.patch(KUBELET, id, key, false, Patch::Merge(done));
        }
        self.soon(wait, Soon::Reboots(key.clone(), of.into(), start));
    }

    pub(super) fn reboot_pod_acts(&mut self, key: &ObjectKey, of: &str, start: u64) {
        let Some((_, pod, running)) = self.live(key, of, start) else { return };
        let op = self.op_of(&pod).unwrap_or_default();
        let most = self.nodes.habits.reboot.max(6);
        let takes = self.nodes.seconds(5, most, &["reboot", of]);
        self.goes_down(&running.node, Some(op), takes);
    }

    fn leave_sentinel(&mut self, pod: &Value, node: &str) {
        let job = controller(pod).map_or("", |(_, name, _)| name);
        if let Some(machine) = self.nodes.machines.get_mut(node) {
            machine.sentinels.insert(job.into());
        }
        for (key, pod) in self.pods_where(|pod| waits_for_sentinel(pod) && bound_to(pod) == node) {
            if let Some(running) = self.nodes.running.get(uid(&pod)) {
                let looks = Soon::Looks(key, uid(&pod).into(), running.start);
                self.soon(10, looks);
            }
        }
    }
}

/// A reboot pod of the original.
pub(crate) fn waits_for_sentinel(pod: &Value) -> bool {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let is_reboot = containers::role(pod) == Role::Reboot;
    is_reboot && volumes.into_iter().any(|volume| volume["name"] == SENTINEL_VOLUME)
}

/// Whether a pod has run since before the world began.
fn start_is_first(world: &World, of: &str) -> bool {
    world.nodes.running.get(of).is_some_and(|running| running.initialised)
}
