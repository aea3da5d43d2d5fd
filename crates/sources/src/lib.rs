//! Where versions come from: package repositories.
//!
//! *Architecture invariant:* this crate knows HTTP and package indexes, and never Kubernetes objects, a clock or a
//! status. What a failed fetch means for the versions known so far is decided by the caller: nothing here forgets them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

pub mod debian;
pub mod fetch;
pub mod release;
#[cfg(any(test, feature = "signing"))]
pub mod signing;

pub use debian::{Index, PackagedVersion};
pub use fetch::{FetchError, Fetcher, Limits, SetupError};

/// One fetch of one package index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Of the `Packages` file itself, plain, gz or xz: absolute, `https` or `http`, without credentials in it.
    pub url: String,
    /// The `Architecture` that counts, exactly; empty for any.
    pub architecture: String,
    /// What the last answer for this url, this architecture **and** this trust said of itself: of the index, or of
    /// `InRelease` where there is trust; the default asks unconditionally.
    pub validators: Validators,
    /// What the repository asks for before it shows anything, and whom to believe that it is the repository.
    pub access: Access,
    /// Reads the index only if the repository has signed it.
    pub trust: Option<Trust>,
}

/// What a repository asks for, and whom to believe that it is the one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Sent to the host of the request's URL, and to no other that it points to.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) that are trusted instead of the system's.
    pub certificate_authorities: Option<Arc<[u8]>>,
}

/// A user and a password, which no output ever shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: Box<str>,
    /// Password.
    pub password: Box<str>,
}

/// Says what is there, and nothing of what it is.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("credentials", &self.credentials)
            .field("certificate_authorities", &self.certificate_authorities.as_ref().map(|bytes| bytes.len()))
            .finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Whose signature counts, and where it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// URL of `InRelease`.
    pub release_url: String,
    /// OpenPGP public key, armored or not.
    pub public_key: Arc<[u8]>,
}

/// A key may come from a Secret, so only its length is shown.
impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("release_url", &self.release_url)
            .field("public_key", &self.public_key.len())
            .finish()
    }
}

/// What a verified `InRelease` says. Whether that is too old is the caller's to judge, who knows the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Its `Date`.
    pub date: Option<Timestamp>,
    /// Its `Valid-Until`.
    pub valid_until: Option<Timestamp>,
    /// When the key that signed it expires.
    pub key_expires: Option<Timestamp>,
}

/// What a server said of the version of a file that it sent, word for word, to be sent back when asking whether it changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// Of the header `ETag`.
    pub etag: Option<String>,
    /// Of the header `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What a fetch that went well brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The file is the one that the request's validators name.
    NotModified,
    /// The file, read to its end.
    Fresh {
        /// What it lists, which may be nothing: [`Index::is_empty`] tells.
        index: Index,
        /// For the next request.
        validators: Validators,
        /// What was verified, where the request asked for it.
        release: Option<Release>,
    },
}

/// Where package indexes are read: the [`Fetcher`], or a script in a test or a simulation.
#[async_trait]
pub trait Repository: Send + Sync {
    /// Reads one index. Any failure is the repository's, never a panic, and says nothing about the versions known so far.
    async fn fetch(&self, request: &Request) -> Result<Fetched, FetchError>;
}
