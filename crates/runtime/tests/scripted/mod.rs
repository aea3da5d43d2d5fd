//! A transport of a few requests: widgets, parts and events of one namespace, with faults by script.

#![allow(clippy::unwrap_used, reason = "a script that cannot be played must stop its test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use runtime::client::Stack;
use runtime::clock::Clock;
use runtime::engine::{Deps, Engine};
use runtime::health::{Heartbeat, Readiness};
use runtime::lease::Leadership;
use runtime::metrics::Metrics;
use runtime::room::Room;
use runtime::rules::{Declared, Rule};
use serde_json::{Value, json};
use tower::BoxError;

/// What the transport holds and how it misbehaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    widgets: BTreeMap<String, Value>,
    page: Option<usize>,
    fail_creates: usize,
    lose_answers: usize,
    lose_statuses: usize,
    late: Duration,
    slow: Duration,
    busy: Option<u32>,
    breaks: Option<&'static str>,
    refusal: Option<(u16, &'static str, &'static str)>,
    forbidden: Option<(&'static str, &'static str)>,
    leads_for: Option<Duration>,
    dry_run: bool,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }
    pub(crate) fn widget(self, name: &str) -> Self {
        self.with(name, json!({"size": 1}))
    }
    pub(crate) fn broken(self, name: &str) -> Self {
        self.with(name, json!({"size": "large"}))
    }
    /// Somebody breaks this widget right before a status of it is written.
    pub(crate) fn breaks(mut self, name: &'static str) -> Self {
        self.breaks = Some(name);
        self
    }
    pub(crate) fn page_size(mut self, size: usize) -> Self {
        self.page = Some(size);
        self
    }
    pub(crate) fn fail_creates(mut self, count: usize) -> Self {
        self.fail_creates = count;
        self
    }
    pub(crate) fn lose_answers(mut self, count: usize) -> Self {
        self.lose_answers = count;
        self
    }
    /// The same for the writes of a status.
    pub(crate) fn lose_statuses(mut self, count: usize) -> Self {
        self.lose_statuses = count;
        self
    }
    /// Watches of widgets are late by so much.
    pub(crate) fn late(mut self, by: Duration) -> Self {
        self.late = by;
        self
    }
    /// Each part takes so long to be made.
    pub(crate) fn slow(mut self, by: Duration) -> Self {
        self.slow = by;
        self
    }
    pub(crate) fn busy(mut self, seconds: u32) -> Self {
        self.busy = Some(seconds);
        self
    }
    /// Answers every create with this code, reason and message.
    pub(crate) fn refuse_creates(mut self, refusal: (u16, &'static str, &'static str)) -> Self {
        self.refusal = Some(refusal);
        self
    }
    pub(crate) fn without_rule(mut self, resource: &'static str, verb: &'static str) -> Self {
        self.forbidden = Some((resource, verb));
        self
    }
    /// Leads for this long; for ever where it is not said.
    pub(crate) fn leads_for(mut self, time: Duration) -> Self {
        self.leads_for = Some(time);
        self
    }
    pub(crate) fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }
    fn with(mut self, name: &str, spec: Value) -> Self {
        let meta = json!({"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "generation": 1,
            "resourceVersion": (self.widgets.len() + 1).to_string(), "managedFields": [{"manager": "x"}]});
        self.widgets.insert(name.to_owned(), json!({"metadata": meta, "spec": spec}));
        self
    }
}

/// What was asked, in order, and what is there at the end.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) lines: Vec<String>,
    pub(crate) parts: Vec<String>,
    bodies: Vec<(String, Value)>,
}

impl Journal {
    pub(crate) fn writes(&self) -> Vec<&str> {
        self.lines.iter().map(String::as_str).filter(|line| !line.starts_with("GET")).collect()
    }
    pub(crate) fn matching(&self, part: &str) -> Vec<&str> {
        self.lines.iter().map(String::as_str).filter(|line| line.contains(part)).collect()
    }
    pub(crate) fn at(&self, part: &str) -> usize {
        self.lines.iter().position(|line| line.contains(part)).unwrap()
    }
    pub(crate) fn body_of(&self, part: &str) -> &Value {
        self.bodies_of(part)[0]
    }
    pub(crate) fn bodies_of(&self, part: &str) -> Vec<&Value> {
        self.bodies.iter().filter(|(path, _)| path.contains(part)).map(|(_, body)| body).collect()
    }
}

#[derive(Default)]
struct World {
    script: Script,
    version: u64,
    parts: BTreeMap<String, Value>,
    events: Vec<(u64, &'static str, Value)>,
    bodies: Vec<(String, Value)>,
}

/// Runs a room on a script for a time of the simulated clock.
pub(crate) fn run<R: Room>(script: Script, room: R, time: Duration) -> Journal {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async move {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let metrics = Metrics::new("test");
        let rules = R::RULES.iter().map(|rule| allowed(*rule, script.forbidden));
        let mut stack = Stack::new(metrics.clone());
        stack.journal = Some(lines.clone());
        stack.declared = Some(Declared::new(rules));
        let (leads_for, dry_run) = (script.leads_for.unwrap_or(Duration::MAX), script.dry_run);
        let world = Arc::new(Mutex::new(World { script, version: 100, ..World::default() }));
        let transport = Transport(world.clone());
        let clock = Clock::simulated("2026-11-21T10:00:00Z".parse().unwrap(), 7);
        let engine = Engine::new(Deps {
            client: stack.client(transport, "default"),
            heartbeat: Heartbeat::new(clock.now(), Duration::from_secs(60)),
            clock: clock.clone(),
            metrics,
            readiness: Readiness::new(),
            leadership: Leadership::until(runtime::clock::after(clock.now(), leads_for)),
            namespace: None,
            dry_run,
            instance: "test".into(),
        });
        engine.room(room).run(async move { clock.sleep(time).await }).await;
        let world = world.lock().unwrap();
        let lines = lines.lock().unwrap().clone();
        Journal { lines, parts: world.parts.keys().cloned().collect(), bodies: world.bodies.clone() }
    })
}

fn allowed(rule: Rule, forbidden: Option<(&str, &str)>) -> Rule {
    match forbidden {
        Some((resource, verb)) if rule.resource == resource && rule.verbs.contains(&verb) => {
            Rule::new(rule.group, rule.resource, &["list", "watch"])
        }
        _ => rule,
    }
}

#[derive(Clone)]
struct Transport(Arc<Mutex<World>>);

impl tower::Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let world = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await?.to_bytes();
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
            if query.contains("watch=true") {
                return watch(&world, &path, &query).await;
            }
            let slow = if path.ends_with("/parts") && head.method == Method::POST {
                world.lock().unwrap().script.slow
            } else {
                Duration::ZERO
            };
            tokio::time::sleep(slow).await;
            answer(&mut world.lock().unwrap(), &head.method, &path, &query, body)
        })
    }
}

/// Sends what came after the asked version and closes; waits where there is nothing.
async fn watch(world: &Arc<Mutex<World>>, path: &str, query: &str) -> Result<Response<Body>, BoxError> {
    let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
    let since = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).unwrap_or("0");
    let since: u64 = since.parse()?;
    loop {
        let lines: Vec<String> = events(&world.lock().unwrap(), &plural, since);
        if !lines.is_empty() {
            let late = if plural == "widgets" { world.lock().unwrap().script.late } else { Duration::ZERO };
            tokio::time::sleep(late).await;
            return Ok(Response::new(Body::from(lines.concat().into_bytes())));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn events(world: &MutexGuard<'_, World>, plural: &str, since: u64) -> Vec<String> {
    let new = world.events.iter().filter(|(version, kind, _)| *version > since && *kind == plural);
    // `type` comes first, as every API server sends it: the object after it is then read without a copy.
    new.map(|(_, _, object)| format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n")).collect()
}

fn answer(
    world: &mut World,
    method: &Method,
    path: &str,
    query: &str,
    body: Value,
) -> Result<Response<Body>, BoxError> {
    let plural = if path.contains("/parts") { "parts" } else { "widgets" };
    match method.as_str() {
        "GET" if path.contains("/widgets") || path.contains("/parts") => {
            let held = if plural == "parts" { &world.parts } else { &world.script.widgets };
            let from = query.split('&').find_map(|pair| pair.strip_prefix("continue=")).unwrap_or("0");
            let from: usize = from.parse()?;
            let size = world.script.page.unwrap_or(100);
            let items: Vec<&Value> = held.values().skip(from).take(size).collect();
            let next = if from + size < held.len() { (from + size).to_string() } else { String::new() };
            let meta = json!({"resourceVersion": world.version.to_string(), "continue": next});
            reply(
                200,
                &json!({"apiVersion": "example.org/v1", "kind": "List", "metadata": meta, "items": items}),
            )
        }
        "POST" if path.ends_with("/parts") => {
            if let Some(seconds) = world.script.busy.take() {
                let details = json!({"retryAfterSeconds": seconds});
                return status(429, "TooManyRequests", &details);
            }
            if let Some((code, reason, message)) = world.script.refusal {
                return reply(code, &failure(code, reason, message, &json!({"causes": [{"field": "spec"}]})));
            }
            if world.script.fail_creates > 0 {
                world.script.fail_creates -= 1;
                return status(503, "ServiceUnavailable", &json!({}));
            }
            let name = body["metadata"]["name"].as_str().unwrap().to_owned();
            if world.parts.contains_key(&name) {
                return status(409, "AlreadyExists", &json!({}));
            }
            let object = stamped(world, "parts", body);
            world.parts.insert(name, object.clone());
            if world.script.lose_answers > 0 {
                world.script.lose_answers -= 1;
                return Err("connection reset".into());
            }
            reply(201, &object)
        }
        "PATCH" => {
            let name = path.rsplit('/').nth(1).unwrap().to_owned();
            world.bodies.push((path.to_owned(), body.clone()));
            let mut object = world.script.widgets[&name].clone();
            if world.script.breaks.take_if(|breaks| **breaks == *name).is_some() {
                object["spec"] = json!({"size": "large"});
                object["metadata"]["generation"] = json!(2);
            }
            for (field, value) in body["status"].as_object().unwrap() {
                object["status"][field] = value.clone();
            }
            let object = stamped(world, "widgets", object);
            world.script.widgets.insert(name, object.clone());
            if world.script.lose_statuses > 0 {
                world.script.lose_statuses -= 1;
                return Err("connection reset".into());
            }
            reply(200, &object)
        }
        "POST" => reply(201, &body),
        _ => status(404, "NotFound", &json!({})),
    }
}

fn stamped(world: &mut World, plural: &'static str, mut object: Value) -> Value {
    world.version += 1;
    object["metadata"]["resourceVersion"] = json!(world.version.to_string());
    world.events.push((world.version, plural, object.clone()));
    object
}

fn reply(code: u16, body: &Value) -> Result<Response<Body>, BoxError> {
    Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes()))?)
}

fn status(code: u16, reason: &str, details: &Value) -> Result<Response<Body>, BoxError> {
    reply(code, &failure(code, reason, &format!("scripted {reason}"), details))
}

fn failure(code: u16, reason: &str, message: &str, details: &Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message, "details": details})
}
