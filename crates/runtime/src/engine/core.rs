//! The state that the event loop owns: the store, the queue, and which rows make which objects be looked at.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::object::{Kind, ObjectKey, Row};
use tokio::task::AbortHandle;

use crate::clock::{Clock, after};
use crate::health::Gate;
use crate::lease::Leadership;
use crate::queue::{Item, Queue};
use crate::store::{Availability, Change, DynamicKind, Snapshot, Store, TableId};
use crate::watch::{Event, Feeder, Turn, Which};

/// How long a watch may take to show our own write before a list that lacks it is believed.
const UNSEEN: Duration = Duration::from_secs(30);

/// The objects of a room that a changed row concerns: from the snapshot, the row's key, and the row before and after.
pub type Mapper<R> = fn(Snapshot<'_>, &ObjectKey, Option<&R>, Option<&R>) -> Vec<ObjectKey>;

/// The objects of a room that a changed row of a kind concerns, where only objects name the kind.
pub type DynamicMapper = fn(Snapshot<'_>, &DynamicKind, &ObjectKey) -> Vec<ObjectKey>;

/// Which rooms a row type concerns, and how.
pub(crate) struct Feed<R> {
    mappers: Vec<(usize, Mapper<R>)>,
    dynamic_mappers: Vec<(usize, DynamicMapper)>,
    interests: Vec<Interest<R>>,
}

impl<R> Default for Feed<R> {
    fn default() -> Self {
        Self { mappers: Vec::new(), dynamic_mappers: Vec::new(), interests: Vec::new() }
    }
}

/// A row of type `R` can name a kind that is then watched.
struct Interest<R> {
    wants: fn(&R) -> Option<DynamicKind>,
    start: fn(&mut Core, &DynamicKind) -> AbortHandle,
    forget: fn(&mut Store, &DynamicKind),
}

struct Wanted {
    by: BTreeSet<(TypeId, ObjectKey)>,
    watch: AbortHandle,
    start: fn(&mut Core, &DynamicKind) -> AbortHandle,
}

/// A table that is fed from the start.
struct Fixed {
    gate: Gate,
    plural: &'static str,
    optional: bool,
    resolved: bool,
    rooms: BTreeSet<usize>,
}

/// The state that the event loop owns.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) clock: Clock,
    leadership: Leadership,
    feeds: BTreeMap<TypeId, Box<dyn Any + Send>>,
    fixed: BTreeMap<TableId, Fixed>,
    wanted: BTreeMap<DynamicKind, Wanted>,
    named: BTreeMap<TableId, DynamicKind>,
    /// Rooms whose every object is to be looked at.
    pub(crate) sweep: BTreeSet<usize>,
    feeder: Feeder,
}

impl Core {
    pub(crate) fn new(clock: Clock, leadership: Leadership, feeder: Feeder) -> Self {
        Self {
            store: Store::default(),
            queue: Queue::default(),
            clock,
            leadership,
            feeds: BTreeMap::new(),
            fixed: BTreeMap::new(),
            wanted: BTreeMap::new(),
            named: BTreeMap::new(),
            sweep: BTreeSet::new(),
            feeder,
        }
    }

    /// First lists of kinds that only objects name are streamed as well.
    pub(crate) fn stream(&mut self) {
        self.feeder.streams = true;
    }

    /// Whether a write may be sent now. Asked before each, since a machine may have slept since the last.
    pub(crate) fn may_act(&self) -> bool {
        self.leadership.may_act(self.clock.now())
    }

    /// Registers a mapper; the first for a row type also makes its table. Returns whether it did.
    pub(crate) fn map<R: Row>(
        &mut self,
        room: usize,
        (kind, optional): (Kind, bool),
        mapper: Mapper<R>,
        gate: impl FnOnce() -> Gate,
    ) -> bool {
        self.feed_mut::<R>().mappers.push((room, mapper));
        let id = TableId::of::<R>();
        self.store.table_mut::<R>(&id);
        let new = !self.fixed.contains_key(&id);
        let fixed = self.fixed.entry(id).or_insert_with(|| Fixed {
            gate: gate(),
            plural: kind.plural,
            optional,
            resolved: false,
            rooms: BTreeSet::new(),
        });
        fixed.rooms.insert(room);
        new
    }

    pub(crate) fn map_dynamic<R: Row, F: Row>(
        &mut self,
        room: usize,
        wants: fn(&R) -> Option<DynamicKind>,
        mapper: DynamicMapper,
    ) {
        self.feed_mut::<F>().dynamic_mappers.push((room, mapper));
        self.feed_mut::<R>().interests.push(Interest {
            wants,
            start: |core, kind| {
                let id = TableId::dynamic::<F>(kind);
                core.unsync::<F>(&id);
                core.named.insert(id.clone(), kind.clone());
                let turn = Turn { mine: None, next: None };
                tokio::spawn(core.feeder.clone().run::<F>(Which::Named(kind.clone()), id, turn))
                    .abort_handle()
            },
            forget: |store, kind| store.forget(&TableId::dynamic::<F>(kind)),
        });
    }

    /// A table is to be listed, for the first time or again. Its rows stay until then, and so does readiness.
    pub(crate) fn unsync<R: Row>(&mut self, id: &TableId) {
        self.store.table_mut::<R>(id).set_availability(Availability::Syncing);
        if let Some(fixed) = self.fixed.get_mut(id) {
            fixed.resolved = false;
        }
    }

    /// Kinds that only objects name are listed again.
    pub(crate) fn list_named_again(&mut self) {
        let again: Vec<_> = self.wanted.iter().map(|(kind, wanted)| (kind.clone(), wanted.start)).collect();
        for (kind, start) in again {
            let watch = start(self, &kind);
            if let Some(wanted) = self.wanted.get_mut(&kind) {
                std::mem::replace(&mut wanted.watch, watch).abort();
            }
        }
    }

    /// Whether every table that is fed from the start is complete, or known not to be served.
    pub(crate) fn is_synced(&self) -> bool {
        self.fixed.values().all(|fixed| fixed.resolved)
    }

    /// The watch of a table tells something.
    pub(crate) fn watched<R: Row>(&mut self, id: &TableId, event: Event<R>) {
        let now = self.clock.now();
        if self.named.contains_key(id) || self.fixed.contains_key(id) {
            let table = self.store.table_mut::<R>(id);
            match event {
                Event::Began => table.listing_began(),
                Event::Shown(row) => {
                    let change = table.shown(row);
                    self.changed(id, change);
                }
                Event::Deleted(row) => {
                    let change = table.deleted(&row);
                    self.changed(id, change);
                }
                Event::Synced { api_version } => {
                    let gone = table.listing_done(now);
                    for change in gone {
                        self.changed(id, Some(change));
                    }
                    self.resolved::<R>(id, Availability::Synced { api_version });
                }
                Event::Unavailable(why) => self.resolved::<R>(id, why),
            }
        }
    }

    /// The answer of our own write.
    pub(crate) fn wrote<R: Row>(&mut self, row: R) {
        let (id, until) = (TableId::of::<R>(), after(self.clock.now(), UNSEEN));
        let change = self.store.table_mut::<R>(&id).wrote(row, until);
        self.changed(&id, change);
    }

    fn resolved<R: Row>(&mut self, id: &TableId, availability: Availability) {
        let table = self.store.table_mut::<R>(id);
        if *table.availability() == availability {
            return;
        }
        table.set_availability(availability.clone());
        if let Some(fixed) = self.fixed.get_mut(id) {
            fixed.resolved = availability != Availability::Syncing;
            match &availability {
                Availability::Synced { .. } => fixed.gate.open(),
                Availability::NotInstalled if fixed.optional => fixed.gate.open(),
                Availability::NotInstalled => {
                    fixed.gate.close(format!("the server does not serve {}", fixed.plural))
                }
                Availability::Forbidden(words) => fixed.gate.close(words.to_string()),
                Availability::Syncing => fixed.gate.close("the first list is not complete"),
            }
            self.sweep.extend(fixed.rooms.iter().copied());
        } else {
            let rooms: Vec<usize> =
                self.feed_mut::<R>().dynamic_mappers.iter().map(|(room, _)| *room).collect();
            self.sweep.extend(rooms);
        }
    }

    fn changed<R: Row>(&mut self, id: &TableId, change: Option<Change<R>>) {
        let Some(Change { key, before }) = change else { return };
        let mut items = Vec::new();
        let mut wants = Vec::new();
        if let Some(feed) = self.feeds.get(&TypeId::of::<R>()).and_then(|feed| feed.downcast_ref::<Feed<R>>())
        {
            let now = self.store.table::<R>(id).and_then(|table| table.get(&key));
            let snapshot = self.store.snapshot();
            if let Some(kind) = self.named.get(id) {
                for (room, mapper) in &feed.dynamic_mappers {
                    items.extend(
                        mapper(snapshot, kind, &key).into_iter().map(|key| Item { room: *room, key }),
                    );
                }
            } else {
                for (room, mapper) in &feed.mappers {
                    let keys = mapper(snapshot, &key, before.as_ref(), now);
                    items.extend(keys.into_iter().map(|key| Item { room: *room, key }));
                }
                for interest in &feed.interests {
                    let (old, new) = (before.as_ref().and_then(interest.wants), now.and_then(interest.wants));
                    if old != new {
                        wants.push((old, new, interest.start, interest.forget));
                    }
                }
            }
        }
        let now = self.clock.now();
        for item in items {
            self.queue.add(item, now);
        }
        for (old, new, start, forget) in wants {
            let who = (TypeId::of::<R>(), key.clone());
            if let Some(old) = old {
                self.unwant(&old, &who, forget);
            }
            if let Some(new) = new {
                self.want(new, who, start);
            }
        }
    }

    fn want(
        &mut self,
        kind: DynamicKind,
        who: (TypeId, ObjectKey),
        start: fn(&mut Self, &DynamicKind) -> AbortHandle,
    ) {
        if let Some(wanted) = self.wanted.get_mut(&kind) {
            wanted.by.insert(who);
            return;
        }
        tracing::info!(
            kind = &*kind.kind,
            api_version = &*kind.api_version,
            "Watching a kind that a source reference names"
        );
        let watch = start(self, &kind);
        self.wanted.insert(kind, Wanted { by: BTreeSet::from([who]), watch, start });
    }

    fn unwant(
        &mut self,
        kind: &DynamicKind,
        who: &(TypeId, ObjectKey),
        forget: fn(&mut Store, &DynamicKind),
    ) {
        let Some(wanted) = self.wanted.get_mut(kind) else { return };
        wanted.by.remove(who);
        if wanted.by.is_empty() {
            wanted.watch.abort();
            self.wanted.remove(kind);
            self.named.retain(|_, named| named != kind);
            forget(&mut self.store, kind);
        }
    }

    fn feed_mut<R: Row>(&mut self) -> &mut Feed<R> {
        let feed = self.feeds.entry(TypeId::of::<R>()).or_insert_with(|| Box::new(Feed::<R>::default()));
        match feed.downcast_mut() {
            Some(feed) => feed,
            None => unreachable!("feeds are kept by the type of their rows"),
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        for wanted in self.wanted.values() {
            wanted.watch.abort();
        }
    }
}
