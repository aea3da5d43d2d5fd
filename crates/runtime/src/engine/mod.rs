//! The event loop: the only owner of the store and the queue.
//!
//! With one seed, a simulated clock and one thread, it makes the same requests in the same order in every run.

pub(crate) mod core;
mod pace;
mod pass;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use domain::object::{Kind, ObjectKey, Row};
use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use kube::Client;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use self::core::Core;
pub use self::core::{DynamicMapper, Mapper};
use self::pass::{AnyRoom, Holder, Next};
use crate::clock::Clock;
use crate::health::{Heartbeat, Readiness};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::queue::Item;
use crate::request::Shell;
use crate::room::Room;
use crate::store::{DynamicKind, TableId};
use crate::watch::{Delta, Feeder, Turn, Which};

/// Passes that wait for an answer at a time: of all rooms, and of one, so that no room can starve the others.
const CONCURRENCY: (usize, usize) = (32, 16);
/// Watch messages taken before passes are looked after again.
const BURST: usize = 256;
/// How long running passes are waited for when the process is asked to stop.
const GRACE: Duration = Duration::from_secs(3);
/// The loop shows that it is alive at least this often.
const BEAT: Duration = Duration::from_secs(10);
/// How often a leader that may not act looks whether it may.
const RENEWED: Duration = Duration::from_secs(2);
/// When a loop wakes whose heartbeat nobody checks.
const IDLE: Timestamp = Timestamp::MAX;

/// What an engine is made of.
pub struct Deps {
    /// The API server, through [`crate::client::Stack`].
    pub client: Client,
    /// The only source of time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Metrics,
    /// Each table adds a gate.
    pub readiness: Readiness,
    /// Ticked by the loop.
    pub heartbeat: Heartbeat,
    /// Whether to act; while not, caches fill and nothing else happens.
    pub leadership: Leadership,
    /// Watch this namespace only.
    pub namespace: Option<Box<str>>,
    /// Decide and write conditions, and nothing else.
    pub dry_run: bool,
    /// Who writes Events: the pod's name.
    pub instance: Box<str>,
}

type Launch = Box<dyn Fn(&mut Core, Feeder, Turn) -> AbortHandle + Send>;

/// The event loop with its rooms. Dropping it is a kill.
pub struct Engine {
    core: Core,
    rooms: Vec<Box<dyn AnyRoom>>,
    deltas: mpsc::UnboundedReceiver<Delta>,
    launches: Vec<Launch>,
    feeder: Feeder,
    deps: Deps,
    watches: Vec<AbortHandle>,
    /// When each running pass began.
    begun: BTreeMap<Item, Timestamp>,
}

impl Engine {
    /// An engine without rooms.
    pub fn new(deps: Deps) -> Self {
        let (sender, deltas) = mpsc::unbounded_channel();
        let feeder = Feeder {
            client: deps.client.clone(),
            namespace: deps.namespace.clone(),
            clock: deps.clock.clone(),
            metrics: deps.metrics.clone(),
            deltas: sender,
            streams: false,
        };
        let core = Core::new(deps.clock.clone(), deps.leadership.clone(), feeder.clone());
        Self {
            core,
            rooms: Vec::new(),
            deltas,
            launches: Vec::new(),
            feeder,
            deps,
            watches: Vec::new(),
            begun: BTreeMap::new(),
        }
    }

    /// Asks for first lists as a stream, one object after another, and for pages only of a server that has no such lists: a
    /// page of a hundred large objects is held several times over while it is read. The server may answer from its cache,
    /// as it does for every watch.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        self.feeder.streams = true;
        self.core.stream();
        self
    }

    /// Adds a room.
    #[must_use]
    pub fn room<R: Room>(mut self, room: R) -> Self {
        let index = self.rooms.len();
        if !R::GATHER.is_zero() {
            self.core.queue.gather(index, R::GATHER);
        }
        let shell = Shell::new(self.deps.client.clone(), R::MANAGER, self.deps.clock.clone());
        let (metrics, instance) = (self.deps.metrics.clone(), self.deps.instance.clone());
        self.rooms.push(Box::new(Holder::new(room, shell, metrics, instance, self.deps.dry_run)));
        let mut registrar = Registrar { engine: &mut self, room: index };
        registrar.add::<R::Row>(R::KIND, "", false, own);
        R::watches(&mut registrar);
        self
    }

    /// Runs until `stop` completes; then no pass begins any more, and running ones are waited for shortly. Tells whether all
    /// of them ended: if not, a write may still be under way.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) -> bool {
        self.launch();
        let mut errands = FuturesUnordered::new();
        let mut stop = Box::pin(stop);
        let mut leading = self.deps.leadership.flag();
        let mut led = false;
        loop {
            if !led && *leading.borrow() {
                led = true;
                if self.deps.leadership.had_others() {
                    self.begin_anew();
                }
            }
            let now = self.core.clock.now();
            self.deps.heartbeat.tick(now);
            self.core.queue.tick(now);
            for room in std::mem::take(&mut self.core.sweep) {
                for key in self.rooms.get(room).map(|holder| holder.keys(&self.core)).unwrap_or_default() {
                    self.core.queue.add(Item { room, key }, now);
                }
            }
            let acting = led && self.core.may_act() && self.core.is_synced();
            while acting && errands.len() < CONCURRENCY.0 {
                let Some(item) = self.core.queue.take(CONCURRENCY.1) else { break };
                let Some(room) = self.rooms.get_mut(item.room) else { continue };
                self.begun.insert(item.clone(), now);
                let next = room.begin(&mut self.core, &item);
                self.follow(&mut errands, item, next);
            }
            for (index, room) in self.rooms.iter().enumerate() {
                self.deps.metrics.queue_depth(room.name(), self.core.queue.depth(index));
            }
            let due = self.core.queue.next_due().filter(|_| acting);
            // A lease that is renewed in time, and whose deadline a clock that was set has passed, is good again with the next
            // renewal; nobody tells of it.
            let renewed = (!acting && *leading.borrow()).then(|| crate::clock::after(now, RENEWED));
            let beat = if self.deps.heartbeat.is_watched() { crate::clock::after(now, BEAT) } else { IDLE };
            let wake = due.into_iter().chain(renewed).fold(beat, Timestamp::min);
            let clock = self.core.clock.clone();
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some((item, came)) = errands.next(), if !errands.is_empty() => {
                    let Some(room) = self.rooms.get_mut(item.room) else { continue };
                    let next = room.resume(&mut self.core, &item, came);
                    self.follow(&mut errands, item, next);
                }
                Some(delta) = self.deltas.recv() => {
                    delta(&mut self.core);
                    for _ in 0..BURST {
                        let Ok(delta) = self.deltas.try_recv() else { break };
                        delta(&mut self.core);
                    }
                }
                changed = leading.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
                () = clock.sleep_until(wake) => {}
            }
        }
        self.finish(errands).await
    }

    fn follow(&mut self, errands: &mut FuturesUnordered<Running>, item: Item, next: Next) {
        match next {
            Next::Errand(errand) => errands.push(Box::pin(async move { (item, errand.await) })),
            Next::Over(ended, outcome) => {
                let clock = self.core.clock.clone();
                let begun = self.begun.remove(&item);
                if let Some(room) = self.rooms.get(item.room) {
                    self.deps.metrics.pass(room.name(), outcome);
                    let took = begun.and_then(|begun| clock.now().duration_since(begun).try_into().ok());
                    self.deps.metrics.pass_took(room.name(), took.unwrap_or_default());
                }
                self.core.queue.done(&item, ended, &clock);
            }
        }
    }

    /// Lets running passes end, so that what was begun is also reported; whatever is left is dropped like in a kill.
    async fn finish(&mut self, mut errands: FuturesUnordered<Running>) -> bool {
        let rest = async {
            while let Some((item, came)) = errands.next().await {
                let Some(room) = self.rooms.get_mut(item.room) else { continue };
                if let Next::Errand(errand) = room.resume(&mut self.core, &item, came) {
                    errands.push(Box::pin(async move { (item, errand.await) }));
                }
            }
        };
        let ended = tokio::time::timeout(GRACE, rest).await.is_ok();
        if !ended {
            tracing::warn!("Stopping with requests under way");
        }
        ended
    }

    /// Starts the watches; their first lists run one after another.
    fn launch(&mut self) {
        let mut mine = None;
        for launch in &self.launches {
            let (sender, receiver) = oneshot::channel();
            let turn = Turn { mine: mine.take(), next: Some(sender) };
            mine = Some(receiver);
            self.watches.push(launch(&mut self.core, self.feeder.clone(), turn));
        }
    }

    /// Lists everything again before the first pass. Watches may be minutes behind what the last holder of the lease has
    /// written, and there is nothing by which that could be seen: its write would be taken for that of a stranger, or for
    /// none. The process stays ready meanwhile.
    fn begin_anew(&mut self) {
        tracing::info!("Listing everything again, since another process has led before");
        for watch in self.watches.drain(..) {
            watch.abort();
        }
        while let Ok(delta) = self.deltas.try_recv() {
            delta(&mut self.core);
        }
        self.launch();
        self.core.list_named_again();
    }
}

type Running = futures::future::BoxFuture<'static, (Item, Box<dyn std::any::Any + Send>)>;

impl Drop for Engine {
    fn drop(&mut self) {
        for watch in &self.watches {
            watch.abort();
        }
    }
}

/// How a room names what it watches.
pub struct Registrar<'a> {
    engine: &'a mut Engine,
    room: usize,
}

impl Registrar<'_> {
    /// Watches a kind; `mapper` names the room's objects that a changed row concerns.
    pub fn watch<R: Row>(&mut self, kind: Kind, mapper: Mapper<R>) {
        self.add(kind, "", false, mapper);
    }

    /// The same for those objects of a kind that match a label selector: the others are never read. All rooms that watch rows
    /// of one type watch them with one selector, that of the first.
    pub fn watch_labelled<R: Row>(&mut self, kind: Kind, labels: &'static str, mapper: Mapper<R>) {
        self.add(kind, labels, false, mapper);
    }

    /// The same for a kind that may not be installed: the process is ready without it.
    pub fn watch_optional<R: Row>(&mut self, kind: Kind, mapper: Mapper<R>) {
        self.add(kind, "", true, mapper);
    }

    /// Watches the kinds that rows of type `R` name, as rows of type `F`.
    pub fn watch_named<R: Row, F: Row>(
        &mut self,
        wants: fn(&R) -> Option<DynamicKind>,
        mapper: DynamicMapper,
    ) {
        self.engine.core.map_dynamic::<R, F>(self.room, wants, mapper);
    }

    fn add<R: Row>(&mut self, kind: Kind, labels: &'static str, optional: bool, mapper: Mapper<R>) {
        let readiness = self.engine.deps.readiness.clone();
        let gate = || {
            let gate = readiness.gate(&format!("cache {}", kind.plural));
            gate.close("the first list is not complete");
            gate
        };
        if self.engine.core.map(self.room, (kind, optional), mapper, gate) {
            let id = TableId::of::<R>();
            self.engine.launches.push(Box::new(move |core: &mut Core, feeder: Feeder, turn| {
                core.unsync::<R>(&id);
                tokio::spawn(feeder.run::<R>(Which::Known(kind, labels), id.clone(), turn)).abort_handle()
            }));
        }
    }
}

/// The mapper of the kind that a room drives: each object concerns itself.
fn own<R: Row>(
    _: crate::store::Snapshot<'_>,
    key: &ObjectKey,
    _: Option<&R>,
    _: Option<&R>,
) -> Vec<ObjectKey> {
    vec![key.clone()]
}
