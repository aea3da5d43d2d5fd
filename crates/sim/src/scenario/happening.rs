//! What people, other programs and machines do in a simulation.

use std::fmt;

use domain::object::ObjectKey;
use jiff::Timestamp;
use serde_json::Value;

/// An object by its kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// CamelCase kind.
    pub kind: Box<str>,
    /// Namespace; not read for kinds that lie in none.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// A package repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The one of a DebianRepositorySource.
    Object(ObjectKey),
    /// Every one whose URL has this text in it.
    Url(Box<str>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(key) => write!(f, "DebianRepositorySource {key}"),
            Self::Url(part) => write!(f, "every repository with {part} in its URL"),
        }
    }
}

/// An admission webhook that refuses writes; those of a status pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusing {
    /// Name of the webhook.
    pub webhook: Box<str>,
    /// CamelCase kind.
    pub kind: Box<str>,
    /// Every namespace where there is none.
    pub namespace: Option<Box<str>>,
    /// Every object where there is none.
    pub name: Option<Box<str>>,
    /// Its words.
    pub message: Box<str>,
    /// It is there until then.
    pub until: Timestamp,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A version is published.
    Publish(Box<str>),
    /// Somebody merges a patch into an object.
    Merge {
        /// The object.
        target: Target,
        /// The patch (RFC 7386).
        patch: Value,
    },
    /// Somebody creates an object.
    Create(Value),
    /// Somebody deletes an object.
    Delete(Target),
    /// A webhook refuses writes for a time.
    Refuse(Refusing),
    /// The machines of a Cluster are not replaced any more.
    Stall(ObjectKey),
    /// They are again.
    Resume(ObjectKey),
    /// As many of the next builds that end fail.
    FailBuilds(u32),
    /// A package repository answers with an error, by its name.
    Outage {
        /// Which.
        source: Source,
        /// Name of a [`sources::FetchError`].
        error: Box<str>,
    },
    /// It answers again.
    Back(Source),
    /// `spec.paused` is set.
    Pause(Target),
    /// `spec.paused` is taken back.
    Unpause(Target),
    /// Somebody has built an image again, and writes its new id.
    RebuildImage {
        /// The machine image.
        key: ObjectKey,
        /// The id.
        id: Box<str>,
    },
    /// The manager is killed, and the next one starts.
    Restart,
}
