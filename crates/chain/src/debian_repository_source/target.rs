//! What a source follows: one package index, or one for each minor.

use std::fmt;

use api::upgrader::debian_repository_source::KeyReference;
use api::upgrader::debian_repository_source::{KeyHolder, MINOR_PLACEHOLDER, SourceRow, Verification};
use domain::version::{KubernetesVersion, Minor};
use sources::release::in_release;

/// Most minors that one source follows, the one that is looked for above them included. Kubernetes makes three a year.
pub const MOST_MINORS: u64 = 40;

/// One package index of a source: that of one minor, or the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part(pub Option<Minor>);

/// What is fetched, as the spec names it. Where it differs from that of the last fetch, what that one brought is of another
/// repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// `spec.url`.
    pub url: Box<str>,
    /// `spec.architecture`; empty for any.
    pub architecture: Box<str>,
    /// `spec.secretRef`.
    pub secret: Option<Box<str>>,
    /// `spec.certificateAuthority`.
    pub authority: Option<KeyReference>,
    /// `spec.verification`.
    pub verification: Option<Verification>,
}

/// What an object that the spec names is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// User name and password.
    Credentials,
    /// Certificate authorities.
    Authority,
    /// The key that signs the repository.
    PublicKey,
}

/// An object that the spec names, in the namespace of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Secret or ConfigMap.
    pub kind: KeyHolder,
    /// Name.
    pub name: Box<str>,
    /// The key that is read; empty for a user name and a password.
    pub key: Box<str>,
}

/// Which indexes are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Those that should be there, the lowest minor first.
    pub known: Vec<Part>,
    /// The minor above them, which may not be there yet.
    pub probe: Option<Part>,
}

impl fmt::Display for Part {
    /// As in `spec.url`: without a `v`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(minor) => write!(f, "{}.{}", minor.major, minor.minor),
            None => f.write_str("the index"),
        }
    }
}

impl Target {
    pub(super) fn of(source: &SourceRow) -> Self {
        Self {
            url: source.url.clone(),
            architecture: source.architecture.clone().unwrap_or_default(),
            secret: source.secret.clone(),
            authority: source.certificate_authority.clone(),
            verification: source.verification.clone(),
        }
    }

    /// Whether each minor has an index of its own.
    pub fn has_minors(&self) -> bool {
        self.url.contains(MINOR_PLACEHOLDER)
    }

    /// The address of an index.
    pub fn url(&self, part: Part) -> String {
        filled(&self.url, part)
    }

    /// The address of its `InRelease`, where it is verified; nothing where that is not known.
    pub fn release_url(&self, part: Part) -> Option<String> {
        match self.verification.as_ref()?.release_url.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => Some(filled(url, part)),
            None => in_release(&self.url(part)),
        }
    }

    /// Every object that the spec names.
    pub fn references(&self) -> Vec<(Use, Reference)> {
        let secret = self.secret.as_ref().map(|name| {
            let reference = Reference { kind: KeyHolder::Secret, name: name.clone(), key: Box::default() };
            (Use::Credentials, reference)
        });
        let held = |of: &KeyReference, key: &str| Reference {
            kind: of.kind.unwrap_or_default(),
            name: of.name.clone(),
            key: of.key.clone().unwrap_or_else(|| key.into()),
        };
        let authority = self.authority.as_ref().map(|it| (Use::Authority, held(it, "ca.crt")));
        let key = self.verification.as_ref().map(|it| (Use::PublicKey, held(&it.public_key, "key.asc")));
        [secret, authority, key].into_iter().flatten().collect()
    }
}

fn filled(url: &str, part: Part) -> String {
    if part.0.is_some() { url.replace(MINOR_PLACEHOLDER, &part.to_string()) } else { url.to_owned() }
}

impl Parts {
    /// The indexes of a source whose highest minor that was ever seen is `highest`.
    pub(super) fn of(
        source: &SourceRow,
        target: &Target,
        highest: impl Fn(u64) -> Option<Minor>,
    ) -> Result<Self, Box<str>> {
        if !target.has_minors() {
            return Ok(Self { known: vec![Part(None)], probe: None });
        }
        let text = source.from_minor.as_deref().unwrap_or_default();
        let from: Minor = text.parse().map_err(|_| "spec.fromMinor is no minor such as 1.34")?;
        let highest = highest(from.major).unwrap_or(from).max(from);
        let lowest = highest.minor.saturating_sub(MOST_MINORS - 2).max(from.minor);
        let known = (lowest..=highest.minor).map(|minor| Part(Some(Minor { minor, ..from }))).collect();
        Ok(Self { known, probe: highest.next().map(|minor| Part(Some(minor))) })
    }
}

/// The minor of a version in a status.
pub(super) fn minor_of(version: &str) -> Option<Minor> {
    KubernetesVersion::parse_strict(version).ok().map(|version| Minor::from(&version))
}
