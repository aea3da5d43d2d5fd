//! Requests as they come over the wire, and their answers.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use domain::object::ObjectKey;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, StreamBody};
use kube::client::Body;
use percent_encoding::percent_decode_str;
use runtime::rules::Wish;
use serde_json::Value;
use tower::BoxError;

use super::answer::Refused;
use super::catalogue::Id;
use super::objects::{Scope, list_of};
use super::selector::Selector;
use super::write::{Deletion, Patch};
use crate::world::{Shared, World, locked};

/// The page that is given where no limit is asked for.
const NO_LIMIT: usize = usize::MAX;
/// What our controllers are called in the requests that they make.
const MANAGER: &str = "kubernetes-upgrader-";

/// The body of an answer: one frame, or a line of a watch in each.
pub(crate) type Frames = BoxStream<'static, Result<http_body::Frame<Bytes>, Infallible>>;

/// The API server as a transport of kube's client.
#[derive(Clone)]
pub(crate) struct Server(pub(crate) Shared);

/// What answers a request.
enum Answer {
    Whole(Bytes),
    Created(Bytes),
    Lines(futures::channel::mpsc::UnboundedReceiver<Bytes>),
}

impl tower::Service<Request<Body>> for Server {
    type Response = Response<StreamBody<Frames>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let world = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            respond(&mut locked(&world), &head, &body)
        })
    }
}

/// Does what a request asks for.
pub(crate) fn respond(
    world: &mut World,
    head: &http::request::Parts,
    body: &Bytes,
) -> Result<Response<StreamBody<Frames>>, BoxError> {
    let whole = |bytes: Bytes| futures::stream::iter([Ok(http_body::Frame::data(bytes))]).boxed();
    let (code, frames): (u16, Frames) = match answer(world, head, body) {
        Ok(Answer::Whole(bytes)) => (200, whole(bytes)),
        Ok(Answer::Created(bytes)) => (201, whole(bytes)),
        Ok(Answer::Lines(lines)) => (200, lines.map(|line| Ok(http_body::Frame::data(line))).boxed()),
        Err(refused) => (refused.code, whole(refused.body())),
    };
    let response = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(StreamBody::new(frames))?)
}

/// What a path names.
struct Path<'a> {
    id: Id,
    namespace: Box<str>,
    name: Option<Box<str>>,
    subresource: Option<&'a str>,
}

fn answer(world: &mut World, head: &http::request::Parts, body: &Bytes) -> Result<Answer, Refused> {
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let wish = Wish::of(&head.method, path, query);
    let verb = wish.as_ref().map_or("discover", |wish| wish.verb);
    let resource = wish.as_ref().map_or("", |wish| wish.resource.as_str());
    world.journal(verb, resource, &format!("{path}?{query}"), body);
    let lacking = |world: &mut World, what: String| {
        world.lacks(format!("{what}, in {} {path}?{query}", head.method));
        Err(Refused::bad_request(format!("not simulated: {what}")))
    };
    let Some(wish) = wish else {
        return discover(world, path).map(|found| Answer::Whole(found.to_string().into()));
    };
    let Some(path) = place(world, path) else { return Err(Refused::not_served()) };
    if !world.catalogue.get(path.id).foreign && !world.declared.allows(&wish) {
        return lacking(world, format!("no RULES declare {} on {}", wish.verb, wish.resource));
    }
    let pairs = pairs(query);
    let pair = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    for (key, value) in &pairs {
        let known = match key.as_str() {
            "limit"
            | "continue"
            | "labelSelector"
            | "watch"
            | "resourceVersion"
            | "timeoutSeconds"
            | "allowWatchBookmarks"
            | "fieldManager" => true,
            "resourceVersionMatch" => value == "NotOlderThan",
            _ => false,
        };
        if !known {
            return lacking(world, format!("the parameter {key}"));
        }
    }
    let selector = match Selector::parse(pair("labelSelector").unwrap_or_default()) {
        Ok(selector) => selector,
        Err(what) => return lacking(world, what),
    };
    let manager = pair("fieldManager").unwrap_or("manager");
    let actor = manager.strip_prefix(MANAGER).unwrap_or(manager);
    let number = |name: &str| pair(name).and_then(|text| text.parse().ok());
    let resource = world.catalogue.get(path.id).clone();
    let names = (resource.api_version(), resource.kind.clone());
    let kind = (names.0.as_str(), &*names.1);
    match (wish.verb, &path.name, path.subresource) {
        ("watch", None, None) => {
            if selector != Selector::default() || world.made(path.id, "").is_some() {
                return lacking(world, format!("watching {} like this", resource.plural));
            }
            let from = number("resourceVersion").unwrap_or(0);
            let bookmarks = pair("allowWatchBookmarks") == Some("true");
            let lines = world.objects.watch(path.id, kind, path.namespace, from, bookmarks)?;
            Ok(Answer::Lines(lines))
        }
        ("list", None, None) => {
            let scope = Scope { namespace: path.namespace, selector };
            if let Some(mut made) = world.made(path.id, &scope.namespace) {
                made.retain(|object| scope.selector.matches(object));
                let items: Vec<String> = made.iter().map(Value::to_string).collect();
                let version = world.objects.version().to_string();
                return Ok(Answer::Whole(list_of(kind, &version, "", items.join(",").as_bytes())));
            }
            let limit = number("limit").and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
            let token = pair("continue").unwrap_or_default();
            let list = world.objects.list(path.id, kind, &scope, limit.unwrap_or(NO_LIMIT), token)?;
            Ok(Answer::Whole(list))
        }
        ("get", Some(name), None | Some("status")) => {
            let missing = || Refused::not_found(&resource.group, &resource.plural, name);
            if let Some(made) = world.made(path.id, &path.namespace) {
                let found = made.into_iter().find(|object| object["metadata"]["name"] == **name);
                return found.map(|object| Answer::Whole(object.to_string().into())).ok_or_else(missing);
            }
            let key = ObjectKey::new(path.namespace, name.clone());
            let found = world.objects.get(path.id, &key).map(|entry| entry.bytes.clone());
            found.map(Answer::Whole).ok_or_else(missing)
        }
        ("create", None, None) => {
            let body = json(body)?;
            if *resource.plural == *"events" {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                let key = ObjectKey::new(path.namespace, name);
                let new = world.event(key);
                let exists = || Refused::already_exists(&resource.group, &resource.plural, name);
                return if new { Ok(Answer::Created(body.to_string().into())) } else { Err(exists()) };
            }
            world.create(actor, path.id, &path.namespace, body).map(Answer::Created)
        }
        ("patch", Some(name), None | Some("status")) => {
            let key = ObjectKey::new(path.namespace, name.clone());
            let type_ = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let how = match (type_, json(body)?) {
                (Some("application/merge-patch+json"), body) => Patch::Merge(body),
                (Some("application/json-patch+json"), Value::Array(steps)) => Patch::Json(steps),
                (type_, _) => return lacking(world, format!("a patch of {type_:?}")),
            };
            world.patch(actor, path.id, &key, path.subresource.is_some(), how).map(Answer::Whole)
        }
        ("delete", Some(name), None) => {
            let options = if body.is_empty() { Value::Null } else { json(body)? };
            let text = |field: &str| options["preconditions"][field].as_str().map(Box::from);
            let orphan = match options["propagationPolicy"].as_str() {
                // The default of batch/v1 is the one that nobody expects.
                None => *resource.group == *"batch",
                Some("Orphan") => true,
                Some("Background") => false,
                Some(policy) => return lacking(world, format!("propagationPolicy {policy}")),
            };
            let deletion = Deletion { uid: text("uid"), resource_version: text("resourceVersion"), orphan };
            let key = ObjectKey::new(path.namespace, name.clone());
            world.delete(actor, path.id, &key, &deletion).map(Answer::Whole)
        }
        (verb, ..) => lacking(world, format!("{verb} on {}", wish.resource)),
    }
}

fn json(body: &Bytes) -> Result<Value, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused::bad_request(format!("the body is no JSON: {error}")))
}

fn discover(world: &World, path: &str) -> Result<Value, Refused> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let found = match parts.as_slice() {
        ["apis"] => Some(world.catalogue.groups()),
        ["api"] => Some(serde_json::json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["apis", group] => world.catalogue.group(group),
        ["apis", group, version] => world.catalogue.resources(group, version),
        ["api", version] => world.catalogue.resources("", version),
        _ => None,
    };
    found.ok_or_else(Refused::not_served)
}

/// What of the catalogue a path names; nothing where it is not served.
fn place<'a>(world: &World, path: &'a str) -> Option<Path<'a>> {
    let mut parts = path.trim_matches('/').split('/');
    let group = match parts.next()? {
        "api" => "",
        "apis" => parts.next()?,
        _ => return None,
    };
    let version = parts.next()?;
    let mut rest: Vec<&str> = parts.collect();
    let mut namespace = Box::default();
    if rest.len() > 2 && rest[0] == "namespaces" {
        namespace = decoded(rest[1]).into();
        rest.drain(..2);
    }
    let id = world.catalogue.at(group, version, rest.first()?)?;
    let name = rest.get(1).map(|name| decoded(name).into());
    Some(Path { id, namespace, name, subresource: rest.get(2).copied() })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(&value.replace('+', " ")))
        })
        .collect()
}
