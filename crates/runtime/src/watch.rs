//! Feeds a table of the store from the API server, with kube's watcher beneath.
//!
//! The watcher's errors wait on our Clock: without a backoff it spins, and the jitter of its own is not ours.

use std::time::Duration;

use domain::object::{Kind, Row};
use futures::StreamExt as _;
use kube::core::ApiResource;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::{mpsc, oneshot};

use crate::answer::Refusal;
use crate::clock::Clock;
use crate::engine::core::Core;
use crate::metrics::Metrics;
use crate::request::{Place, Shell, Watched};
use crate::store::{Availability, DynamicKind, TableId};

/// Objects in a page of the first list.
const PAGE: u32 = 100;
/// First and longest wait after a failed watch.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// First and longest wait before a kind that is not served, or refused, is asked for again.
const ABSENT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));

/// A message to the event loop.
pub(crate) type Delta = Box<dyn FnOnce(&mut Core) + Send>;

/// What a watch tells of its table.
pub(crate) enum Event<R> {
    Began,
    Shown(R),
    Deleted(R),
    Synced { api_version: Box<str> },
    Unavailable(Availability),
}

/// A kind to watch: one that we know, or one that an object names.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// With the label selector that its objects must match; an empty one is all of them.
    Known(Kind, &'static str),
    Named(DynamicKind),
}

impl Which {
    fn labels(&self) -> &'static str {
        match self {
            Self::Known(_, labels) => labels,
            Self::Named(_) => "",
        }
    }
}

/// What every watch needs.
#[derive(Clone)]
pub(crate) struct Feeder {
    pub(crate) client: Client,
    pub(crate) namespace: Option<Box<str>>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) deltas: mpsc::UnboundedSender<Delta>,
    /// Whether first lists are asked for as a stream, object by object, before pages are.
    pub(crate) streams: bool,
}

/// First lists run one after another: each waits for its turn and passes it on when it is synced or known not to be.
pub(crate) struct Turn {
    pub(crate) mine: Option<oneshot::Receiver<()>>,
    pub(crate) next: Option<oneshot::Sender<()>>,
}

impl Feeder {
    /// Feeds a table until it is dropped.
    pub(crate) async fn run<R: Row>(self, which: Which, table: TableId, mut turn: Turn) {
        if let Some(mine) = turn.mine.take() {
            // A dropped sender means that the watch before us ended, which is our turn as well.
            let _ = mine.await;
        }
        let mut absences = 0;
        loop {
            match self.resolve(&which).await {
                Ok(Some(resource)) => {
                    absences = 0;
                    let why = self.watch::<R>(&resource, which.labels(), &table, &mut turn).await;
                    self.tell(&table, Event::<R>::Unavailable(why));
                }
                Ok(None) => self.tell(&table, Event::<R>::Unavailable(Availability::NotInstalled)),
                Err(Refusal::Forbidden(words)) => {
                    self.tell(&table, Event::<R>::Unavailable(Availability::Forbidden(words.into())));
                }
                Err(refusal) => {
                    tracing::warn!(kind = ?which, error = %refusal, "Discovery failed, asking again later")
                }
            }
            pass_on(&mut turn);
            absences += 1;
            self.pause(ABSENT, absences, &format!("{which:?}")).await;
        }
    }

    /// Watches until the server no longer serves, or refuses, the kind; says which.
    async fn watch<R: Row>(
        &self,
        resource: &ApiResource,
        labels: &str,
        table: &TableId,
        turn: &mut Turn,
    ) -> Availability {
        let api: Api<Watched<R>> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        let mut streams = self.streams;
        let mut stream = watcher(api.clone(), config(streams, labels)).boxed();
        let mut failures = 0;
        while let Some(event) = stream.next().await {
            match event {
                Ok(watcher::Event::Init) => self.tell(table, Event::<R>::Began),
                Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                    self.tell(table, Event::Shown(object.row));
                }
                Ok(watcher::Event::Delete(object)) => self.tell(table, Event::Deleted(object.row)),
                Ok(watcher::Event::InitDone) => {
                    failures = 0;
                    self.tell(
                        table,
                        Event::<R>::Synced { api_version: resource.api_version.as_str().into() },
                    );
                    pass_on(turn);
                }
                Err(error) => {
                    self.metrics.watch_restarted(&resource.plural);
                    match refusal(&error) {
                        Some(Refusal::NotFound) => return Availability::NotInstalled,
                        Some(Refusal::Forbidden(words)) => return Availability::Forbidden(words.into()),
                        // A server that has no streamed lists says so for ever.
                        Some(Refusal::Invalid(_) | Refusal::TestFailed(_)) if streams => {
                            streams = false;
                            stream = watcher(api.clone(), config(streams, labels)).boxed();
                            continue;
                        }
                        _ => {}
                    }
                    failures += 1;
                    tracing::debug!(resource = resource.plural, %error, failures, "Watch failed, going on later");
                    self.pause(RETRY, failures, &resource.plural).await;
                }
            }
        }
        Availability::Syncing
    }

    /// The resource of a kind, in the first of our versions that the server serves; nothing where it serves none.
    async fn resolve(&self, which: &Which) -> Result<Option<ApiResource>, Refusal> {
        let shell = Shell::new(self.client.clone(), "", self.clock.clone());
        match which {
            Which::Known(kind, _) => {
                let version = match kind.versions {
                    [] => None,
                    // Not asked for: where it is not served, the first list says so.
                    [only] => Some(*only),
                    several => shell.served(kind.group, several).await?,
                };
                Ok(version
                    .map(|version| resource(&Place::discovered(kind.group, version, kind.plural), kind.kind)))
            }
            Which::Named(kind) => match shell.place_of(&kind.api_version, &kind.kind).await {
                Ok(place) => Ok(Some(resource(&place, &kind.kind))),
                Err(Refusal::NotFound) => Ok(None),
                Err(refusal) => Err(refusal),
            },
        }
    }

    fn tell<R: Row>(&self, table: &TableId, event: Event<R>) {
        let table = table.clone();
        // The loop is gone: so is the process, or this value of it.
        let _ = self.deltas.send(Box::new(move |core| core.watched(&table, event)));
    }

    async fn pause(&self, (first, longest): (Duration, Duration), attempt: u32, subject: &str) {
        let delay = first.saturating_mul(1 << (attempt.max(1) - 1).min(10)).min(longest);
        self.clock.sleep(self.clock.jittered(delay, 20, subject, attempt)).await;
    }
}

fn config(streams: bool, labels: &str) -> watcher::Config {
    let config = watcher::Config::default().page_size(PAGE);
    let config = if labels.is_empty() { config } else { config.labels(labels) };
    if streams { config.streaming_lists() } else { config }
}

fn resource(place: &Place, kind: &str) -> ApiResource {
    let (group, version) = place.api_version().split_once('/').unwrap_or(("", place.api_version()));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: place.api_version().to_owned(),
        kind: kind.to_owned(),
        plural: place.plural().to_owned(),
    }
}

fn refusal(error: &watcher::Error) -> Option<Refusal> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(Refusal::of(error)),
        watcher::Error::WatchError(status) => Some(Refusal::of_status(status)),
        watcher::Error::NoResourceVersion => None,
    }
}

fn pass_on(turn: &mut Turn) {
    if let Some(next) = turn.next.take() {
        // The watch after us may be gone already.
        let _ = next.send(());
    }
}
