//! The package repositories: what is published where, and when one does not answer.
//!
//! A version is found at every URL that would serve it: where the URL names a minor (`…/v1.36/…`), the versions of that
//! minor; where it names none, all. A minor of which nothing is published is answered as pkgs.k8s.io does: 403.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use domain::version::{KubernetesVersion, Minor};
use sources::{FetchError, Fetched, Index, PackagedVersion, Release, Repository, Request, Validators};

use super::{REPOSITORY, Shared, World, locked};

/// What is published.
#[derive(Clone, Debug, Default)]
pub(crate) struct Releases {
    /// By number; prereleases have no place in it but their own text.
    versions: BTreeMap<Minor, BTreeSet<(u64, Box<str>)>>,
    /// What a URL must contain, and what is wrong then.
    pub(crate) outages: Vec<(Box<str>, FetchError)>,
}

impl Releases {
    /// Publishes a version; says whether it is new.
    pub(crate) fn add(&mut self, version: &KubernetesVersion) -> bool {
        let of_minor = self.versions.entry(Minor::from(version)).or_default();
        of_minor.insert((version.patch(), version.to_string().into()))
    }

    /// Every version, as it is written.
    pub(crate) fn all(&self) -> Vec<&str> {
        self.versions.values().flatten().map(|(_, version)| &**version).collect()
    }

    fn fetch(&self, request: &Request) -> Result<Fetched, FetchError> {
        if let Some((_, error)) = self.outages.iter().find(|(part, _)| request.url.contains(&**part)) {
            return Err(error.clone());
        }
        let found: Vec<&Box<str>> = match minor_in(&request.url) {
            Some(minor) => {
                let of_minor = self.versions.get(&minor).ok_or(FetchError::Forbidden { status: 403 })?;
                of_minor.iter().map(|(_, version)| version).collect()
            }
            None => self.versions.values().flatten().map(|(_, version)| version).collect(),
        };
        // Versions are only ever added, so their number tells one list from another.
        let etag = Some(format!("\"{}\"", found.len()));
        if etag == request.validators.etag {
            return Ok(Fetched::NotModified);
        }
        let versions: Vec<PackagedVersion> = found
            .iter()
            .filter_map(|version| {
                let package = format!("{}-1.1", version.trim_start_matches('v')).into();
                Some(PackagedVersion { version: KubernetesVersion::parse_strict(version).ok()?, package })
            })
            .collect();
        let count = versions.len();
        let index = Index { versions, stanzas: count * 4, kubeadm: count, skipped: 0 };
        let validators = Validators { etag, last_modified: None };
        // Whoever asks for a signature gets one by the key that is trusted, which says nothing of its own age.
        let release = request.trust.as_ref().map(|trust| Release {
            key_expires: sources::release::keys_expire(&trust.public_key),
            ..Release::default()
        });
        Ok(Fetched::Fresh { index, validators, release })
    }
}

/// The minor that a URL names after its host.
fn minor_in(url: &str) -> Option<Minor> {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest).split_once('/')?.1;
    path.split(['/', ':', '-', '_', '?', '&', '=']).find_map(|part| part.parse().ok())
}

/// What is wrong, by the name of a fetch error; nothing where there is none of that name.
pub(crate) fn error_named(name: &str) -> Option<FetchError> {
    let reason = || "it is simulated".to_owned();
    Some(match name {
        "NotFound" => FetchError::NotFound { status: 404 },
        "Forbidden" => FetchError::Forbidden { status: 403 },
        "TooMany" => FetchError::TooMany { retry_after: Some(Duration::from_secs(300)) },
        "Server" => FetchError::Server { status: 503, retry_after: None },
        "OtherStatus" => FetchError::OtherStatus { status: 418 },
        "Redirect" => FetchError::Redirect { reason: reason() },
        "TooLarge" => FetchError::TooLarge { limit: 64 << 20 },
        "Timeout" => FetchError::Timeout,
        "Connect" => FetchError::Connect { reason: reason() },
        "Tls" => FetchError::Tls { reason: reason() },
        "Truncated" => FetchError::Truncated,
        "NotAnIndex" => FetchError::NotAnIndex { reason: reason() },
        _ => return None,
    })
}

/// The names that [`error_named`] knows.
pub(crate) const ERRORS: &str = "NotFound, Forbidden, TooMany, Server, OtherStatus, Redirect, TooLarge, Timeout, Connect, \
    Tls, Truncated, NotAnIndex";

impl World {
    /// A version is published, where it was not before.
    pub(crate) fn publish(&mut self, actor: &str, version: &str) {
        let Ok(parsed) = KubernetesVersion::parse_lenient(version) else { return };
        if self.releases.add(&parsed) {
            self.tell(actor, REPOSITORY, format!("published {parsed}"));
        }
    }
}

/// The repositories as the sources see them.
pub(crate) struct Mirror(pub(crate) Shared);

#[async_trait]
impl Repository for Mirror {
    async fn fetch(&self, request: &Request) -> Result<Fetched, FetchError> {
        let mut world = locked(&self.0);
        world.journal(
            "fetch",
            "packages",
            &request.url,
            request.validators.etag.as_deref().unwrap_or_default().as_bytes(),
        );
        world.releases.fetch(request)
    }
}
