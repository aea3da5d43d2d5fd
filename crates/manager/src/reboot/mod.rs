//! `manager reboot`: what runs in the pod that reboots a node.
//!
//! The pod is made before the node is disturbed, so that its image is there when the node is cordoned and drained. It watches
//! itself and writes nothing: that the node is to reboot is said by an annotation with the boot ID that the node is to leave,
//! and that it has rebooted is seen by everybody in the boot ID of the Node. Killed at any line, it begins again and asks the
//! same questions; the container that starts after the reboot finds another boot ID, and is done.
//!
//! | file | does |
//! |---|---|
//! | `told.rs` | says what an annotation asks for, of this boot |
//! | `watch.rs` | waits for it, however long the API server is away |
//! | `act.rs` | reboots the node |
//! | `guard.rs` | keeps builds for tests from rebooting the machine that they run on |

mod act;
mod guard;
mod told;
mod watch;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kube::Config;
use kube::config::InClusterError;
use runtime::client::Stack;
use runtime::clock::Clock;
use runtime::log::{Encoding, Logging, Verbosity};
use runtime::metrics::Metrics;

use crate::boot_id;
use crate::options::VERSION;
use crate::process::chain;

use act::ActError;
use guard::GuardError;
use told::Told;
use watch::Pod;

/// How long a node may take over an orderly reboot where nobody says, before the kernel is asked.
pub const ORDERLY: Duration = Duration::from_mins(5);
/// The root of the node, in a pod with the PIDs of its node.
const NODE: &str = "/proc/1/root";

/// The pod that this runs in, as its environment tells it; either may be missing.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// `POD_NAME`.
    pub name: Option<String>,
    /// `POD_NAMESPACE`.
    pub namespace: Option<String>,
}

/// Why a node is not rebooted.
#[derive(Debug, thiserror::Error)]
pub enum RebootError {
    /// It would be the machine that tests run on.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// It does not know its pod.
    #[error("POD_NAME and POD_NAMESPACE must be set: they name the pod whose annotation is waited for")]
    Nowhere,
    /// Which boot this is cannot be told.
    #[error("cannot read the boot ID of the node; the pod needs hostPID and privileged: {0}")]
    BootId(io::Error),
    /// It is not in a cluster.
    #[error("found no API server in the environment of the pod")]
    Connection(#[from] InClusterError),
    /// The client cannot be made.
    #[error("cannot make a client")]
    Client(#[from] kube::Error),
    /// There is no runtime.
    #[error("cannot set up the process")]
    Process(io::Error),
    /// The node cannot be rebooted.
    #[error(transparent)]
    Act(#[from] ActError),
}

/// Waits until the pod is told, and reboots its node: in good order within so many seconds (`orderly`, as the environment has
/// it), else through the kernel. The exit code is 0 once the node has rebooted, 1 in trouble.
pub fn run(place: &Place, orderly: Option<&str>) -> ExitCode {
    let logging = Logging { encoding: Encoding::Console, verbosity: Verbosity::INFO, colours: false };
    if let Err(error) = logging.start() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    match serve(place, seconds(orderly)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&error), "Cannot reboot the node");
            ExitCode::FAILURE
        }
    }
}

fn serve(place: &Place, orderly: Duration) -> Result<(), RebootError> {
    guard::check()?;
    let pod = pod(place).ok_or(RebootError::Nowhere)?;
    let boot_id = boot_id::read(Path::new(NODE)).map_err(RebootError::BootId)?;
    tracing::info!(version = VERSION, pod = %pod, boot_id, "Waiting to be told to reboot the node");
    // Fails only where one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RebootError::Process)?;
    let told = runtime.block_on(async {
        let client = Stack::new(Metrics::new(VERSION)).connect(Config::incluster()?)?;
        let clock = Clock::system(u64::from(std::process::id()));
        Ok::<_, RebootError>(watch::until_told(&client, &clock, &pod, &boot_id).await)
    })?;
    // Requests under way end here: nothing is to be sent while the node goes down.
    drop(runtime);
    match told {
        Told::Rebooted => {
            tracing::info!(boot_id, "The node has rebooted");
            Ok(())
        }
        Told::Reboot => {
            tracing::info!(boot_id, "Rebooting the node");
            Err(act::reboot(Path::new(NODE), orderly).into())
        }
    }
}

/// What the environment says of the time, in seconds; [`ORDERLY`] where it says nothing that can be read.
fn seconds(text: Option<&str>) -> Duration {
    let seconds = text.and_then(|text| text.trim().parse().ok()).filter(|seconds| *seconds > 0);
    seconds.map_or(ORDERLY, Duration::from_secs)
}

/// The pod, where the environment tells both of its names.
fn pod(place: &Place) -> Option<Pod> {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Some(Pod { name: said(&place.name)?, namespace: said(&place.namespace)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_five_minutes_where_nobody_says_another_time() {
        for text in [None, Some(""), Some("0"), Some("-1"), Some("5m")] {
            assert_eq!(seconds(text), ORDERLY, "{text:?}");
        }
        assert_eq!(seconds(Some("20\n")), Duration::from_secs(20));
    }

    #[test]
    fn a_pod_that_does_not_know_itself_does_nothing() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(pod(&Place::default()), None);
        assert_eq!(pod(&Place { name: some("op-reboot"), namespace: None }), None);
        assert_eq!(pod(&Place { name: some(""), namespace: some("ns") }), None);
        let known = pod(&Place { name: some("op-reboot"), namespace: some("ns") });
        assert_eq!(known.unwrap().to_string(), "ns/op-reboot");
    }
}
