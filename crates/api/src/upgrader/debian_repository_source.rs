//! `DebianRepositorySource`: the versions of kubeadm in a Debian package repository.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interval::Interval;
use crate::schema::{self, Conditions};
use crate::wire::{Own, filled};

/// The kind.
pub const KIND: Kind = super::kind("DebianRepositorySource", "debianrepositorysources");
/// Annotation on a source: a value that differs from `status.lastHandledRequest` has it fetched at once.
pub const REQUESTED_AT_ANNOTATION: &str = "kubernetesupgraded.dimitrikoshkin.com/requested-at";
/// Time between two fetches where `spec.interval` is absent; the original's fixed one.
pub const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_mins(1);
/// The shortest time between two fetches, whatever `spec.interval` says.
pub const MINIMUM_INTERVAL: SignedDuration = SignedDuration::from_secs(10);
/// The reason of `Ready=True`.
pub const DONE: &str = "VersionsFound";

domain::reasons! {
    /// Why the versions of a repository are not known, or not known for certain.
    pub enum Reason {
        /// The repository is being fetched for the first time
        Fetching: works,
        /// spec.url is not an http or https URL
        InvalidUrl: human,
        /// The repository answers 404 or 410: nothing is at this address; the last good list stays
        RepositoryNotFound: fails,
        /// The repository answers 401 or 403; the last good list stays
        RepositoryForbidden: fails,
        /// The repository answers with another error status; the last good list stays
        RepositoryError: fails,
        /// The repository cannot be reached: its name, its port or its certificate; the last good list stays
        RepositoryUnreachable: fails,
        /// The repository did not answer in time; the last good list stays
        RepositoryTimeout: fails,
        /// The package index is larger than what is read of one; the last good list stays
        IndexTooLarge: fails,
        /// The answer ended before its end; the last good list stays
        IndexTruncated: fails,
        /// The answer is not a package index (an HTML page, for example); the last good list stays
        NotAPackageIndex: fails,
        /// The package index is good, but has no version of kubeadm for the architecture; the last good list stays
        NoVersions: fails,
    }
}

/// Where the package index is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// URL of a Packages file of a Debian repository, for example
    /// <https://pkgs.k8s.io/core:/stable:/v1.36/deb/Packages>.
    #[schemars(schema_with = "schema::url")]
    pub url: Box<str>,
    /// Only packages of exactly this architecture count, for example amd64. Empty means any.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "filled")]
    #[schemars(length(max = 64))]
    pub architecture: Option<Box<str>>,
    /// Time between two fetches: a duration such as 10m, or an integer number of nanoseconds. 1m where absent; at
    /// least 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::poll_interval")]
    pub interval: Option<Interval>,
}

/// The versions found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Versions of Kubernetes whose kubeadm is in the repository, oldest first, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub versions: Vec<Box<str>>,
    /// The last value of the annotation kubernetesupgraded.dimitrikoshkin.com/requested-at that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<Box<str>>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// Generation of the spec that the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A source as its own controller sees it. Who only wants versions reads [`crate::source::VersionsRow`].
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRow {
    /// Identity.
    pub meta: Meta,
    /// What is wrong with the spec; its fields are then empty.
    pub malformed: Option<Box<str>>,
    /// URL of the package index.
    pub url: Box<str>,
    /// Architecture; `None` means any.
    pub architecture: Option<Box<str>>,
    /// `spec.interval` as given.
    pub interval: Option<SignedDuration>,
    /// The annotation [`REQUESTED_AT_ANNOTATION`].
    pub requested_at: Option<Box<str>>,
    /// What was last written.
    pub status: Status,
}

impl Row for SourceRow {
    type Wire = Own<Spec, Status>;

    fn from_wire(meta: &WireMeta, wire: Self::Wire) -> Self {
        let (spec, status, malformed) = wire.split();
        Self {
            meta: meta.meta(),
            malformed,
            url: spec.url,
            architecture: spec.architecture,
            interval: spec.interval.map(|interval| interval.0),
            requested_at: meta.annotation(REQUESTED_AT_ANNOTATION).map(Box::from),
            status,
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        let mut row = Self::from_wire(meta, Own::default());
        row.malformed = Some(error.into());
        row
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
