//! Which key is looked at next: first in, first out, with due times, attempts and growing delays per key.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use domain::object::ObjectKey;
use jiff::Timestamp;

use crate::clock::{Clock, after};

/// First delay after a failure, and its limit.
const DELAY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Delay after a failure during which the object changed.
const AGAIN: Duration = Duration::from_secs(1);

/// An object of a room: the room's place in the table of rooms, and the object's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    /// Place in the table of rooms.
    pub(crate) room: usize,
    /// The object.
    pub(crate) key: ObjectKey,
}

impl Item {
    /// Before every item of a room.
    fn first(room: usize) -> Self {
        Self { room, key: ObjectKey::default() }
    }
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Look again at this time, if any.
    Well(Option<Timestamp>),
    /// Look again after a delay that grows with each failure, but not before the server's wish.
    Badly {
        /// Seconds that the server asked to wait.
        retry_after: Option<u32>,
    },
}

impl Ended {
    /// The same, but looked at again at this time at the latest. After a failure the delay stays.
    pub(crate) fn or_at(self, time: Timestamp) -> Self {
        match self {
            Self::Well(due) => Self::Well(Some(due.map_or(time, |due| due.min(time)))),
            badly @ Self::Badly { .. } => badly,
        }
    }
}

/// Items waiting to be looked at. No item is given out twice at a time.
#[derive(Default)]
pub(crate) struct Queue {
    /// By room, with the place in the one line that all rooms stand in.
    ready: BTreeMap<usize, VecDeque<(u64, Item)>>,
    next: u64,
    queued: BTreeSet<Item>,
    running: BTreeMap<Item, bool>,
    due: BTreeSet<(Timestamp, Item)>,
    due_at: BTreeMap<Item, Timestamp>,
    attempts: BTreeMap<Item, u32>,
    /// By room, how long a change waits for others.
    gathers: BTreeMap<usize, Duration>,
}

impl Queue {
    /// Changes of the objects of a room wait so long for others, so that what comes together is one look.
    pub(crate) fn gather(&mut self, room: usize, time: Duration) {
        self.gathers.insert(room, time);
    }

    /// Something changed: look as soon as the room lets. While the item is being looked at, this asks for one more look.
    pub(crate) fn add(&mut self, item: Item, now: Timestamp) {
        if let Some(again) = self.running.get_mut(&item) {
            *again = true;
            return;
        }
        match self.gathers.get(&item.room) {
            Some(time) => self.add_due(item, after(now, *time)),
            None => self.add_ready(item),
        }
    }

    fn add_ready(&mut self, item: Item) {
        if self.queued.insert(item.clone()) {
            self.next += 1;
            self.ready.entry(item.room).or_default().push_back((self.next, item));
        }
    }

    /// At this time, unless it is looked at before in any case.
    fn add_due(&mut self, item: Item, at: Timestamp) {
        let before = self.due_at.get(&item).is_some_and(|due| *due <= at);
        if before || self.queued.contains(&item) {
            return;
        }
        self.forget_due(&item);
        self.due.insert((at, item.clone()));
        self.due_at.insert(item, at);
    }

    /// Moves what is due to the end of the line.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        while let Some((time, item)) = self.due.first().cloned()
            && time <= now
        {
            self.due.remove(&(time, item.clone()));
            self.due_at.remove(&item);
            match self.running.get_mut(&item) {
                Some(again) => *again = true,
                None => self.add_ready(item),
            }
        }
    }

    /// The next item, which is running from now on. A room with `limit` items running lets others go first.
    pub(crate) fn take(&mut self, limit: usize) -> Option<Item> {
        let busy =
            |room: usize| self.running.range(Item::first(room)..Item::first(room + 1)).count() >= limit;
        let heads = self.ready.iter().filter_map(|(room, line)| Some((line.front()?.0, *room)));
        let (_, room) = heads.filter(|(_, room)| !busy(*room)).min()?;
        let (_, item) = self.ready.get_mut(&room)?.pop_front()?;
        self.queued.remove(&item);
        self.running.insert(item.clone(), false);
        Some(item)
    }

    /// The pass of an item ended.
    pub(crate) fn done(&mut self, item: &Item, ended: Ended, clock: &Clock) {
        let again = self.running.remove(item).unwrap_or(false);
        let due = match ended {
            Ended::Well(due) => {
                self.attempts.remove(item);
                due
            }
            Ended::Badly { retry_after } => {
                let attempt = self.attempts.entry(item.clone()).or_insert(0);
                *attempt = attempt.saturating_add(1);
                let delay = DELAY.0.saturating_mul(1 << (*attempt - 1).min(10)).min(DELAY.1);
                let delay = clock.jittered(delay, 10, &item.key.to_string(), *attempt);
                let wish = Duration::from_secs(u64::from(retry_after.unwrap_or(0)));
                Some(after(clock.now(), delay.max(wish)))
            }
        };
        // What keeps changing while it fails is not tried at the pace of its changes.
        let soon = (again && matches!(ended, Ended::Badly { .. })).then(|| after(clock.now(), AGAIN));
        self.forget_due(item);
        if let Some(time) = due.into_iter().chain(soon).min() {
            self.due.insert((time, item.clone()));
            self.due_at.insert(item.clone(), time);
        }
        if again && soon.is_none() {
            self.add(item.clone(), clock.now());
        }
    }

    /// Forgets a change of a running item that its own pass has made, or seen; `asked` is what [`Queue::asked_again`] said
    /// before.
    pub(crate) fn restore(&mut self, item: &Item, asked: bool) {
        if let Some(again) = self.running.get_mut(item) {
            *again = asked;
        }
    }

    /// Whether a running item has changed since its pass began.
    pub(crate) fn asked_again(&self, item: &Item) -> bool {
        self.running.get(item).copied().unwrap_or(false)
    }

    /// The object is gone: nothing is remembered of it.
    pub(crate) fn forget(&mut self, item: &Item) {
        self.forget_due(item);
        self.attempts.remove(item);
    }

    /// Failures in a row.
    pub(crate) fn attempts(&self, item: &Item) -> u32 {
        self.attempts.get(item).copied().unwrap_or(0)
    }

    /// When the next item falls due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(time, _)| *time)
    }

    /// Items of a room that could be looked at now.
    pub(crate) fn depth(&self, room: usize) -> usize {
        self.ready.get(&room).map_or(0, VecDeque::len)
    }

    /// Items that could be looked at now.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queued.len()
    }

    /// Whether nothing could be looked at now.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    fn forget_due(&mut self, item: &Item) {
        if let Some(time) = self.due_at.remove(item) {
            self.due.remove(&(time, item.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str) -> Item {
        Item { room: 0, key: ObjectKey::new("ns", name) }
    }

    const NOW: Timestamp = Timestamp::constant(1_000, 0);

    fn clock() -> Clock {
        Clock::simulated(NOW, 1)
    }

    #[tokio::test(start_paused = true)]
    async fn changes_that_come_together_are_one_look() {
        let (mut queue, clock) = (Queue::default(), clock());
        let at = |millis| after(NOW, Duration::from_millis(millis));
        queue.gather(0, Duration::from_millis(50));
        queue.add(item("a"), NOW);
        queue.add(item("a"), at(40));
        queue.tick(at(49));
        assert!(queue.is_empty());
        queue.tick(at(50));
        assert_eq!((queue.take(8), queue.take(8)), (Some(item("a")), None));
        queue.add(item("a"), NOW);
        queue.done(&item("a"), Ended::Well(Some(at(60_000))), &clock);
        assert_eq!(queue.next_due(), Some(at(50)), "sooner than it asked for");
        queue.tick(at(50));
        queue.add(item("a"), at(50));
        assert_eq!((queue.take(8), queue.next_due()), (Some(item("a")), None));
    }

    #[tokio::test(start_paused = true)]
    async fn first_in_first_out_and_never_twice() {
        let mut queue = Queue::default();
        for name in ["a", "b", "a", "c"] {
            queue.add(item(name), NOW);
        }
        assert_eq!(queue.take(8), Some(item("a")));
        queue.add(item("a"), NOW);
        queue.add(item("a"), NOW);
        assert_eq!((queue.take(8), queue.take(8), queue.take(8)), (Some(item("b")), Some(item("c")), None));
        queue.done(&item("a"), Ended::Well(None), &clock());
        assert_eq!((queue.take(8), queue.take(8)), (Some(item("a")), None), "one more look, not two");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_each_time_and_success_starts_over() {
        let (mut queue, clock) = (Queue::default(), clock());
        let mut delays = Vec::new();
        for _ in 0..8 {
            queue.add(item("a"), NOW);
            let taken = queue.take(8).unwrap();
            queue.done(&taken, Ended::Badly { retry_after: None }, &clock);
            delays.push(queue.next_due().unwrap().duration_since(clock.now()).as_secs());
        }
        assert!(delays[0] >= 5 && delays[0] <= 6, "{delays:?}");
        assert!(delays.windows(2).all(|pair| pair[0] <= pair[1] + 30), "{delays:?}");
        assert!(delays[7] >= 300 && delays[7] <= 330, "{delays:?}");
        queue.add(item("a"), NOW);
        let taken = queue.take(8).unwrap();
        queue.done(&taken, Ended::Well(None), &clock);
        assert_eq!((queue.attempts(&item("a")), queue.next_due()), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_room_lets_others_go_first() {
        let mut queue = Queue::default();
        for name in ["a", "b", "c"] {
            queue.add(item(name), NOW);
        }
        let other = Item { room: 1, ..item("d") };
        queue.add(other.clone(), NOW);
        assert_eq!((queue.take(2), queue.take(2)), (Some(item("a")), Some(item("b"))));
        assert_eq!((queue.take(2), queue.take(2)), (Some(other), None));
        queue.done(&item("a"), Ended::Well(None), &clock());
        assert_eq!(queue.take(2), Some(item("c")));
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_while_it_fails_does_not_spin() {
        let (mut queue, clock) = (Queue::default(), clock());
        queue.add(item("a"), NOW);
        let taken = queue.take(8).unwrap();
        queue.add(item("a"), NOW);
        queue.done(&taken, Ended::Badly { retry_after: None }, &clock);
        assert!(queue.is_empty());
        assert_eq!(queue.next_due(), Some(after(clock.now(), AGAIN)));
    }

    #[tokio::test(start_paused = true)]
    async fn due_items_come_when_they_are_due_and_the_servers_wish_is_kept() {
        let (mut queue, clock) = (Queue::default(), clock());
        queue.add(item("a"), NOW);
        let taken = queue.take(8).unwrap();
        queue.done(&taken, Ended::Badly { retry_after: Some(60) }, &clock);
        queue.tick(after(clock.now(), Duration::from_secs(59)));
        assert!(queue.is_empty());
        queue.tick(after(clock.now(), Duration::from_secs(60)));
        assert_eq!(queue.len(), 1);
        queue.forget(&item("a"));
        assert_eq!(queue.attempts(&item("a")), 0);
    }
}
