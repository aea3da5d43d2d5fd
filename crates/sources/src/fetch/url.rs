//! Which URLs are fetched.

use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Response, StatusCode};
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

/// Where an answer points to, if it points elsewhere.
pub(super) fn redirect(response: &Response) -> Option<&HeaderValue> {
    let points = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    response.headers().get(LOCATION).filter(|_| points)
}

/// The URL of a `Location`, without a user's name in it: credentials come from the request alone.
pub(super) fn target(from: &Url, location: &HeaderValue) -> Result<Url, FetchError> {
    let nowhere = || FetchError::Redirect { reason: "it leads nowhere".to_owned() };
    let text = std::str::from_utf8(location.as_bytes()).map_err(|_| nowhere())?;
    let mut next = from.join(text).map_err(|_| nowhere())?;
    if !next.username().is_empty() || next.password().is_some() {
        // Fails only for URLs without a host, which are not followed.
        let _ = next.set_username("");
        let _ = next.set_password(None);
    }
    Ok(next)
}

/// Whether two URLs are of the same scheme, host and port.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "http")
}
