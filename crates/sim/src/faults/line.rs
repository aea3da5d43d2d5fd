//! The line from one process to the API server: the transport of kube's client, with what goes wrong on it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use runtime::clock::{Clock, after};
use tokio::sync::Notify;
use tower::BoxError;

use super::{Class, Fault, Kind, Plan, watch};
use crate::apiserver::answer::Refused;
use crate::apiserver::leases;
use crate::apiserver::server::{Frames, respond};
use crate::world::{Shared, locked};

type Answer = Response<StreamBody<Frames>>;

/// What happens to processes, and what has happened on their lines.
pub(crate) struct Stage {
    plan: Plan,
    /// From then on nothing goes wrong.
    pub(crate) until: Timestamp,
    /// How many requests there were.
    pub(crate) requests: u64,
    /// What has gone wrong, by kind.
    pub(crate) happened: BTreeMap<Kind, u64>,
    /// The same by number.
    pub(crate) numbers: Vec<(u64, String)>,
    /// Processes that are to end, each with the seconds after which the next one begins.
    pub(crate) killed: Vec<(u32, u64)>,
    /// Processes beside which another is to begin, each with the seconds for which it goes on.
    pub(crate) beside: Vec<(u32, u64)>,
    cut_off: BTreeMap<u32, Timestamp>,
    /// Numbers of the requests that change something, for those who want to know where to kill.
    pub(crate) writes: Vec<u64>,
    wake: Arc<Notify>,
    /// What goes wrong is told in the timeline.
    pub(crate) telling: bool,
}

impl Stage {
    pub(crate) fn new(plan: Plan, until: Timestamp, wake: Arc<Notify>) -> Self {
        Self {
            plan,
            until,
            requests: 0,
            happened: BTreeMap::new(),
            numbers: Vec::new(),
            killed: Vec::new(),
            beside: Vec::new(),
            cut_off: BTreeMap::new(),
            writes: Vec::new(),
            wake,
            telling: false,
        }
    }
}

/// Who is at this end.
#[derive(Clone)]
pub(crate) struct Line {
    /// Number of the process.
    pub(crate) process: u32,
    pub(crate) world: Shared,
    pub(crate) stage: Arc<Mutex<Stage>>,
    /// The clock of the process, which somebody may set.
    pub(crate) clock: Clock,
    /// The process is dead: nothing of it gets through any more.
    pub(crate) dead: Arc<AtomicBool>,
}

/// How a request fares.
pub(crate) enum Way {
    /// It goes through, with this going wrong.
    Open(Option<Fault>),
    /// It does not.
    Closed,
}

pub(crate) fn staged(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Counts a request and says what goes wrong with it. Never returns where the process does not live to see it.
    pub(crate) async fn meet(&self, class: Class, what: &str) -> Way {
        if self.dead.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let (fault, wake, line) = {
            let now = locked(&self.world).now();
            let mut stage = staged(&self.stage);
            stage.requests += 1;
            let number = stage.requests;
            if stage.telling {
                locked(&self.world).tell(
                    &format!("process {}", self.process),
                    &format!("request {number}"),
                    what.to_owned(),
                );
            }
            if matches!(class, Class::Change | Class::Create) {
                stage.writes.push(number);
            }
            if now >= stage.until {
                return Way::Open(None);
            }
            if stage.cut_off.get(&self.process).is_some_and(|until| now < *until) {
                return Way::Closed;
            }
            let Some(fault) = stage.plan.at(number, class) else { return Way::Open(None) };
            *stage.happened.entry(fault.kind).or_default() += 1;
            let line =
                format!("request {number} of process {} ({what}): {}", self.process, fault.kind.name());
            stage.numbers.push((number, line.clone()));
            match fault.kind {
                Kind::CutOff => {
                    let until = after(now, Duration::from_secs(fault.amount)).min(stage.until);
                    stage.cut_off.insert(self.process, until);
                }
                Kind::Beside => stage.beside.push((self.process, fault.amount)),
                _ => {}
            }
            (fault, stage.wake.clone(), line)
        };
        locked(&self.world).tell("fault", "", line);
        match fault.kind {
            Kind::KilledBefore => self.die(fault.amount).await,
            Kind::CutOff => Way::Closed,
            Kind::ClockSet => {
                let by = SignedDuration::from_secs(i64::try_from(fault.amount).unwrap_or_default());
                let by = if fault.other == 0 { by } else { -by };
                self.clock.set(by);
                if let Some(witness) = &mut locked(&self.world).witness {
                    witness.clock_was_set(by);
                }
                Way::Open(None)
            }
            Kind::Beside => {
                wake.notify_one();
                Way::Open(None)
            }
            _ => Way::Open(Some(fault)),
        }
    }

    /// The process is killed, and the next one begins after so many seconds.
    pub(crate) async fn die<T>(&self, down: u64) -> T {
        self.dead.store(true, Ordering::Relaxed);
        let wake = {
            let mut stage = staged(&self.stage);
            stage.killed.push((self.process, down));
            stage.wake.clone()
        };
        wake.notify_one();
        std::future::pending().await
    }

    /// The server does what is asked for.
    fn done(&self, head: &Parts, body: &Bytes) -> Result<Answer, BoxError> {
        let mut world = locked(&self.world);
        world.speaker = self.process;
        let answer = if leases::is_lease(head.uri.path()) {
            match leases::answer(&mut world, head, body) {
                Ok((code, bytes)) => whole(code, bytes),
                Err(refused) => whole(refused.code, refused.body()),
            }
        } else {
            respond(&mut world, head, body)
        };
        world.speaker = 0;
        answer
    }

    async fn carry(self, request: Request<Body>) -> Result<Answer, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let class = class(&head);
        let fault = match self.meet(class, &words(&head, class)).await {
            Way::Open(None) => return self.done(&head, &body),
            Way::Open(Some(fault)) => fault,
            Way::Closed => {
                // Long enough for no one to spin on it.
                self.clock.sleep(Duration::from_secs(1)).await;
                return Err("no route to host".into());
            }
        };
        match fault.kind {
            Kind::Error => refused(fault.amount, "the server is not well", None),
            Kind::Reset => Err("connection reset by peer".into()),
            Kind::Silence => std::future::pending().await,
            Kind::AnswerLost => {
                self.done(&head, &body)?;
                match fault.amount {
                    0 => Err("connection closed before message completed".into()),
                    code => refused(code, "the server has lost its database", None),
                }
            }
            Kind::Conflict => refused(409, "the object has been modified", None),
            Kind::TooMany => refused(429, "too many requests", Some(fault.amount)),
            Kind::Slow => self.slowly(head, body, fault).await,
            Kind::KilledAfter => {
                self.done(&head, &body)?;
                self.die(fault.amount).await
            }
            Kind::WatchExpires if fault.amount == 0 => {
                let expired = Refused::expired(1, 2);
                whole(expired.code, expired.body())
            }
            _ => {
                let (head, lines) = self.done(&head, &body)?.into_parts();
                let until = staged(&self.stage).until;
                let clock = locked(&self.world).clock.clone();
                let mut lines = lines;
                let frames: Frames = futures::stream::poll_fn(move |cx| lines.poll_next_unpin(cx)).boxed();
                Ok(Response::from_parts(head, StreamBody::new(watch::bent(frames, fault, clock, until))))
            }
        }
    }

    /// On its way a request depends on nobody: it arrives also where whoever sent it has given up, or is dead.
    async fn slowly(self, head: Parts, body: Bytes, fault: Fault) -> Result<Answer, BoxError> {
        let clock = self.clock.clone();
        let back = Duration::from_millis(fault.other);
        let there = Duration::from_millis(fault.amount);
        let arrives = tokio::spawn(async move {
            self.clock.sleep(there).await;
            self.done(&head, &body)
        });
        let answer = arrives.await?;
        clock.sleep(back).await;
        answer
    }
}

impl tower::Service<Request<Body>> for Line {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().carry(request))
    }
}

fn class(head: &Parts) -> Class {
    if leases::is_lease(head.uri.path()) {
        return Class::Lease;
    }
    match head.method {
        Method::GET if head.uri.query().is_some_and(|query| query.contains("watch=")) => Class::Watch,
        Method::GET => Class::Read,
        Method::POST => Class::Create,
        _ => Class::Change,
    }
}

/// A request as people read it: without group, version and namespace.
fn words(head: &Parts, class: Class) -> String {
    let path = head.uri.path();
    let rest = path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/'));
    let last = rest.map_or_else(|| path.rsplit('/').next().unwrap_or(path), |(_, last)| last);
    let verb = if class == Class::Watch { "WATCH" } else { head.method.as_str() };
    format!("{verb} {last}")
}

fn whole(code: u16, bytes: Bytes) -> Result<Answer, BoxError> {
    let frames: Frames = futures::stream::iter([Ok(Frame::data(bytes))]).boxed();
    Ok(Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(StreamBody::new(frames))?)
}

fn refused(code: u64, message: &str, retry_after: Option<u64>) -> Result<Answer, BoxError> {
    let reason = match code {
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let details = retry_after
        .map_or_else(|| serde_json::json!({}), |seconds| serde_json::json!({"retryAfterSeconds": seconds}));
    let code = u16::try_from(code).unwrap_or(500);
    let body = Refused { code, reason, message: message.to_owned(), details }.body();
    whole(code, body)
}
