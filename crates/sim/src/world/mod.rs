//! Everything outside the manager: the API server with its objects, Cluster API, the builds, the package repository, and
//! the people of the scenario. One value, changed by requests and by what is due.

pub(crate) mod admission;
pub(crate) mod agenda;
pub(crate) mod builds;
pub(crate) mod chance;
pub(crate) mod clusters;
pub(crate) mod happen;
pub(crate) mod made;
pub(crate) mod nodes;
pub(crate) mod releases;
pub(crate) mod stand_ins;
pub(crate) mod status;
pub(crate) mod topology;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::batch::job;
use api::capi::{cluster, cluster_class};
use domain::object::{ObjectKey, ObjectRef};
use jiff::{SignedDuration, Timestamp};
use manager::family::Family;
use runtime::clock::Clock;
use runtime::rules::Declared;
use serde_json::Value;
use tokio::sync::Notify;

use self::agenda::{Agenda, Due};
use self::builds::Builds;
use self::chance::Chance;
use self::clusters::Clusters;
use self::nodes::Nodes;
use self::releases::Releases;
use crate::apiserver::catalogue::{Catalogue, Id};
use crate::apiserver::objects::Objects;
use crate::invariants::{Witness, Write};
use crate::scenario::{Refusing, Scenario};
use crate::timeline::{Entry, tell};

/// Who writes what Cluster API writes.
pub(crate) const CLUSTER_API: &str = "cluster-api";
/// Who writes what a Job's controller and its pod write.
pub(crate) const JOB: &str = "job";
/// Who publishes.
pub(crate) const REPOSITORY: &str = "repository";
/// Who deletes what nobody owns any more.
pub(crate) const GARBAGE_COLLECTOR: &str = "garbage-collector";
/// Who does what the scenario does not name anyone for.
pub(crate) const USER: &str = "user";

/// Time between two signs of life of a watch; kube gives a watch up that is silent for 295 s.
const BOOKMARKS: i64 = 240;
/// How long the server keeps an Event, in seconds.
const EVENTS_KEPT: i64 = 3_600;

/// The world.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch by itself, and none is passed to anyone")]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) catalogue: Catalogue,
    pub(crate) objects: Objects,
    pub(crate) agenda: Agenda,
    pub(crate) chance: Chance,
    pub(crate) clusters: Clusters,
    pub(crate) builds: Builds,
    pub(crate) releases: Releases,
    pub(crate) nodes: Nodes,
    has_nodes: bool,
    pub(crate) rules: Vec<Refusing>,
    /// What the rooms declare; a request outside of it is a bug of theirs. Nothing where everything may be asked for.
    pub(crate) declared: Option<Declared>,
    /// Names of Events, and until when they are taken.
    pub(crate) events: BTreeSet<ObjectKey>,
    pub(crate) events_end: VecDeque<(Timestamp, ObjectKey)>,
    pub(crate) requests: BTreeMap<String, u64>,
    digest: DefaultHasher,
    pub(crate) entries: Vec<Entry>,
    pub(crate) left_out: u64,
    limit: usize,
    /// By name; nobody watches them.
    pub(crate) leases: BTreeMap<Box<str>, Value>,
    /// The process whose request is being answered; 0 for none.
    pub(crate) speaker: u32,
    /// Sees every write, where a run is held to invariants.
    pub(crate) witness: Option<Box<Witness>>,
    /// The first thing that was asked for and is not simulated.
    pub(crate) unsupported: Option<String>,
    /// Whether the webhooks of Cluster API are asked.
    pub(crate) webhooks: bool,
    /// Whether a watch ends when its `timeoutSeconds` are over. In a simulation of weeks it goes on: beginning it again every
    /// five minutes decides nothing and costs most of the time.
    pub(crate) watches_end: bool,
    /// Somebody ends the manager; the next one begins.
    pub(crate) restart: bool,
    /// While the objects of the scenario are put in: nobody changes anything.
    pub(crate) telling: bool,
    wake: Arc<Notify>,
}

/// The world as the server, the repository and the runner share it.
pub(crate) type Shared = Arc<Mutex<World>>;

/// A panic while it was held has ended the run already; what is left is only read.
pub(crate) fn locked(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The world of a scenario, before anything happens in it.
    pub(crate) fn new(scenario: &Scenario, clock: Clock, wake: Arc<Notify>) -> Self {
        let mut catalogue = Catalogue::new(scenario.cluster_api, scenario.family == Family::Nodes);
        for object in scenario.all_objects() {
            let (group, version, kind) = crate::scenario::kind_of(object);
            // Of a group that is known, objects may be in an older version; it is served in the one that is known.
            catalogue.serve(group, version, kind);
        }
        let objects = Objects::new(catalogue.len());
        Self {
            catalogue,
            objects,
            agenda: Agenda::default(),
            chance: Chance::new(scenario.seed),
            clusters: Clusters::new(scenario.roll),
            builds: Builds::new(scenario.build),
            releases: Releases::default(),
            nodes: Nodes::default(),
            has_nodes: scenario.family == Family::Nodes,
            rules: Vec::new(),
            declared: Some(Declared::new(
                manager::rooms::rules(scenario.family)
                    .into_iter()
                    .chain(manager::rooms::opt_in_rules(scenario.family)),
            )),
            events: BTreeSet::new(),
            events_end: VecDeque::new(),
            requests: BTreeMap::new(),
            digest: DefaultHasher::new(),
            entries: Vec::new(),
            left_out: 0,
            limit: scenario.entries,
            leases: BTreeMap::new(),
            speaker: 0,
            witness: None,
            unsupported: None,
            webhooks: true,
            watches_end: false,
            restart: false,
            telling: false,
            clock,
            wake,
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, as metadata has it.
    pub(crate) fn stamp(&self) -> String {
        format!("{:.0}", self.now())
    }

    /// Something is due in so many seconds.
    pub(crate) fn later(&mut self, seconds: i64, due: Due) {
        let at = self.now().checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        self.at(at, due);
    }

    /// Something is due after a time.
    pub(crate) fn after(&mut self, time: Duration, due: Due) {
        let at = runtime::clock::after(self.now(), time);
        self.at(at, due);
    }

    /// Something is due at a time.
    pub(crate) fn at(&mut self, at: Timestamp, due: Due) {
        let sooner = self.agenda.next().is_none_or(|next| at < next);
        self.agenda.put(at, due);
        if sooner {
            self.wake.notify_one();
        }
    }

    /// Does what is due.
    pub(crate) fn advance(&mut self) {
        while let Some(due) = self.agenda.take(self.now()) {
            match due {
                Due::Topology(key) => self.reconcile(&key),
                Due::Machine(key, roll) => self.replace_machine(&key, roll),
                Due::Class(key) => self.reconcile_class(&key),
                Due::BuildBegins(key, uid) => self.build_begins(&key, &uid),
                Due::BuildEnds(key, uid) => self.build_ends(&key, &uid),
                Due::Collect(uid) => self.collect(&uid),
                Due::Publish(version) => self.publish(REPOSITORY, &version),
                Due::OnNodes(soon) => self.on_nodes(soon),
                Due::Happen(actor, happening) => self.happen(&actor, *happening),
                Due::Bookmarks => self.bookmarks(),
                Due::Bookmark(id, watch) => self.bookmark(id, watch),
                Due::WatchEnds(id, watch) => self.objects.end_watch(id, watch),
            }
        }
    }

    /// Tells one watch how far the server is.
    pub(crate) fn bookmark(&mut self, id: Id, watch: u64) {
        let (api_version, kind) = (self.catalogue.get(id).api_version(), self.catalogue.get(id).kind.clone());
        self.objects.bookmark_one(id, watch, (&api_version, &kind));
    }

    fn bookmarks(&mut self) {
        for id in 0..self.catalogue.len() {
            let (api_version, kind) =
                (self.catalogue.get(Id(id)).api_version(), self.catalogue.get(Id(id)).kind.clone());
            self.objects.bookmark(Id(id), (&api_version, &kind));
        }
        self.later(BOOKMARKS, Due::Bookmarks);
    }

    /// An object was written: the models take notice.
    pub(crate) fn changed(&mut self, id: Id, key: &ObjectKey, before: Option<&Value>) {
        let resource = self.catalogue.get(id);
        let (group, kind) = (resource.group.clone(), resource.kind.clone());
        let Some(after) = self.objects.get(id, key).map(|entry| &entry.value) else { return };
        if self.has_nodes {
            let after = after.clone();
            return self.nodes_changed(&kind, key, before, &after);
        }
        let is = |known: domain::object::Kind| *group == *known.group && *kind == *known.kind;
        let other = |field: &str| before.is_none_or(|before| before[field] != after[field]);
        let other_meta =
            |field: &str| before.is_none_or(|before| before["metadata"][field] != after["metadata"][field]);
        if is(cluster::KIND) && (other("spec") || other_meta("annotations")) {
            self.later(clusters::NOTICES_AFTER, Due::Topology(key.clone()));
        } else if is(cluster_class::KIND) && other("spec") {
            self.later(clusters::NOTICES_AFTER, Due::Class(key.clone()));
        } else if is(job::KIND) && before.is_none() {
            let uid = after["metadata"]["uid"].as_str().unwrap_or_default().into();
            self.later(builds::BEGINS_AFTER, Due::BuildBegins(key.clone(), uid));
        }
    }

    /// An object is gone: the models forget it.
    pub(crate) fn removed(&mut self, id: Id, key: &ObjectKey, gone: &Value) {
        let resource = self.catalogue.get(id);
        if self.has_nodes {
            let kind = resource.kind.clone();
            return self.nodes_removed(&kind, key, gone);
        }
        if *resource.group == *cluster::KIND.group && *resource.kind == *cluster::KIND.kind {
            self.clusters.forget(key);
        }
    }

    /// Puts what an object's change says into the timeline.
    pub(crate) fn tell_change_to(&mut self, actor: &str, id: Id, key: &ObjectKey, before: Option<&Value>) {
        let after =
            self.objects.get(id, key).map(|entry| entry.value.clone()).filter(|_| self.witness.is_some());
        self.witnessed(actor, id, key, before, after.as_ref());
        if self.is_told() {
            let Some(entry) = self.objects.get(id, key) else { return };
            let lines = tell::change(&self.catalogue.get(id).kind, before, Some(&entry.value));
            self.tell_lines(actor, id, key, lines);
        }
    }

    /// The same where the object is not there any more.
    pub(crate) fn tell_change(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        self.witnessed(actor, id, key, before, after);
        if self.is_told() {
            let lines = tell::change(&self.catalogue.get(id).kind, before, after);
            self.tell_lines(actor, id, key, lines);
        }
    }

    /// Lines that nobody keeps are not made.
    fn is_told(&self) -> bool {
        self.telling && self.limit > 0
    }

    /// Shows a write to whoever holds it to the invariants.
    fn witnessed(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        self.show(actor, id, key, (before, after), Witness::saw);
    }

    fn show(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        (before, after): (Option<&Value>, Option<&Value>),
        to: fn(&mut Witness, &Self, &Write<'_>),
    ) {
        let Some(mut witness) = self.witness.take() else { return };
        let kind = self.catalogue.get(id).kind.clone();
        let (at, process) = (self.now(), self.speaker);
        to(&mut witness, self, &Write { at, actor, process, kind: &kind, key, before, after });
        self.witness = Some(witness);
    }

    /// Shows the same what is asked for, before any webhook is.
    pub(crate) fn asked_for(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        before: Option<&Value>,
        after: &Value,
    ) {
        self.show(actor, id, key, (before, Some(after)), Witness::heard);
    }

    /// The same of a write that was accepted and has changed nothing.
    pub(crate) fn unchanged(&mut self, actor: &str, id: Id, key: &ObjectKey) {
        let (now, process) = (self.now(), self.speaker);
        let Some(witness) = &mut self.witness else { return };
        let what = format!("a write of {actor} to {} {key}", self.catalogue.get(id).kind);
        witness.saw_nothing(now, process, &what);
    }

    fn tell_lines(&mut self, actor: &str, id: Id, key: &ObjectKey, lines: Vec<String>) {
        let object = ObjectRef {
            api_version: Box::default(),
            kind: self.catalogue.get(id).kind.clone(),
            key: key.clone(),
            uid: Box::default(),
        };
        for line in lines {
            self.tell(actor, &object.to_string(), line);
        }
    }

    /// Puts a line into the timeline; beyond its limit they are only counted.
    pub(crate) fn tell(&mut self, actor: &str, object: &str, what: String) {
        if self.entries.len() >= self.limit {
            self.left_out += 1;
            return;
        }
        let at = self.now();
        self.entries.push(Entry { at, actor: actor.into(), object: object.into(), what: what.into() });
    }

    /// Takes a request into the journal.
    pub(crate) fn journal(&mut self, verb: &str, resource: &str, path: &str, body: &[u8]) {
        let now = self.now();
        if let Some(witness) = &mut self.witness
            && witness.asked_for(now, verb, resource)
        {
            self.wake.notify_one();
        }
        (now.as_millisecond(), verb, path, body).hash(&mut self.digest);
        match self.requests.get_mut(&format!("{verb} {resource}")) {
            Some(count) => *count += 1,
            None => {
                self.requests.insert(format!("{verb} {resource}"), 1);
            }
        }
    }

    /// Two runs with the same digest made the same requests at the same times.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// An Event: kept by its name alone, and for as long as a server keeps it. Tells whether it is new.
    pub(crate) fn event(&mut self, key: ObjectKey) -> bool {
        let now = self.now();
        while let Some((end, _)) = self.events_end.front()
            && *end <= now
        {
            if let Some((_, old)) = self.events_end.pop_front() {
                self.events.remove(&old);
            }
        }
        let new = self.events.insert(key.clone());
        if new {
            let end = now.checked_add(SignedDuration::from_secs(EVENTS_KEPT)).unwrap_or(Timestamp::MAX);
            self.events_end.push_back((end, key));
        }
        new
    }

    /// Something was asked for that is not simulated: the run ends with it.
    pub(crate) fn lacks(&mut self, what: String) {
        self.unsupported.get_or_insert(what);
        self.wake.notify_one();
    }
}
