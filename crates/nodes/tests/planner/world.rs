//! Nodes, Jobs and pods as far as the planner sees them, on a clock that jumps. It decides nothing that the planner decides.

use std::collections::{BTreeMap, VecDeque};

use crate::scenario::{Boot, Command, NodeSpec, PodSpec, Preflight, Scenario, What};
use nodes::drain::{How, Removal};
use nodes::machine::{Check, RebootPod, Record, Work};

pub(crate) const OWNER: &str = "ns/op@uid-1";

/// What comes by itself.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Event(String, What),
    PreflightEnds(String),
    CommandEnds(String),
    RebootPodReady(String),
    /// If it still runs on that boot.
    Down(String, u32),
    Up(String, u32),
    PodLeft(String, String),
    PodReplaced(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) spec: PodSpec,
    pub(crate) leaving_by: Option<i64>,
}

/// A node, and what stands beside it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Node {
    pub(crate) spec: NodeSpec,
    pub(crate) exists: bool,
    pub(crate) incarnation: u32,
    pub(crate) boots: u32,
    pub(crate) ready: bool,
    pub(crate) unschedulable: bool,
    pub(crate) claim: Option<String>,
    /// Somebody else made it unschedulable.
    pub(crate) foreign: bool,
    pub(crate) wanted: bool,
    pub(crate) preflight: Check,
    pub(crate) work: Work,
    pub(crate) reboot: RebootPod,
    pub(crate) pods: BTreeMap<String, Pod>,
    pub(crate) runs: u32,
    /// Its command has ended well.
    pub(crate) succeeded: bool,
    pub(crate) reboots: u32,
    /// It goes down, or is, since it was asked to.
    pub(crate) down: bool,
    /// What is written on the operation's object.
    pub(crate) record: Record,
}

pub(crate) struct World {
    pub(crate) now: i64,
    pub(crate) scenario: Scenario,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) healthy: BTreeMap<String, u32>,
    pub(crate) deleted: bool,
    pub(crate) gate_closed: bool,
    /// The manager does not run before.
    pub(crate) dead_until: i64,
    pub(crate) killed: bool,
    agenda: BTreeMap<i64, VecDeque<Happening>>,
    pub(crate) log: Vec<String>,
}

fn usual(takes: i64, usual: i64) -> i64 {
    if takes == 0 { usual } else { takes }
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let mut world = Self {
            now: 0,
            nodes: BTreeMap::new(),
            healthy: scenario.apps.iter().map(|(app, of)| (app.clone(), of.replicas)).collect(),
            deleted: false,
            gate_closed: false,
            dead_until: 0,
            killed: false,
            agenda: BTreeMap::new(),
            log: Vec::new(),
            scenario,
        };
        for spec in world.scenario.nodes.clone() {
            let pods =
                spec.pods.iter().map(|pod| (pod.name.clone(), Pod { spec: pod.clone(), leaving_by: None }));
            let mut node = Node {
                exists: !spec.later,
                incarnation: 1,
                boots: 1,
                ready: !spec.unready,
                unschedulable: spec.cordoned,
                claim: spec.claim.clone(),
                foreign: spec.cordoned,
                wanted: !spec.bystander,
                preflight: Check::Absent,
                work: Work::Absent,
                reboot: RebootPod::Absent,
                pods: pods.collect(),
                runs: 0,
                succeeded: false,
                reboots: 0,
                down: false,
                record: Record::default(),
                spec,
            };
            let name = node.spec.name.clone();
            if node.spec.adopted {
                node.work = Work::Running;
                node.runs = 1;
                node.reboot = RebootPod::Armed;
                node.unschedulable = true;
                node.claim = Some(OWNER.to_owned());
                node.record = Record {
                    approved: Some(nodes::machine::Approval { node_uid: node.uid().into() }),
                    checked: true,
                    started: true,
                    adopted: Some(node.boot_id().into()),
                    ..Record::default()
                };
                world.after(usual(node.spec.command.takes, 60), Happening::CommandEnds(name.clone()));
            }
            world.nodes.insert(name, node);
        }
        for event in world.scenario.events.clone() {
            world.after(event.at, Happening::Event(event.node, event.what));
        }
        world
    }

    pub(crate) fn tell(&mut self, who: &str, text: &str) {
        let (hours, minutes, seconds) = (self.now / 3600, self.now / 60 % 60, self.now % 60);
        self.log.push(format!("+{hours:02}:{minutes:02}:{seconds:02}  {who:<8} {text}"));
    }

    fn after(&mut self, seconds: i64, happening: Happening) {
        self.agenda.entry(self.now + seconds).or_default().push_back(happening);
    }

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<i64> {
        self.agenda.keys().next().copied()
    }

    /// Everything that happens up to a moment.
    pub(crate) fn advance(&mut self, until: i64) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| *entry.key() <= until) {
            let time = *entry.key();
            let mut happenings = entry.remove();
            self.now = self.now.max(time);
            while let Some(happening) = happenings.pop_front() {
                self.happen(happening);
            }
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Event(name, what) => self.event(&name, &what),
            Happening::PreflightEnds(name) => self.on(&name, |node| {
                if node.preflight != Check::Running {
                    return None;
                }
                let (check, text) = match node.spec.preflight.ends {
                    Preflight::Passed => (Check::Passed, "the preflight passes"),
                    Preflight::Skip => {
                        (Check::Skip("already there\n".into()), "the preflight finds nothing to do")
                    }
                    Preflight::Failed => (Check::Failed("exit code 1".into()), "the preflight fails"),
                    Preflight::Stuck => {
                        (Check::Stuck("ImagePullBackOff".into()), "the preflight pod does not start")
                    }
                };
                node.preflight = check;
                Some(text)
            }),
            Happening::CommandEnds(name) => {
                self.on(&name, |node| {
                    if node.work != Work::Running {
                        return None;
                    }
                    let boot_id = Some(node.boot_id().into()).filter(|_| !node.spec.adopted);
                    let (work, text) = match node.spec.command.ends {
                        Command::Well => (Work::Succeeded { boot_id }, "the command ends well"),
                        Command::Badly => (Work::Failed("BackoffLimitExceeded".into()), "the command fails"),
                        Command::Stuck => {
                            (Work::Stuck("ImagePullBackOff".into()), "the command's pod does not start")
                        }
                    };
                    node.succeeded = matches!(work, Work::Succeeded { .. });
                    node.work = work;
                    Some(text)
                });
                let node = self.node(&name);
                // The reboot pod of the controller before us looks for the end of the Job by itself.
                if node.spec.adopted
                    && node.reboot == RebootPod::Armed
                    && matches!(node.work, Work::Succeeded { .. })
                {
                    self.node(&name).reboot = RebootPod::Claimed;
                    let boots = self.node(&name).boots;
                    self.after(5, Happening::Down(name, boots));
                }
            }
            Happening::RebootPodReady(name) => self.on(&name, |node| {
                if node.reboot != RebootPod::Starting {
                    return None;
                }
                if node.spec.boot.ends == Boot::PodFails {
                    node.reboot = RebootPod::Failed("Evicted".into());
                    return Some("the reboot pod fails");
                }
                node.reboot = RebootPod::Armed;
                None
            }),
            Happening::Down(name, boots) => {
                let node = self.node(&name);
                if node.boots != boots || node.down || !node.exists {
                    return;
                }
                let takes = usual(self.node(&name).spec.boot.takes, 40);
                self.on(&name, |node| {
                    node.ready = false;
                    node.down = true;
                    node.reboots += 1;
                    Some("goes down")
                });
                self.after(takes, Happening::Up(name, boots));
            }
            Happening::Up(name, boots) => self.on(&name, |node| {
                if node.boots != boots {
                    return None;
                }
                let asked = std::mem::take(&mut node.down);
                node.boots += 1;
                if node.reboot == RebootPod::Asked {
                    node.reboot = RebootPod::Claimed;
                }
                if asked && node.spec.boot.ends == Boot::Unready {
                    return Some("has booted, and is not Ready");
                }
                node.ready = true;
                Some("has booted, and is Ready")
            }),
            Happening::PodLeft(name, pod) => {
                let gone = self.node(&name).pods.remove(&pod);
                if let Some(gone) = gone {
                    self.tell(&name, &format!("pod {pod} has left"));
                    let app = self.scenario.apps.get(&gone.spec.app).copied();
                    if let Some(app) = app {
                        self.after(usual(app.replaced, 10), Happening::PodReplaced(gone.spec.app));
                    }
                }
            }
            Happening::PodReplaced(app) => {
                *self.healthy.entry(app.clone()).or_default() += 1;
                self.tell("cluster", &format!("a new pod of {app} is ready"));
            }
        }
    }

    fn event(&mut self, name: &str, what: &What) {
        match what {
            What::Deleted => {
                self.deleted = true;
                self.tell("cluster", "the operation is deleted");
            }
            What::Killed(seconds) => {
                self.kill(*seconds);
                self.tell("cluster", "the manager is killed");
            }
            What::GateCloses | What::GateOpens => {
                self.gate_closed = matches!(what, What::GateCloses);
                self.tell("cluster", if self.gate_closed { "the gate closes" } else { "the gate opens" });
            }
            What::Scaled(app, replicas) => {
                self.scenario.apps.entry(app.clone()).or_default().replicas = *replicas;
                self.healthy.insert(app.clone(), *replicas);
                self.tell("cluster", &format!("{app} is scaled to {replicas}"));
            }
            What::RebootsByItself => {
                let was_up = self.node(name).exists && self.node(name).ready;
                if was_up {
                    self.node(name).ready = false;
                    self.tell(name, "goes down by itself");
                    let boots = self.node(name).boots;
                    self.after(30, Happening::Up(name.to_owned(), boots));
                }
            }
            What::PodDeleted(pod) => self.happen(Happening::PodLeft(name.to_owned(), pod.clone())),
            _ => self.on(name, |node| node.suffer(what)),
        }
    }

    pub(crate) fn kill(&mut self, seconds: i64) {
        self.dead_until = self.now + seconds;
        self.killed = true;
    }

    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap()
    }

    /// Something happens to a node that is there.
    fn on(&mut self, name: &str, change: impl FnOnce(&mut Node) -> Option<&'static str>) {
        if let Some(text) = change(self.node(name)) {
            self.tell(name, text);
        }
    }

    pub(crate) fn start_preflight(&mut self, name: &str) {
        let takes = usual(self.node(name).spec.preflight.takes, 5);
        if self.node(name).preflight == Check::Absent {
            self.node(name).preflight = Check::Running;
            self.after(takes, Happening::PreflightEnds(name.to_owned()));
        }
    }

    pub(crate) fn run(&mut self, name: &str) {
        let takes = usual(self.node(name).spec.command.takes, 60);
        // Its name is deterministic: there is one Job.
        if self.node(name).work == Work::Absent {
            self.node(name).work = Work::Running;
            self.node(name).runs += 1;
            self.after(takes, Happening::CommandEnds(name.to_owned()));
        }
    }

    pub(crate) fn arm(&mut self, name: &str) {
        if self.node(name).reboot == RebootPod::Absent {
            self.node(name).reboot = RebootPod::Starting;
            self.after(2, Happening::RebootPodReady(name.to_owned()));
        }
    }

    pub(crate) fn reboot(&mut self, name: &str) {
        if self.node(name).reboot == RebootPod::Asked {
            return;
        }
        self.node(name).reboot = RebootPod::Asked;
        if self.node(name).spec.boot.ends != Boot::Ignored {
            let boots = self.node(name).boots;
            self.after(5, Happening::Down(name.to_owned(), boots));
        }
    }

    /// Whether the API server does it.
    pub(crate) fn remove(&mut self, name: &str, removal: &Removal) -> bool {
        let Some(pod) = self.node(name).pods.get(&*removal.pod.name).cloned() else { return true };
        if pod.leaving_by.is_some() {
            return true;
        }
        let over = self.scenario.budgets.iter().filter(|budget| budget.app == pod.spec.app).count();
        let counts = self.scenario.apps.contains_key(&pod.spec.app);
        if removal.how == How::Evict && over > 0 {
            let allowed = self.allowed(&pod.spec.app);
            if over > 1 || allowed == 0 {
                return false;
            }
        }
        if counts {
            let healthy = self.healthy.entry(pod.spec.app.clone()).or_default();
            *healthy = healthy.saturating_sub(1);
        }
        let (leaves, grace) = (usual(pod.spec.leaves, 10), 30);
        let leaving_by = Some(self.now + grace);
        self.node(name).pods.insert(pod.spec.name.clone(), Pod { leaving_by, ..pod.clone() });
        if leaves > 0 {
            self.after(leaves, Happening::PodLeft(name.to_owned(), pod.spec.name));
        }
        true
    }

    /// How many of the pods of an app its first budget would let go now.
    pub(crate) fn allowed(&self, app: &str) -> u32 {
        let Some(budget) = self.scenario.budgets.iter().find(|budget| budget.app == app) else {
            return u32::MAX;
        };
        let replicas = self.scenario.apps.get(app).map_or(0, |app| app.replicas);
        let healthy = self.healthy.get(app).copied().unwrap_or_default();
        healthy.saturating_sub(budget.desired(replicas))
    }
}

impl crate::scenario::BudgetSpec {
    pub(crate) fn desired(&self, replicas: u32) -> u32 {
        match (self.min_available, self.min_available_percent, self.max_unavailable) {
            (Some(number), _, _) => number,
            (_, Some(percent), _) => (replicas * percent).div_ceil(100),
            (_, _, Some(number)) => replicas.saturating_sub(number),
            _ => 1,
        }
    }
}

impl Node {
    pub(crate) fn boot_id(&self) -> String {
        format!("boot-{}", self.boots)
    }

    pub(crate) fn uid(&self) -> String {
        format!("{}-{}", self.spec.name, self.incarnation)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.claim.as_deref() == Some(OWNER)
    }

    fn suffer(&mut self, what: &What) -> Option<&'static str> {
        match what {
            What::Joins => {
                self.exists = true;
                Some("joins")
            }
            _ if !self.exists => None,
            What::Removed => {
                self.exists = false;
                Some("is removed")
            }
            What::Replaced => {
                self.incarnation += 1;
                (self.boots, self.ready, self.unschedulable, self.foreign) =
                    (self.boots + 1, true, false, false);
                (self.claim, self.down) = (None, false);
                self.pods.clear();
                Some("is replaced by another node of its name")
            }
            What::CordonedByHand => {
                // One who cordons what is cordoned changes nothing; nor can one be told who leaves our annotation.
                if !self.unschedulable && !self.is_ours() {
                    self.foreign = true;
                }
                self.unschedulable = true;
                Some("is cordoned by hand")
            }
            What::UncordonedByHand => {
                (self.unschedulable, self.foreign) = (false, false);
                Some("is uncordoned by hand")
            }
            What::Unready => {
                self.ready = false;
                Some("is not Ready")
            }
            What::Ready => {
                self.ready = true;
                Some("is Ready")
            }
            What::Withdrawn => {
                self.wanted = false;
                Some("is no longer wanted")
            }
            // Before it was seen to be there, nobody can tell a Job that was deleted from one that was never made.
            What::JobPruned
                if self.record.started && matches!(self.work, Work::Succeeded { .. } | Work::Failed(_)) =>
            {
                self.work = Work::Absent;
                Some("has its Job pruned")
            }
            What::JobDeleted if self.record.started && self.work != Work::Absent => {
                self.work = Work::Absent;
                Some("has its Job deleted by hand")
            }
            What::RebootPodDeleted if self.reboot != RebootPod::Absent => {
                self.reboot = RebootPod::Absent;
                Some("has its reboot pod deleted by hand")
            }
            _ => None,
        }
    }
}
