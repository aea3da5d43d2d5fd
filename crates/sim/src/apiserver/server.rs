//! The API server as a transport: a request comes in, an answer goes out.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use domain::object::ObjectKey;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, StreamBody};
use kube::client::Body;
use runtime::rules::Wish;
use serde_json::Value;
use tower::BoxError;

use super::answer::Refused;
use super::asked::{Path, Query, discover, nothing_at, place};
use super::catalogue::Resource;
use super::delete::Deletion;
use super::eviction;
use super::leases;
use super::metadata;
use super::objects::Scope;
use super::pages::Form;
use super::selector::Selector;
use super::write::Patch;
use crate::world::agenda::Due;
use crate::world::{Shared, World, locked};

/// The page that is given where no limit is asked for.
const NO_LIMIT: usize = usize::MAX;
/// What our controllers are called in the requests that they make.
const MANAGER: &str = "kubernetes-upgrader-";
/// A quiet watch is told that it lives so long before it ends.
const BEFORE_THE_END: Duration = Duration::from_secs(2);
/// Of Events nothing is kept but the name.
const EVENT: &str = "Event";

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

fn answer(world: &mut World, head: &http::request::Parts, body: &Bytes) -> Result<Answer, Refused> {
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let wish = Wish::of(&head.method, path, query);
    // Whoever runs two managers lets them have leases; nobody else asks for one.
    if wish.is_some() && world.declared.is_none() && leases::is_lease(path) {
        let (code, bytes) = leases::answer(world, head, body)?;
        return Ok(if code == 201 { Answer::Created(bytes) } else { Answer::Whole(bytes) });
    }
    let verb = wish.as_ref().map_or("discover", |wish| wish.verb);
    let resource = wish.as_ref().map_or("", |wish| wish.resource.as_str());
    world.journal(verb, resource, &format!("{path}?{query}"), body);
    let Some(wish) = wish else {
        return discover(&world.catalogue, path).map(|found| Answer::Whole(found.to_string().into()));
    };
    let Some(place) = place(&world.catalogue, path) else { return Err(nothing_at(path)) };
    let resource = world.catalogue.get(place.id).clone();
    if place.subresource == Some("status") && !resource.status {
        return Err(Refused::not_served());
    }
    let declared = world.declared.as_ref().is_none_or(|declared| resource.foreign || declared.allows(&wish));
    let outcome = if declared {
        Query::read(wish.verb, query)
            .and_then(|query| done(world, &wish, &place, &resource, &query, head, body))
    } else {
        Err(format!("no RULES declare {} on {}", wish.verb, wish.resource))
    };
    outcome.unwrap_or_else(|what| {
        world.lacks(format!("{what}, in {} {path}?{query}", head.method));
        Err(Refused::bad_request(format!("not simulated: {what}")))
    })
}

/// An answer; or what it is that is not simulated.
type Outcome = Result<Result<Answer, Refused>, String>;

fn done(
    world: &mut World,
    wish: &Wish,
    place: &Path<'_>,
    resource: &Resource,
    query: &Query,
    head: &http::request::Parts,
    body: &Bytes,
) -> Outcome {
    let actor = query.manager.strip_prefix(MANAGER).unwrap_or(&query.manager);
    match (wish.verb, &place.name, place.subresource) {
        ("list", ..) if query.selector.is_of_pods() && !resource.is_pod() => {
            Err(format!("a field selector on {}", resource.plural))
        }
        ("watch", None, None) => watch(world, place, resource, query),
        ("create", Some(name), Some("eviction")) if resource.is_pod() => {
            let Ok(body) = serde_json::from_slice(body) else {
                return Err("a body that is no JSON".to_owned());
            };
            let (options, dry_run) = eviction::options(&body)?;
            let eviction = Deletion { dry_run, ..delete_options(resource, &options)? };
            let key = ObjectKey::new(place.namespace.clone(), name.clone());
            Ok(world.evict(place.id, &key, &eviction).map(Answer::Created))
        }
        ("list", None, None) if *resource.kind != *EVENT => Ok(list(world, place, resource, query)),
        ("get", Some(name), None | Some("status")) if *resource.kind != *EVENT => {
            Ok(get(world, place, resource, name))
        }
        ("create", None, None) if !resource.made => {
            let Ok(body) = serde_json::from_slice(body) else {
                return Err("a body that is no JSON".to_owned());
            };
            Ok(create(world, actor, place, resource, query, body))
        }
        ("patch", Some(name), None | Some("status")) if !resource.made && *resource.kind != *EVENT => {
            let type_ = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let how = match (type_, serde_json::from_slice(body)) {
                (Some("application/merge-patch+json"), Ok(body)) => Patch::Merge(body),
                (Some("application/json-patch+json"), Ok(Value::Array(steps))) => Patch::Json(steps),
                (type_, _) => return Err(format!("a patch of {type_:?}")),
            };
            let key = ObjectKey::new(place.namespace.clone(), name.clone());
            let status = place.subresource.is_some();
            if !query.dry_run {
                return Ok(world.patch(actor, place.id, &key, status, how).map(Answer::Whole));
            }
            let patched = world.patched(actor, place.id, &key, status, how);
            Ok(patched.and_then(|patched| match patched {
                Some((_, after)) => Ok(Answer::Whole(after.to_string().into())),
                None => get(world, place, resource, name),
            }))
        }
        ("delete", Some(name), None) if !resource.made && *resource.kind != *EVENT => {
            let mut deletion = deletion(resource, body)?;
            deletion.dry_run = query.dry_run;
            let key = ObjectKey::new(place.namespace.clone(), name.clone());
            Ok(world.delete(actor, place.id, &key, &deletion).map(Answer::Whole))
        }
        (verb, ..) => Err(format!("{verb} on {}", wish.resource)),
    }
}

/// Opens a watch.
fn watch(world: &mut World, place: &Path<'_>, resource: &Resource, query: &Query) -> Outcome {
    // With a selector nobody watches but those who watch Jobs and pods of many owners.
    let selected = query.selector != Selector::default() && resource.is_custom();
    if selected || resource.made || *resource.kind == *EVENT {
        return Err(format!("watching {} like this", resource.plural));
    }
    let from = query.version.unwrap_or(0);
    let scope = Scope { namespace: place.namespace.clone(), selector: query.selector.clone() };
    let (lines, number) = match world.objects.watch(place.id, scope, from) {
        Ok(watch) => watch,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Some(timeout) = query.timeout.filter(|_| world.watches_end) {
        if let Some(before) = timeout.checked_sub(BEFORE_THE_END).filter(|_| query.bookmarks) {
            world.after(before, Due::Bookmark(place.id, number));
        }
        world.after(timeout, Due::WatchEnds(place.id, number));
    }
    Ok(Ok(Answer::Lines(lines)))
}

fn list(world: &mut World, place: &Path<'_>, resource: &Resource, query: &Query) -> Result<Answer, Refused> {
    let (api_version, kind) = (resource.api_version(), &resource.kind);
    let form = Form { api_version: &api_version, kind, bare: !resource.is_custom() };
    let scope = Scope { namespace: place.namespace.clone(), selector: query.selector.clone() };
    if let Some(mut made) = world.made(place.id, &scope.namespace) {
        made.retain(|object| scope.selector.matches(object));
        let items = form.of_values(&made);
        return Ok(Answer::Whole(form.list(world.objects.version(), "", None, items.as_bytes())));
    }
    let limit = query.limit.unwrap_or(NO_LIMIT);
    world.objects.list(place.id, &form, &scope, limit, &query.token).map(Answer::Whole)
}

fn get(world: &World, place: &Path<'_>, resource: &Resource, name: &str) -> Result<Answer, Refused> {
    let missing = || Refused::not_found(&resource.group, &resource.plural, name);
    if let Some(made) = world.made(place.id, &place.namespace) {
        let found = made.into_iter().find(|object| object["metadata"]["name"] == *name);
        return found.map(|object| Answer::Whole(object.to_string().into())).ok_or_else(missing);
    }
    let key = ObjectKey::new(place.namespace.clone(), name);
    let found = world.objects.get(place.id, &key).map(|entry| entry.bytes.clone());
    found.map(Answer::Whole).ok_or_else(missing)
}

fn create(
    world: &mut World,
    actor: &str,
    place: &Path<'_>,
    resource: &Resource,
    query: &Query,
    body: Value,
) -> Result<Answer, Refused> {
    let (group, plural) = (&*resource.group, &*resource.plural);
    if *resource.kind == *EVENT {
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        let faults = metadata::check(&body, None);
        if !faults.is_empty() {
            // Its older group is the one that refuses.
            return Err(Refused::faulty(&resource.kind, "", name, &faults));
        }
        let key = ObjectKey::new(place.namespace.clone(), name);
        let mut event = body.clone();
        event["metadata"]["namespace"] = Value::String(place.namespace.to_string());
        return if world.event(key) {
            Ok(Answer::Created(event.to_string().into()))
        } else {
            Err(Refused::already_exists(group, plural, name))
        };
    }
    if query.dry_run {
        let (_, object) = world.created(actor, place.id, &place.namespace, body)?;
        return Ok(Answer::Created(object.to_string().into()));
    }
    world.create(actor, place.id, &place.namespace, body).map(Answer::Created)
}

/// The options of a delete that are simulated.
const DELETE_OPTIONS: [&str; 5] = ["apiVersion", "kind", "propagationPolicy", "preconditions", GRACE_PERIOD];
/// One that pods alone have here.
const GRACE_PERIOD: &str = "gracePeriodSeconds";

/// What a delete asks for; or what of it is not simulated.
fn deletion(resource: &Resource, body: &Bytes) -> Result<Deletion, String> {
    let options: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body).map_err(|_| "a body that is no JSON".to_owned())?
    };
    delete_options(resource, &options)
}

/// The same, read.
pub(super) fn delete_options(resource: &Resource, options: &Value) -> Result<Deletion, String> {
    let text = |field: &str| options["preconditions"][field].as_str().map(Box::from);
    match options["propagationPolicy"].as_str() {
        // The default of batch/v1 is to orphan, which nobody expects.
        None if *resource.group == *"batch" => {
            return Err("deleting a Job without a propagationPolicy".to_owned());
        }
        None | Some("Background") => {}
        Some(policy) => return Err(format!("propagationPolicy {policy}")),
    }
    let unknown = options.as_object().into_iter().flat_map(|fields| fields.keys());
    if let Some(unknown) = unknown.into_iter().find(|name| !DELETE_OPTIONS.contains(&name.as_str())) {
        return Err(format!("the option {unknown} of a delete"));
    }
    if !resource.is_pod() && !options[GRACE_PERIOD].is_null() {
        return Err(format!("the option {GRACE_PERIOD} of a delete"));
    }
    let grace = options[GRACE_PERIOD].as_i64();
    Ok(Deletion { uid: text("uid"), resource_version: text("resourceVersion"), dry_run: false, grace })
}
