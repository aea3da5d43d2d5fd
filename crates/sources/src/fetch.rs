//! One conditional GET, bounded in time, size and redirects, and read while it comes; with a signature to verify, two.
//!
//! Plain `http` is allowed, for repositories inside of a network; nothing that began as `https` ever goes on as `http`.
//! The proxy of the environment is honoured.

mod clients;
mod error;
mod reading;
mod url;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, Response, StatusCode, Version};
use tokio::sync::Semaphore;

use crate::debian::{End, Index};
use crate::release::{self, Check, Signed};
use crate::{Credentials, Fetched, Release, Repository, Request, Trust, Validators};
use clients::Clients;
use reading::Reading;

pub use error::{FetchError, SetupError};

/// Bytes that go to the reader at once: most indexes are smaller, and so take one trip to its thread.
const BATCH: usize = 256 * 1024;
/// Longest validator that is kept, in bytes.
const LONGEST_VALIDATOR: usize = 1024;
/// Longest `InRelease` that is read, in bytes. Debian's own, of all its architectures, have some 200 KiB.
const LONGEST_RELEASE: u64 = 4 * 1024 * 1024;

/// What one fetch may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the whole file has been read.
    pub total: Duration,
    /// Of what is sent, in bytes.
    pub body: u64,
    /// Of what it unpacks to, in bytes.
    pub unpacked: u64,
    /// How often a server may point elsewhere.
    pub redirects: usize,
}

/// Reads package indexes over HTTP. Unpacking, parsing and verifying go on a thread of their own, one batch at a time among
/// all fetches of this fetcher; between batches, a slow server holds nothing up.
pub struct Fetcher {
    clients: Clients,
    limits: Limits,
    reading: Arc<Semaphore>,
}

/// A server's answer to one question, its redirects followed.
enum Answer {
    NotModified,
    Found(Response),
}

/// How a repository is asked: through which client, and with which credentials for which host.
struct Asking<'a> {
    client: Client,
    origin: ::url::Url,
    credentials: Option<&'a Credentials>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(30),
            body: 32 * 1024 * 1024,
            unpacked: 128 * 1024 * 1024,
            redirects: 5,
        }
    }
}

impl Fetcher {
    /// Makes the client, with the certificate authorities of the system. Where there are none, `http` still works.
    /// A rustls provider must have been installed.
    pub fn new(limits: Limits) -> Result<Self, SetupError> {
        let clients = Clients::new(limits.connect)?;
        Ok(Self { clients, limits, reading: Arc::new(Semaphore::new(1)) })
    }

    async fn get(&self, request: &Request) -> Result<Fetched, FetchError> {
        let url = url::usable(&request.url)?;
        let release = request.trust.as_ref().map(|trust| url::usable(&trust.release_url)).transpose()?;
        let client = self.clients.client(&url, request.access.certificate_authorities.as_ref())?;
        let credentials = request.access.credentials.as_ref();
        let asking = Asking { client, origin: url.clone(), credentials };
        if let (Some(trust), Some(release)) = (&request.trust, release) {
            return self.get_verified(&asking, request, trust, url, release).await;
        }
        let response = match self.ask(&asking, url, &request.validators).await? {
            Answer::NotModified => return Ok(Fetched::NotModified),
            Answer::Found(response) => response,
        };
        let validators = validators(&response);
        let index = self.read(response, &request.architecture, None).await?;
        Ok(Fetched::Fresh { index, validators, release: None })
    }

    /// `InRelease` first, if it changed, and then the index that it lists.
    async fn get_verified(
        &self,
        asking: &Asking<'_>,
        request: &Request,
        trust: &Trust,
        url: ::url::Url,
        release: ::url::Url,
    ) -> Result<Fetched, FetchError> {
        let name = release::name_of(url.as_str(), release.as_str());
        let response = match self.ask(asking, release, &request.validators).await {
            Ok(Answer::NotModified) => return Ok(Fetched::NotModified),
            Ok(Answer::Found(response)) => response,
            Err(FetchError::NotFound { .. } | FetchError::Forbidden { .. }) => {
                // Is nothing there at all, or only nothing that is signed?
                self.ask(asking, url, &Validators::default()).await?;
                return Err(FetchError::SignatureMissing { reason: "it has no InRelease" });
            }
            Err(error) => return Err(error),
        };
        let validators = validators(&response);
        let bytes = self.whole(response).await?;
        let key = Arc::clone(&trust.public_key);
        let (check, signed) = self
            .aside(move || {
                let signed = Signed::verify(&bytes, &key)?;
                Ok::<(Check, Release), FetchError>((signed.check(&name)?, signed.release))
            })
            .await?;
        let Answer::Found(response) = self.ask(asking, url, &Validators::default()).await? else {
            return Err(FetchError::OtherStatus { status: StatusCode::NOT_MODIFIED.as_u16() });
        };
        let index = self.read(response, &request.architecture, Some(check)).await?;
        Ok(Fetched::Fresh { index, validators, release: Some(signed) })
    }

    /// One GET. Redirects are followed here, since each decides anew whether the credentials may be sent.
    async fn ask(
        &self,
        asking: &Asking<'_>,
        mut url: ::url::Url,
        known: &Validators,
    ) -> Result<Answer, FetchError> {
        let asked = conditions(known);
        let conditional = !asked.is_empty();
        let mut previous = Vec::new();
        loop {
            let mut sending = asking.client.get(url.clone()).headers(asked.clone());
            if let Some(it) = asking.credentials.filter(|_| url::same_origin(&asking.origin, &url)) {
                sending = sending.basic_auth(&it.username, Some(&it.password));
            }
            let response = sending.send().await.map_err(|error| FetchError::sending(&error))?;
            let status = response.status();
            if let Some(location) = url::redirect(&response) {
                let next = url::target(&url, location)?;
                previous.push(std::mem::replace(&mut url, next));
                url::may_follow(&previous, &url, self.limits.redirects)
                    .map_err(|refused| FetchError::Redirect { reason: refused.to_string() })?;
                continue;
            }
            return match status {
                StatusCode::OK => Ok(Answer::Found(response)),
                StatusCode::NOT_MODIFIED if conditional => Ok(Answer::NotModified),
                status => Err(FetchError::status(status, response.headers())),
            };
        }
    }

    /// A file that must be there whole before anything of it counts.
    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, FetchError> {
        let limit = LONGEST_RELEASE.min(self.limits.body);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::reading(&error))? {
            bytes.extend_from_slice(&chunk);
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
                return Err(FetchError::TooLarge { limit });
            }
        }
        Ok(bytes)
    }

    async fn read(
        &self,
        mut response: Response,
        architecture: &str,
        check: Option<Check>,
    ) -> Result<Index, FetchError> {
        let limit = self.limits.body;
        let too_large = || FetchError::TooLarge { limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let end = end_of(&response);
        let mut reading = Reading::new(architecture, self.limits.unpacked, check);
        let mut batch = Vec::new();
        let mut left = limit;
        while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::reading(&error))? {
            left = u64::try_from(chunk.len())
                .ok()
                .and_then(|length| left.checked_sub(length))
                .ok_or_else(too_large)?;
            batch.extend_from_slice(&chunk);
            if batch.len() >= BATCH {
                let bytes = std::mem::take(&mut batch);
                reading = self.aside(move || reading.push(&bytes).map(|()| reading)).await?;
            }
        }
        self.aside(move || {
            reading.push(&batch)?;
            reading.finish(end)
        })
        .await
    }

    /// Does work that takes the processor on a thread for such work, one at a time.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
    ) -> Result<T, FetchError> {
        let internal = |reason: &str| FetchError::Internal { reason: reason.to_owned() };
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        let turn = turn.map_err(|_| internal("the fetcher was closed"))?;
        // The turn moves along: a fetch that is given up must not let a second batch begin beside its own.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.map_err(|_| internal("reading the index panicked"))?
    }
}

#[async_trait]
impl Repository for Fetcher {
    async fn fetch(&self, request: &Request) -> Result<Fetched, FetchError> {
        let after = self.limits.total;
        let in_time = tokio::time::timeout(after, self.get(request)).await;
        in_time.unwrap_or(Err(FetchError::Timeout))
    }
}

/// What is no legal header is left out, and the file then read again.
fn conditions(validators: &Validators) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [(IF_NONE_MATCH, &validators.etag), (IF_MODIFIED_SINCE, &validators.last_modified)] {
        if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

fn validators(response: &Response) -> Validators {
    Validators {
        etag: validator(response.headers(), &ETAG),
        last_modified: validator(response.headers(), &LAST_MODIFIED),
    }
}

fn validator(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= LONGEST_VALIDATOR).then(|| value.to_owned())
}

/// A body with neither a length nor chunks ends where the connection does.
fn end_of(response: &Response) -> End {
    let chunked = response.headers().contains_key(reqwest::header::TRANSFER_ENCODING);
    if response.content_length().is_some() || chunked || response.version() >= Version::HTTP_2 {
        End::Framed
    } else {
        End::Closed
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod verified;
