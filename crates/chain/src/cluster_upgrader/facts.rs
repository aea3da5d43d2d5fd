//! What can be said of an upgrade before anything is decided: which Cluster, at which version, and where it is to go.
//!
//! Each is there or the reason why it is not, so that every condition can be looked at that does not depend on what is
//! missing.

use api::capi::cluster::{self, ClusterRow, Topology};
use api::upgrader::cluster_upgrader::Reason;
use api::upgrader::machine_image;
use api::upgrader::plan::{self, PlanRow};
use domain::condition;
use domain::object::{ObjectKey, ObjectRef};
use domain::path::Hop;
use domain::verdict::{Because, Reason as _, Trouble};
use domain::version::KubernetesVersion;
use runtime::store::Availability;

use super::observe::Observed;

/// Why it does not go on.
pub(super) type Hindrance = Box<Because<Reason>>;

pub(super) fn hindrance(reason: Reason, message: impl Into<String>) -> Because<Reason> {
    Because::new(reason, message)
}

/// A Cluster with a topology.
#[derive(Clone, Debug)]
pub(super) struct Target<'a> {
    pub(super) cluster: &'a ClusterRow,
    pub(super) topology: &'a Topology,
    /// The version of its topology.
    pub(super) current: KubernetesVersion,
}

impl Target<'_> {
    pub(super) fn object(&self) -> ObjectRef {
        ObjectRef::of(cluster::KIND, &self.cluster.meta)
    }
}

/// A machine image, as a plan knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) key: ObjectKey,
    /// Its uid, where it is known.
    pub(super) uid: Option<Box<str>>,
    pub(super) id: Box<str>,
}

/// Where a Cluster is to go: the result of its plan, or the version that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) plan: &'a PlanRow,
    pub(super) version: KubernetesVersion,
    /// The image of exactly that version; a plan's result always has one.
    pub(super) source: Option<Source>,
}

impl Wanted<'_> {
    pub(super) fn object(&self) -> ObjectRef {
        ObjectRef::of(plan::KIND, &self.plan.meta)
    }
}

/// The Cluster, if it has a topology.
pub(super) fn target(observed: &Observed) -> Result<Target<'_>, Hindrance> {
    let cluster = cluster(observed)?;
    let stop = |reason, message: String| {
        hindrance(reason, message).blocked_by(ObjectRef::of(cluster::KIND, &cluster.meta))
    };
    let Some(topology) = &cluster.topology else {
        let message = "the Cluster has no spec.topology".to_owned();
        let because = stop(Reason::ClusterWithoutTopology, message);
        return Err(because.unblock("only Clusters of a ClusterClass can be upgraded").into());
    };
    match KubernetesVersion::parse_lenient(&topology.version) {
        Ok(current) => Ok(Target { cluster, topology, current }),
        Err(error) => {
            let message = format!("spec.topology.version of the Cluster: {error}");
            Err(stop(Reason::ClusterVersionInvalid, message).unblock("correct it").into())
        }
    }
}

/// The Cluster, if it is there and can be read.
pub(super) fn cluster(observed: &Observed) -> Result<&ClusterRow, Hindrance> {
    known(&observed.clusters, "Clusters")?;
    let Some(cluster) = &observed.cluster else {
        let named = observed.upgrader.meta.key.sibling(&observed.upgrader.cluster_name);
        let because =
            hindrance(Reason::ClusterMissing, "spec.clusterName names a Cluster that does not exist");
        let because = because.blocked_by(ObjectRef::named(cluster::KIND, named));
        return Err(because.unblock("create it, or correct spec.clusterName").into());
    };
    if let Some(error) = &cluster.malformed {
        let because = hindrance(Reason::ClusterMalformed, format!("the Cluster cannot be read: {error}"));
        let because = because.blocked_by(ObjectRef::of(cluster::KIND, &cluster.meta));
        return Err(because.unblock("check that this version of Cluster API is supported").into());
    }
    Ok(cluster)
}

/// Whether objects of a kind of Cluster API are known.
pub(super) fn known(availability: &Availability, plural: &str) -> Result<(), Hindrance> {
    let because = match availability {
        Availability::Synced { .. } => return Ok(()),
        Availability::NotInstalled => {
            // Each kind is asked for by itself, and what is installed is found a while later.
            let message =
                format!("no {plural} are served: Cluster API is not installed, or was not until now");
            hindrance(Reason::ClusterAPINotInstalled, message)
                .unblock("install it, for example with clusterctl init")
        }
        Availability::Forbidden(words) => {
            hindrance(Reason::of_trouble(Trouble::Forbidden), format!("cannot watch {plural}: {words}"))
        }
        Availability::Syncing => hindrance(
            Reason::of_trouble(Trouble::ApiUnavailable),
            format!("the first list of {plural} is not complete"),
        ),
    };
    Err(because.into())
}

/// Where the Cluster is to go.
pub(super) fn wanted(observed: &Observed) -> Result<Wanted<'_>, Hindrance> {
    let namespace = &*observed.upgrader.meta.key.namespace;
    let Some(plan) = observed.plan.as_ref().filter(|plan| !plan.meta.deleting) else {
        let named = ObjectRef::named(plan::KIND, observed.upgrader.plan.key(namespace));
        let message = match observed.plan {
            Some(_) => "the Plan is being deleted",
            None => "spec.planRef names a Plan that does not exist",
        };
        let because = hindrance(Reason::PlanMissing, message).blocked_by(named);
        return Err(because.unblock("create it, or correct spec.planRef").into());
    };
    match &observed.asked {
        Some(version) => {
            let source = observed.images.iter().find(|hop| hop.version == *version);
            let source = source.map(|hop| hop.image.clone());
            Ok(Wanted { plan, version: version.clone(), source })
        }
        None => result(observed, plan, namespace),
    }
}

/// The result of a plan.
fn result<'a>(observed: &'a Observed, plan: &'a PlanRow, namespace: &str) -> Result<Wanted<'a>, Hindrance> {
    let stop = |reason, message: String| {
        hindrance(reason, message).blocked_by(ObjectRef::of(plan::KIND, &plan.meta))
    };
    if let Some(Hop { version, image }) = &observed.untold {
        return Ok(Wanted { plan, version: version.clone(), source: Some(image.clone()) });
    }
    let status = &plan.status;
    // A result from before the last change of its spec, or one that another program left there, is not the plan's.
    let current = status.observed_generation == Some(plan.meta.generation);
    let details = status
        .machine_image_details
        .as_ref()
        .filter(|details| current && !details.version.is_empty() && !details.id.is_empty());
    let image = status.machine_image_ref.as_ref().and_then(|image| Some((image.name.clone()?, &image.uid)));
    let (Some(details), Some((name, uid))) = (details, image) else {
        let said = condition::find(&status.conditions, condition::UP_TO_DATE)
            .filter(|said| current && said.status != condition::Status::True && !said.message.is_empty());
        let message = match said {
            Some(said) => format!("the Plan has no result: {}", said.message),
            None => "the Plan has no result yet".to_owned(),
        };
        return Err(stop(Reason::PlanWithoutResult, message).into());
    };
    let key = ObjectKey::new(namespace, name);
    match KubernetesVersion::parse_strict(&details.version) {
        Ok(version) => {
            let source = Source { key, uid: uid.clone(), id: details.id.clone() };
            Ok(Wanted { plan, version, source: Some(source) })
        }
        Err(error) => {
            let because =
                stop(Reason::PlanVersionInvalid, format!("the version of the Plan's result: {error}"));
            let hint = format!("correct spec.version of {} {key}", machine_image::KIND.kind);
            Err(because.unblock(hint).into())
        }
    }
}
