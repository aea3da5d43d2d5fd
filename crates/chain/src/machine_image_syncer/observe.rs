//! What a syncer sees: its source, its template, and the machine images that it made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::upgrader::machine_image::{KUBERNETES_VERSION_LABEL, MachineImageRow, SYNCER_NAME_LABEL};
use api::upgrader::machine_image_syncer::SyncerRow;
use api::upgrader::machine_image_template::TemplateRow;
use domain::name;
use domain::object::{Meta, Row};
use domain::verdict::Trouble;
use domain::version::KubernetesVersion;
use jiff::{SignedDuration, Timestamp};
use runtime::answer::Refusal;
use runtime::clock::after;
use runtime::store::{Availability, DynamicKind, Snapshot, Table};

use super::apply::{Answer, Step};
use super::choice::Known;
use super::manifest::LiveTemplate;
use super::retention::{self, Remembered, Retaining};
use super::source::{self, Catalog, Polled, Source};

/// How long a template that the server did not accept is not tried again while it stays as it is.
pub(super) const REJECTED: SignedDuration = SignedDuration::from_mins(10);

/// How long the absence of an image is not believed: see [`Observed::believed_from`].
pub(super) const MOVING_IN: Duration = Duration::from_secs(10);
/// The same where it was there before.
pub(super) const MOVING_OUT: Duration = Duration::from_secs(30);

/// What is kept of a syncer between passes and lost with the process.
#[derive(Debug, Default)]
pub struct Memory {
    /// Versions that had an image at the last look.
    present: BTreeSet<Box<str>>,
    /// Those that had one before, and since when they have none.
    vanished: BTreeMap<Box<str>, Timestamp>,
    polled: Option<Polled>,
    syncing: Option<(DynamicKind, Timestamp)>,
    template: Option<Result<LiveTemplate, Box<str>>>,
    rejected: Option<Rejected>,
    created: Option<Box<str>>,
    refused: Option<Errand>,
    retention: Remembered,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// The source's versions.
    Source,
    /// The template.
    Template,
    /// The machine image.
    Image,
    /// What Cluster API uses.
    Use,
}

/// The server found a machine image invalid that was made from a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The template as it was.
    pub template: Meta,
    /// When; a clock that a restart loses.
    pub at: Timestamp,
    /// The server's words.
    pub words: Box<str>,
}

/// Everything that a decision about a syncer rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The syncer.
    pub syncer: SyncerRow,
    /// Why machine images or templates cannot be told: then nothing is made.
    pub blind: Option<(Trouble, String)>,
    /// What is known of the source.
    pub source: Source,
    /// What a source of our own kind tells besides.
    pub catalog: Option<Catalog>,
    /// The template, as far as the watch keeps it.
    pub template: Option<TemplateRow>,
    /// The template as it was read for the machine image to be made.
    pub live: Option<Result<LiveTemplate, Box<str>>>,
    /// The template is one that the server did not accept.
    pub rejected: Option<Rejected>,
    /// The machine images of this syncer, in the order of their names.
    pub images: Vec<Image>,
    /// Versions that had an image of this syncer before, and since when they have none. Clocks that a restart loses.
    pub vanished: BTreeMap<Box<str>, Timestamp>,
    /// Identities of the other machine images of the namespace.
    pub others: Vec<Meta>,
    /// Uid of the machine image that this pass has made.
    pub created: Option<Box<str>>,
    /// What the request was for that this pass was refused.
    pub refused: Option<Errand>,
    /// Which of its images go, where it asks for that.
    pub retention: Option<Retaining>,
}

/// A machine image that this syncer made.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Identity.
    pub meta: Meta,
    /// `spec.version` as written.
    pub version: Box<str>,
    /// The same, where it is one.
    pub parsed: Option<KubernetesVersion>,
}

impl Observed {
    /// The machine image of a version, one that stays before one that is being deleted.
    pub fn image_of(&self, version: &KubernetesVersion) -> Option<&Image> {
        let same = self.images.iter().filter(|image| image.parsed.as_ref() == Some(version));
        same.min_by_key(|image| image.meta.deleting)
    }

    /// The machine image of a name, whoever made it.
    pub fn namesake(&self, name: &str) -> Option<&Meta> {
        let mut all = self.images.iter().map(|image| &image.meta).chain(&self.others);
        all.find(|meta| *meta.key.name == *name)
    }

    /// When it may be believed that a version has no image. `clusterctl move` makes a syncer before its images, and takes
    /// the images away before their syncer: whoever looks in between would build what is there already.
    pub fn believed_from(&self, version: &str) -> Option<Timestamp> {
        let young = self.syncer.meta.created.map(|created| after(created, MOVING_IN));
        let vanished = self.vanished.get(version).map(|since| after(*since, MOVING_OUT));
        young.max(vanished)
    }

    /// The newest machine image that stays.
    pub fn newest(&self) -> Option<&Image> {
        let staying = self.images.iter().filter(|image| !image.meta.deleting);
        let parsed = staying.filter_map(|image| Some((image.parsed.as_ref()?, image)));
        parsed
            .reduce(|best, next| if next.0.is_newer_than(best.0) { next } else { best })
            .map(|(_, image)| image)
    }
}

impl Known for Observed {
    fn first_seen(&self, version: &str) -> Option<Timestamp> {
        self.catalog.as_ref()?.first_seen(version)
    }

    fn has_image(&self, version: &KubernetesVersion) -> bool {
        self.image_of(version).is_some()
    }
}

impl Memory {
    /// Versions that had an image and have none now.
    fn vanished(&mut self, images: &[Image], now: Timestamp) -> BTreeMap<Box<str>, Timestamp> {
        let present: BTreeSet<Box<str>> = images.iter().map(|image| image.version.clone()).collect();
        for version in self.present.difference(&present) {
            self.vanished.insert(version.clone(), now);
        }
        self.vanished.retain(|version, since| !present.contains(version) && after(*since, MOVING_OUT) > now);
        self.present = present;
        self.vanished.clone()
    }

    pub(super) fn learn(&mut self, step: &Step, answer: Answer, now: Timestamp) {
        match (step, answer) {
            (Step::ReadSource(target), Answer::Source(found)) => {
                self.polled = Some(Polled { target: target.clone(), at: now, found });
            }
            (_, Answer::Template(template)) => self.template = Some(template),
            (_, Answer::Created(uid)) => (self.created, self.rejected) = (Some(uid), None),
            (Step::ReadUse { part, images, .. }, Answer::Use(used)) => {
                self.retention.read(part, images, used, now);
            }
            (Step::DeleteImage { image, because, .. }, Answer::Deleted) => {
                self.retention.deleted(image, because);
            }
            (_, Answer::Source(_) | Answer::Use(_) | Answer::Deleted) => {}
        }
    }

    /// A machine image that the server finds invalid is the template's fault, and the user's to mend. One that it does not
    /// delete stays.
    pub(super) fn refused(&mut self, step: &Step, refusal: &Refusal, now: Timestamp) -> bool {
        if let Step::DeleteImage { image, .. } = step {
            self.retention.refused(image, refusal, now);
            return true;
        }
        let (Step::CreateImage(creation), Refusal::Invalid(words)) = (step, refusal) else {
            self.refused = Some(match step {
                Step::ReadSource(_) => Errand::Source,
                Step::ReadTemplate(_) => Errand::Template,
                Step::CreateImage(_) | Step::DeleteImage { .. } => Errand::Image,
                Step::ReadUse { .. } => Errand::Use,
            });
            return false;
        };
        let (template, words) = (creation.template.clone(), words.as_str().into());
        self.rejected = Some(Rejected { template, at: now, words });
        true
    }
}

/// Whether a syncer made an image: it owns it, or nothing owns it and it has the syncer's identity on it.
pub(super) fn made(syncer: &SyncerRow, image: &MachineImageRow) -> bool {
    if !image.owner_uids.is_empty() {
        return image.owner_uids.contains(&syncer.meta.uid);
    }
    let has = |label: &str, value: &str| {
        image.labels.get(label).is_some_and(|found| **found == *name::label_value(value))
    };
    has(SYNCER_NAME_LABEL, &syncer.meta.key.name) && has(KUBERNETES_VERSION_LABEL, &image.version)
}

pub(super) fn observe(
    snapshot: Snapshot<'_>,
    syncer: &SyncerRow,
    memory: &mut Memory,
    now: Timestamp,
) -> Observed {
    let namespace = &*syncer.meta.key.namespace;
    let source = source::observe(snapshot, syncer, memory.polled.as_ref(), &mut memory.syncing, now);
    let template = syncer
        .template
        .name
        .as_ref()
        .and_then(|_| snapshot.get::<TemplateRow>(&syncer.template.key(namespace)));
    // Not by the index of owners: an image that lost its owner counts, and one of nobody's may have the name to be given.
    let (mut images, mut others) = (Vec::new(), Vec::new());
    for image in snapshot.in_namespace::<MachineImageRow>(namespace) {
        if made(syncer, image) {
            let (meta, version) = (image.meta.clone(), image.version.clone());
            images.push(Image { meta, version, parsed: image.parsed.clone() });
        } else {
            others.push(image.meta.clone());
        }
    }
    let blind = blind::<MachineImageRow>(snapshot, "machine images")
        .or_else(|| blind::<TemplateRow>(snapshot, "machine image templates"));
    let retention = if blind.is_none() {
        retention::observe(snapshot, syncer, &source, &mut memory.retention, now)
    } else {
        None
    };
    Observed {
        retention,
        vanished: memory.vanished(&images, now),
        blind,
        source,
        catalog: source::catalog(snapshot, syncer),
        live: memory.template.take(),
        rejected: memory
            .rejected
            .clone()
            .filter(|rejected| template.is_some_and(|row| holds(rejected, row, now))),
        template: template.cloned(),
        images,
        others,
        created: memory.created.take(),
        refused: memory.refused.take(),
        syncer: syncer.clone(),
    }
}

/// While the template is not newer than the one that was refused; the watch may lag behind the read.
fn holds(rejected: &Rejected, template: &TemplateRow, now: Timestamp) -> bool {
    template.meta.uid == rejected.template.uid
        && template.meta.resource_version <= rejected.template.resource_version
        && now.duration_since(rejected.at) < REJECTED
}

/// Without its watch a table may lack what exists, and what exists must not be made again.
fn blind<R: Row>(snapshot: Snapshot<'_>, what: &str) -> Option<(Trouble, String)> {
    match snapshot.table::<R>().map_or(&Availability::Syncing, Table::availability) {
        Availability::Synced { .. } => None,
        Availability::Forbidden(words) => Some((Trouble::Forbidden, format!("cannot watch {what}: {words}"))),
        Availability::NotInstalled => {
            Some((Trouble::ApiUnavailable, format!("the server does not serve {what}")))
        }
        Availability::Syncing => Some((Trouble::ApiUnavailable, format!("cannot list {what} yet"))),
    }
}
