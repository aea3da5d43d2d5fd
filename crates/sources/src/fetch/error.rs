//! Why a fetch brought nothing. Every text is one short line, without the URL, the body or anything secret.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::url::Refused;
use crate::debian::IndexError;

/// Longest text of another program's error that is passed on, in characters.
const LONGEST_REASON: usize = 160;

/// Why a fetch brought no index. The variant's name is what a metric counts it under.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
pub enum FetchError {
    /// The URL cannot be fetched, whatever the server says.
    #[error("the URL is not usable: {reason}")]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// 404 or 410.
    #[error("the repository answered {status}: there is no such file")]
    NotFound {
        /// Of HTTP.
        status: u16,
    },
    /// 401 or 403, which storage services also answer for what does not exist.
    #[error("the repository answered {status}: it refuses to show the file")]
    Forbidden {
        /// Of HTTP.
        status: u16,
    },
    /// 429.
    #[error("the repository answered 429: too many requests")]
    TooMany {
        /// How long the server asks to wait, where it says so in seconds.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    #[error("the repository answered {status}: it failed")]
    Server {
        /// Of HTTP.
        status: u16,
        /// How long the server asks to wait, where it says so in seconds.
        retry_after: Option<Duration>,
    },
    /// Any other status than 200, and 304 where nothing was asked that it could answer.
    #[error("the repository answered {status}, which is no index")]
    OtherStatus {
        /// Of HTTP.
        status: u16,
    },
    /// Too many redirects, one from https to http, or one that leads nowhere.
    #[error("the repository's redirect is not followed: {reason}")]
    Redirect {
        /// Why not.
        reason: String,
    },
    /// The file is longer than is allowed, as sent or unpacked.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// No connection, or no whole answer, in time.
    #[error("the repository did not answer in time")]
    Timeout,
    /// No connection, or one that ended before an answer.
    #[error("no connection to the repository: {reason}")]
    Connect {
        /// The cause at its root, such as `Connection refused (os error 111)`.
        reason: String,
    },
    /// The server's certificate or its TLS is not accepted.
    #[error("no secure connection to the repository: {reason}")]
    Tls {
        /// As rustls says it.
        reason: String,
    },
    /// The file ended before its end.
    #[error("the file ended too early")]
    Truncated,
    /// What came is no package index: HTML, a `Release` file, damaged data.
    #[error("the file is no package index: {reason}")]
    NotAnIndex {
        /// What is wrong and where, never what it says.
        reason: String,
    },
    /// What was handed in to verify with cannot be used: certificate authorities or a public key.
    #[error("{what} cannot be used: {reason}")]
    Unusable {
        /// What it is.
        what: &'static str,
        /// What is wrong with it, never what it holds.
        reason: String,
    },
    /// There is an index, but nothing that says who made it.
    #[error("the repository is not signed: {reason}")]
    SignatureMissing {
        /// What is missing.
        reason: &'static str,
    },
    /// `InRelease` is not signed by the key that is trusted, or was changed since.
    #[error("the signature of InRelease is not good: {reason}")]
    SignatureInvalid {
        /// Why not.
        reason: &'static str,
    },
    /// `InRelease` does not say what the index is to be.
    #[error("InRelease does not vouch for the package index: {reason}")]
    NotListed {
        /// What is missing.
        reason: String,
    },
    /// The index is not the one that `InRelease` lists.
    #[error("the package index is not the one that InRelease lists: {reason}")]
    HashMismatch {
        /// What differs.
        reason: &'static str,
    },
    /// Our own failure.
    #[error("reading the index failed: {reason}")]
    Internal {
        /// What failed.
        reason: String,
    },
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// `rustls::crypto::CryptoProvider::install_default` was not called.
    #[error("no TLS provider is installed")]
    NoTlsProvider,
    /// Any other reason.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

impl From<IndexError> for FetchError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Truncated => Self::Truncated,
            IndexError::TooLarge { limit } => Self::TooLarge { limit },
            IndexError::Damaged { .. }
            | IndexError::NotControl { .. }
            | IndexError::NoPackage { .. }
            | IndexError::TooManyVersions => Self::NotAnIndex { reason: error.to_string() },
        }
    }
}

impl FetchError {
    pub(super) fn status(status: StatusCode, headers: &HeaderMap) -> Self {
        let code = status.as_u16();
        match code {
            401 | 403 => Self::Forbidden { status: code },
            404 | 410 => Self::NotFound { status: code },
            429 => Self::TooMany { retry_after: retry_after(headers) },
            500..=599 => Self::Server { status: code, retry_after: retry_after(headers) },
            _ => Self::OtherStatus { status: code },
        }
    }

    /// From an error before the answer's head.
    pub(super) fn sending(error: &reqwest::Error) -> Self {
        let reason = root_cause(error);
        if error.is_timeout() {
            Self::Timeout
        } else if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
            Self::Redirect { reason: refused.to_string() }
        } else if error.is_redirect() {
            Self::Redirect { reason }
        } else if causes(error).any(is_tls) {
            Self::Tls { reason }
        } else {
            Self::Connect { reason }
        }
    }

    /// From an error after it.
    pub(super) fn reading(error: &reqwest::Error) -> Self {
        if error.is_timeout() { Self::Timeout } else { Self::Truncated }
    }
}

/// A date instead of seconds would need a clock, and is left out.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// An I/O error names the source of what it wraps as its own, so what it wraps is only seen from within.
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    let within = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is::<rustls::Error>() || within.is_some_and(|inner| is_tls(inner))
}

/// The innermost cause, which names no URL.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let root = causes(error).skip(1).last();
    let text = root.map_or_else(|| "the request failed".to_owned(), ToString::to_string);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect()
}
