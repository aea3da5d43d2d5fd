//! A manager as the rooms will be: facts from objects, one action at a time, and a memory that a kill takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::object::ObjectKey;
use domain::verdict::{Because, Verdict};
use jiff::Timestamp;
use nodes::admit::{self, Amount, Candidate, ControlPlane, Rules};
use nodes::cordon::{Cordon, Owner, Undo};
use nodes::drain::budget::{Bound, Budget};
use nodes::drain::{self, EmptyDir, Options, Phase, Pod, Role, Unowned};
use nodes::machine::{
    Action, Approval, Check, Drains, Facts, Leftover, Mark, Node, Pods, Policy, RebootPod, Reboots, Record,
    State, Work, next, standing, state,
};
use nodes::reason::Reason;

use crate::scenario::{AtDeadline, Scenario};
use crate::witness::Witness;
use crate::world::{OWNER, World};

/// More actions than any course needs.
const MANY: usize = 20_000;

pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// What becomes of the manager at an action.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Fate {
    #[default]
    Lives,
    /// It is killed before the request is sent, and is gone for so many seconds.
    DiesBefore(i64),
    /// It is killed when the request has been carried out, before it hears of it.
    DiesAfter(i64),
}

/// Lost when the manager is killed.
#[derive(Default)]
struct Memory {
    pods: BTreeSet<String>,
    refused: BTreeMap<String, i64>,
}

pub(crate) struct Manager {
    pub(crate) world: World,
    pub(crate) witness: Witness,
    memory: Memory,
    policy: Policy,
    said: BTreeMap<String, String>,
    /// In which order nodes are looked at; 0 is by name.
    chance: u64,
    actions: usize,
}

pub(crate) fn policy(scenario: &Scenario) -> Policy {
    let operation = &scenario.operation;
    let drain = operation.drain.as_ref().map(|drain| Drains {
        options: Options {
            unowned: match (drain.force_unowned, drain.refuse_unowned) {
                (true, _) => Unowned::Remove,
                (false, true) => Unowned::Refuse,
                (false, false) => Unowned::Skip,
            },
            empty_dir: if drain.refuse_empty_dir { EmptyDir::Refuse } else { EmptyDir::Remove },
            ..Options::default()
        },
        deadline: drain.deadline.map(Duration::from_secs),
        at_deadline: match drain.at_deadline {
            AtDeadline::Fail => drain::AtDeadline::Fail,
            AtDeadline::Force => drain::AtDeadline::Force,
            AtDeadline::Skip => drain::AtDeadline::Skip,
        },
    });
    Policy {
        preflight: operation.preflight,
        cordon: operation.cordon,
        drain,
        work: !operation.no_command,
        reboot: operation
            .reboot
            .as_ref()
            .map(|reboot| Reboots { arm: !reboot.agent, deadline: Duration::from_secs(reboot.deadline) }),
        ready: operation.ready,
        pause: Duration::from_secs(operation.pause),
        uncordon_on_failure: operation.uncordon_on_failure,
        look_again: Duration::from_secs(15),
    }
}

impl Manager {
    pub(crate) fn new(scenario: Scenario, chance: u64) -> Self {
        let policy = policy(&scenario);
        let world = World::new(scenario);
        Self {
            witness: Witness::new(&world),
            world,
            memory: Memory::default(),
            policy,
            said: BTreeMap::new(),
            chance,
            actions: 0,
        }
    }

    /// Runs until nothing happens any more, or for so long.
    pub(crate) fn run(&mut self, until: i64, fates: &mut dyn Iterator<Item = Fate>) {
        loop {
            self.world.advance(self.world.now);
            if std::mem::take(&mut self.world.killed) {
                self.memory = Memory::default();
            }
            self.witness.look(&self.world);
            let due = if self.world.now < self.world.dead_until {
                Some(self.world.dead_until)
            } else {
                // What was read is old by now.
                self.memory.pods.clear();
                self.act(fates)
            };
            let next = self.world.next_time().into_iter().chain(due).min();
            match next {
                Some(next) if next <= until => self.world.advance(next.max(self.world.now)),
                _ => return,
            }
        }
    }

    /// Acts on every node until nothing is left to do now, and says when to look again.
    fn act(&mut self, fates: &mut dyn Iterator<Item = Fate>) -> Option<i64> {
        loop {
            let mut acted = false;
            let mut due: Option<i64> = None;
            for name in self.order() {
                let (state, verdict) = self.look(&name);
                assert!(verdict.steps.len() <= 1, "one step at a time: {verdict:?}");
                let action = verdict.steps.first().cloned();
                self.say(&name, &state, &verdict);
                let Some(action) = action else {
                    let recheck = verdict.recheck.map(Timestamp::as_second);
                    let ahead = recheck.is_none_or(|recheck| recheck > self.world.now);
                    assert!(ahead, "{name} is to be looked at again without end: {verdict:?}");
                    due = due.into_iter().chain(recheck).min();
                    continue;
                };
                acted = true;
                self.actions += 1;
                assert!(self.actions < MANY, "no end of it: {name} {action}");
                let fate = fates.next().unwrap_or_default();
                if !matches!(fate, Fate::DiesBefore(_)) {
                    self.apply(&name, action);
                    self.witness.look(&self.world);
                }
                if let Fate::DiesBefore(seconds) | Fate::DiesAfter(seconds) = fate {
                    self.world.kill(seconds);
                    return Some(self.world.dead_until);
                }
            }
            if !acted {
                return due.map(|due| due.max(self.world.now + 1));
            }
        }
    }

    /// The nodes in the order of this round.
    fn order(&mut self) -> Vec<String> {
        let mut names: Vec<String> = self.world.nodes.keys().cloned().collect();
        if self.chance != 0 {
            for last in (1..names.len()).rev() {
                // xorshift64
                self.chance ^= self.chance << 13;
                self.chance ^= self.chance >> 7;
                self.chance ^= self.chance << 17;
                let other = self.chance % u64::try_from(last + 1).unwrap();
                names.swap(last, usize::try_from(other).unwrap());
            }
        }
        names
    }

    pub(crate) fn look(&self, name: &str) -> (State, Verdict<Action, Reason>) {
        let now = time(self.world.now);
        let mut facts = self.facts(name);
        facts.held = self.admit().held(name);
        (state(&facts, &self.policy, now), next(&facts, &self.policy, now))
    }

    fn admit(&self) -> admit::Admission {
        let operation = &self.world.scenario.operation;
        let number = Amount::Number(operation.concurrency);
        let targets = self.world.scenario.nodes.iter().filter(|node| !node.later && !node.bystander);
        let closed = || Because::new(Reason::GateClosed, "the window is closed");
        let rules = Rules {
            concurrency: operation.concurrency_percent.map_or(number, Amount::Percent),
            count_unavailable: operation.count_unavailable,
            control_plane: if operation.one_control_plane {
                ControlPlane::OneAtATime
            } else {
                ControlPlane::Together
            },
            stop_on_failure: operation.stop_on_failure,
            failure_budget: operation.failure_budget.map(Amount::Number),
            targets: (!operation.live_targets)
                .then(|| targets.map(|node| node.name.as_str().into()).collect()),
            gate: self.world.gate_closed.then(closed),
        };
        let candidates: Vec<Candidate> = self.world.nodes.keys().map(|name| self.candidate(name)).collect();
        admit::admit(&candidates, &rules)
    }

    fn candidate(&self, name: &str) -> Candidate {
        let facts = self.facts(name);
        let node = &self.world.nodes[name];
        Candidate {
            name: name.into(),
            control_plane: node.spec.control_plane,
            standing: standing(&facts, &self.policy, time(self.world.now)),
            unready: node.exists && !node.ready,
            cordoned_by_others: facts.node.is_some_and(|node| node.cordon.is_foreign(&facts.owner)),
            hold: None,
        }
    }

    fn facts(&self, name: &str) -> Facts {
        let node = &self.world.nodes[name];
        Facts {
            name: name.into(),
            owner: Owner::parse(OWNER).unwrap(),
            node: node.exists.then(|| Node {
                uid: node.uid().into(),
                cordon: Cordon {
                    unschedulable: node.unschedulable,
                    claim: node.claim.as_deref().map(Into::into),
                    claim_is_dead: node.claim.as_deref().is_some_and(|claim| claim.contains("dead")),
                },
                ready: node.ready,
                boot_id: node.boot_id().into(),
            }),
            wanted: node.wanted && (node.exists || !node.spec.later),
            deleted: self.world.deleted,
            held: None,
            record: node.record.clone(),
            preflight: node.preflight.clone(),
            work: node.work.clone(),
            reboot: node.reboot.clone(),
            pods: self.memory.pods.contains(name).then(|| self.pods(name)),
        }
    }

    fn pods(&self, name: &str) -> Pods {
        let node = &self.world.nodes[name];
        let pods: Vec<Pod> = node
            .pods
            .values()
            .map(|pod| Pod {
                key: ObjectKey::new("default", pod.spec.name.as_str()),
                uid: pod.spec.name.as_str().into(),
                role: if pod.spec.own { Role::Controller } else { Role::Workload },
                owned: !pod.spec.unowned,
                daemon: pod.spec.daemon,
                mirror: pod.spec.mirror,
                phase: if pod.spec.finished { Phase::Succeeded } else { Phase::Running },
                ready: true,
                leaving_by: pod.leaving_by.map(time),
                empty_dir: pod.spec.empty_dir,
                left_out: false,
                not_before: self.memory.refused.get(&pod.spec.name).copied().map(time),
            })
            .collect();
        let scenario = &self.world.scenario;
        let budgets = scenario
            .budgets
            .iter()
            .map(|budget| {
                let replicas = scenario.apps.get(&budget.app).map_or(0, |app| app.replicas);
                let healthy = self.world.healthy.get(&budget.app).copied().unwrap_or_default();
                let of_app = node.pods.values().filter(|pod| pod.spec.app == budget.app);
                Budget {
                    key: ObjectKey::new("default", budget.name.as_str()),
                    bound: match (budget.min_available, budget.min_available_percent, budget.max_unavailable)
                    {
                        (Some(number), _, _) => Bound::MinAvailable(number),
                        (_, Some(percent), _) => Bound::MinAvailablePercent(percent),
                        (_, _, Some(number)) => Bound::MaxUnavailable(number),
                        _ => Bound::MinAvailable(1),
                    },
                    expected: replicas,
                    healthy,
                    desired: budget.desired(replicas),
                    allowed: healthy.saturating_sub(budget.desired(replicas)),
                    lets_unready_go: false,
                    pods: of_app.map(|pod| ObjectKey::new("default", pod.spec.name.as_str())).collect(),
                }
            })
            .collect();
        Pods { pods, budgets, unchanged_since: None }
    }

    fn apply(&mut self, name: &str, action: Action) {
        self.witness.before(&self.world, name, &action);
        let world = &mut self.world;
        // What was read of a node is of no use after an action on it.
        self.memory.pods.remove(name);
        match action {
            Action::ReadPods => {
                self.memory.pods.insert(name.to_owned());
            }
            Action::Approve => {
                let node_uid = world.node(name).uid().into();
                world.node(name).record.approved = Some(Approval { node_uid });
            }
            Action::Mark(mark) => note(&mut world.node(name).record, mark),
            Action::StartPreflight => world.start_preflight(name),
            Action::ArmReboot => world.arm(name),
            Action::Cordon => {
                world.node(name).unschedulable = true;
                world.node(name).claim = Some(OWNER.to_owned());
            }
            Action::Remove(removals) => {
                for removal in removals {
                    if !world.remove(name, &removal) {
                        let again = world.now + 5;
                        self.memory.refused.insert(removal.pod.name.to_string(), again);
                    }
                }
            }
            Action::Run => world.run(name),
            Action::Reboot => world.reboot(name),
            Action::Uncordon(undo) => {
                if undo == Undo::Uncordon {
                    world.node(name).unschedulable = false;
                }
                world.node(name).claim = None;
            }
            Action::CleanUp(Leftover::Preflight) => world.node(name).preflight = Check::Absent,
            Action::CleanUp(Leftover::Work) => world.node(name).work = Work::Absent,
            Action::CleanUp(Leftover::RebootPod) => world.node(name).reboot = RebootPod::Absent,
            Action::Release => world.node(name).record = Record::default(),
            Action::End(end) => world.node(name).record.end = Some(end),
        }
    }

    /// Tells what is new of a node.
    fn say(&mut self, name: &str, state: &State, verdict: &Verdict<Action, Reason>) {
        let text = match verdict.steps.first() {
            Some(Action::ReadPods) => return,
            Some(action) => format!("{:<10} {action}", state.name()),
            None => {
                let why = verdict.then.because();
                let why = why.map_or_else(String::new, |because| format!("{:?}: {because}", because.reason));
                format!("{:<10} {why}", state.name())
            }
        };
        if self.said.get(name) != Some(&text) {
            self.world.tell(name, text.trim_end());
            self.said.insert(name.to_owned(), text);
        }
    }
}

fn note(record: &mut Record, mark: Mark) {
    match mark {
        Mark::Checked => record.checked = true,
        Mark::DrainSince(at) => record.drain_since = Some(at),
        Mark::Started => record.started = true,
        Mark::Ran(ran) => record.ran = Some(ran),
        Mark::Adopted(boot_id) => record.adopted = Some(boot_id),
        Mark::Asked(asked) => record.asked = Some(asked),
        Mark::Verified(at) => record.verified = Some(at),
    }
}
