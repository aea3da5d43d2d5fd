//! When the indexes of a source are read: one after another, the lowest minor first, those together that are due together.

use std::time::Duration;

use api::upgrader::debian_repository_source::DEFAULT_INTERVAL;
use jiff::{SignedDuration, Timestamp};
use runtime::clock::{after, spread};
use sources::{Access, FetchError, Trust, Validators};

use super::access::Value;
use super::apply::{Fetch, Read, Step};
use super::decide::{Policy, is_not_yet};
use super::memory::{Failure, LastFetch, Round};
use super::observe::Observed;
use super::target::{MOST_MINORS, Part, Parts, Use};

/// By how much of itself, in percent, a wait is lengthened, so that sources which appeared together part.
const JITTER: u32 = 10;
/// What is due within this part of the interval is read along with what is due now.
const TOGETHER: u32 = 10;

/// What is done now, or when to look again.
pub(super) enum Next {
    Step(Box<Step>),
    At(Timestamp),
    /// Only another spec can help.
    Never,
}

/// A source's schedule.
pub(super) struct Schedule<'a> {
    pub(super) observed: &'a Observed,
    pub(super) parts: &'a Parts,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
}

impl Schedule<'_> {
    pub(super) fn next(&self) -> Next {
        let request = self.observed.request().map(Box::<str>::from);
        if request.is_some() {
            let round =
                Round { started: self.now, rest: self.parts.known.clone(), read: 0, unconditional: true };
            return self.step(round, request);
        }
        if let Some(round) = self.under_way() {
            return self.step(round, None);
        }
        let waits = self.parts.known.iter().filter_map(|part| Some((*part, self.due(*part)?)));
        let waits: Vec<(Part, Timestamp)> = waits.collect();
        let has_failed = |part: &Part| self.last(*part).is_some_and(|last| last.failure.is_some());
        // The one above all others is looked for after one that answers.
        let good = self.parts.known.iter().rev().find(|part| !has_failed(part));
        let probe = self.parts.probe.filter(|_| good.is_some()).and_then(|probe| self.due_again(probe));
        let Some(first) = waits.iter().map(|(_, due)| *due).chain(probe).min() else { return Next::Never };
        let first = self.denied_until().map_or(first, |until| first.max(until));
        if first > self.now {
            return Next::At(first);
        }
        let along = after(self.now, self.interval() / TOGETHER);
        let is_due =
            |(part, due): &(Part, Timestamp)| *due <= self.now || (*due <= along && !has_failed(part));
        let mut rest: Vec<Part> = waits.into_iter().filter(is_due).map(|(part, _)| part).collect();
        if rest.is_empty() {
            rest.extend(good);
        }
        self.step(Round { started: self.now, rest, read: 0, unconditional: false }, None)
    }

    fn last(&self, part: Part) -> Option<&LastFetch> {
        self.observed.last.get(&part)
    }

    fn interval(&self) -> Duration {
        let asked = self.observed.source.interval.unwrap_or(DEFAULT_INTERVAL);
        positive(asked).max(self.policy.shortest)
    }

    /// The round that is not over: something of it is to be read, or the minor above all others is to be looked for, which is
    /// done only where another minor has answered well in the same round. So an answer that it is not there says so, and
    /// not that the repository has a bad day.
    fn under_way(&self) -> Option<Round> {
        let mut round = self.observed.round.clone()?;
        round.rest.retain(|part| self.parts.known.contains(part));
        if !round.rest.is_empty() {
            return Some(round);
        }
        let denied = self.observed.denied.is_some_and(|denied| denied.at >= round.started);
        let probe = self.parts.probe.filter(|_| !denied && round.read < MOST_MINORS)?;
        let is_good = |last: &LastFetch| last.round == round.started && last.failure.is_none();
        let not_yet = self.last(probe).is_none_or(|last| {
            let again = self.interval().saturating_sub(self.interval() / TOGETHER);
            let is_due = after(last.round, again) <= round.started
                || self.due_again(probe).is_some_and(|due| due <= round.started);
            last.round < round.started && (round.unconditional || is_due)
        });
        let good = self.parts.known.iter().any(|part| self.last(*part).is_some_and(is_good));
        (good && not_yet).then(|| {
            round.rest.push(probe);
            round
        })
    }

    /// When an index is read next; never where only another `spec.url` can help.
    fn due(&self, part: Part) -> Option<Timestamp> {
        let Some(last) = self.last(part) else { return Some(Timestamp::MIN) };
        match &last.failure {
            None => Some(self.spread(last.round, self.interval(), None)),
            Some(Failure::Fetch(FetchError::InvalidUrl { .. })) => None,
            Some(failure) => Some(self.spread(last.at, self.backoff(last.failures), wish(failure))),
        }
    }

    /// When the minor above all others is looked for again before the interval is over, where it cannot be told whether it is
    /// there. How often it was not there before does not count.
    fn due_again(&self, probe: Part) -> Option<Timestamp> {
        let last = self.last(probe)?;
        let failure = last.failure.as_ref()?;
        let told = matches!(failure, Failure::Fetch(error) if is_not_yet(self.observed, error));
        // A clock that is set back while it is read makes the round end before it began.
        let ended = last.at.max(last.round);
        (!told).then(|| self.spread(ended, self.policy.longest_retry, wish(failure)))
    }

    /// When an object that could not be read is read again.
    fn denied_until(&self) -> Option<Timestamp> {
        let denied = self.observed.denied?;
        Some(self.spread(denied.at, self.backoff(denied.failures), None))
    }

    fn backoff(&self, failures: u32) -> Duration {
        let doubled = 1 << failures.saturating_sub(1).min(20);
        let longest = self.interval().max(self.policy.longest_retry);
        self.policy.retry.saturating_mul(doubled).min(longest)
    }

    fn spread(&self, from: Timestamp, wait: Duration, wish: Option<Duration>) -> Timestamp {
        let wait = spread(wait, JITTER, &self.observed.source.meta.uid);
        after(from, wait.max(wish.unwrap_or_default().min(self.policy.longest_wish)))
    }

    /// The next step of a round: what it takes to be let in, then the index.
    fn step(&self, mut round: Round, request: Option<Box<str>>) -> Next {
        let target = &self.observed.target;
        let references = target.references();
        if let Some((of, reference)) = references.into_iter().find(|(of, _)| self.is_stale(*of, &round)) {
            let namespace = (&*self.observed.source.meta.key.namespace).into();
            return Next::Step(Box::new(Step::Read(Read {
                target: target.clone(),
                namespace,
                of,
                reference,
                request,
                round,
            })));
        }
        if round.rest.is_empty() {
            return Next::Never;
        }
        let part = round.rest.remove(0);
        round.read += 1;
        let known = self.observed.contents(part).filter(|_| !round.unconditional);
        let trust = target.release_url(part).map(|release_url| Trust {
            release_url,
            public_key: self.bytes(Use::PublicKey).unwrap_or_default(),
        });
        let credentials = match self.held(Use::Credentials) {
            Some(Value::Credentials(credentials)) => Some(credentials.clone()),
            _ => None,
        };
        let authorities = self.bytes(Use::Authority);
        Next::Step(Box::new(Step::Fetch(Fetch {
            target: target.clone(),
            part,
            validators: known.map_or_else(Validators::default, |contents| contents.validators.clone()),
            access: Access { credentials, certificate_authorities: authorities },
            trust: trust.filter(|_| target.verification.is_some()),
            seen: self.observed.date_seen(part),
            request,
            round,
        })))
    }

    /// Objects are not watched: each is read at most once per interval, and again where something fails, since it may
    /// be what was corrected.
    fn is_stale(&self, of: Use, round: &Round) -> bool {
        let Some(held) = self.observed.held.get(&of) else { return true };
        let troubled = held.value.is_err() || self.observed.last.values().any(|last| last.failure.is_some());
        held.round < round.started
            && (troubled || round.unconditional || after(held.round, self.interval()) <= round.started)
    }

    fn held(&self, of: Use) -> Option<&Value> {
        self.observed.held.get(&of)?.value.as_ref().ok()
    }

    fn bytes(&self, of: Use) -> Option<std::sync::Arc<[u8]>> {
        match self.held(of)? {
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::Credentials(_) => None,
        }
    }
}

/// How long the repository asks to be left alone.
fn wish(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Fetch(FetchError::TooMany { retry_after } | FetchError::Server { retry_after, .. }) => {
            *retry_after
        }
        _ => None,
    }
}

pub(super) fn positive(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}
