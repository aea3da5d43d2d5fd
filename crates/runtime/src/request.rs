//! One API request each, typed by the row that comes back. Bodies that fail to parse are never logged.

use std::time::Duration;

use domain::object::{Kind, ObjectKey, ResourceVersion, Row, api_version};
use http::{Method, Request, header};
use kube::Client;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::Refusal;
use crate::clock::Clock;
use crate::row;

/// How long a read may take from first byte to last.
const READ_LIMIT: Duration = Duration::from_secs(45);
/// How long a write may take: less than lies between our last act under the lease and the first of its next holder.
const WRITE_LIMIT: Duration = Duration::from_secs(14);

/// What a path segment may hold as it is; a name from a user's reference may hold anything.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where an object is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    api_version: String,
    plural: String,
}

impl Place {
    /// The preferred version of a kind.
    pub fn of(kind: Kind) -> Self {
        Self { api_version: kind.api_version(), plural: kind.plural.to_owned() }
    }

    /// A kind in the `group/version` that is being read.
    pub fn in_version(kind: Kind, api_version: &str) -> Self {
        Self { api_version: api_version.to_owned(), plural: kind.plural.to_owned() }
    }

    /// A kind that discovery named.
    pub(crate) fn discovered(group: &str, version: &str, plural: &str) -> Self {
        Self { api_version: api_version(group, version), plural: plural.to_owned() }
    }

    pub(crate) fn api_version(&self) -> &str {
        &self.api_version
    }

    pub(crate) fn plural(&self) -> &str {
        &self.plural
    }

    fn path(&self, namespace: &str, name: Option<&str>, subresource: Option<&str>) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        let mut path = format!("/{root}/{}", self.api_version);
        if !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(&segment(namespace));
        }
        path.push('/');
        path.push_str(&self.plural);
        for part in [name, subresource].into_iter().flatten() {
            path.push('/');
            path.push_str(&segment(part));
        }
        path
    }
}

fn segment(text: &str) -> String {
    // A lone dot segment would be folded away by whoever normalises the path.
    let encoded = utf8_percent_encode(text, SEGMENT).to_string();
    if encoded.chars().all(|c| c == '.') { encoded.replace('.', "%2E") } else { encoded }
}

/// A patch and how it is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 7386.
    Merge(Value),
    /// RFC 6902: refused whole where one `test` fails.
    Json(Vec<Value>),
}

/// What `apply.rs` talks through: a client under one field manager.
#[derive(Clone)]
pub struct Shell {
    client: Client,
    manager: &'static str,
    clock: Clock,
}

impl Shell {
    /// A shell that writes as `manager`.
    pub fn new(client: Client, manager: &'static str, clock: Clock) -> Self {
        Self { client, manager, clock }
    }

    /// The clock, for waits inside a step.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads one object whole.
    pub async fn get<T: DeserializeOwned>(&self, place: &Place, key: &ObjectKey) -> Result<T, Refusal> {
        let path = place.path(&key.namespace, Some(&key.name), None);
        self.send(Method::GET, path, None).await.and_then(|text| parse(&text))
    }

    /// The same as a row: an object whose body does not parse gives the row that says so.
    pub async fn read<R: Row>(&self, place: &Place, key: &ObjectKey) -> Result<R, Refusal> {
        let path = place.path(&key.namespace, Some(&key.name), None);
        self.send(Method::GET, path, None).await.and_then(|text| row(&text))
    }

    /// Reads the `items` of a list, by label selector, following its pages.
    pub async fn list<T: DeserializeOwned>(
        &self,
        place: &Place,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<T>, Refusal> {
        self.list_selected(place, namespace, &format!("labelSelector={}", encoded(labels))).await
    }

    async fn list_selected<T: DeserializeOwned>(
        &self,
        place: &Place,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<T>, Refusal> {
        let base = format!("{}?limit=100&{selector}", place.path(namespace, None, None));
        let (mut path, mut items) = (base.clone(), Vec::new());
        loop {
            let page: List<T> = parse(&self.send(Method::GET, path, None).await?)?;
            items.extend(page.items);
            if page.metadata.next.is_empty() {
                return Ok(items);
            }
            path = format!("{base}&continue={}", encoded(&page.metadata.next));
        }
    }

    /// The same as rows: an item whose body does not parse gives the row that says so.
    pub async fn rows<R: Row>(
        &self,
        place: &Place,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<R>, Refusal> {
        let items = self.list::<Box<RawValue>>(place, namespace, labels).await?;
        items.iter().map(|item| row(item.get())).collect()
    }

    /// The rows of all namespaces whose fields match a field selector; all of them where it is empty.
    pub async fn rows_by_fields<R: Row>(&self, place: &Place, fields: &str) -> Result<Vec<R>, Refusal> {
        let selector = format!("fieldSelector={}", encoded(fields));
        let items = self.list_selected::<Box<RawValue>>(place, "", &selector).await?;
        items.iter().map(|item| row(item.get())).collect()
    }

    /// Creates an object; its name is deterministic, so `AlreadyExists` tells of an earlier attempt.
    pub async fn create<R: Row>(&self, place: &Place, namespace: &str, body: &Value) -> Result<R, Refusal> {
        let path = format!("{}?fieldManager={}", place.path(namespace, None, None), self.manager);
        let text = self.send(Method::POST, path, Some(("application/json", body.to_string()))).await?;
        row(&text)
    }

    /// Asks whether an object would be created, without creating it: schema, defaults, quotas and admission are asked.
    pub async fn try_create(&self, place: &Place, namespace: &str, body: &Value) -> Result<(), Refusal> {
        let path = format!("{}?dryRun=All&fieldManager={}", place.path(namespace, None, None), self.manager);
        self.send(Method::POST, path, Some(("application/json", body.to_string()))).await.map(drop)
    }

    /// Patches an object, or a subresource of it.
    pub async fn patch<R: Row>(
        &self,
        place: &Place,
        key: &ObjectKey,
        subresource: Option<&str>,
        patch: &Patch,
    ) -> Result<R, Refusal> {
        let path = place.path(&key.namespace, Some(&key.name), subresource);
        let (content_type, body) = match patch {
            Patch::Merge(body) => ("application/merge-patch+json", body.to_string()),
            Patch::Json(steps) => ("application/json-patch+json", Value::Array(steps.clone()).to_string()),
        };
        let path = format!("{path}?fieldManager={}", self.manager);
        row(&self.send(Method::PATCH, path, Some((content_type, body))).await?)
    }

    /// Deletes one incarnation of an object, and where a resourceVersion is given only while it is as it was read; what it
    /// owns follows in the background.
    pub async fn delete(
        &self,
        place: &Place,
        key: &ObjectKey,
        uid: &str,
        resource_version: Option<ResourceVersion>,
    ) -> Result<(), Refusal> {
        let mut options = delete_options(uid, None);
        if let Some(version) = resource_version {
            options["preconditions"]["resourceVersion"] = Value::String(version.to_string());
        }
        self.delete_by(place, key, &options).await
    }

    /// Deletes one incarnation of a pod, with so many seconds of grace instead of its own.
    pub async fn delete_pod(
        &self,
        place: &Place,
        key: &ObjectKey,
        uid: &str,
        grace_seconds: Option<u32>,
    ) -> Result<(), Refusal> {
        self.delete_by(place, key, &delete_options(uid, grace_seconds)).await
    }

    /// Evicts one incarnation of a pod: the server asks its PodDisruptionBudgets, and answers with 429 where one of them does
    /// not allow it.
    pub async fn evict(
        &self,
        place: &Place,
        key: &ObjectKey,
        uid: &str,
        grace_seconds: Option<u32>,
    ) -> Result<(), Refusal> {
        let body = serde_json::json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"namespace": key.namespace, "name": key.name},
            "deleteOptions": delete_options(uid, grace_seconds),
        });
        let path = place.path(&key.namespace, Some(&key.name), Some("eviction"));
        self.send(Method::POST, path, Some(("application/json", body.to_string()))).await.map(drop)
    }

    async fn delete_by(&self, place: &Place, key: &ObjectKey, options: &Value) -> Result<(), Refusal> {
        let path = place.path(&key.namespace, Some(&key.name), None);
        self.send(Method::DELETE, path, Some(("application/json", options.to_string()))).await.map(drop)
    }

    /// Asks discovery; `path` such as `/apis/example.org`.
    pub(crate) async fn discover<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        self.send(Method::GET, path.to_owned(), None).await.and_then(|text| parse(&text))
    }

    pub(crate) async fn post(&self, place: &Place, namespace: &str, body: &Value) -> Result<(), Refusal> {
        let path = format!("{}?fieldManager={}", place.path(namespace, None, None), self.manager);
        self.send(Method::POST, path, Some(("application/json", body.to_string()))).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: String,
        body: Option<(&str, String)>,
    ) -> Result<String, Refusal> {
        let limit = if method == Method::GET { READ_LIMIT } else { WRITE_LIMIT };
        let mut request = Request::builder().method(method).uri(path);
        if let Some((content_type, _)) = &body {
            request = request.header(header::CONTENT_TYPE, *content_type);
        }
        let request = request
            .body(body.map(|(_, body)| body.into_bytes()).unwrap_or_default())
            .map_err(|error| Refusal::Other(format!("cannot build the request: {error}")))?;
        match tokio::time::timeout(limit, self.client.request_text(request)).await {
            Ok(answer) => answer.map_err(Refusal::from),
            Err(_) => Err(Refusal::Unavailable {
                message: format!("no answer within {} s", limit.as_secs()),
                retry_after: None,
            }),
        }
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn delete_options(uid: &str, grace_seconds: Option<u32>) -> Value {
    let mut options = serde_json::json!({
        "apiVersion": "v1", "kind": "DeleteOptions",
        "propagationPolicy": "Background", "preconditions": {"uid": uid},
    });
    if let Some(seconds) = grace_seconds {
        options["gracePeriodSeconds"] = seconds.into();
    }
    options
}

#[derive(serde::Deserialize)]
struct List<T> {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<T>,
}

#[derive(serde::Deserialize, Default)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(unreadable)
}

fn row<R: Row>(text: &str) -> Result<R, Refusal> {
    row::of(text).map_err(unreadable)
}

/// Where it went wrong, not what stood there: the error itself would quote it.
fn unreadable(error: serde_json::Error) -> Refusal {
    Refusal::Other(format!("cannot read the answer at line {} column {}", error.line(), error.column()))
}

/// An object as the watch hands it over: its row, and the little that kube's watcher needs.
#[derive(Clone, Debug)]
pub(crate) struct Watched<R> {
    pub(crate) meta: kube::core::ObjectMeta,
    pub(crate) row: R,
}

impl<'de, R: Row> serde::Deserialize<'de> for Watched<R> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let row: R = row(raw.get()).map_err(serde::de::Error::custom)?;
        let meta = row.meta();
        let meta = kube::core::ObjectMeta {
            name: Some(meta.key.name.to_string()),
            namespace: Some(meta.key.namespace.to_string()).filter(|namespace| !namespace.is_empty()),
            uid: Some(meta.uid.to_string()),
            resource_version: Some(meta.resource_version.to_string()),
            ..Default::default()
        };
        Ok(Self { meta, row })
    }
}

impl<R: Row> kube::Resource for Watched<R> {
    type DynamicType = kube::core::ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(dt: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        dt.kind.as_str().into()
    }
    fn group(dt: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        dt.group.as_str().into()
    }
    fn version(dt: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        dt.version.as_str().into()
    }
    fn api_version(dt: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        dt.api_version.as_str().into()
    }
    fn plural(dt: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        dt.plural.as_str().into()
    }
    fn meta(&self) -> &kube::core::ObjectMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_be_led_astray_by_a_name() {
        let place = Place { api_version: "example.org/v1".into(), plural: "widgets".into() };
        assert_eq!(
            place.path("ns", Some("a"), Some("status")),
            "/apis/example.org/v1/namespaces/ns/widgets/a/status"
        );
        assert_eq!(
            place.path("ns", Some("../../secrets?x"), None),
            "/apis/example.org/v1/namespaces/ns/widgets/..%2F..%2Fsecrets%3Fx"
        );
        assert_eq!(place.path("ns", Some(".."), None), "/apis/example.org/v1/namespaces/ns/widgets/%2E%2E");
        let core = Place { api_version: "v1".into(), plural: "pods".into() };
        assert_eq!(core.path("ns", None, None), "/api/v1/namespaces/ns/pods");
    }
}
