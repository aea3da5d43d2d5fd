//! Where versions come from: package repositories.
//!
//! *Architecture invariant:* this crate knows HTTP and package indexes, and never Kubernetes objects, a clock or a
//! status. What a failed fetch means for the versions known so far is decided by the caller: nothing here forgets them.

use async_trait::async_trait;

pub mod debian;
pub mod fetch;

pub use debian::{Index, PackagedVersion};
pub use fetch::{FetchError, Fetcher, Limits, SetupError};

/// One fetch of one package index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Of the `Packages` file itself, plain, gz or xz: absolute, `https` or `http`, without credentials in it.
    pub url: String,
    /// The `Architecture` that counts, exactly; empty for any.
    pub architecture: String,
    /// What the last answer for this url **and** this architecture said of itself; the default asks unconditionally.
    pub validators: Validators,
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
    },
}

/// Where package indexes are read: the [`Fetcher`], or a script in a test or a simulation.
#[async_trait]
pub trait Repository: Send + Sync {
    /// Reads one index. Any failure is the repository's, never a panic, and says nothing about the versions known so far.
    async fn fetch(&self, request: &Request) -> Result<Fetched, FetchError>;
}
