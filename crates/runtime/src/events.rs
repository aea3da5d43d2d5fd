//! Events of the API server, once per occurrence: the name is a hash of the object, the reason and the occurrence, so that
//! a repetition after a restart finds its Event there.

use std::time::Duration;

use domain::name;
use domain::object::{Kind, ObjectRef};
use domain::verdict::{Note, one_line};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::request::{Place, Shell};
use crate::rules::Rule;

const EVENT: Kind = Kind { group: "events.k8s.io", versions: &["v1"], kind: "Event", plural: "events" };

/// What writing Events needs.
pub const RULE: Rule = Rule::new("events.k8s.io", "events", &["create"]);

/// Longest note that the API server takes, in bytes.
const NOTE_LIMIT: usize = 1_024;
/// An Event is a courtesy: it may not hold up its object.
const LIMIT: Duration = Duration::from_secs(5);

/// Who writes Events, and of what.
pub(crate) struct Teller<'a> {
    /// Name of the controller.
    pub(crate) controller: &'a str,
    /// The pod's name.
    pub(crate) instance: &'a str,
    /// The object.
    pub(crate) regarding: ObjectRef,
    /// The reason that the object waits for, from the closed set of its kind; nothing where it is done.
    pub(crate) word: Option<&'static str>,
}

/// Writes an Event; a failure is logged, and fails nothing.
pub(crate) async fn publish(shell: &Shell, teller: &Teller<'_>, note: &Note, now: Timestamp) {
    let (body, regarding) = (body(teller, note, now), &teller.regarding);
    let namespace = if regarding.key.namespace.is_empty() { "default" } else { &regarding.key.namespace };
    match tokio::time::timeout(LIMIT, shell.post(&Place::of(EVENT), namespace, &body)).await {
        Ok(Ok(()) | Err(Refusal::AlreadyExists)) => {}
        Ok(Err(refusal)) => {
            tracing::warn!(object = %regarding, reason = note.reason, error = %refusal, "Event refused")
        }
        Err(_) => tracing::warn!(object = %regarding, reason = note.reason, "Event not written in time"),
    }
}

fn body(teller: &Teller<'_>, note: &Note, now: Timestamp) -> Value {
    let Teller { controller, instance, regarding, word } = teller;
    let hash = name::suffix(&[&regarding.uid, note.reason, &note.occurrence], 16);
    let base: String = regarding.key.name.chars().take(200).collect();
    let base = base.trim_end_matches(['.', '-']);
    let mut body = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": format!("{base}.{hash}"), "namespace": regarding.key.namespace},
        "eventTime": format!("{now:.6}"),
        "reportingController": format!("{controller}-reconciler"),
        "reportingInstance": instance,
        // Where the original had a word of its own for the Event, that stays in reason.
        "action": word.unwrap_or(note.reason),
        "reason": note.reason,
        "type": note.severity.name(),
        "note": cut(&one_line(&note.message)),
        "regarding": reference(regarding),
    });
    if let Some(related) = &note.related {
        body["related"] = reference(related);
    }
    body
}

fn reference(object: &ObjectRef) -> Value {
    json!({
        "apiVersion": object.api_version, "kind": object.kind,
        "namespace": object.key.namespace, "name": object.key.name, "uid": object.uid,
    })
}

fn cut(message: &str) -> &str {
    let end =
        (0..=NOTE_LIMIT.min(message.len())).rev().find(|&end| message.is_char_boundary(end)).unwrap_or(0);
    &message[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::object::ObjectKey;
    use domain::verdict::Severity;

    fn event(occurrence: &str, message: &str) -> Value {
        let regarding = ObjectRef {
            api_version: "g/v1".into(),
            kind: "Plan".into(),
            key: ObjectKey::new("ns", "plan"),
            uid: "u1".into(),
        };
        let note = Note {
            severity: Severity::Normal,
            reason: "FoundMachineImage",
            message: message.to_owned(),
            occurrence: occurrence.to_owned(),
            related: None,
        };
        let teller = Teller { controller: "plan", instance: "pod-1", regarding, word: Some("Paused") };
        body(&teller, &note, Timestamp::from_second(0).unwrap())
    }

    #[test]
    fn one_occurrence_has_one_name() {
        let name = |occurrence, message| event(occurrence, message)["metadata"]["name"].clone();
        assert_eq!(name("v1.36.4", "a"), name("v1.36.4", "b"));
        assert_ne!(name("v1.36.4", "a"), name("v1.36.5", "a"));
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        let event = event("x", &"ä".repeat(1_000));
        assert_eq!(event["note"].as_str().unwrap().len(), NOTE_LIMIT);
        assert_eq!(event["eventTime"], "1970-01-01T00:00:00.000000Z");
        assert_eq!((&event["reason"], &event["action"]), (&json!("FoundMachineImage"), &json!("Paused")));
    }
}
