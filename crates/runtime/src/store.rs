//! Ordered rows of what the API server holds, one table per kind, and nothing but rows.
//!
//! A row that we wrote is kept until the watch has shown it, so that a list which began before our write cannot make it
//! vanish, and only a newer resourceVersion replaces a row: a decision never rests on less than our own writes.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};

use domain::object::{Kind, ObjectKey, ResourceVersion, Row};
use jiff::Timestamp;

/// Deletions that a table remembers; an answer overtaken by more than that many is put right by the next list.
const DELETED: usize = 256;

/// Which table: a row type, and for kinds that are only known at run time also the kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId {
    row: TypeId,
    kind: Box<str>,
}

impl TableId {
    /// The table of a kind that is known when the process starts.
    pub fn of<R: Row>() -> Self {
        Self { row: TypeId::of::<R>(), kind: Box::default() }
    }

    /// The table of a kind that objects name.
    pub fn dynamic<R: Row>(kind: &DynamicKind) -> Self {
        Self { row: TypeId::of::<R>(), kind: format!("{}/{}", kind.api_version, kind.kind).into() }
    }
}

/// A kind that an object names, of which nothing is known until discovery was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DynamicKind {
    /// `group/version`, or `version` for the core group.
    pub api_version: Box<str>,
    /// CamelCase kind.
    pub kind: Box<str>,
}

/// How far the watch of a table has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The first list is not complete.
    Syncing,
    /// Complete, and kept up by a watch. Holds the `group/version` that is read.
    Synced {
        /// `group/version` that is read.
        api_version: Box<str>,
    },
    /// The server does not serve the kind.
    NotInstalled,
    /// The server refuses list or watch; holds its words.
    Forbidden(Box<str>),
}

/// A row that changed: before, after, or both.
#[derive(Debug)]
pub struct Change<R> {
    /// Where it is.
    pub key: ObjectKey,
    /// The row before, absent when it is new.
    pub before: Option<R>,
}

struct Entry<R> {
    row: R,
    /// Written by us and not yet shown by the watch: kept through relists until this time.
    unseen_until: Option<Timestamp>,
}

/// A row that refers to something. One set of all of them takes a third of the memory of a set for each value, of which
/// most would hold one row.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    index: &'static str,
    value: Box<str>,
    row: ObjectKey,
}

impl Reference {
    fn new(index: &'static str, value: &str, row: ObjectKey) -> Self {
        Self { index, value: value.into(), row }
    }
}

/// The rows of one kind.
pub struct Table<R> {
    /// Boxed, since a tree keeps room for more than it holds, and rows are large.
    rows: BTreeMap<ObjectKey, Box<Entry<R>>>,
    references: BTreeSet<Reference>,
    availability: Availability,
    /// While a list runs: the keys that it has brought so far.
    listing: Option<BTreeSet<ObjectKey>>,
    /// What was deleted lately, at which version: an answer of ours that comes after the watch must not revive it.
    deleted: BTreeMap<ObjectKey, ResourceVersion>,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            references: BTreeSet::new(),
            availability: Availability::Syncing,
            listing: None,
            deleted: BTreeMap::new(),
        }
    }
}

impl<R: Row> Table<R> {
    /// The row of a key.
    pub fn get(&self, key: &ObjectKey) -> Option<&R> {
        self.rows.get(key).map(|entry| &entry.row)
    }

    /// All rows, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &R> {
        self.rows.values().map(|entry| &entry.row)
    }

    /// The rows of a namespace, in the order of their names.
    pub fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a R> {
        self.rows
            .range(ObjectKey::new(namespace, "")..)
            .take_while(move |(key, _)| key.namespace.as_ref() == namespace)
            .map(|(_, entry)| &entry.row)
    }

    /// The rows of a namespace whose `references` name `value` under `index`, in the order of their names.
    pub fn referring<'a>(
        &'a self,
        index: &'static str,
        namespace: &'a str,
        value: &'a str,
    ) -> impl Iterator<Item = &'a R> {
        let from = Reference::new(index, value, ObjectKey::new(namespace, ""));
        let found = self.references.range(from..).take_while(move |reference| {
            reference.index == index && *reference.value == *value && *reference.row.namespace == *namespace
        });
        found.filter_map(|reference| self.get(&reference.row))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How far the watch has come.
    pub fn availability(&self) -> &Availability {
        &self.availability
    }

    /// Whether the rows are all that there are.
    pub fn is_synced(&self) -> bool {
        matches!(self.availability, Availability::Synced { .. })
    }

    pub(crate) fn set_availability(&mut self, availability: Availability) {
        self.availability = availability;
    }

    /// A list begins.
    pub(crate) fn listing_began(&mut self) {
        self.listing = Some(BTreeSet::new());
    }

    /// The watch shows a row, by a list or by an event. Nothing changes where ours is as new or newer.
    pub(crate) fn shown(&mut self, row: R) -> Option<Change<R>> {
        let key = row.meta().key.clone();
        if let Some(listing) = &mut self.listing {
            listing.insert(key.clone());
        }
        let listing = self.listing.is_some();
        if let Some(entry) = self.rows.get_mut(&key) {
            let (ours, theirs) = (entry.row.meta().resource_version, row.meta().resource_version);
            if entry.unseen_until.is_some() && theirs < ours {
                return None;
            }
            entry.unseen_until = None;
            // A list may bring older rows than ours only after the server lost data: then it holds.
            if entry.row == row || (theirs < ours && !listing) {
                return None;
            }
        }
        Some(Change { before: self.put(row, None), key })
    }

    /// The list is complete: what it did not bring is gone, but for our own writes that it may have been too early for.
    pub(crate) fn listing_done(&mut self, now: Timestamp) -> Vec<Change<R>> {
        let Some(listed) = self.listing.take() else { return Vec::new() };
        let gone: Vec<ObjectKey> = self
            .rows
            .iter()
            .filter(|(key, entry)| {
                !listed.contains(*key) && entry.unseen_until.is_none_or(|until| until <= now)
            })
            .map(|(key, _)| key.clone())
            .collect();
        gone.into_iter()
            .filter_map(|key| self.take(&key).map(|before| Change { key, before: Some(before) }))
            .collect()
    }

    /// The watch shows a deletion; one that is older than our row is of a former incarnation.
    pub(crate) fn deleted(&mut self, last: &R) -> Option<Change<R>> {
        let key = &last.meta().key;
        let ours = self.rows.get(key)?.row.meta().resource_version;
        if last.meta().resource_version < ours {
            return None;
        }
        let before = self.take(key)?;
        if self.deleted.len() >= DELETED {
            self.deleted.clear();
        }
        self.deleted.insert(key.clone(), last.meta().resource_version);
        Some(Change { key: key.clone(), before: Some(before) })
    }

    /// The answer of our own write.
    pub(crate) fn wrote(&mut self, row: R, unseen_until: Timestamp) -> Option<Change<R>> {
        let key = row.meta().key.clone();
        if let Some(entry) = self.rows.get(&key)
            && entry.row.meta().resource_version >= row.meta().resource_version
        {
            return None;
        }
        if self.deleted.get(&key).is_some_and(|gone| *gone >= row.meta().resource_version) {
            return None;
        }
        Some(Change { before: self.put(row, Some(unseen_until)), key })
    }

    fn put(&mut self, row: R, unseen_until: Option<Timestamp>) -> Option<R> {
        let key = row.meta().key.clone();
        let before = self.take(&key);
        let references = &mut self.references;
        row.references(&mut |index, value| {
            references.insert(Reference::new(index, value, key.clone()));
        });
        self.rows.insert(key, Box::new(Entry { row, unseen_until }));
        before
    }

    fn take(&mut self, key: &ObjectKey) -> Option<R> {
        let row = self.rows.remove(key)?.row;
        let references = &mut self.references;
        row.references(&mut |index, value| {
            references.remove(&Reference::new(index, value, key.clone()));
        });
        Some(row)
    }
}

/// Every table of the process.
#[derive(Default)]
pub struct Store {
    tables: BTreeMap<TableId, Box<dyn Any + Send>>,
}

impl Store {
    /// A table, where it was registered.
    pub fn table<R: Row>(&self, id: &TableId) -> Option<&Table<R>> {
        self.tables.get(id)?.downcast_ref()
    }

    pub(crate) fn table_mut<R: Row>(&mut self, id: &TableId) -> &mut Table<R> {
        let table = self.tables.entry(id.clone()).or_insert_with(|| Box::new(Table::<R>::default()));
        if !table.is::<Table<R>>() {
            // The id holds the row's type, so this cannot be; a fresh table is the harmless answer.
            *table = Box::new(Table::<R>::default());
        }
        match table.downcast_mut() {
            Some(table) => table,
            None => unreachable!("the table was just made of this type"),
        }
    }

    /// Puts a row where the watch would, and makes its table complete: for tests of rooms, which have no watch.
    pub fn put<R: Row>(&mut self, id: &TableId, row: R) {
        let table = self.table_mut::<R>(id);
        table.set_availability(Availability::Synced { api_version: Box::default() });
        table.shown(row);
    }

    /// Makes a table known, with how far its watch has come: for tests of rooms, which have no watch.
    pub fn set<R: Row>(&mut self, id: &TableId, availability: Availability) {
        self.table_mut::<R>(id).set_availability(availability);
    }

    pub(crate) fn forget(&mut self, id: &TableId) {
        self.tables.remove(id);
    }

    /// A view for decisions.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { store: self }
    }
}

/// What decisions see of the store.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    store: &'a Store,
}

impl<'a> Snapshot<'a> {
    /// The table of a kind that is known when the process starts; absent where nothing watches it.
    pub fn table<R: Row>(self) -> Option<&'a Table<R>> {
        self.store.table(&TableId::of::<R>())
    }

    /// The table of a kind that objects name; absent until it is watched.
    pub fn dynamic<R: Row>(self, kind: &DynamicKind) -> Option<&'a Table<R>> {
        self.store.table(&TableId::dynamic::<R>(kind))
    }

    /// A row by its key.
    pub fn get<R: Row>(self, key: &ObjectKey) -> Option<&'a R> {
        self.table::<R>()?.get(key)
    }

    /// The rows of a namespace.
    pub fn in_namespace<R: Row>(self, namespace: &'a str) -> impl Iterator<Item = &'a R> {
        self.table::<R>().into_iter().flat_map(move |table| table.in_namespace(namespace))
    }

    /// The rows of a namespace that refer to `value` under `index`.
    pub fn referring<R: Row>(
        self,
        index: &'static str,
        namespace: &'a str,
        value: &'a str,
    ) -> impl Iterator<Item = &'a R> {
        self.table::<R>().into_iter().flat_map(move |table| table.referring(index, namespace, value))
    }
}

/// A kind that is known when the process starts, as a message names it.
pub fn dynamic_kind(kind: Kind) -> DynamicKind {
    DynamicKind { api_version: kind.api_version().into(), kind: kind.kind.into() }
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
