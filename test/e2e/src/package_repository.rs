//! A Debian package repository on the loopback address, which can be told to misbehave.

mod index;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

pub use self::index::paragraphs;

const CUT_AFTER: Duration = Duration::from_millis(100);

/// What a [`PackageRepository`] does in the place of a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// This HTTP status, with a short text.
    Status(u16),
    /// 200 with a page for people, as a proxy's login has it.
    Html,
    /// 200 with nothing.
    Empty,
    /// Half of the index, then the connection ends, before the length that was announced.
    Truncated,
    /// 200 MB of well-formed paragraphs, none of them of Kubernetes.
    Huge,
    /// Never an answer.
    Hangs,
}

/// One request, as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The path as asked for, such as `/v1.36/deb/Packages`.
    pub path: String,
    /// Whether it said which answer it has (`If-None-Match`).
    pub conditional: bool,
    /// The status of the answer; 0 for one that hangs.
    pub status: u16,
}

#[derive(Default)]
struct Shelf {
    body: Bytes,
    misbehaviour: Option<Misbehaviour>,
}

#[derive(Default)]
struct Content {
    /// By path, without a leading slash, such as `v1.36/deb/Packages`.
    shelves: BTreeMap<String, Shelf>,
    /// The `Authorization` without which the answer is 401.
    authorization: Option<String>,
    requests: Vec<Request>,
}

/// A server of package indexes: `<folder>/Packages`, with ETags. It ends when it is dropped, and its port is free then.
pub struct PackageRepository {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    server: JoinHandle<()>,
}

impl PackageRepository {
    /// Serves nothing but 404 at first.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::system("bind a port of 127.0.0.1"))?;
        let address = listener.local_addr().map_err(Error::system("read the port"))?;
        let content = Arc::new(Mutex::new(Content::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&content));
        let server = tokio::spawn(async move {
            // Accepting fails for single connections only, and these are retried inside.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, content, server })
    }

    /// Such as `127.0.0.1:12345`: to put in the place of a real repository's host.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The address of a folder's index: what `DebianRepositorySource.spec.url` wants.
    pub fn url(&self, folder: &str) -> String {
        format!("http://{}/{}", self.address, packages(folder))
    }

    /// Adds a version of Kubernetes, in the repository's notation such as `1.36.4-1.1`, to the index of a folder.
    pub fn publish(&self, folder: &str, version: &str) {
        let mut content = self.content();
        let shelf = content.shelves.entry(packages(folder)).or_default();
        let mut body = shelf.body.to_vec();
        body.extend_from_slice(index::paragraphs(version).as_bytes());
        shelf.body = body.into();
    }

    /// Puts a file there, such as an index of a test's own making. A folder's index is at `<folder>/Packages`.
    pub fn put(&self, path: &str, body: impl Into<Bytes>) {
        self.content().shelves.entry(path.trim_matches('/').to_owned()).or_default().body = body.into();
    }

    /// The index of a folder as it is now, for whoever signs it.
    pub fn index(&self, folder: &str) -> Bytes {
        self.content().shelves.get(&packages(folder)).map(|shelf| shelf.body.clone()).unwrap_or_default()
    }

    /// From now on whoever does not send this `Authorization` is answered 401.
    pub fn protect(&self, authorization: &str) {
        self.content().authorization = Some(authorization.to_owned());
    }

    /// From now on the folder's index is not served, but this.
    pub fn misbehave(&self, folder: &str, how: Misbehaviour) {
        self.content().shelves.entry(packages(folder)).or_default().misbehaviour = Some(how);
    }

    /// Serves the folder's index again.
    pub fn behave(&self, folder: &str) {
        self.content().shelves.entry(packages(folder)).or_default().misbehaviour = None;
    }

    /// The requests for a folder's index so far.
    pub fn requests(&self, folder: &str) -> Vec<Request> {
        let path = format!("/{}", packages(folder));
        self.content().requests.iter().filter(|request| request.path == path).cloned().collect()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        locked(&self.content)
    }
}

impl Drop for PackageRepository {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn packages(folder: &str) -> String {
    let folder = folder.trim_matches('/');
    if folder.is_empty() { "Packages".to_owned() } else { format!("{folder}/Packages") }
}

fn locked(content: &Mutex<Content>) -> MutexGuard<'_, Content> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(content): State<Arc<Mutex<Content>>>, uri: Uri, headers: HeaderMap) -> Response {
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let response = {
        let mut content = locked(&content);
        let response = if content.authorization.is_some() && content.authorization.as_deref() != authorization
        {
            Some(plain(StatusCode::UNAUTHORIZED, Body::from("who are you?\n")))
        } else {
            content.shelves.get(uri.path().trim_matches('/')).map_or_else(
                || Some(plain(StatusCode::NOT_FOUND, Body::from("no such file\n"))),
                |shelf| shelf.answer(asked),
            )
        };
        let status = response.as_ref().map_or(0, |response| response.status().as_u16());
        let path = uri.path().to_owned();
        content.requests.push(Request { path, conditional: asked.is_some(), status });
        response
    };
    match response {
        Some(response) => response,
        // Dropped when the client gives up.
        None => std::future::pending().await,
    }
}

impl Shelf {
    /// None for an answer that never comes.
    fn answer(&self, asked: Option<&str>) -> Option<Response> {
        let ok = |body| plain(StatusCode::OK, body);
        Some(match self.misbehaviour {
            None => self.good(asked),
            Some(Misbehaviour::Status(code)) => {
                let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                plain(status, Body::from("told to\n"))
            }
            Some(Misbehaviour::Html) => {
                let mut response =
                    ok(Body::from("<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"));
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html"));
                response
            }
            Some(Misbehaviour::Empty) => ok(Body::empty()),
            Some(Misbehaviour::Truncated) => {
                let half = self.body.slice(..self.body.len() / 2);
                // The server sends what it has when there is nothing more for the moment, and drops it at an error.
                let cut = async {
                    tokio::time::sleep(CUT_AFTER).await;
                    Err(io::Error::other("told to"))
                };
                let body = stream::iter([Ok(half)]).chain(stream::once(cut));
                let mut response = ok(Body::from_stream(body));
                response.headers_mut().insert(header::CONTENT_LENGTH, self.body.len().into());
                response
            }
            Some(Misbehaviour::Huge) => {
                let chunk = Bytes::from(index::filler());
                let count = 200_000_000_usize.div_ceil(chunk.len());
                ok(Body::from_stream(stream::iter(std::iter::repeat_n(Ok::<_, Infallible>(chunk), count))))
            }
            Some(Misbehaviour::Hangs) => return None,
        })
    }

    fn good(&self, asked: Option<&str>) -> Response {
        let digest = Sha256::digest(&self.body);
        let digest = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let tag = format!("\"{digest:x}\"");
        let mut response = if asked == Some(tag.as_str()) {
            plain(StatusCode::NOT_MODIFIED, Body::empty())
        } else {
            plain(StatusCode::OK, Body::from(self.body.clone()))
        };
        if let Ok(tag) = header::HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

fn plain(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
