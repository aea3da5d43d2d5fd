//! Which machine images of a syncer go, and why each of the others stays.
//!
//! An image goes only where it is known that nothing needs it: what cannot be told counts as a need. What rows can tell comes
//! first; only where an image would go by them is Cluster API asked, live, and only what was read a moment ago deletes.

mod reading;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::upgrader::machine_image::MachineImageRow;
use api::upgrader::machine_image_syncer::{
    MOST_RETENTION_VERDICTS, RetentionMode, RetentionVerdict, SyncerRow,
};
use domain::object::{Meta, ResourceVersion};
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::clock::{after, within};
use runtime::store::Snapshot;

use super::apply::Step;
use super::source::Source;

pub use self::reading::{Candidate, Part, Reading, Used, User};

/// How long what was read of Cluster API is good for telling why images stay.
pub(super) const AGAIN: Duration = Duration::from_secs(10 * 60);
/// How long it is good for deleting one.
const FRESH: Duration = Duration::from_secs(60);
/// Longest reason in the status.
const LONGEST_REASON: usize = 1_024;

/// What is remembered of a syncer's retention, lost with the process.
#[derive(Debug, Default)]
pub struct Remembered {
    reading: Option<Reading>,
    /// Uids of images that are deleted, and that the watch still shows.
    deleted: BTreeSet<Box<str>>,
    /// Images that the server did not delete, by uid.
    held: BTreeMap<Box<str>, Held>,
    acted: Option<Acted>,
}

#[derive(Debug)]
struct Held {
    /// The image as it was.
    resource_version: ResourceVersion,
    /// When it is tried again.
    until: Timestamp,
    /// Why.
    words: Box<str>,
}

/// What this pass has done: one image at most.
#[derive(Clone, Debug, PartialEq)]
pub enum Acted {
    /// An image was deleted.
    Deleted {
        /// The image.
        image: Meta,
        /// Why.
        because: Box<str>,
    },
    /// The server did not delete one.
    Refused,
}

/// What becomes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// It goes.
    Delete,
}

/// An image of the syncer, and why it stays or goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Identity.
    pub image: Meta,
    /// `spec.version`.
    pub version: Box<str>,
    /// What becomes of it.
    pub fate: Fate,
    /// Why, in a sentence without a full stop.
    pub because: Box<str>,
}

/// What a syncer with `spec.retention` knows of its images.
#[derive(Clone, Debug, PartialEq)]
pub struct Retaining {
    /// DryRun or Delete.
    pub mode: RetentionMode,
    /// Its images, the newest first; not to be told while something is lacking.
    pub judged: Vec<Judged>,
    /// What must be read before they can be judged.
    pub lacking: Option<(Part, Vec<Candidate>)>,
    /// What this pass has done already.
    pub acted: Option<Acted>,
    /// Some image stays for a reason that may pass without a watch that shows it.
    pub passing: bool,
}

impl Retaining {
    /// The next request, unless this pass has made its one write.
    pub(super) fn step(&self, namespace: &str) -> Option<Step> {
        if self.acted.is_some() {
            return None;
        }
        self.next(namespace)
    }

    /// Whether another pass has something to do.
    pub(super) fn has_more(&self, namespace: &str) -> bool {
        self.next(namespace).is_some()
    }

    fn next(&self, namespace: &str) -> Option<Step> {
        if let Some((part, images)) = &self.lacking {
            let (namespace, part, images) = (namespace.into(), part.clone(), images.clone());
            return Some(Step::ReadUse { namespace, part, images });
        }
        // The oldest first.
        let doomed = self.judged.iter().rev().find(|judged| judged.fate == Fate::Delete)?;
        (self.mode == RetentionMode::Delete).then(|| Step::DeleteImage {
            image: doomed.image.clone(),
            version: doomed.version.clone(),
            because: doomed.because.clone(),
        })
    }

    /// What the status tells; nothing while something is lacking.
    pub(super) fn told(&self) -> Option<Vec<RetentionVerdict>> {
        let verdict = |judged: &Judged| RetentionVerdict {
            machine_image: (&*judged.image.key.name).into(),
            version: judged.version.clone(),
            action: match judged.fate {
                Fate::Keep => "Keep".into(),
                Fate::Delete => "Delete".into(),
            },
            reason: judged.because.chars().take(LONGEST_REASON).collect::<String>().into(),
        };
        let told = self.judged.iter().take(MOST_RETENTION_VERDICTS).map(verdict);
        self.lacking.is_none().then(|| told.collect())
    }
}

impl Remembered {
    /// Takes what was read.
    pub(super) fn read(
        &mut self,
        part: &Part,
        images: &[Candidate],
        used: Result<Used, Box<str>>,
        now: Timestamp,
    ) {
        if *part == Part::Clusters {
            self.reading = Some(Reading::begun(images.to_vec()));
        }
        if let Some(reading) = &mut self.reading {
            reading.take(part, used, now);
        }
    }

    /// An image is deleted.
    pub(super) fn deleted(&mut self, image: &Meta, because: &str) {
        self.deleted.insert(image.uid.clone());
        self.acted = Some(Acted::Deleted { image: image.clone(), because: because.into() });
        self.reading = None;
    }

    /// The server did not delete an image. It is left alone until it changes, or a while has passed: that it stays keeps
    /// nothing else from being done.
    pub(super) fn refused(&mut self, image: &Meta, refusal: &Refusal, now: Timestamp) {
        self.acted = Some(Acted::Refused);
        self.reading = None;
        let words = match refusal {
            Refusal::NotFound => {
                self.deleted.insert(image.uid.clone());
                return;
            }
            Refusal::Conflict => "it has just changed".to_owned(),
            Refusal::Forbidden(words) => format!("the controller may not delete it: {words}"),
            other => format!("the server does not delete it: {other}"),
        };
        let (resource_version, until) = (image.resource_version, after(now, AGAIN));
        self.held.insert(image.uid.clone(), Held { resource_version, until, words: words.into() });
    }

    fn forget(&mut self, rows: &[&MachineImageRow], now: Timestamp) {
        let row = |uid: &str| rows.iter().find(|row| *row.meta.uid == *uid);
        self.deleted.retain(|uid| row(uid).is_some());
        self.held.retain(|uid, held| {
            held.until > now && row(uid).is_some_and(|row| row.meta.resource_version == held.resource_version)
        });
    }
}

pub(super) fn observe(
    snapshot: Snapshot<'_>,
    syncer: &SyncerRow,
    source: &Source,
    memory: &mut Remembered,
    now: Timestamp,
) -> Option<Retaining> {
    let acted = memory.acted.take();
    let Some(spec) = &syncer.retention else {
        *memory = Remembered::default();
        return None;
    };
    let rows = snapshot.in_namespace::<MachineImageRow>(&syncer.meta.key.namespace);
    let owned: Vec<_> = rows.filter(|row| row.owner_uids.contains(&syncer.meta.uid)).collect();
    memory.forget(&owned, now);
    let staying = owned
        .into_iter()
        .filter(|row| !row.meta.deleting && !memory.deleted.contains(&row.meta.uid))
        .map(|row| (row.parsed.clone(), row));
    let mut images: Vec<_> = staying.collect();
    images.sort_by(|(a, one), (b, other)| {
        let newest_first = match (a, b) {
            (Some(a), Some(b)) => b.cmp_precedence(a),
            _ => b.is_some().cmp(&a.is_some()),
        };
        newest_first.then_with(|| one.meta.key.name.cmp(&other.meta.key.name))
    });

    let needs = rows::Needs::of(snapshot, syncer, source, now);
    let mut kept: BTreeMap<&str, Box<str>> = BTreeMap::new();
    let (mut open, mut passing) = (Vec::new(), false);
    for (version, row) in &images {
        let uid = &*row.meta.uid;
        if let Some(because) = needs.of_image(row, version.as_ref(), now) {
            passing |= because.passes;
            kept.insert(uid, because.words.into());
        } else if let Some(held) = memory.held.get(uid) {
            passing = true;
            kept.insert(uid, held.words.clone());
        } else if let Some(version) = version {
            open.push(Candidate::of(row, version));
        }
    }
    // Few passes come here with any image left, and what Clusters use is not cheap to look through.
    if !open.is_empty() {
        passing = true;
        let clusters = rows::clusters(snapshot, &syncer.meta.key.namespace);
        open.retain(|candidate| {
            let use_ = clusters.iter().find_map(|user| user.uses(candidate));
            let Some(use_) = use_ else { return true };
            let row = images.iter().find(|(_, row)| row.meta.uid == candidate.uid);
            kept.extend(row.map(|(_, row)| (&*row.meta.uid, use_.into())));
            false
        });
    }
    let keep = usize::try_from(spec.keep.unwrap_or(0)).unwrap_or(usize::MAX);
    let lacking = lacking(memory, &open, keep, spec.mode, now);
    let reading = memory.reading.as_ref().filter(|_| lacking.is_none());
    let mut unused = 0_usize;
    let judged = images.iter().map(|(_, row)| {
        let uid = &*row.meta.uid;
        let (fate, because) = if let Some(because) = kept.get(uid) {
            (Fate::Keep, because.clone())
        } else if let Some(because) = reading.and_then(|reading| reading.keeps(uid)) {
            (Fate::Keep, because.into())
        } else {
            unused = unused.saturating_add(1);
            if unused <= keep {
                (
                    Fate::Keep,
                    "spec.retention.keep: nothing uses it, and it is among the newest of such".into(),
                )
            } else {
                let version = &row.version;
                let because = format!("nothing uses {version}, no plan leads to it, and no syncer wants it");
                (Fate::Delete, because.into())
            }
        };
        Judged { image: row.meta.clone(), version: row.version.clone(), fate, because }
    });
    let judged = judged.collect();
    Some(Retaining { mode: spec.mode, judged, lacking, acted, passing })
}

/// What must be read before the images that no row speaks for can be judged.
fn lacking(
    memory: &mut Remembered,
    open: &[Candidate],
    keep: usize,
    mode: RetentionMode,
    now: Timestamp,
) -> Option<(Part, Vec<Candidate>)> {
    if open.len() <= keep {
        memory.reading = None;
        return None;
    }
    memory.reading.take_if(|reading| {
        let unused = reading.unused();
        let (of_them, old) = (reading.is_of(open), |limit| !within(reading.at, limit, now));
        // Half of a reading, and one that is to delete something, must be of this moment.
        let at_once = unused > keep && (!reading.is_complete() || mode == RetentionMode::Delete);
        !of_them || old(AGAIN) || (at_once && old(FRESH))
    });
    let next = match &memory.reading {
        None => Some(Part::Clusters),
        Some(reading) => reading.next().filter(|_| reading.unused() > keep).cloned(),
    };
    next.map(|part| (part, open.to_vec()))
}
