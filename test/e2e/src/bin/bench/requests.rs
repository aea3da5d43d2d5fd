//! What the manager has asked of the API server, by the audit log.

use std::collections::{BTreeMap, BTreeSet};

use controlplane::AuditEvent;
use jiff::Timestamp;

/// Requests of some time, in the order of their answers.
#[derive(Clone, Copy)]
pub(crate) struct Requests<'a>(pub(crate) &'a [AuditEvent]);

impl<'a> Requests<'a> {
    /// Those of this verb for this resource, with its subresource behind a `/`.
    pub(crate) fn of(self, verb: &'a str, resource: &'a str) -> impl Iterator<Item = &'a AuditEvent> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        self.0.iter().filter(move |event| {
            event.verb == verb && event.resource == resource && event.subresource == subresource
        })
    }

    /// Those of this verb.
    pub(crate) fn of_verb(self, verb: &'a str) -> impl Iterator<Item = &'a AuditEvent> {
        self.0.iter().filter(move |event| event.verb == verb)
    }

    /// Objects for which such a request went well.
    pub(crate) fn objects(self, verb: &'a str, resource: &'a str) -> usize {
        let well = self.of(verb, resource).filter(|event| event.code < 300);
        well.map(|event| (&event.namespace, &event.name)).collect::<BTreeSet<_>>().len()
    }

    /// Those that are neither of a lease nor a watch.
    pub(crate) fn others(self) -> impl Iterator<Item = &'a AuditEvent> {
        self.0.iter().filter(|event| event.resource != "leases" && event.verb != "watch")
    }

    /// By verb and resource.
    pub(crate) fn counts(self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for event in self.0 {
            let part = if event.subresource.is_empty() { "" } else { "/" };
            let what = if event.resource.is_empty() {
                event.request_uri.split('?').next().unwrap_or_default()
            } else {
                &event.resource
            };
            *counts.entry(format!("{} {what}{part}{}", event.verb, event.subresource)).or_default() += 1;
        }
        counts
    }

    /// The same for a message.
    pub(crate) fn shown(self) -> String {
        let counts = self.counts().into_iter().map(|(what, count)| format!("{what} {count}"));
        counts.collect::<Vec<_>>().join(", ")
    }
}

/// When a request came to the API server.
pub(crate) fn received(event: &AuditEvent) -> Option<Timestamp> {
    event.received.parse().ok()
}

/// When the first and the last of some came.
pub(crate) fn span<'a>(events: impl Iterator<Item = &'a AuditEvent>) -> Option<(Timestamp, Timestamp)> {
    events.filter_map(received).fold(None, |span, time| match span {
        None => Some((time, time)),
        Some((first, last)) => Some((time.min(first), time.max(last))),
    })
}

/// Seconds from one time to another.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verb: &str, resource: &str, name: &str, received: &str) -> AuditEvent {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        AuditEvent {
            audit_id: String::new(),
            user: String::new(),
            user_agent: String::new(),
            verb: verb.to_owned(),
            request_uri: "/version?x".to_owned(),
            group: String::new(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
            code: 200,
            received: received.to_owned(),
            forbidden: false,
        }
    }

    #[test]
    fn requests_are_counted_by_verb_and_resource_and_objects_once() {
        let events = [
            event("patch", "plans/status", "a", "2026-11-21T10:00:01.5Z"),
            event("patch", "plans/status", "a", "2026-11-21T10:00:00Z"),
            event("update", "leases", "l", "2026-11-21T10:00:00Z"),
            event("watch", "plans", "", "2026-11-21T10:00:00Z"),
            event("get", "", "", "2026-11-21T10:00:00Z"),
        ];
        let requests = Requests(&events);
        assert_eq!(requests.shown(), "get /version 1, patch plans/status 2, update leases 1, watch plans 1");
        assert_eq!((requests.objects("patch", "plans/status"), requests.objects("patch", "plans")), (1, 0));
        assert_eq!(requests.others().count(), 3);
        let (first, last) = span(requests.of("patch", "plans/status")).unwrap();
        assert!((seconds(first, last) - 1.5).abs() < 1e-9);
    }
}
