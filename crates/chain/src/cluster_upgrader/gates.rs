//! What must be known before anything can be said about an upgrade: the upgrader, its Cluster and its plan, each in order.

use api::capi::cluster::{self, ClusterRow, PAUSED_ANNOTATION, PROVISIONED, Topology};
use api::upgrader::cluster_upgrader::{Reason, UpgraderRow};
use api::upgrader::machine_image;
use api::upgrader::plan::{self, PlanRow};
use domain::condition;
use domain::object::{ObjectKey, ObjectRef};
use domain::verdict::{Because, Reason as _, Trouble};
use domain::version::KubernetesVersion;
use runtime::store::Availability;

use super::observe::Observed;

/// Why it does not go on.
pub(super) type Hindrance = Box<Because<Reason>>;

/// A Cluster that can be upgraded in principle.
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

/// The result of a plan.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) plan: &'a PlanRow,
    pub(super) version: KubernetesVersion,
    pub(super) id: &'a str,
    /// Where the machine image is.
    pub(super) image: ObjectKey,
    pub(super) image_uid: Option<&'a str>,
}

impl Wanted<'_> {
    pub(super) fn object(&self) -> ObjectRef {
        ObjectRef::of(plan::KIND, &self.plan.meta)
    }
}

pub(super) fn hindrance(reason: Reason, message: impl Into<String>) -> Because<Reason> {
    Because::new(reason, message)
}

/// Whether the upgrader itself lets anything be done.
pub(super) fn upgrader(upgrader: &UpgraderRow) -> Result<(), Hindrance> {
    if let Some(error) = &upgrader.malformed {
        return Err(hindrance(Reason::of_trouble(Trouble::Malformed), &**error).into());
    }
    if upgrader.paused {
        let because = hindrance(Reason::Paused, "spec.paused is set");
        return Err(because.unblock("unset it").into());
    }
    if upgrader.plan.leaves(&upgrader.meta.key.namespace) {
        let other = upgrader.plan.namespace.as_deref().unwrap_or_default();
        let message = format!("spec.planRef points to namespace {other}, and only the own one is allowed");
        let because = hindrance(Reason::CrossNamespaceReference, message);
        return Err(because.unblock("create a Plan in this namespace").into());
    }
    Ok(())
}

/// The Cluster, if it can be upgraded in principle.
pub(super) fn target(observed: &Observed) -> Result<Target<'_>, Hindrance> {
    known(&observed.clusters, "Clusters")?;
    let named = observed.upgrader.meta.key.sibling(&observed.upgrader.cluster_name);
    let Some(cluster) = &observed.cluster else {
        let because =
            hindrance(Reason::ClusterMissing, "spec.clusterName names a Cluster that does not exist");
        return Err(because.blocked_by(ObjectRef::named(cluster::KIND, named)).into());
    };
    let stop = |reason: Reason, message: &str| {
        hindrance(reason, message).blocked_by(ObjectRef::of(cluster::KIND, &cluster.meta))
    };
    if let Some(error) = &cluster.malformed {
        return Err(stop(Reason::ClusterMalformed, &format!("the Cluster cannot be read: {error}")).into());
    }
    let Some(topology) = &cluster.topology else {
        let because = stop(Reason::ClusterWithoutTopology, "the Cluster has no spec.topology");
        return Err(because.unblock("only Clusters of a ClusterClass can be upgraded").into());
    };
    let current = match KubernetesVersion::parse_lenient(&topology.version) {
        Ok(current) => current,
        Err(error) => {
            let message = format!("spec.topology.version of the Cluster: {error}");
            return Err(stop(Reason::ClusterVersionInvalid, &message).into());
        }
    };
    if cluster.meta.deleting {
        return Err(stop(Reason::ClusterDeleting, "the Cluster is being deleted").into());
    }
    if cluster.paused {
        let because = stop(Reason::ClusterPaused, "the Cluster is paused");
        let hint = format!("unset its spec.paused and its annotation {PAUSED_ANNOTATION}");
        return Err(because.unblock(hint).into());
    }
    // A Cluster that no controller has seen yet has neither conditions nor a phase: that is no sign of an old one.
    if cluster.phase.as_deref() == Some(PROVISIONED) && !cluster.has_new_conditions {
        let because = stop(Reason::ClusterAPIUnsupported, "the Cluster does not tell how far an upgrade is");
        return Err(because.unblock("upgrade Cluster API to 1.9 or newer").into());
    }
    Ok(Target { cluster, topology, current })
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

/// The result of the plan.
pub(super) fn wanted(observed: &Observed) -> Result<Wanted<'_>, Hindrance> {
    let namespace = &*observed.upgrader.meta.key.namespace;
    let Some(plan) = observed.plan.as_ref().filter(|plan| !plan.meta.deleting) else {
        let named = ObjectRef::named(plan::KIND, observed.upgrader.plan.key(namespace));
        let message = match observed.plan {
            Some(_) => "the Plan is being deleted",
            None => "spec.planRef names a Plan that does not exist",
        };
        return Err(hindrance(Reason::PlanMissing, message).blocked_by(named).into());
    };
    let stop = |reason, message: String| {
        hindrance(reason, message).blocked_by(ObjectRef::of(plan::KIND, &plan.meta))
    };
    let status = &plan.status;
    // A result from before the last change of its spec, or one that another program left there, is not the plan's.
    let current = status.observed_generation == Some(plan.meta.generation);
    let details = status
        .machine_image_details
        .as_ref()
        .filter(|details| current && !details.version.is_empty() && !details.id.is_empty());
    let image = status.machine_image_ref.as_ref().filter(|image| image.name.is_some());
    let (Some(details), Some(image)) = (details, image) else {
        let said = condition::find(&status.conditions, condition::UP_TO_DATE)
            .filter(|said| current && said.status != condition::Status::True && !said.message.is_empty());
        let message = match said {
            Some(said) => format!("the Plan has no result: {}", said.message),
            None => "the Plan has no result yet".to_owned(),
        };
        return Err(stop(Reason::PlanWithoutResult, message).into());
    };
    match KubernetesVersion::parse_strict(&details.version) {
        Ok(version) => Ok(Wanted {
            plan,
            version,
            id: &details.id,
            image: ObjectKey::new(namespace, image.name.clone().unwrap_or_default()),
            image_uid: image.uid.as_deref(),
        }),
        Err(error) => {
            let because =
                stop(Reason::PlanVersionInvalid, format!("the version of the Plan's result: {error}"));
            let named = ObjectKey::new(namespace, image.name.clone().unwrap_or_default());
            Err(because
                .unblock(format!("correct spec.version of {} {named}", machine_image::KIND.kind))
                .into())
        }
    }
}
