//! The record inside a `coordination.k8s.io/v1` Lease, as client-go writes and reads it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use super::Timing;

/// What a lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty when released.
    pub holder: String,
    /// How long others wait since its last change was seen; nothing when it does not say.
    pub duration: Option<Duration>,
    /// When the holder took it, by the holder's clock.
    pub acquired: Option<Timestamp>,
    /// When the holder last renewed it, by the holder's clock. Only its change counts, never its value.
    pub renewed: Option<Timestamp>,
    /// How often the holder changed.
    pub transitions: i32,
}

impl Record {
    /// Reads the record of a lease.
    pub fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            holder: spec.holder_identity.unwrap_or_default(),
            duration: seconds.filter(|&seconds| seconds > 0).map(Duration::from_secs),
            acquired: spec.acquire_time.map(|time| time.0),
            renewed: spec.renew_time.map(|time| time.0),
            transitions: spec.lease_transitions.unwrap_or_default(),
        }
    }

    /// What `me` writes to take or renew a lease on which `before` stands.
    pub(super) fn held(before: Option<&Self>, me: &str, now: Timestamp, timing: &Timing) -> Self {
        let (acquired, transitions) = match before {
            None => (now, 0),
            Some(before) if before.holder == me => (before.acquired.unwrap_or(now), before.transitions),
            Some(before) => (now, before.transitions.saturating_add(1)),
        };
        Self {
            holder: me.to_owned(),
            duration: Some(timing.duration),
            acquired: Some(acquired),
            renewed: Some(now),
            transitions,
        }
    }

    /// What a holder leaves behind: a second is the least that a record may say.
    pub(super) fn released(&self, now: Timestamp) -> Self {
        Self {
            holder: String::new(),
            duration: Some(Duration::from_secs(1)),
            acquired: Some(now),
            renewed: Some(now),
            transitions: self.transitions,
        }
    }

    /// A new Lease with this record, or one that is there with this record in the place of its own: its metadata, the
    /// resourceVersion included, and fields that are not ours stay.
    pub(super) fn on(self, lease: Option<&Lease>, namespace: &str, name: &str) -> Lease {
        let mut lease = lease.cloned().unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                namespace: Some(namespace.to_owned()),
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        spec.holder_identity = Some(self.holder);
        spec.lease_duration_seconds =
            self.duration.map(|duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX));
        spec.acquire_time = self.acquired.map(MicroTime);
        spec.renew_time = self.renewed.map(MicroTime);
        spec.lease_transitions = Some(self.transitions);
        lease
    }
}

/// An identity that no other process has: the host is the pod's name, and the process number and start time tell a
/// container from the one before it in the same pod. Nobody may take a record with its own name on it for its own
/// unless it is.
pub fn identity(host: &str, process: u32, started: Timestamp) -> String {
    let parts = [host, &process.to_string(), &started.as_nanosecond().to_string()];
    format!("{host}_{}", domain::name::suffix(&parts, 10))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn client_go_reads_what_is_written() {
        let now = at("2026-11-21T10:00:00.123456789Z");
        let lease = Record::held(None, "pod_x", now, &Timing::default()).on(None, "ns", "id");
        assert_eq!(
            serde_json::to_value(&lease).unwrap(),
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"namespace": "ns", "name": "id"},
                "spec": {
                    "holderIdentity": "pod_x", "leaseDurationSeconds": 40, "leaseTransitions": 0,
                    "acquireTime": "2026-11-21T10:00:00.123456Z", "renewTime": "2026-11-21T10:00:00.123456Z",
                },
            })
        );
    }

    #[test]
    fn a_record_of_client_go_is_read_and_taken_over_with_its_metadata() {
        let theirs: Lease = serde_json::from_value(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": "ns", "name": "id", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {
                "holderIdentity": "old-pod_6f1c", "leaseDurationSeconds": 15, "leaseTransitions": 3,
                "acquireTime": "2026-11-01T00:00:00.000000Z", "renewTime": "2026-11-21T09:59:58.000001Z",
            },
        }))
        .unwrap();
        let before = Record::of(&theirs);
        assert_eq!(
            (before.holder.as_str(), before.duration),
            ("old-pod_6f1c", Some(Duration::from_secs(15)))
        );
        let now = at("2026-11-21T10:00:20Z");
        let taken = Record::held(Some(&before), "me", now, &Timing::default());
        assert_eq!((taken.transitions, taken.acquired), (4, Some(now)));
        let lease = taken.clone().on(Some(&theirs), "ns", "id");
        assert_eq!(lease.metadata, theirs.metadata);

        let later = at("2026-11-21T10:00:30Z");
        let renewed = Record::held(Some(&taken), "me", later, &Timing::default());
        assert_eq!((renewed.transitions, renewed.acquired, renewed.renewed), (4, Some(now), Some(later)));
        let released = renewed.released(later);
        assert_eq!((released.holder.as_str(), released.duration), ("", Some(Duration::from_secs(1))));
        let next = Record::held(Some(&released), "next", later, &Timing::default());
        assert_eq!(next.transitions, 5);
    }

    #[test]
    fn a_record_without_a_usable_duration_says_so() {
        for spec in [json!({}), json!({"leaseDurationSeconds": 0}), json!({"leaseDurationSeconds": -5})] {
            let lease: Lease = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            assert_eq!(Record::of(&lease).duration, None);
        }
    }

    #[test]
    fn two_processes_of_one_host_have_two_identities() {
        let now = at("2026-11-21T10:00:00Z");
        let later = at("2026-11-21T10:00:00.000000001Z");
        assert!(identity("pod", 1, now).starts_with("pod_"));
        assert_ne!(identity("pod", 1, now), identity("pod", 1, later));
        assert_ne!(identity("pod", 1, now), identity("pod", 2, now));
    }
}
