//! What a syncer knows of its source: by a watch, or, where only reading it is granted, by polls.

use std::collections::BTreeMap;
use std::fmt;

use api::source::VersionsRow;
use api::upgrader::debian_repository_source::{self, MINOR_PLACEHOLDER, PackageOf, Reason, SourceRow};
use api::upgrader::machine_image_syncer::SyncerRow;
use domain::condition::{self, READY, Status};
use domain::object::{ObjectKey, ObjectRef};
use domain::verdict::Reason as _;
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::store::{Availability, DynamicKind, Snapshot, Table, dynamic_kind};

/// The object that a syncer's reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: DynamicKind,
    /// Where it is.
    pub key: ObjectKey,
}

/// What is known of the source.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The reference names none; says what is missing in it.
    Unnamed(&'static str),
    /// Its kind is being listed for the first time. Since when is a clock that a restart loses.
    Syncing(Timestamp),
    /// It is watched.
    Watched(Found),
    /// Its kind may not be listed or watched: what the last poll found, if there was one.
    Polled(Option<Polled>),
}

/// What was found where the source should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The server does not serve the kind.
    NotInstalled,
    /// The server refuses to show the object; holds its words.
    Forbidden(Box<str>),
    /// There is no such object.
    Missing,
    /// `status.versions`, or what is wrong with it.
    Versions(Result<Vec<Box<str>>, Box<str>>),
}

/// One poll of a source that may not be watched. Its time is a clock that a restart loses.
#[derive(Clone, Debug, PartialEq)]
pub struct Polled {
    /// What was read.
    pub target: Target,
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub found: Found,
}

/// What a source of our own kind tells besides its versions. Others have versions and nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    url: Box<str>,
    packages: BTreeMap<Box<str>, PackageOf>,
    failing: Option<Box<str>>,
}

/// Why a source cannot be read now, in a word; nothing while all is well with it, or it is being read for the first time.
pub(super) fn failing(source: &SourceRow) -> Option<&str> {
    let ready = condition::find(&source.status.conditions, READY)?;
    let fails = ready.status == Status::False && *ready.reason != *Reason::Fetching.name();
    fails.then_some(&*ready.reason)
}

impl Catalog {
    fn of(source: &SourceRow) -> Self {
        let packages = source.status.packages.iter();
        Self {
            url: source.url.clone(),
            packages: packages.map(|package| (package.version.clone(), package.clone())).collect(),
            failing: failing(source).map(Box::from),
        }
    }

    /// Why the source cannot be read now: it tells of no version that came since.
    pub(super) fn failing(&self) -> Option<&str> {
        self.failing.as_deref()
    }

    /// When a version was seen first; `None` for what the first good fetch brought, and for what no package is known of.
    pub(super) fn first_seen(&self, version: &str) -> Option<Timestamp> {
        self.packages.get(version)?.first_seen
    }

    /// The package that has a version.
    pub(super) fn package(&self, version: &str) -> Option<&str> {
        self.packages.get(version).map(|package| &*package.package).filter(|package| !package.is_empty())
    }

    /// The package index that lists a version, without what gives access to it.
    pub(super) fn repository(&self, version: &KubernetesVersion) -> Option<String> {
        let minor = format!("{}.{}", version.major(), version.minor());
        let url = self.url.replace(MINOR_PLACEHOLDER, &minor);
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        Some(format!("{scheme}://{host}{path}"))
    }
}

impl Target {
    /// The object that the reference names, or the field that it lacks.
    pub fn of(syncer: &SyncerRow) -> Result<Self, &'static str> {
        let reference = &syncer.source;
        Ok(Self {
            kind: DynamicKind {
                api_version: reference.api_version.clone().ok_or("apiVersion")?,
                kind: reference.kind.clone().ok_or("kind")?,
            },
            key: reference.name.as_ref().ok_or("name").map(|_| reference.key(&syncer.meta.key.namespace))?,
        })
    }

    /// How it is named in a message.
    pub fn object(&self) -> ObjectRef {
        ObjectRef {
            api_version: self.kind.api_version.clone(),
            kind: self.kind.kind.clone(),
            key: self.key.clone(),
            uid: Box::default(),
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.kind == dynamic_kind(debian_repository_source::KIND)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object().fmt(f)
    }
}

/// The kind that is to be watched for a syncer. Our own is watched anyway.
pub(super) fn watched(syncer: &SyncerRow) -> Option<DynamicKind> {
    let target = Target::of(syncer).ok()?;
    let none = syncer.meta.deleting || syncer.source.leaves(&syncer.meta.key.namespace) || target.is_ours();
    (!none).then_some(target.kind)
}

/// What a source of our own kind tells besides its versions.
pub(super) fn catalog(snapshot: Snapshot<'_>, syncer: &SyncerRow) -> Option<Catalog> {
    let target = Target::of(syncer).ok().filter(Target::is_ours)?;
    snapshot.get::<SourceRow>(&target.key).map(Catalog::of)
}

/// What the tables and the last poll tell. `syncing` is the kind whose first list was seen to be under way, and since when.
pub(super) fn observe(
    snapshot: Snapshot<'_>,
    syncer: &SyncerRow,
    polled: Option<&Polled>,
    syncing: &mut Option<(DynamicKind, Timestamp)>,
    now: Timestamp,
) -> Source {
    let target = match Target::of(syncer) {
        Ok(target) => target,
        Err(field) => return Source::Unnamed(field),
    };
    let (availability, found) = if target.is_ours() {
        let row = snapshot.get::<SourceRow>(&target.key);
        let table = snapshot.table::<SourceRow>();
        (table.map(Table::availability), row.map(|row| Ok(row.status.versions.clone())))
    } else {
        let table = snapshot.dynamic::<VersionsRow>(&target.kind);
        let row = table.and_then(|table| table.get(&target.key));
        (table.map(Table::availability), row.map(|row| row.versions.clone()))
    };
    let begun = syncing.take().filter(|(kind, _)| *kind == target.kind).map_or(now, |(_, since)| since);
    match availability {
        None | Some(Availability::Syncing) => {
            *syncing = Some((target.kind, begun));
            Source::Syncing(begun)
        }
        Some(Availability::NotInstalled) => Source::Watched(Found::NotInstalled),
        Some(Availability::Forbidden(words)) if target.is_ours() => {
            Source::Watched(Found::Forbidden(words.clone()))
        }
        Some(Availability::Forbidden(_)) => {
            Source::Polled(polled.filter(|polled| polled.target == target).cloned())
        }
        Some(Availability::Synced { .. }) => Source::Watched(found.map_or(Found::Missing, Found::Versions)),
    }
}
