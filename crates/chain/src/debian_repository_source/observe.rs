//! What a source sees: itself, and what the last fetches brought.

use std::collections::BTreeMap;

use api::upgrader::debian_repository_source::SourceRow;
use domain::version::Minor;

use super::memory::{Denial, Held, LastFetch, Memory, Round};
use super::target::{Part, Parts, Target, Use, minor_of};

/// Everything that a decision about a source rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The source.
    pub source: SourceRow,
    /// What it names.
    pub target: Target,
    /// The indexes that it has, or what is wrong with the spec.
    pub parts: Result<Parts, Box<str>>,
    /// The last fetch of each index of what the spec names; none where the spec names something else since, or after a
    /// restart. Their times are clocks that a restart loses.
    pub last: BTreeMap<Part, LastFetch>,
    /// What the objects that it names held.
    pub held: BTreeMap<Use, Held>,
    /// The round that ended since one of them could not be read.
    pub denied: Option<Denial>,
    /// The round that is under way, or was the last.
    pub round: Option<Round>,
    /// The value of the annotation that was last acted on.
    pub handled: Option<Box<str>>,
}

impl Observed {
    /// The value of the annotation that asks for a fetch at once, while it was not acted on.
    pub fn request(&self) -> Option<&str> {
        self.source.requested_at.as_deref().filter(|asked| self.handled.as_deref() != Some(asked))
    }

    /// The indexes that should be there.
    pub(super) fn known(&self) -> &[Part] {
        self.parts.as_ref().map_or(&[], |parts| &parts.known)
    }
}

pub(super) fn observe(source: &SourceRow, memory: &Memory) -> Observed {
    let target = Target::of(source);
    let same = memory.target.as_ref() == Some(&target);
    let mut last = if same { memory.parts.clone() } else { BTreeMap::new() };
    let parts = Parts::of(source, &target, |major| highest(source, &last, major));
    if let Ok(parts) = &parts {
        last.retain(|part, _| parts.known.contains(part) || parts.probe == Some(*part));
    }
    let written = || source.status.last_handled_request.clone();
    Observed {
        parts,
        last,
        held: if same { memory.held.clone() } else { BTreeMap::new() },
        denied: memory.denied.filter(|_| same),
        round: memory.round.clone().filter(|_| same),
        handled: memory.handled.clone().or_else(written),
        target,
        source: source.clone(),
    }
}

/// The highest minor that was ever seen: in what was written, or in an answer since.
fn highest(source: &SourceRow, last: &BTreeMap<Part, LastFetch>, major: u64) -> Option<Minor> {
    let status = &source.status;
    let written = status.versions.iter().chain(status.packages.iter().map(|package| &package.version));
    let seen = last
        .iter()
        .filter(|(_, last)| last.contents.as_ref().is_some_and(|contents| !contents.versions.is_empty()))
        .filter_map(|(part, _)| part.0);
    written.filter_map(|version| minor_of(version)).chain(seen).filter(|minor| minor.major == major).max()
}
