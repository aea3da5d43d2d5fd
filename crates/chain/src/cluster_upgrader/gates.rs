//! What has to hold of the upgrader, its Cluster and its class before anything is set.

use api::capi::cluster::{self, ClusterRow, PAUSED_ANNOTATION, PROVISIONED};
use api::capi::cluster_class::{self, ClusterClassRow};
use api::upgrader::cluster_upgrader::{KIND, Reason, UpgraderRow};
use domain::condition::Status;
use domain::object::{ObjectKey, ObjectRef};
use domain::verdict::{Reason as _, Trouble};
use domain::version::{Hop, KubernetesVersion};

use super::facts::{Hindrance, Target, Wanted, hindrance, known};
use super::observe::Observed;

type Gate = Result<(), Hindrance>;

pub(super) fn valid(upgrader: &UpgraderRow) -> Gate {
    match &upgrader.malformed {
        Some(error) => Err(hindrance(Reason::of_trouble(Trouble::Malformed), &**error).into()),
        None => Ok(()),
    }
}

pub(super) fn not_paused(upgrader: &UpgraderRow) -> Gate {
    if !upgrader.paused {
        return Ok(());
    }
    Err(hindrance(Reason::Paused, "spec.paused is set").unblock("unset it").into())
}

pub(super) fn plan_in_namespace(upgrader: &UpgraderRow) -> Gate {
    if !upgrader.plan.leaves(&upgrader.meta.key.namespace) {
        return Ok(());
    }
    let other = upgrader.plan.namespace.as_deref().unwrap_or_default();
    let message = format!("spec.planRef points to namespace {other}, and only the own one is allowed");
    let because = hindrance(Reason::CrossNamespaceReference, message);
    Err(because.unblock("create a Plan in this namespace").into())
}

/// Of several upgraders of one Cluster the oldest drives it.
pub(super) fn drives(observed: &Observed) -> Gate {
    let Some(driver) = &observed.driver else { return Ok(()) };
    let message = format!("Cluster {} is driven by an older upgrader", observed.upgrader.cluster_name);
    let because = hindrance(Reason::AnotherUpgrader, message).blocked_by(ObjectRef::of(KIND, driver));
    Err(because.unblock("delete one of the two").into())
}

pub(super) fn not_deleting(cluster: &ClusterRow) -> Gate {
    if !cluster.meta.deleting {
        return Ok(());
    }
    let because = hindrance(Reason::ClusterDeleting, "the Cluster is being deleted");
    Err(because.blocked_by(of(cluster)).into())
}

pub(super) fn cluster_not_paused(cluster: &ClusterRow) -> Gate {
    if !cluster.paused {
        return Ok(());
    }
    let because = hindrance(Reason::ClusterPaused, "the Cluster is paused").blocked_by(of(cluster));
    Err(because.unblock(format!("unset its spec.paused and its annotation {PAUSED_ANNOTATION}")).into())
}

/// A Cluster that no controller has seen yet has neither conditions nor a phase: that is no sign of an old one.
pub(super) fn tells_progress(cluster: &ClusterRow) -> Gate {
    if cluster.phase.as_deref() != Some(PROVISIONED) || cluster.has_new_conditions {
        return Ok(());
    }
    let because = hindrance(Reason::ClusterAPIUnsupported, "the Cluster does not tell how far an upgrade is");
    Err(because.blocked_by(of(cluster)).unblock("upgrade Cluster API to 1.9 or newer").into())
}

pub(super) fn not_ahead(target: &Target<'_>, wanted: &Wanted<'_>, asked: bool) -> Gate {
    if target.current.hop_to(&wanted.version) != Hop::Downgrade {
        return Ok(());
    }
    let what = if asked { "what is asked for" } else { "the Plan" };
    let message = format!(
        "the Cluster is at {}, and {what} at {}: a downgrade is never asked for",
        target.current, wanted.version
    );
    let because = hindrance(Reason::ClusterAhead, message);
    if asked {
        return Err(because.blocked_by(target.object()).unblock("ask for a newer version").into());
    }
    Err(because.blocked_by(wanted.object()).unblock("move the range of the Plan up").into())
}

/// The class, if Cluster API has reconciled it.
pub(super) fn class<'a>(
    observed: &'a Observed,
    target: &Target<'_>,
) -> Result<&'a ClusterClassRow, Hindrance> {
    known(&observed.classes, "ClusterClasses")?;
    let Some(class) = &observed.class else {
        let Some(named) = &target.topology.class else {
            let because = hindrance(Reason::ClassMissing, "the Cluster names no ClusterClass");
            let because = because.blocked_by(target.object());
            return Err(because.unblock("name one in spec.topology of the Cluster").into());
        };
        let own = &target.cluster.meta.key.namespace;
        let namespace = named.namespace.as_deref().unwrap_or(own);
        let key = ObjectKey::new(namespace, named.name.clone());
        // A manager that was told to watch one namespace sees no class of another.
        let (message, hint) = if *namespace == **own {
            (
                "the ClusterClass of the Cluster does not exist",
                "create it, or correct spec.topology of the Cluster",
            )
        } else {
            (
                "the ClusterClass of the Cluster does not exist, or this manager does not watch its namespace",
                "create it, correct spec.topology of the Cluster, or run the manager without --namespace",
            )
        };
        let because = hindrance(Reason::ClassMissing, message);
        let because = because.blocked_by(ObjectRef::named(cluster_class::KIND, key));
        return Err(because.unblock(hint).into());
    };
    // With a class that is not reconciled Cluster API admits every write, and validates no variable.
    let message = if let Some(error) = &class.malformed {
        format!("the ClusterClass cannot be read: {error}")
    } else if class.observed_generation != Some(class.meta.generation) {
        "Cluster API has not looked at the last change of the ClusterClass yet".to_owned()
    } else if class.variables_ready != Some(Status::True) {
        "the variables of the ClusterClass are not ready".to_owned()
    } else {
        return Ok(class);
    };
    let because = hindrance(Reason::ClassNotReconciled, message);
    Err(because.blocked_by(ObjectRef::of(cluster_class::KIND, &class.meta)).into())
}

/// The oldest version that a worker reports (Cluster API ≥ 1.14).
pub(super) fn lowest_worker(target: &Target<'_>) -> Option<KubernetesVersion> {
    let versions = target.cluster.workers.versions.iter().flatten();
    let parsed = versions.filter_map(|version| KubernetesVersion::parse_lenient(version).ok());
    parsed.min_by(KubernetesVersion::cmp_precedence)
}

fn of(cluster: &ClusterRow) -> ObjectRef {
    ObjectRef::of(cluster::KIND, &cluster.meta)
}
