//! Which URLs are fetched.

use url::Url;

use super::FetchError;

/// Longest URL that is read, in bytes.
const LONGEST: usize = 4096;

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("there are too many")]
    TooMany,
    #[error("it leads from https to http")]
    Downgrade,
    #[error("it leads to neither https nor http")]
    Scheme,
}

pub(super) fn usable(text: &str) -> Result<Url, FetchError> {
    let refuse = |reason: &str| Err(FetchError::InvalidUrl { reason: reason.to_owned() });
    if text.len() > LONGEST {
        return refuse("it is too long");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return refuse(&error.to_string()),
    };
    if !is_http(&url) {
        return refuse("it is neither https nor http");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it has a user name or a password in it");
    }
    Ok(url)
}

/// Whether a fetch that went through `previous` may go on to `next`.
pub(super) fn may_follow(previous: &[Url], next: &Url, limit: usize) -> Result<(), Refused> {
    if previous.len() > limit {
        return Err(Refused::TooMany);
    }
    if !is_http(next) {
        return Err(Refused::Scheme);
    }
    if next.scheme() != "https" && previous.iter().any(|url| url.scheme() == "https") {
        return Err(Refused::Downgrade);
    }
    Ok(())
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "http")
}
