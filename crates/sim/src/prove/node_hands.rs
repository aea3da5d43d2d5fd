//! More of what there is in a world of nodes, and of what people do in it: upgrades of the operating system, the labeler, and
//! hands on what controllers have made.
//!
//! Drawn by dice of their own: the worlds in which there is none of this are what they were before there was any.

use std::collections::BTreeMap;

use api::kairos::labeler;
use api::kairos::{FALSE, MANAGED_LABEL, TRUE};
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::node_worlds::{NAMESPACE, OnMachines, SHOP};
use super::worlds::Moment;
use crate::faults::dice::Dice;
use crate::scenario::{Happening, Target};
use crate::world::nodes::hands::Victim;
use crate::world::nodes::labeler::Kairos;
use crate::world::nodes::{Fate, Habits, NO_IMAGE, Soon};

/// Chosen so that no seed that has shown a bug before is among those that this befalls.
const PURPOSE: u64 = 0x04B4_0CC2;
/// How many worlds in a thousand this befalls.
const BEFALLS: u64 = 600;
/// What nodes are upgraded to.
const IMAGE: &str = "registry.example.org/os";

/// What there is more of.
pub(super) struct More {
    /// Upgrades, each with the minute in which it is made; the first ones are there from the start.
    pub(super) upgrades: Vec<(u64, Value)>,
    /// The labeler is at work.
    pub(super) labeler: bool,
    /// What happens: in words, in moments of objects and of what has no name before.
    pub(super) troubles: Vec<(String, Vec<Moment>, OnMachines)>,
}

/// What there is already.
pub(super) struct Known<'a> {
    pub(super) minutes: u64,
    pub(super) nodes: &'a [String],
    /// NodeOps by name and namespace, and what they are made of.
    pub(super) ops: &'a [(String, &'static str)],
    pub(super) specs: &'a BTreeMap<String, Value>,
    /// What another controller has left is an upgrade.
    pub(super) upstream: bool,
}

/// More of the world of a seed. Nodes among `objects` may become others, and `habits` tell how they fare.
pub(super) fn of(seed: u64, known: &Known<'_>, objects: &mut [Value], habits: &mut Habits) -> Option<More> {
    let mut dice = Dice::new(seed, PURPOSE);
    if !dice.happens(BEFALLS) {
        return None;
    }
    let mut draft = Draft { dice, known, upgrades: Vec::new(), labeler: false };
    if known.upstream {
        draft.upgrades.extend(known.ops.first().cloned());
    }
    let mut upgrades = Vec::new();
    if draft.dice.happens(550) {
        for number in 0..draft.dice.within(1, 3) {
            let begins = if draft.dice.happens(600) {
                0
            } else {
                draft.dice.within(1, (known.minutes * 2 / 3).max(2))
            };
            upgrades.push((begins, draft.upgrade(number)));
        }
    }
    draft.labeler = draft.dice.happens(500);
    if draft.labeler {
        draft.systems(objects, habits);
    }
    let several = draft.dice.count(1, 6);
    let troubles = (0..several).map(|_| draft.trouble()).collect();
    Some(More { upgrades, labeler: draft.labeler, troubles })
}

struct Draft<'a> {
    dice: Dice,
    known: &'a Known<'a>,
    /// By name and namespace.
    upgrades: Vec<(String, &'static str)>,
    labeler: bool,
}

impl Draft<'_> {
    fn upgrade(&mut self, number: u64) -> Value {
        let name = format!("up-{number}");
        let image = if self.dice.happens(50) { format!("{IMAGE}/{NO_IMAGE}") } else { format!("{IMAGE}:v2") };
        let mut spec = json!({"image": image});
        let mut maybe = |name: &str, per_thousand: u64, value: Value| {
            if self.dice.happens(per_thousand) {
                spec[name] = value;
            }
        };
        maybe("force", 250, json!(true));
        maybe("stopOnFailure", 300, json!(true));
        maybe("uncordonOnFailure", 300, json!(true));
        maybe("upgradeRecovery", 350, json!(true));
        maybe("upgradeActive", 250, json!(false));
        maybe("debug", 100, json!(true));
        let zone = json!({"matchLabels": {"zone": "a"}});
        maybe("nodeSelector", 250, zone);
        if spec["force"] != true {
            // Without an image its preflight would be made anew for ever.
            spec["image"] = json!(format!("{IMAGE}:v2"));
        }
        spec["concurrency"] = json!(self.dice.one_of(1, &[0, 1, 2, 3]));
        self.upgrades.push((name.clone(), NAMESPACE));
        json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOpUpgrade",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    }

    /// Which nodes run Kairos, which are opted out, and how the labeler's pods fare there.
    fn systems(&mut self, objects: &mut [Value], habits: &mut Habits) {
        for node in objects.iter_mut().filter(|object| object["kind"] == "Node") {
            let name: Box<str> = node["metadata"]["name"].as_str().unwrap_or_default().into();
            let version = u32::try_from(self.dice.within(0, 4)).unwrap_or_default();
            if self.dice.happens(700) {
                habits.kairos.insert(name.clone(), Kairos { version });
            }
            let labels = &mut node["metadata"]["labels"];
            match self.dice.within(0, 10) {
                0 => labels[MANAGED_LABEL] = json!(FALSE),
                1 => labels[MANAGED_LABEL] = json!(TRUE),
                2 => labels["kubernetes.io/os"] = json!("windows"),
                _ => labels["kubernetes.io/os"] = json!("linux"),
            }
            if self.dice.happens(150) {
                labels["kairos.io/flavor"] = json!("of-somebody");
                labels["kairos.io/of-somebody"] = json!("kept");
            }
            let fate = match self.dice.within(0, 10) {
                0 => Fate::Never,
                1 | 2 => Fate::After(u32::try_from(self.dice.within(1, 7)).unwrap_or(1)),
                _ => Fate::Well,
            };
            habits.labelers.insert(name, fate);
        }
    }

    /// Something that people do.
    fn trouble(&mut self) -> (String, Vec<Moment>, OnMachines) {
        let minutes = self.known.minutes;
        let begins = self.dice.within(0, minutes);
        let ends = self.dice.within(begins, minutes).max(begins + 1);
        let for_ever = self.dice.happens(200);
        let number = self.dice.count(0, 8);
        let node =
            self.known.nodes.get(self.dice.count(0, self.known.nodes.len())).cloned().unwrap_or_default();
        match self.dice.within(0, if self.labeler { 30 } else { 22 }) {
            place @ 0..=3 => {
                let (victim, what) = [
                    (Victim::Job, "a Job"),
                    (Victim::Command, "a pod of a Job"),
                    (Victim::Reboot, "a reboot pod"),
                    (Victim::Preflight, "a preflight pod"),
                ][usize::try_from(place).unwrap_or_default()];
                deleted(victim, what, begins, number)
            }
            4 | 5 => {
                let app = "app-0";
                let mut moments = vec![(begins, Soon::Holds(app.into(), true))];
                if !for_ever {
                    moments.push((ends, Soon::Holds(app.into(), false)));
                }
                (format!("somebody holds the pods of {app}"), Vec::new(), moments)
            }
            6 => {
                let mut moments = vec![(begins, Soon::Sick((&*node).into(), true))];
                if !for_ever {
                    moments.push((ends, Soon::Sick((&*node).into(), false)));
                }
                (format!("{node} says that it is not ready"), Vec::new(), moments)
            }
            7 | 8 => {
                let bound = self.dice.one_of(0, &[1, 2]);
                let patch = json!({"spec": {"maxUnavailable": bound, "minAvailable": null}});
                let merge = merged("PodDisruptionBudget", SHOP, "app-0-0", patch);
                (format!("a budget lets {bound} pods go"), vec![(begins, "user", merge)], Vec::new())
            }
            place @ 9..=13 => self.edited(place, begins),
            14 | 15 => {
                let Some((name, namespace)) = self.op() else { return nothing() };
                let deletion = Soon::Foreground(ObjectKey::new(namespace, name.as_str()), None);
                (format!("NodeOp {name} is deleted in the foreground"), Vec::new(), vec![(begins, deletion)])
            }
            16 => {
                let Some((name, namespace)) = self.op() else { return nothing() };
                let Some(spec) = self.known.specs.get(&name) else { return nothing() };
                let again = json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp",
                    "metadata": {"name": name, "namespace": namespace}, "spec": spec});
                let gone = Happening::Delete(target("NodeOp", namespace, &name));
                let moments = vec![(begins, "user", gone), (ends, "user", Happening::Create(again))];
                (format!("NodeOp {name} is deleted, and made again"), moments, Vec::new())
            }
            17 => {
                let Some((name, namespace)) = self.upgraded() else { return nothing() };
                let gone = Happening::Delete(target("NodeOpUpgrade", namespace, &name));
                (format!("NodeOpUpgrade {name} is deleted"), vec![(begins, "user", gone)], Vec::new())
            }
            18 => {
                let Some((name, namespace)) = self.upgraded() else { return nothing() };
                let gone = Happening::Delete(target("NodeOp", namespace, &name));
                (format!("the NodeOp of {name} is deleted"), vec![(begins, "user", gone)], Vec::new())
            }
            19 => {
                let zone = self.dice.one_of("a", &["b"]);
                let moment = (begins, "user", labelled(&node, json!({"zone": zone})));
                (format!("{node} is moved to zone {zone}"), vec![moment], Vec::new())
            }
            20 | 21 => {
                let moment = (begins, Soon::Watches((&*node).into()));
                (format!("somebody cordons {node} as an operation comes to it"), Vec::new(), vec![moment])
            }
            22 | 23 => deleted(Victim::Labels, "a Job of the labeler", begins, number),
            24 => {
                let gone = Happening::Delete(target("DaemonSet", NAMESPACE, labeler::NAME));
                ("the labeler's DaemonSet is deleted".to_owned(), vec![(begins, "user", gone)], Vec::new())
            }
            25 => {
                let patch = json!({"spec": {"template": {"spec": {"hostNetwork": true, "containers": []}}}});
                let merge = merged("DaemonSet", NAMESPACE, labeler::NAME, patch);
                ("the labeler's DaemonSet is edited".to_owned(), vec![(begins, "user", merge)], Vec::new())
            }
            26 | 27 => {
                let patch = json!({"kairos.io/flavor": "of-somebody", "kairos.io/variant": null});
                (
                    format!("{node} is labelled by hand"),
                    vec![(begins, "user", labelled(&node, patch))],
                    Vec::new(),
                )
            }
            _ => {
                let out = labelled(&node, json!({MANAGED_LABEL: FALSE}));
                let mut moments = vec![(begins, "user", out)];
                if !for_ever {
                    moments.push((ends, "user", labelled(&node, json!({MANAGED_LABEL: TRUE}))));
                }
                (format!("{node} is opted out"), moments, Vec::new())
            }
        }
    }

    /// Somebody edits the spec of an operation or of an upgrade.
    fn edited(&mut self, place: u64, begins: u64) -> (String, Vec<Moment>, OnMachines) {
        let of_upgrade = place >= 12;
        let Some((name, namespace)) = (if of_upgrade { self.upgraded() } else { self.op() }) else {
            return nothing();
        };
        let concurrency = self.dice.one_of(1, &[0, 2, 3]);
        let (what, spec) = match place {
            9 => ("concurrency", json!({"concurrency": concurrency})),
            10 => ("stopOnFailure", json!({"stopOnFailure": self.dice.happens(500)})),
            11 => ("command", json!({"command": ["/bin/true", "again"]})),
            12 => ("image", json!({"image": format!("{IMAGE}:v3")})),
            _ => ("options", json!({"concurrency": concurrency, "force": self.dice.happens(500)})),
        };
        let kind = if of_upgrade { "NodeOpUpgrade" } else { "NodeOp" };
        let merge = merged(kind, namespace, &name, json!({"spec": spec}));
        (format!("somebody edits {what} of {kind} {name}"), vec![(begins, "user", merge)], Vec::new())
    }

    fn op(&mut self) -> Option<(String, &'static str)> {
        self.known.ops.get(self.dice.count(0, self.known.ops.len())).cloned()
    }

    fn upgraded(&mut self) -> Option<(String, &'static str)> {
        self.upgrades.get(self.dice.count(0, self.upgrades.len())).cloned()
    }
}

fn deleted(victim: Victim, what: &str, begins: u64, number: usize) -> (String, Vec<Moment>, OnMachines) {
    // Each is there for a short while: somebody looks for one a few times.
    let moments = (0..4).map(|after| (begins + after * 2, Soon::DeletesOne(victim, number))).collect();
    (format!("{what} is deleted by hand, a few times"), Vec::new(), moments)
}

fn nothing() -> (String, Vec<Moment>, OnMachines) {
    ("nothing".to_owned(), Vec::new(), Vec::new())
}

fn target(kind: &str, namespace: &str, name: &str) -> Target {
    Target { kind: kind.into(), namespace: namespace.into(), name: name.into() }
}

fn merged(kind: &str, namespace: &str, name: &str, patch: Value) -> Happening {
    Happening::Merge { target: target(kind, namespace, name), patch }
}

fn labelled(node: &str, labels: Value) -> Happening {
    merged("Node", "", node, json!({"metadata": {"labels": labels}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn befalls(seed: u64) -> bool {
        let known = Known {
            minutes: 60,
            nodes: &["node-0".to_owned()],
            ops: &[],
            specs: &BTreeMap::new(),
            upstream: false,
        };
        of(seed, &known, &mut [], &mut Habits::default()).is_some()
    }

    #[test]
    fn it_befalls_most_worlds_and_none_that_has_shown_a_bug() {
        let most = (1..=1_000).filter(|seed| befalls(*seed)).count();
        assert!((550..650).contains(&most), "{most}");
        for seed in [33, 198, 550, 735] {
            assert!(!befalls(seed), "seed {seed}");
        }
    }
}
