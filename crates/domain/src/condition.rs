//! Status conditions by the kstatus conventions, computed from a verdict.
//!
//! `Ready` says that the object is valid, resolved and nothing failed; an orderly wait stays Ready, with `UpToDate=False`
//! carrying its reason. `Reconciling` and `Stalled` are only there while true, as kstatus readers expect.

use std::borrow::Cow;

use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::verdict::{Reason, Then, one_line};

/// `Ready`: valid, resolved, nothing failed.
pub const READY: &str = "Ready";
/// `UpToDate`: nothing is left to wait for.
pub const UP_TO_DATE: &str = "UpToDate";
/// `Reconciling`: the controller's own work is running.
pub const RECONCILING: &str = "Reconciling";
/// `Stalled`: a human must act.
pub const STALLED: &str = "Stalled";

/// Longest `message` that the Condition type of Kubernetes allows, in bytes.
const MESSAGE_LIMIT: usize = 32_768;

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
}

/// `metav1.Condition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// CamelCase type, unique in the list.
    #[serde(rename = "type")]
    pub type_: Cow<'static, str>,
    /// Whether it holds.
    pub status: Status,
    /// Generation of the spec that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed, to the second.
    pub last_transition_time: Timestamp,
    /// CamelCase reason from a closed set.
    pub reason: Cow<'static, str>,
    /// For people.
    #[serde(default)]
    pub message: Box<str>,
}

/// A condition before it is compared with the one on the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// CamelCase type.
    pub type_: &'static str,
    /// Whether it holds.
    pub status: Status,
    /// CamelCase reason.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// How a kind shows an orderly wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `Ready` only: the object is not ready while it waits (an image being built).
    ReadyOnly,
    /// `Ready` stays true while the object waits; `UpToDate` carries the reason.
    ReadyAndUpToDate,
}

/// The conditions of a verdict. `done` is the reason when nothing is left to do, with its message.
pub fn of<R: Reason>(shape: Shape, then: &Then<R>, done: (&'static str, &str)) -> Vec<Wanted> {
    let mut wanted = Vec::with_capacity(4);
    let mut put = |type_, status, reason: &'static str, message: &str| {
        wanted.push(Wanted { type_, status, reason, message: message.to_owned() });
    };
    let two = shape == Shape::ReadyAndUpToDate;
    match then {
        Then::Done => {
            put(READY, Status::True, done.0, done.1);
            if two {
                put(UP_TO_DATE, Status::True, done.0, done.1);
            }
        }
        Then::Wait(because) => {
            let (reason, message) = (because.reason.name(), because.to_string());
            if two {
                put(READY, Status::True, reason, &message);
                put(UP_TO_DATE, Status::False, reason, &message);
            } else {
                put(READY, Status::False, reason, &message);
            }
            if because.reason.is_our_work() {
                put(RECONCILING, Status::True, reason, &message);
            }
        }
        Then::Failed(because) => {
            let (reason, message) = (because.reason.name(), because.to_string());
            put(READY, Status::False, reason, &message);
            if two {
                put(UP_TO_DATE, Status::Unknown, reason, &message);
            }
            if because.reason.needs_human() {
                put(STALLED, Status::True, reason, &message);
            }
        }
    }
    wanted
}

/// The list to write: transition times are kept where a status did not change, conditions of ours that are no longer
/// wanted go, and those of other writers stay behind ours.
pub fn settle(present: &[Condition], wanted: Vec<Wanted>, generation: i64, now: Timestamp) -> Vec<Condition> {
    const OURS: [&str; 4] = [READY, UP_TO_DATE, RECONCILING, STALLED];
    let now = whole_seconds(now);
    let find = |type_: &str| present.iter().find(|condition| condition.type_ == type_);
    let mut list: Vec<Condition> = wanted
        .into_iter()
        .map(|wanted| {
            let before = find(wanted.type_).filter(|before| before.status == wanted.status);
            Condition {
                type_: Cow::Borrowed(wanted.type_),
                status: wanted.status,
                observed_generation: Some(generation),
                last_transition_time: before.map_or(now, |before| before.last_transition_time),
                reason: Cow::Borrowed(wanted.reason),
                message: truncated(one_line(&wanted.message).into_owned()).into(),
            }
        })
        .collect();
    list.extend(present.iter().filter(|condition| !OURS.contains(&condition.type_.as_ref())).cloned());
    list
}

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// The condition of a type, where its status or reason is not what it was: what an Event tells of.
pub fn changed<'a>(before: &[Condition], after: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    let new = find(after, type_)?;
    let same = find(before, type_).is_some_and(|old| old.status == new.status && old.reason == new.reason);
    (!same).then_some(new)
}

/// Kubernetes keeps times to the second; comparing finer ones would write the same status again.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    time.checked_sub(i64::from(time.subsec_nanosecond()).nanoseconds()).unwrap_or(time)
}

fn truncated(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        let end = (0..=MESSAGE_LIMIT).rev().find(|&end| message.is_char_boundary(end)).unwrap_or(0);
        message.truncate(end);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Because;

    crate::reasons! {
        /// Reasons of a test.
        enum Why {
            /// It rests
            Paused: waits,
            /// It builds
            Building: works,
            /// It cannot parse
            Invalid: human,
        }
    }

    fn shown(shape: Shape, then: &Then<Why>) -> String {
        of(shape, then, ("Done", "all is well"))
            .iter()
            .map(|wanted| format!("{}={:?}/{}", wanted.type_, wanted.status, wanted.reason))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn an_orderly_wait_stays_ready() {
        let wait = Then::Wait(Because::new(Why::Paused, "it is paused"));
        assert_eq!(shown(Shape::ReadyAndUpToDate, &wait), "Ready=True/Paused UpToDate=False/Paused");
        assert_eq!(shown(Shape::ReadyOnly, &wait), "Ready=False/Paused");
    }

    #[test]
    fn our_work_is_reconciling_and_a_human_is_called_by_stalled() {
        let building = Then::Wait(Because::new(Why::Building, "a Job runs"));
        assert_eq!(shown(Shape::ReadyOnly, &building), "Ready=False/Building Reconciling=True/Building");
        let invalid = Then::Failed(Because::new(Why::Invalid, "cannot parse"));
        assert_eq!(
            shown(Shape::ReadyAndUpToDate, &invalid),
            "Ready=False/Invalid UpToDate=Unknown/Invalid Stalled=True/Invalid"
        );
        assert_eq!(shown(Shape::ReadyAndUpToDate, &Then::Done), "Ready=True/Done UpToDate=True/Done");
    }

    #[test]
    fn transition_times_move_only_with_the_status() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let first = settle(&[], of(Shape::ReadyOnly, &Then::<Why>::Done, ("A", "")), 1, at(10));
        let same = settle(&first, of(Shape::ReadyOnly, &Then::<Why>::Done, ("B", "")), 2, at(20));
        assert_eq!(same[0].last_transition_time, at(10));
        assert_eq!((same[0].reason.as_ref(), same[0].observed_generation), ("B", Some(2)));
        let failed = Then::Failed(Because::new(Why::Invalid, "no"));
        let changed = settle(&same, of(Shape::ReadyOnly, &failed, ("", "")), 2, at(30));
        assert_eq!(changed[0].last_transition_time, at(30));
    }

    #[test]
    fn a_message_is_one_line() {
        let list = settle(
            &[],
            of(Shape::ReadyOnly, &Then::<Why>::Done, ("A", "image a\nb")),
            1,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(&*list[0].message, "image a b");
    }

    #[test]
    fn conditions_of_other_writers_stay() {
        let at = Timestamp::from_second(1).unwrap();
        let foreign = Condition {
            type_: "Audited".into(),
            status: Status::True,
            observed_generation: None,
            last_transition_time: at,
            reason: "Yes".into(),
            message: "".into(),
        };
        let list = settle(
            std::slice::from_ref(&foreign),
            of(Shape::ReadyOnly, &Then::<Why>::Done, ("A", "")),
            1,
            at,
        );
        assert_eq!(list.len(), 2);
        assert_eq!(list[1], foreign);
    }

    #[test]
    fn times_are_written_to_the_second() {
        let time: Timestamp = "2026-11-21T10:00:00.987654321Z".parse().unwrap();
        assert_eq!(serde_json::to_string(&whole_seconds(time)).unwrap(), "\"2026-11-21T10:00:00Z\"");
    }
}
