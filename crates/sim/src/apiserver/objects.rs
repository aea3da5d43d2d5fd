//! The objects of the API server, and those who watch them.
//!
//! Each object is kept parsed and as the bytes that every answer sends, so that a write costs one serialization however
//! many read it. A watch is told the lines of what came after its resourceVersion; a bounded past is kept for that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use domain::object::ObjectKey;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use serde_json::Value;

use super::answer::Refused;
use super::catalogue::Id;
use super::pages::{Form, Pages};
use super::selector::Selector;

/// Changes of a resource that a watch can still be told.
const PAST: usize = 1_024;

/// A stored object.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) bytes: Bytes,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Empty for all.
    pub(crate) namespace: Box<str>,
    pub(crate) selector: Selector,
}

struct Watcher {
    number: u64,
    scope: Scope,
    lines: UnboundedSender<Bytes>,
}

/// A change, as it is told.
struct Past {
    version: u64,
    namespace: Box<str>,
    line: Bytes,
    /// The object before and after it, for those who watch some objects only.
    before: Option<Arc<Entry>>,
    after: Option<Arc<Entry>>,
}

#[derive(Default)]
struct Table {
    objects: BTreeMap<ObjectKey, Arc<Entry>>,
    watchers: Vec<Watcher>,
    past: VecDeque<Past>,
    /// The newest version that the past has forgotten.
    forgotten: u64,
    pages: Pages,
}

/// All objects.
#[derive(Default)]
pub(crate) struct Objects {
    tables: Vec<Table>,
    /// The last resourceVersion that was given out.
    version: u64,
    /// By uid of the owner: what it owns.
    owned: BTreeMap<Box<str>, Vec<(Id, ObjectKey)>>,
    /// Watches that there were.
    watches: u64,
}

impl Objects {
    /// A server without objects.
    pub(crate) fn new(resources: usize) -> Self {
        let tables = (0..resources).map(|_| Table::default()).collect();
        Self { tables, version: 0, owned: BTreeMap::new(), watches: 0 }
    }

    /// The last resourceVersion that was given out.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// One object.
    pub(crate) fn get(&self, id: Id, key: &ObjectKey) -> Option<&Entry> {
        self.tables.get(id.0)?.objects.get(key).map(AsRef::as_ref)
    }

    /// The same, to be kept while it is written.
    pub(crate) fn kept(&self, id: Id, key: &ObjectKey) -> Option<Arc<Entry>> {
        self.tables.get(id.0)?.objects.get(key).cloned()
    }

    /// All objects of a resource, in the order of their keys.
    pub(crate) fn all(&self, id: Id) -> impl Iterator<Item = (&ObjectKey, &Value)> {
        let table = self.tables.get(id.0);
        table.into_iter().flat_map(|table| &table.objects).map(|(key, entry)| (key, &entry.value))
    }

    /// What an owner owns.
    pub(crate) fn owned_by(&self, uid: &str) -> &[(Id, ObjectKey)] {
        self.owned.get(uid).map(Vec::as_slice).unwrap_or_default()
    }

    /// Stores an object under the next resourceVersion and tells who watches. Gives the one before back.
    pub(crate) fn put(&mut self, id: Id, key: &ObjectKey, mut value: Value) -> Option<Arc<Entry>> {
        self.version += 1;
        value["metadata"]["resourceVersion"] = Value::String(self.version.to_string());
        let bytes = Bytes::from(value.to_string());
        let before = self.tables.get_mut(id.0)?.objects.insert(key.clone(), Arc::new(Entry { value, bytes }));
        let type_ = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.own(id, key, before.as_ref().map(|entry| &entry.value));
        self.tell(id, key, type_, before.clone());
        before
    }

    /// Removes an object and tells who watches. Gives it back.
    pub(crate) fn remove(&mut self, id: Id, key: &ObjectKey) -> Option<Value> {
        self.version += 1;
        let version = self.version;
        let table = self.tables.get_mut(id.0)?;
        let entry = table.objects.remove(key)?;
        let mut value = entry.value.clone();
        for uid in owners(&value) {
            if let Some(owned) = self.owned.get_mut(uid) {
                owned.retain(|(of, owned)| (*of, owned) != (id, key));
                if owned.is_empty() {
                    self.owned.remove(uid);
                }
            }
        }
        value["metadata"]["resourceVersion"] = Value::String(version.to_string());
        let line = line("DELETED", &Bytes::from(value.to_string()));
        let namespace = (&*key.namespace).into();
        table.told(Past { version, namespace, line, before: Some(entry), after: None });
        Some(value)
    }

    fn own(&mut self, id: Id, key: &ObjectKey, before: Option<&Value>) {
        let Some(after) = self.tables.get(id.0).and_then(|table| table.objects.get(key)) else { return };
        let old: Vec<&str> = before.map(|before| owners(before).collect()).unwrap_or_default();
        let new: Vec<&str> = owners(&after.value).collect();
        for uid in old.iter().filter(|uid| !new.contains(uid)) {
            if let Some(owned) = self.owned.get_mut(*uid) {
                owned.retain(|(of, owned)| (*of, owned) != (id, key));
            }
        }
        for uid in new.into_iter().filter(|uid| !old.contains(uid)) {
            self.owned.entry(uid.into()).or_default().push((id, key.clone()));
        }
    }

    fn tell(&mut self, id: Id, key: &ObjectKey, type_: &str, before: Option<Arc<Entry>>) {
        let version = self.version;
        let Some(table) = self.tables.get_mut(id.0) else { return };
        let Some(entry) = table.objects.get(key) else { return };
        let line = line(type_, &entry.bytes);
        let (namespace, after) = ((&*key.namespace).into(), Some(entry.clone()));
        table.told(Past { version, namespace, line, before, after });
    }

    /// A page of a list. The pages after the first are of the same time.
    pub(crate) fn list(
        &mut self,
        id: Id,
        form: &Form<'_>,
        scope: &Scope,
        limit: usize,
        token: &str,
    ) -> Result<Bytes, Refused> {
        let version = self.version;
        let table = self.tables.get_mut(id.0).ok_or_else(Refused::not_served)?;
        let (version, all): (u64, Vec<Arc<Entry>>) = if token.is_empty() {
            let from = ObjectKey::new(&*scope.namespace, "");
            let within = table
                .objects
                .range(from..)
                .take_while(|(key, _)| scope.namespace.is_empty() || *key.namespace == *scope.namespace);
            (version, within.map(|(_, entry)| entry.clone()).collect())
        } else {
            table.pages.take(token, table.forgotten)?
        };
        // Where a page ends, a server does not know yet whether anything of the rest is selected.
        let mut all = all.into_iter();
        let selected = all.by_ref().filter(|entry| scope.selector.matches(&entry.value));
        let found: Vec<Arc<Entry>> = selected.take(limit).collect();
        let mut rest: Vec<Arc<Entry>> = all.collect();
        let items = form.items(found.iter().map(AsRef::as_ref));
        let (left, next) = (rest.len(), table.pages.keep(version, &mut rest));
        // Counting what a selector selects would be dear for a real server.
        let left = Some(left).filter(|left| *left > 0 && scope.selector == Selector::default());
        Ok(form.list(version, &next, left, &items))
    }

    /// The lines of a watch: what came after `from`, or, where it names no version, everything that is there and then what
    /// comes. With the number by which it can be ended.
    pub(crate) fn watch(
        &mut self,
        id: Id,
        scope: Scope,
        from: u64,
    ) -> Result<(UnboundedReceiver<Bytes>, u64), Refused> {
        self.watches += 1;
        let number = self.watches;
        let table = self.tables.get_mut(id.0).ok_or_else(Refused::not_served)?;
        let (lines, receiver) = unbounded();
        let watcher = Watcher { number, scope, lines };
        if from == 0 {
            for (key, entry) in &table.objects {
                if watcher.sees(&key.namespace) && watcher.scope.selector.matches(&entry.value) {
                    watcher.send(line("ADDED", &entry.bytes));
                }
            }
        } else if from < table.forgotten {
            // The request is good; what it asks for is not there any more.
            watcher.send(line("ERROR", &Refused::expired(from, table.forgotten).body()));
            return Ok((receiver, number));
        }
        for past in table.past.iter().filter(|past| from > 0 && past.version > from) {
            watcher.hear(past);
        }
        table.watchers.push(watcher);
        Ok((receiver, number))
    }

    /// Tells one watch how far the server is; whether it is still there.
    pub(crate) fn bookmark_one(&mut self, id: Id, number: u64, kind: (&str, &str)) -> bool {
        let version = self.version;
        let watchers = self.tables.get(id.0).into_iter().flat_map(|table| &table.watchers);
        let mut watcher = watchers.filter(|watcher| watcher.number == number);
        watcher.next().is_some_and(|watcher| watcher.send(bookmark(kind, version)))
    }

    /// Ends a watch.
    pub(crate) fn end_watch(&mut self, id: Id, number: u64) {
        if let Some(table) = self.tables.get_mut(id.0) {
            table.watchers.retain(|watcher| watcher.number != number);
        }
    }

    /// Tells everyone who watches a resource how far it is, so that a quiet watch is not taken for a dead one.
    pub(crate) fn bookmark(&mut self, id: Id, kind: (&str, &str)) {
        let version = self.version;
        let Some(table) = self.tables.get_mut(id.0).filter(|table| !table.watchers.is_empty()) else {
            return;
        };
        let line = bookmark(kind, version);
        table.watchers.retain(|watcher| watcher.send(line.clone()));
    }
}

impl Table {
    fn told(&mut self, change: Past) {
        self.watchers.retain(|watcher| watcher.hear(&change));
        if self.past.len() == PAST {
            self.forgotten = self.past.pop_front().map_or(self.forgotten, |past| past.version);
        }
        self.past.push_back(change);
    }
}

impl Watcher {
    fn sees(&self, namespace: &str) -> bool {
        self.scope.namespace.is_empty() || *self.scope.namespace == *namespace
    }

    /// Is told a change, if it concerns what is watched. An object that begins or ceases to be selected comes and goes; one
    /// that goes so is told as it was, under the version of the change. Whether anyone still listens.
    fn hear(&self, change: &Past) -> bool {
        if !self.sees(&change.namespace) {
            return !self.lines.is_closed();
        }
        if self.scope.selector == Selector::default() {
            return self.send(change.line.clone());
        }
        let selected = |entry: &Option<Arc<Entry>>| {
            entry.as_ref().is_some_and(|entry| self.scope.selector.matches(&entry.value))
        };
        match (selected(&change.before), selected(&change.after), &change.before, &change.after) {
            (false, true, _, Some(after)) => self.send(line("ADDED", &after.bytes)),
            (true, false, Some(before), Some(_)) => {
                let mut value = before.value.clone();
                value["metadata"]["resourceVersion"] = Value::String(change.version.to_string());
                self.send(line("DELETED", &Bytes::from(value.to_string())))
            }
            (false, false, ..) => !self.lines.is_closed(),
            _ => self.send(change.line.clone()),
        }
    }

    /// Whether anyone still listens.
    fn send(&self, line: Bytes) -> bool {
        self.lines.unbounded_send(line).is_ok()
    }
}

/// `type` comes first, as every API server sends it: the object after it is then read without a copy.
fn line(type_: &str, object: &Bytes) -> Bytes {
    let mut line = BytesMut::with_capacity(object.len() + 40);
    line.put_slice(b"{\"type\":\"");
    line.put_slice(type_.as_bytes());
    line.put_slice(b"\",\"object\":");
    line.put_slice(object);
    line.put_slice(b"}\n");
    line.freeze()
}

fn bookmark((api_version, kind): (&str, &str), version: u64) -> Bytes {
    // Neither holds anything that JSON would escape.
    let object = format!(
        r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{version}"}}}}"#
    );
    line("BOOKMARK", &Bytes::from(object))
}

/// The uids of an object's owners.
pub(crate) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let references = object["metadata"]["ownerReferences"].as_array();
    references.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}
