//! What a controller decided about one object: the steps to take now, and what it is waiting for after them.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::condition::whole_seconds;
use crate::object::ObjectRef;

/// A reason from the closed set of one kind.
pub trait Reason: Copy + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The CamelCase word in conditions, Events, metrics and output.
    fn name(self) -> &'static str;
    /// A human must act: shown as `Stalled`.
    fn needs_human(self) -> bool;
    /// The controller's own work is running: shown as `Reconciling`.
    fn is_our_work(self) -> bool;
    /// The word for a trouble that any step of any controller can meet.
    fn of_trouble(trouble: Trouble) -> Self;
}

/// Troubles that any controller can meet; every set of reasons has a word for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// RBAC refuses the request.
    Forbidden,
    /// Admission refuses the request.
    WriteRefused,
    /// A left-over webhook of the original refuses the request, or cannot be reached.
    ForeignWebhook,
    /// The API server, or a webhook that it calls, does not answer.
    ApiUnavailable,
    /// A step is due, and the manager runs with `--dry-run`.
    DryRun,
    /// A bug in the controller.
    InternalError,
    /// The object does not parse.
    Malformed,
}

/// Declares the closed set of reasons of a kind. After each reason stands who acts next: `waits` (nobody, or another
/// object), `works` (this controller, or what it started), `fails` (retried by itself) or `human`. The doc comment of a
/// reason is also its text in the reference.
#[macro_export]
macro_rules! reasons {
    ($(#[doc = $doc:literal])* $vis:vis enum $name:ident { $($(#[doc = $text:literal])+ $variant:ident: $actor:ident,)+ }) => {
        $crate::reasons!(@all $(#[doc = $doc])* $vis enum $name {
            $($(#[doc = $text])+ $variant: $actor,)+
            /// The API server refuses a request that the controller needs: RBAC is missing
            Forbidden: human,
            /// An admission webhook or policy refuses a write
            WriteRefused: waits,
            /// A webhook that the original left behind refuses every write
            ForeignWebhook: human,
            /// The API server, or a webhook that it calls, does not answer
            ApiUnavailable: fails,
            /// A step is due, and the manager runs with --dry-run
            DryRun: waits,
            /// A bug in the controller; please report it
            InternalError: fails,
            /// The object does not parse
            Malformed: human,
        });
    };
    (@all $(#[doc = $doc:literal])* $vis:vis enum $name:ident { $($(#[doc = $text:literal])+ $variant:ident: $actor:ident,)+ }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        $vis enum $name { $($(#[doc = $text])+ $variant,)+ }

        impl $name {
            /// Every reason, in the order of the reference.
            #[allow(dead_code, reason = "a private set may not be listed")]
            $vis const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// What it means, for the reference page.
            #[allow(dead_code, reason = "a private set may not be explained")]
            $vis fn text(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),+).trim_ascii_start(),)+ }
            }

            /// Who acts next: `waits`, `works`, `fails` or `human`.
            $vis fn actor(self) -> &'static str {
                match self { $(Self::$variant => stringify!($actor),)+ }
            }
        }

        impl $crate::verdict::Reason for $name {
            fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
            fn needs_human(self) -> bool {
                self.actor() == "human"
            }
            fn is_our_work(self) -> bool {
                self.actor() == "works"
            }
            fn of_trouble(trouble: $crate::verdict::Trouble) -> Self {
                use $crate::verdict::Trouble;
                match trouble {
                    Trouble::Forbidden => Self::Forbidden,
                    Trouble::WriteRefused => Self::WriteRefused,
                    Trouble::ForeignWebhook => Self::ForeignWebhook,
                    Trouble::ApiUnavailable => Self::ApiUnavailable,
                    Trouble::DryRun => Self::DryRun,
                    Trouble::InternalError => Self::InternalError,
                    Trouble::Malformed => Self::Malformed,
                }
            }
        }
    };
}

/// A text for people on one line, whatever it quotes: what breaks a line is a space, and what may steer a terminal is
/// shown as unreadable.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    if !text.contains(breaks) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|character| match character {
        _ if !breaks(character) => character,
        _ if character.is_whitespace() => ' ',
        _ => char::REPLACEMENT_CHARACTER,
    });
    Cow::Owned(shown.collect())
}

/// Why an object is not done. Its `Display` is the text of the condition and of the Event, on one line; it holds no time,
/// attempt or resourceVersion, so that it only changes when the matter changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Because<R> {
    /// The word for it.
    pub reason: R,
    /// What is the matter, in a sentence without a full stop.
    pub message: String,
    /// The object that must change first.
    pub blocked_by: Option<ObjectRef>,
    /// When it can go on by itself, if known.
    pub not_before: Option<Timestamp>,
    /// What would unblock it, in a sentence without a full stop.
    pub unblock: Option<String>,
}

impl<R> Because<R> {
    /// A reason with its message.
    pub fn new(reason: R, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), blocked_by: None, not_before: None, unblock: None }
    }

    /// Names the object that must change first.
    #[must_use]
    pub fn blocked_by(mut self, object: ObjectRef) -> Self {
        self.blocked_by = Some(object);
        self
    }

    /// Says when it can go on by itself.
    #[must_use]
    pub fn not_before(mut self, time: Timestamp) -> Self {
        self.not_before = Some(time);
        self
    }

    /// Says what would unblock it.
    #[must_use]
    pub fn unblock(mut self, hint: impl Into<String>) -> Self {
        self.unblock = Some(hint.into());
        self
    }
}

impl<R> fmt::Display for Because<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.message))?;
        if let Some(object) = &self.blocked_by {
            write!(f, " ({})", one_line(&object.to_string()))?;
        }
        if let Some(hint) = &self.unblock {
            write!(f, "; {}", one_line(hint))?;
        }
        Ok(())
    }
}

/// What follows the steps of a verdict.
#[derive(Clone, Debug, PartialEq)]
pub enum Then<R> {
    /// Nothing is left to do.
    Done,
    /// An orderly wait.
    Wait(Because<R>),
    /// Something failed or is invalid.
    Failed(Because<R>),
}

impl<R> Then<R> {
    /// The reason, unless done.
    pub fn because(&self) -> Option<&Because<R>> {
        match self {
            Self::Done => None,
            Self::Wait(because) | Self::Failed(because) => Some(because),
        }
    }
}

/// Why an object is not done, in a form that programs follow: `status.waiting`. The words for people are in the
/// conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// CamelCase reason from the closed set of the kind.
    pub reason: Cow<'static, str>,
    /// Since when it waits for this reason and this object, to the second.
    pub since: Timestamp,
    /// The object that must change first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<Blocker>,
    /// When it goes on by itself, if known, to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// What would unblock it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unblock: Option<Box<str>>,
}

/// The object of [`Waiting::blocked_by`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// `group/version`.
    pub api_version: Box<str>,
    /// CamelCase kind.
    pub kind: Box<str>,
    /// Namespace; absent for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl Waiting {
    /// What to write for a verdict; nothing where it is done. The time since when is kept while reason and object stay.
    pub fn of<R: Reason>(before: Option<&Self>, then: &Then<R>, now: Timestamp) -> Option<Self> {
        let because = then.because()?;
        let blocked_by = because.blocked_by.as_ref().map(|object| Blocker {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: (&*object.key.namespace).into(),
            name: (&*object.key.name).into(),
        });
        let reason = because.reason.name();
        let same = before.filter(|before| before.reason == reason && before.blocked_by == blocked_by);
        Some(Self {
            reason: Cow::Borrowed(reason),
            since: same.map_or_else(|| whole_seconds(now), |same| same.since),
            blocked_by,
            not_before: because.not_before.map(whole_seconds),
            unblock: because.unblock.as_deref().map(Into::into),
        })
    }
}

/// A decision. `S` is the closed set of steps of one controller, `R` its closed set of reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict<S, R> {
    /// Requests to make now, in this order. After them the object is observed again.
    pub steps: Vec<S>,
    /// Where that leaves the object, if the steps change nothing that was observed.
    pub then: Then<R>,
    /// Look again at this time even if nothing changes (a poll, a deadline).
    pub recheck: Option<Timestamp>,
}

impl<S, R> Verdict<S, R> {
    /// Nothing is left to do.
    pub fn done() -> Self {
        Self { steps: Vec::new(), then: Then::Done, recheck: None }
    }

    /// An orderly wait; looked at again when it can go on by itself.
    pub fn wait(because: Because<R>) -> Self {
        Self { steps: Vec::new(), recheck: because.not_before, then: Then::Wait(because) }
    }

    /// Something failed; looked at again when it can go on by itself.
    pub fn failed(because: Because<R>) -> Self {
        Self { steps: Vec::new(), recheck: because.not_before, then: Then::Failed(because) }
    }

    /// Takes a step before that.
    #[must_use]
    pub fn step(mut self, step: S) -> Self {
        self.steps.push(step);
        self
    }

    /// Looks again at a time, or at the earlier of two.
    #[must_use]
    pub fn recheck(mut self, time: Timestamp) -> Self {
        self.recheck = Some(self.recheck.map_or(time, |other| other.min(time)));
        self
    }
}

/// Severity of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something happened.
    Normal,
    /// Something needs attention.
    Warning,
}

impl Severity {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// An Event to be written after the durable write that it tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Severity.
    pub severity: Severity,
    /// CamelCase reason.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// What makes this occurrence differ from another with the same reason (a version, a time): part of the Event's
    /// name, so that the same occurrence is written once even after a restart.
    pub occurrence: String,
    /// A second object that it concerns.
    pub related: Option<ObjectRef>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, ObjectKey};

    crate::reasons! {
        /// Reasons of a test.
        enum Why {
            /// It rests
            Paused: waits,
            /// It builds
            Building: works,
            /// It cannot
            /// parse
            Invalid: human,
        }
    }

    #[test]
    fn the_set_is_closed_and_has_a_word_for_every_trouble() {
        assert_eq!(Why::ALL.len(), 3 + 7);
        assert_eq!((Why::Paused.name(), Why::Paused.text()), ("Paused", "It rests"));
        assert_eq!(Why::Invalid.text(), "It cannot parse");
        assert!(Why::Building.is_our_work() && !Why::Building.needs_human());
        assert!(Why::of_trouble(Trouble::Forbidden).needs_human());
    }

    #[test]
    fn because_reads_as_a_sentence() {
        let plans = Kind { group: "example.org", versions: &["v1"], kind: "Plan", plural: "plans" };
        let because = Because::new(Why::Paused, "no image yet")
            .blocked_by(ObjectRef::named(plans, ObjectKey::new("ns", "plan")))
            .unblock("publish one");
        assert_eq!(because.to_string(), "no image yet (Plan ns/plan); publish one");
    }

    #[test]
    fn because_is_one_line_whatever_it_quotes() {
        let plans = Kind { group: "example.org", versions: &["v1"], kind: "Plan", plural: "plans" };
        let because = Because::new(Why::Invalid, "denied:\r\nno\u{1b}[31m")
            .blocked_by(ObjectRef::named(plans, ObjectKey::new("ns", "a\nb")))
            .unblock("ask\u{2028}twice");
        assert_eq!(because.to_string(), "denied:  no\u{fffd}[31m (Plan ns/a b); ask twice");
        assert!(matches!(one_line("Straße 🚢"), Cow::Borrowed("Straße 🚢")));
    }

    #[test]
    fn since_when_it_waits_is_kept_while_reason_and_object_stay() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let plans = Kind { group: "example.org", versions: &["v1"], kind: "Plan", plural: "plans" };
        let on = |name: &str| {
            let object = ObjectRef::named(plans, ObjectKey::new("ns", name));
            Then::Wait(Because::new(Why::Paused, "words that change").blocked_by(object))
        };
        let first = Waiting::of(None, &on("a"), at(1));
        let since = |waiting: &Option<Waiting>| waiting.as_ref().map(|waiting| waiting.since);
        assert_eq!(since(&first), Some(at(1)));
        assert_eq!(since(&Waiting::of(first.as_ref(), &on("a"), at(9))), Some(at(1)));
        assert_eq!(since(&Waiting::of(first.as_ref(), &on("b"), at(9))), Some(at(9)));
        assert_eq!(Waiting::of(first.as_ref(), &Then::<Why>::Done, at(9)), None);
    }

    #[test]
    fn the_earlier_recheck_holds() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let verdict = Verdict::<(), Why>::done().recheck(at(5)).recheck(at(3)).recheck(at(9));
        assert_eq!(verdict.recheck, Some(at(3)));
    }
}
