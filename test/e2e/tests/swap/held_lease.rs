//! The lease of the original, held by a process that then dies without giving it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use controlplane::ControlPlane;
use domain::object::Kind;
use e2e::{LOOK_EVERY, NAMESPACE, Objects, WITHIN};
use serde_json::json;
use tokio::task::JoinHandle;

/// The original's lease.
pub(crate) const NAME: &str = "91e8760d.dimitrikoshkin.com";
const LEASE: Kind = Kind { group: "coordination.k8s.io", versions: &["v1"], kind: "Lease", plural: "leases" };
/// client-go's.
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// Renews the lease until it is abandoned or dropped.
pub(crate) struct HeldLease {
    renewals: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl HeldLease {
    /// Takes it with a record as client-go writes it.
    pub(crate) async fn take(plane: &ControlPlane, duration: Duration) -> Self {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {
                "holderIdentity": "kubernetes-upgrader-controller-manager-6d4cf56db6-x7k2p_0d2e9e0b-7f7c-4c62-a8a5-6c8f9d0b1e11",
                "leaseDurationSeconds": duration.as_secs(),
                "acquireTime": time(0), "renewTime": time(0), "leaseTransitions": 3,
            },
        });
        plane.apply_yaml(&lease.to_string()).await.unwrap();
        let objects = Objects::new(plane.client().await.unwrap());
        let renewals = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&renewals);
        let task = tokio::spawn(async move {
            for number in 1.. {
                tokio::time::sleep(RENEW_EVERY).await;
                let renewal = json!({"spec": {"renewTime": time(number)}});
                objects.merge(&LEASE, NAMESPACE, NAME, &renewal).await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { renewals, task }
    }

    /// Awaits so many renewals more.
    pub(crate) async fn await_renewals(&self, more: usize) {
        let wanted = self.renewals.load(Ordering::SeqCst) + more;
        let look = async {
            while self.renewals.load(Ordering::SeqCst) < wanted {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(WITHIN, look).await.unwrap();
    }

    /// The process is gone. Its record stays.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// By a clock that is years behind: what another process holds is told by its changes, and not by what it says.
fn time(renewal: u64) -> String {
    let (minutes, seconds) = (renewal * 2 / 60, renewal * 2 % 60);
    format!("2023-09-26T12:{minutes:02}:{seconds:02}.000000Z")
}

/// Seconds between two times of the audit log that lie less than a day apart.
pub(crate) fn seconds_between(before: &str, after: &str) -> f64 {
    (seconds(after) - seconds(before)).rem_euclid(86_400.0)
}

fn seconds(time: &str) -> f64 {
    let clock = time.split_once('T').unwrap().1.trim_end_matches('Z');
    clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}
