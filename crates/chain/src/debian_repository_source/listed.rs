//! The list that is shown: of all indexes together, each version with its package and its age.

use std::collections::{BTreeMap, BTreeSet};

use api::upgrader::debian_repository_source::{MOST_PACKAGES, MOST_RELEASES, PackageOf, ReleaseOf};
use domain::condition::whole_seconds;
use domain::version::{KubernetesVersion, Minor};
use jiff::Timestamp;

use super::memory::{Contents, Failure};
use super::observe::Observed;
use super::target::{Part, minor_of};
use super::trust::Distrust;

/// Most versions that are listed: the newest. Kubernetes has published some seven hundred in all.
const MOST_VERSIONS: usize = 5_000;
/// Longest version that counts, and longest text of a package that is told: no schema takes more, and a status that the
/// server refuses would never be written again.
const LONGEST: usize = 256;

impl Observed {
    /// What the last good answer of an index said.
    pub(super) fn contents(&self, part: Part) -> Option<&Contents> {
        self.last.get(&part).and_then(|last| last.contents.as_ref())
    }

    /// The last good list: of the answers, and for indexes without one, what was written by this process or by an earlier
    /// one. The oldest first, each once.
    pub fn versions(&self) -> Vec<Box<str>> {
        let good = |part: &Part| self.contents(*part).filter(|contents| !contents.versions.is_empty());
        let found: Vec<KubernetesVersion> = self
            .last
            .keys()
            .filter_map(good)
            .flat_map(|contents| contents.versions.iter().map(|one| one.version.clone()))
            .filter(|version| version.to_string().len() <= LONGEST)
            .collect();
        let written = self.source.status.versions.iter().filter(|version| version.len() <= LONGEST);
        if found.is_empty() {
            return written.cloned().collect();
        }
        let stays = |version: &KubernetesVersion| {
            let part = Part(Some(Minor::from(version)));
            self.known().contains(&part) && good(&part).is_none()
        };
        let written = written.filter_map(|text| KubernetesVersion::parse_strict(text).ok());
        texts(found.into_iter().chain(written.filter(stays)).collect())
    }

    /// Of each version its package and when it was seen first. What the first good fetch brought counts as old, and so
    /// does a minor below those that are known, which comes by another `spec.fromMinor`; a new minor is new.
    pub(super) fn packages(&self, versions: &[Box<str>], now: Timestamp) -> Vec<PackageOf> {
        let status = &self.source.status;
        let known: BTreeMap<&str, &PackageOf> =
            status.packages.iter().map(|package| (&*package.version, package)).collect();
        let written: BTreeSet<&str> = status.versions.iter().map(AsRef::as_ref).collect();
        let minors: BTreeSet<Minor> =
            written.iter().chain(known.keys()).filter_map(|version| minor_of(version)).collect();
        let is_old = |version: &str| {
            let below = |minor: Minor| {
                self.target.has_minors()
                    && !minors.contains(&minor)
                    && minors.last().is_some_and(|top| minor < *top)
            };
            written.contains(version) || minors.is_empty() || minor_of(version).is_some_and(below)
        };
        let packages: BTreeMap<String, &str> = self
            .last
            .keys()
            .filter_map(|part| self.contents(*part))
            .flat_map(|contents| contents.versions.iter())
            .map(|one| (one.version.to_string(), &*one.package))
            .collect();
        let entry = |version: &str| {
            let before = known.get(version);
            let package = packages.get(version).map(|package| package.chars().take(LONGEST).collect());
            let new = || (!is_old(version)).then(|| whole_seconds(now));
            PackageOf {
                version: version.into(),
                package: package.or_else(|| before.map(|before| before.package.clone())).unwrap_or_default(),
                first_seen: before.map_or_else(new, |before| before.first_seen),
            }
        };
        // A version that vanished may come back, and has then been seen.
        let listed: BTreeSet<&str> = versions.iter().map(AsRef::as_ref).collect();
        let vanished = status.packages.iter().filter(|package| !listed.contains(&*package.version)).cloned();
        let mut list: Vec<PackageOf> =
            versions.iter().map(|version| entry(version)).chain(vanished).collect();
        list.sort_by(|one, other| by_age(&one.version, &other.version));
        list.drain(..list.len().saturating_sub(MOST_PACKAGES));
        list
    }

    /// What the last release that was believed says, for each index; that of an index that was not read since is as it
    /// was written.
    pub(super) fn releases(&self) -> Vec<ReleaseOf> {
        let of = |part: &Part| {
            let url: Box<str> = self.target.release_url(*part)?.into();
            let written = || self.source.status.releases.iter().find(|release| release.url == url).cloned();
            let Some(release) = self.contents(*part).and_then(|contents| contents.release.as_ref()) else {
                return written();
            };
            Some(ReleaseOf {
                minor: part.0.map(|_| part.to_string().into()).unwrap_or_default(),
                url,
                date: release.date,
                valid_until: release.valid_until,
            })
        };
        let probe = self.parts.as_ref().ok().and_then(|parts| parts.probe);
        let mut list: Vec<ReleaseOf> = self.known().iter().chain(&probe).filter_map(of).collect();
        list.drain(..list.len().saturating_sub(MOST_RELEASES));
        list
    }

    /// The date of the newest release of an index that was ever believed.
    pub(super) fn date_seen(&self, part: Part) -> Option<Timestamp> {
        let url = self.target.release_url(part)?;
        let written = self.source.status.releases.iter().find(|release| *release.url == *url);
        let read = self.contents(part).and_then(|contents| contents.release.as_ref()?.date);
        read.max(written.and_then(|release| release.date))
    }

    /// When the key expires that the repository is signed with; of several the first.
    pub(super) fn key_expires(&self) -> Option<Timestamp> {
        self.target.verification.as_ref()?;
        let refused = self.last.values().filter_map(|last| match last.failure {
            Some(Failure::Distrust(Distrust::KeyExpired { at })) => Some(at),
            _ => None,
        });
        let mut believed =
            self.last.values().filter_map(|last| last.contents.as_ref()?.release.as_ref()).peekable();
        match refused.min() {
            Some(at) => Some(at),
            None if believed.peek().is_none() => self.source.status.key_expires,
            None => believed.filter_map(|release| release.key_expires).min(),
        }
    }
}

fn texts(mut versions: Vec<KubernetesVersion>) -> Vec<Box<str>> {
    versions.sort_by(KubernetesVersion::cmp_precedence);
    let mut texts: Vec<Box<str>> = versions.iter().map(|version| version.to_string().into()).collect();
    texts.dedup();
    texts.drain(..texts.len().saturating_sub(MOST_VERSIONS));
    texts
}

/// What is no version comes first, and so is the first to go.
fn by_age(one: &str, other: &str) -> std::cmp::Ordering {
    let read = |text: &str| KubernetesVersion::parse_strict(text).ok();
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one.cmp_precedence(&other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
    .then_with(|| one.cmp(other))
}
