//! Which versions of a source get a machine image.

use api::upgrader::machine_image_syncer::{Reason, SyncerRow, VersionPolicy};
use domain::range::VersionRange;
use domain::verdict::Because;
use domain::version::KubernetesVersion;
use jiff::{SignedDuration, Timestamp};

/// What a syncer's spec says of versions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    range: VersionRange,
    policy: VersionPolicy,
    denied: Vec<KubernetesVersion>,
    minimum_age: SignedDuration,
}

/// A version of the source.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version<'a> {
    /// As the source writes it.
    pub(super) text: &'a str,
    /// The same, read.
    pub(super) parsed: KubernetesVersion,
}

/// A version that would be chosen if it were older.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Young<'a> {
    /// The version.
    pub(super) version: Version<'a>,
    /// When it is old enough.
    pub(super) due: Timestamp,
}

/// The versions that are to have a machine image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice<'a> {
    /// The oldest minor first; one of each at most.
    pub(super) wanted: Vec<Version<'a>>,
    /// Of those that only lack age, the one that is old enough first.
    pub(super) young: Option<Young<'a>>,
    /// The newest that would be chosen if it were not denied.
    pub(super) denied: Option<Version<'a>>,
}

/// Why there is no version to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// The source has none.
    Empty,
    /// None of so many is in the range.
    OutOfRange(usize),
    /// All of so many in the range are denied.
    Denied(usize),
}

/// What is known of versions besides their names.
pub(super) trait Known {
    /// When the source saw it first; `None` for what counts as old.
    fn first_seen(&self, version: &str) -> Option<Timestamp>;
    /// The syncer has a machine image of it.
    fn has_image(&self, version: &KubernetesVersion) -> bool;
}

impl Rules {
    /// Of a spec, or what is wrong with it.
    pub(super) fn of(syncer: &SyncerRow) -> Result<Self, Box<Because<Reason>>> {
        let invalid = |message: String, hint: &str| {
            Box::new(Because::new(Reason::InvalidVersionRange, message).unblock(hint))
        };
        let range = syncer
            .version_range
            .parse()
            .map_err(|error| invalid(format!("spec.versionRange: {error}"), "correct the range"))?;
        let denied = syncer.denied_versions.iter().map(|text| KubernetesVersion::parse_strict(text));
        let denied = denied.collect::<Result<_, _>>().map_err(|error| {
            invalid(format!("spec.deniedVersions: {error}"), "correct or remove the entry")
        })?;
        let minimum_age = syncer.minimum_age.max(SignedDuration::ZERO);
        Ok(Self { range, policy: syncer.version_policy, denied, minimum_age })
    }

    /// Whether the age of a version counts at all.
    pub(super) fn ask_for_age(&self) -> bool {
        self.minimum_age.is_positive()
    }

    /// Chooses. What has an image already is old enough: an image is made once, and a longer age takes none back.
    pub(super) fn choose<'a>(
        &self,
        versions: &'a [Box<str>],
        known: &impl Known,
        now: Timestamp,
    ) -> Result<Choice<'a>, NoChoice> {
        if versions.is_empty() {
            return Err(NoChoice::Empty);
        }
        let parsed = versions
            .iter()
            .filter_map(|text| Some(Version { text, parsed: KubernetesVersion::parse_strict(text).ok()? }));
        let in_range = parsed.filter(|version| self.range.matches(&version.parsed));
        let (denied, candidates): (Vec<_>, Vec<_>) =
            in_range.partition(|version| self.denied.contains(&version.parsed));
        if candidates.is_empty() {
            let none = match denied.len() {
                0 => NoChoice::OutOfRange(versions.len()),
                all => NoChoice::Denied(all),
            };
            return Err(none);
        }
        let mut choice = Choice::default();
        for group in self.groups(candidates) {
            self.choose_of(group, known, now, &mut choice);
        }
        let newest = |best: Version<'a>, next: Version<'a>| {
            if next.parsed.is_newer_than(&best.parsed) { next } else { best }
        };
        choice.denied = denied.into_iter().filter(|version| self.surpasses(version, &choice)).reduce(newest);
        Ok(choice)
    }

    /// Whether a version would be chosen in the place of one that was, or beside all that were.
    fn surpasses(&self, version: &Version<'_>, choice: &Choice<'_>) -> bool {
        let minor = |version: &Version<'_>| (version.parsed.major(), version.parsed.minor());
        let mut rivals = choice
            .wanted
            .iter()
            .filter(|wanted| self.policy == VersionPolicy::Newest || minor(wanted) == minor(version));
        rivals.all(|wanted| version.parsed.is_newer_than(&wanted.parsed))
    }

    /// The versions among which one is chosen, the oldest minor first.
    fn groups<'a>(&self, versions: Vec<Version<'a>>) -> Vec<Vec<Version<'a>>> {
        if self.policy == VersionPolicy::Newest {
            return vec![versions];
        }
        let minor = |version: &Version<'_>| (version.parsed.major(), version.parsed.minor());
        let mut minors = std::collections::BTreeMap::<_, Vec<_>>::new();
        for version in versions {
            minors.entry(minor(&version)).or_default().push(version);
        }
        minors.into_values().collect()
    }

    fn choose_of<'a>(
        &self,
        group: Vec<Version<'a>>,
        known: &impl Known,
        now: Timestamp,
        choice: &mut Choice<'a>,
    ) {
        let mut newest: Option<Version<'a>> = None;
        let mut young: Vec<Young<'a>> = Vec::new();
        for version in group {
            if let Some(due) = self.due(&version, known, now) {
                young.push(Young { version, due });
            } else if newest.as_ref().is_none_or(|newest| version.parsed.is_newer_than(&newest.parsed)) {
                newest = Some(version);
            }
        }
        for young in young {
            let newer =
                newest.as_ref().is_none_or(|newest| young.version.parsed.is_newer_than(&newest.parsed));
            // Of several that come of age at once the newest is the one that is taken.
            let sooner = choice.young.as_ref().is_none_or(|first| {
                young.due < first.due
                    || (young.due == first.due && young.version.parsed.is_newer_than(&first.version.parsed))
            });
            if newer && sooner {
                choice.young = Some(young);
            }
        }
        choice.wanted.extend(newest);
    }

    /// When a version is old enough; nothing where it is now.
    fn due(&self, version: &Version<'_>, known: &impl Known, now: Timestamp) -> Option<Timestamp> {
        if !self.ask_for_age() || known.has_image(&version.parsed) {
            return None;
        }
        let due = known.first_seen(version.text)?.checked_add(self.minimum_age).unwrap_or(Timestamp::MAX);
        (due > now).then_some(due)
    }
}
