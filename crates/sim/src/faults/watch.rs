//! A watch that ends, expires, repeats, is late, or is silent.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http_body::Frame;
use jiff::Timestamp;
use runtime::clock::{Clock, after};

use super::{Fault, Kind};
use crate::apiserver::answer::Refused;
use crate::apiserver::server::Frames;

/// The lines of a watch as a process gets them; nothing is late any more at `until`.
pub(crate) fn bent(lines: Frames, fault: Fault, clock: Clock, until: Timestamp) -> Frames {
    let amount = Duration::from_secs(fault.amount);
    match fault.kind {
        Kind::WatchEnds => lines.take_until(async move { clock.sleep(amount).await }).boxed(),
        Kind::WatchExpires => {
            let ended = lines.take_until(async move { clock.sleep(amount).await });
            let expired = Refused::expired(1, 2).body();
            let line = [b"{\"type\":\"ERROR\",\"object\":".as_slice(), &expired, b"}\n"].concat();
            ended.chain(futures::stream::iter([Ok(Frame::data(Bytes::from(line)))])).boxed()
        }
        Kind::WatchRepeats => {
            let twice = |line: Bytes| [line.clone(), line];
            let told = lines.filter_map(|frame| async { frame.ok()?.into_data().ok() });
            told.flat_map(move |line| futures::stream::iter(twice(line).map(|line| Ok(Frame::data(line)))))
                .boxed()
        }
        Kind::NoBookmarks => lines
            .filter(|frame| {
                let data = frame.as_ref().ok().and_then(Frame::data_ref);
                let is_bookmark = data.is_some_and(|line| line.starts_with(b"{\"type\":\"BOOKMARK\""));
                futures::future::ready(!is_bookmark)
            })
            .boxed(),
        Kind::WatchLate => late(lines, amount, clock, until),
        _ => lines,
    }
}

/// Each line comes by so much later than it was told.
fn late(lines: Frames, by: Duration, clock: Clock, until: Timestamp) -> Frames {
    let state = (lines, VecDeque::new(), false);
    futures::stream::unfold(state, move |(mut lines, mut held, mut over)| {
        let clock = clock.clone();
        async move {
            loop {
                let due: Option<Timestamp> = held.front().map(|(due, _)| *due);
                tokio::select! {
                    biased;
                    line = lines.next(), if !over => match line {
                        Some(line) => held.push_back((after(clock.now(), by).min(until), line)),
                        None => over = true,
                    },
                    () = clock.sleep_until(due.unwrap_or(Timestamp::MAX)), if due.is_some() => {
                        let (_, line) = held.pop_front()?;
                        return Some((line, (lines, held, over)));
                    }
                    else => return None,
                }
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(kind: Kind, amount: u64) -> Vec<(i64, String)> {
        let start = Timestamp::from_second(1_000).unwrap();
        let clock = Clock::simulated(start, 1);
        let pace = clock.clone();
        let lines = futures::stream::iter([
            "{\"type\":\"ADDED\"}",
            "{\"type\":\"BOOKMARK\"}",
            "{\"type\":\"DELETED\"}",
        ]);
        let lines = lines.then(move |line| {
            let clock = pace.clone();
            async move {
                clock.sleep(Duration::from_secs(10)).await;
                Ok(Frame::data(Bytes::from(line)))
            }
        });
        let fault = Fault { kind, amount, other: 0 };
        let until = after(start, Duration::from_secs(1_000));
        let mut bent = bent(lines.boxed(), fault, clock.clone(), until);
        let mut told = Vec::new();
        while let Some(Ok(frame)) = bent.next().await {
            let line = String::from_utf8_lossy(frame.data_ref().unwrap()).into_owned();
            told.push((
                clock.now().duration_since(start).as_secs(),
                line.split('"').nth(3).unwrap().to_owned(),
            ));
        }
        told
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_bent_as_its_fault_says() {
        let named = |told: Vec<(i64, String)>| told.into_iter().map(|(_, word)| word).collect::<Vec<_>>();
        assert_eq!(named(told(Kind::WatchEnds, 15).await), ["ADDED"]);
        assert_eq!(named(told(Kind::WatchExpires, 15).await), ["ADDED", "ERROR"]);
        assert_eq!(named(told(Kind::NoBookmarks, 0).await), ["ADDED", "DELETED"]);
        let twice = ["ADDED", "ADDED", "BOOKMARK", "BOOKMARK", "DELETED", "DELETED"];
        assert_eq!(named(told(Kind::WatchRepeats, 0).await), twice);
        let late: Vec<i64> = told(Kind::WatchLate, 60).await.into_iter().map(|(at, _)| at).collect();
        assert_eq!(late, [70, 80, 90]);
        let freed: Vec<i64> = told(Kind::WatchLate, 5_000).await.into_iter().map(|(at, _)| at).collect();
        assert_eq!(freed, [1_000, 1_000, 1_000]);
    }
}
