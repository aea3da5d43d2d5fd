//! One conditional GET, bounded in time, size and redirects, and read while it comes.
//!
//! Plain `http` is allowed, for repositories inside of a network; nothing that began as `https` ever goes on as `http`.
//! The proxy of the environment is honoured.

mod error;
mod url;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Version, redirect};
use tokio::sync::Semaphore;

use crate::debian::{End, Index, IndexError, IndexReader};
use crate::{Fetched, Repository, Request, Validators};

pub use error::{FetchError, SetupError};

const USER_AGENT: &str = concat!("kubernetes-upgrader/", env!("CARGO_PKG_VERSION"));
/// Bytes that go to the reader at once: most indexes are smaller, and so take one trip to its thread.
const BATCH: usize = 256 * 1024;
/// Longest validator that is kept, in bytes.
const LONGEST_VALIDATOR: usize = 1024;
/// Another fetch of the same pass may reuse a connection; the next pass is minutes away.
const IDLE: Duration = Duration::from_secs(15);

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

/// Reads package indexes over HTTP. Unpacking and parsing go on a thread of their own, one batch at a time among all
/// fetches of this fetcher; between batches, a slow server holds nothing up.
pub struct Fetcher {
    client: Client,
    limits: Limits,
    /// Why no `https` can be read, if none can.
    no_tls: Option<String>,
    reading: Arc<Semaphore>,
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
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(SetupError::NoTlsProvider);
        }
        let (client, no_tls) = match builder(&limits).build() {
            Ok(client) => (client, None),
            Err(error) => {
                let without = builder(&limits).tls_certs_only([]).build();
                (
                    without.map_err(|error| SetupError::Client(error::root_cause(&error)))?,
                    Some(error::root_cause(&error)),
                )
            }
        };
        Ok(Self { client, limits, no_tls, reading: Arc::new(Semaphore::new(1)) })
    }

    async fn get(&self, request: &Request) -> Result<Fetched, FetchError> {
        let url = url::usable(&request.url)?;
        if let Some(reason) = self.no_tls.as_ref().filter(|_| url.scheme() == "https") {
            return Err(FetchError::Tls { reason: reason.clone() });
        }
        let asked = conditions(&request.validators);
        let conditional = !asked.is_empty();
        let response =
            self.client.get(url).headers(asked).send().await.map_err(|error| FetchError::sending(&error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if conditional => return Ok(Fetched::NotModified),
            status => return Err(FetchError::status(status, response.headers())),
        }
        let validators = Validators {
            etag: validator(response.headers(), &ETAG),
            last_modified: validator(response.headers(), &LAST_MODIFIED),
        };
        let index = self.read(response, &request.architecture).await?;
        Ok(Fetched::Fresh { index, validators, release: None })
    }

    async fn read(&self, mut response: Response, architecture: &str) -> Result<Index, FetchError> {
        let limit = self.limits.body;
        let too_large = || FetchError::TooLarge { limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let end = end_of(&response);
        let mut reader = IndexReader::new(architecture, self.limits.unpacked);
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
                reader = self.aside(move || reader.push(&bytes).map(|()| reader)).await?;
            }
        }
        self.aside(move || {
            reader.push(&batch)?;
            reader.finish(end)
        })
        .await
    }

    /// Does work that takes the processor on a thread for such work, one at a time.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
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
        done.await.map_err(|_| internal("reading the index panicked"))?.map_err(FetchError::from)
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

fn builder(limits: &Limits) -> ClientBuilder {
    let redirects = limits.redirects;
    let follow = redirect::Policy::custom(move |attempt| {
        match url::may_follow(attempt.previous(), attempt.url(), redirects) {
            Ok(()) => attempt.follow(),
            Err(refused) => attempt.error(refused),
        }
    });
    // A referer would show the query of one host, which may be a key, to another.
    Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(limits.connect)
        .pool_idle_timeout(IDLE)
        .referer(false)
        .redirect(follow)
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
