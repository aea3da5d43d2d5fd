//! What is going to happen, in one order: by time, then by when it was put there.

use std::collections::BTreeMap;

use domain::object::ObjectKey;
use jiff::Timestamp;

use crate::apiserver::catalogue::Id;
use crate::scenario::Happening;
use crate::world::nodes::Soon;

/// Something that is due.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Due {
    /// Cluster API looks at a Cluster's topology.
    Topology(ObjectKey),
    /// A machine of a Cluster is replaced; counts only under the number of the roll that it is part of.
    Machine(ObjectKey, u64),
    /// Cluster API looks at a class.
    Class(ObjectKey),
    /// The pod of a Job begins; by its uid.
    BuildBegins(ObjectKey, Box<str>),
    /// A Job ends; by its uid.
    BuildEnds(ObjectKey, Box<str>),
    /// What an owner left is deleted; by the owner's uid.
    Collect(Box<str>),
    /// A version is published.
    Publish(Box<str>),
    /// Something on nodes.
    OnNodes(Soon),
    /// Something of the scenario.
    Happen(Box<str>, Box<Happening>),
    /// Quiet watches are told that they live.
    Bookmarks,
    /// One watch is, because it is about to end; by its number.
    Bookmark(Id, u64),
    /// A watch has lasted as long as was asked for.
    WatchEnds(Id, u64),
}

/// The order of events.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BTreeMap<(Timestamp, u64), Due>,
    count: u64,
}

impl Agenda {
    /// Puts something at a time, after all that is there at that time.
    pub(crate) fn put(&mut self, at: Timestamp, due: Due) {
        self.count += 1;
        self.entries.insert((at, self.count), due);
    }

    /// The time of the first entry.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Takes the first entry that is due.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<Due> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}
