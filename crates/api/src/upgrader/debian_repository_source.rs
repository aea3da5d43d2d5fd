//! `DebianRepositorySource`: the versions of kubeadm in a Debian package repository.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interval::Interval;
use crate::schema::{self, Conditions, Rule};
use crate::wire::{Own, Written, filled, text};

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
/// The reason of `Ready=True` while the key of the repository is about to expire.
pub const KEY_EXPIRES_SOON: &str = "KeyExpiresSoon";
/// What stands for a minor, such as `1.36`, in `spec.url`.
pub const MINOR_PLACEHOLDER: &str = "{minor}";
/// Type of Secrets that may be sent to a repository, beside `kubernetes.io/basic-auth`.
pub const SECRET_TYPE: &str = "kubernetesupgraded.dimitrikoshkin.com/repository";
/// Most entries of `status.packages`: of the newest versions.
pub const MOST_PACKAGES: usize = 500;
/// Most entries of `status.releases`: of the newest minors.
pub const MOST_RELEASES: usize = 50;

/// Rules that span fields of the spec.
pub const SPEC_RULES: &[Rule] = &[
    Rule {
        rule: "!self.url.contains('{minor}') || (has(self.fromMinor) && self.fromMinor != '')",
        message: "fromMinor must be set where url has {minor}",
        optional_old_self: false,
    },
    Rule {
        rule: "!has(self.verification) || !has(self.verification.releaseUrl) || \
               self.verification.releaseUrl.contains('{minor}') == self.url.contains('{minor}')",
        message: "verification.releaseUrl must have {minor} just where url has it",
        optional_old_self: false,
    },
];

domain::reasons! {
    /// Why the versions of a repository are not known, or not known for certain.
    pub enum Reason {
        /// The repository is being fetched for the first time
        Fetching: works,
        /// spec.url is not an http or https URL, or lacks what goes with it: spec.fromMinor where it has {minor}, and
        /// spec.verification.releaseUrl where InRelease is in no usual place
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
        /// The repository answers 401 or 403 to the credentials of spec.secretRef; the last good list stays
        AuthFailed: human,
        /// A Secret or ConfigMap that the source names does not exist; the last good list stays
        SecretMissing: fails,
        /// The Secret has a type whose Secrets are never sent to a repository; the last good list stays
        SecretTypeNotAllowed: human,
        /// The controller may not read the Secret or ConfigMap: bind the ClusterRole for it in this namespace
        SecretForbidden: human,
        /// The Secret or ConfigMap lacks a key, or what it holds cannot be read; the last good list stays
        SecretInvalid: human,
        /// The repository has no InRelease file, or one without a signature, and verification is asked for; the last good
        /// list stays
        SignatureMissing: fails,
        /// The signature of InRelease is not by the key that is trusted; the last good list stays
        SignatureInvalid: human,
        /// The key that is trusted has expired; the last good list stays
        KeyExpired: human,
        /// InRelease does not list the package index; the last good list stays
        IndexNotInRelease: fails,
        /// The package index is not the one that InRelease lists: its size or its hash differs; the last good list stays
        IndexHashMismatch: fails,
        /// InRelease is older than one that was seen before: somebody shows an old state; the last good list stays
        ReleaseRolledBack: human,
        /// InRelease says itself that it is no longer valid: somebody may hold back newer ones; the last good list stays
        ReleaseExpired: fails,
        /// The package index is good, but has no version of kubeadm for the architecture; the last good list stays
        NoVersions: fails,
    }
}

/// Where the package index is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// URL of a Packages file of a Debian repository, for example
    /// <https://pkgs.k8s.io/core:/stable:/v1.36/deb/Packages>. With {minor} in the place of 1.36, every minor from
    /// spec.fromMinor on is followed.
    #[schemars(schema_with = "schema::url")]
    pub url: Box<str>,
    /// The lowest minor that is followed, for example 1.34, where spec.url has {minor}.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "filled")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+\.[0-9]+$"))]
    pub from_minor: Option<Box<str>>,
    /// A Secret in the namespace of the source, with username and password, of type kubernetes.io/basic-auth or
    /// kubernetesupgraded.dimitrikoshkin.com/repository. Sent to the host of spec.url only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NameReference>,
    /// Certificate authorities (PEM) that are trusted for this repository instead of the system's; ca.crt where no key is
    /// named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<KeyReference>,
    /// Reads a list only if the repository has signed it. Absent: it is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
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

/// An object in the namespace of the source, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameReference {
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: Box<str>,
}

/// A key of a Secret or ConfigMap in the namespace of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyReference {
    /// Secret, which holds where it is absent, or ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KeyHolder>,
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: Box<str>,
    /// Key of its data.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "filled")]
    #[schemars(length(max = 253))]
    pub key: Option<Box<str>>,
}

/// What holds a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeyHolder {
    /// A Secret.
    #[default]
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// How a list is verified: InRelease by the key, the package index by InRelease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The OpenPGP public key of the repository, armored or not; key.asc where no key is named.
    pub public_key: KeyReference,
    /// URL of InRelease, with {minor} where spec.url has it. Absent: it is derived from spec.url, for flat repositories and
    /// for those with dists/.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_url")]
    pub release_url: Option<Box<str>>,
}

/// What is known of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageOf {
    /// The version, as in status.versions.
    #[schemars(length(max = 256))]
    pub version: Box<str>,
    /// The version of the package that has it, for example 1.36.2-1.1.
    #[serde(default, skip_serializing_if = "str::is_empty", deserialize_with = "text")]
    #[schemars(length(max = 256))]
    pub package: Box<str>,
    /// When it was seen first; absent for what the first good fetch brought, which counts as old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub first_seen: Option<Timestamp>,
}

/// What the last verified InRelease said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseOf {
    /// The minor, where spec.url has {minor}; else empty.
    #[serde(default, skip_serializing_if = "str::is_empty", deserialize_with = "text")]
    #[schemars(length(max = 16))]
    pub minor: Box<str>,
    /// Its address: a date is compared with dates from the same address only.
    #[serde(default, skip_serializing_if = "str::is_empty", deserialize_with = "text")]
    #[schemars(length(max = 2048))]
    pub url: Box<str>,
    /// Its Date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub date: Option<Timestamp>,
    /// Its Valid-Until.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub valid_until: Option<Timestamp>,
}

/// The versions found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Versions of Kubernetes whose kubeadm is in the repository, oldest first, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub versions: Vec<Box<str>>,
    /// Of each version its package, and when it was seen first; of the newest 500 versions, those included that are no
    /// longer there.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(length(max = 500))]
    pub packages: Vec<PackageOf>,
    /// What was verified, where spec.verification is set; of the newest 50 minors.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(length(max = 50))]
    pub releases: Vec<ReleaseOf>,
    /// When the key that is trusted expires, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub key_expires: Option<Timestamp>,
    /// The last value of the annotation kubernetesupgraded.dimitrikoshkin.com/requested-at that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<Box<str>>,
    /// Why it is not done, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::waiting")]
    pub waiting: schema::Wait,
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
    /// `spec.fromMinor` as written.
    pub from_minor: Option<Box<str>>,
    /// Name of the Secret with the credentials.
    pub secret: Option<Box<str>>,
    /// Where the certificate authorities are.
    pub certificate_authority: Option<KeyReference>,
    /// How a list is verified.
    pub verification: Option<Verification>,
    /// `spec.interval` as given.
    pub interval: Option<SignedDuration>,
    /// The annotation [`REQUESTED_AT_ANNOTATION`].
    pub requested_at: Option<Box<str>>,
    /// What was last written.
    pub status: Written<Status>,
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
            from_minor: spec.from_minor,
            secret: spec.secret_ref.map(|secret| secret.name),
            certificate_authority: spec.certificate_authority,
            verification: spec.verification,
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
