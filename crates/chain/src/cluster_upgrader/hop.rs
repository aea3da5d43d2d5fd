//! Whether one write may move a Cluster to the result of its plan: what Cluster API would refuse, and what it would let
//! through although the machines could then not be made.

use api::capi::cluster::{Group, Topology};
use api::capi::cluster_class::{self, ClusterClassRow, Shape};
use api::upgrader::cluster_upgrader::Reason;
use api::upgrader::machine_image::{self, MachineImageRow};
use domain::condition::Status;
use domain::object::{ObjectKey, ObjectRef};
use domain::version::{Hop, KubernetesVersion};

use super::gates::{Hindrance, Target, Wanted, hindrance, known};
use super::observe::Observed;

/// A step is a patch or one minor. Minors in between would each need an image of their own first.
pub(super) fn size(target: &Target<'_>, wanted: &Wanted<'_>) -> Result<(), Hindrance> {
    let (from, to) = (&target.current, &wanted.version);
    let next = format!("v{}.{}", from.major(), from.minor().saturating_add(1));
    let (message, hint) = match from.hop_to(to) {
        hop if hop.is_one_step() => return Ok(()),
        Hop::NextMajor => (
            format!("from {from} to {to} is a step to another major version, and no rule says how"),
            "upgrade by hand".to_owned(),
        ),
        _ => (
            format!("from {from} to {to} is more than one minor version, and {next} must come first"),
            format!("let the plan choose an image of {next}"),
        ),
    };
    Err(hindrance(Reason::NoImageForHop, message).blocked_by(wanted.object()).unblock(hint).into())
}

/// The class, if Cluster API has reconciled it and it allows the version.
pub(super) fn class<'a>(
    observed: &'a Observed,
    target: &Target<'_>,
    version: &KubernetesVersion,
) -> Result<&'a ClusterClassRow, Hindrance> {
    known(&observed.classes, "ClusterClasses")?;
    let Some(class) = &observed.class else {
        let Some(named) = &target.topology.class else {
            let because = hindrance(Reason::ClassMissing, "the Cluster names no ClusterClass");
            return Err(because.blocked_by(target.object()).into());
        };
        let namespace = named.namespace.as_deref().unwrap_or(&target.cluster.meta.key.namespace);
        let key = ObjectKey::new(namespace, named.name.clone());
        let because = hindrance(Reason::ClassMissing, "the ClusterClass of the Cluster does not exist");
        return Err(because.blocked_by(ObjectRef::named(cluster_class::KIND, key)).into());
    };
    let stop = |reason, message: String| {
        hindrance(reason, message).blocked_by(ObjectRef::of(cluster_class::KIND, &class.meta))
    };
    if let Some(error) = &class.malformed {
        return Err(
            stop(Reason::ClassNotReconciled, format!("the ClusterClass cannot be read: {error}")).into()
        );
    }
    // With a class that is not reconciled Cluster API admits every write, and validates no variable.
    if class.observed_generation != Some(class.meta.generation) {
        let message = "Cluster API has not looked at the last change of the ClusterClass yet".to_owned();
        return Err(stop(Reason::ClassNotReconciled, message).into());
    }
    if class.variables_ready != Some(Status::True) {
        let message = "the variables of the ClusterClass are not ready".to_owned();
        return Err(stop(Reason::ClassNotReconciled, message).into());
    }
    // Cluster API compares the texts.
    let text = version.to_string();
    if !class.kubernetes_versions.is_empty()
        && !class.kubernetes_versions.iter().any(|listed| **listed == *text)
    {
        let because = stop(Reason::VersionNotInClass, format!("the ClusterClass does not list {version}"));
        return Err(because.unblock("add it to spec.kubernetesVersions of the ClusterClass").into());
    }
    Ok(class)
}

/// Whether a variable can take the image of every machine of the Cluster.
pub(super) fn variable(target: &Target<'_>, class: &ClusterClassRow, name: &str) -> Result<(), Hindrance> {
    let topology = target.topology;
    let present = topology.variable(name).map(|(_, variable)| &*variable.value);
    let of_class = || ObjectRef::of(cluster_class::KIND, &class.meta);
    let unsupported = match (class.variables.get(name), present) {
        (Some(Shape::String), _) => None,
        (Some(Shape::Map), _) => Some(("a map of strings".to_owned(), of_class())),
        (Some(Shape::Other(shape)), _) => Some((format!("of type {shape}"), of_class())),
        // Not in the class, and yet in the Cluster: what it holds tells its shape, and the server the rest.
        (None, Some(value)) if value.starts_with('"') => None,
        (None, Some(_)) => Some(("no string".to_owned(), target.object())),
        (None, None) => {
            let message = format!("neither the Cluster nor its ClusterClass knows the variable {name}");
            let because = hindrance(Reason::VariableUndefined, message);
            let hint = "define it in the ClusterClass, or correct spec.topologyVariable";
            return Err(because.blocked_by(target.object()).unblock(hint).into());
        }
    };
    if let Some((shape, object)) = unsupported {
        let message = format!("the variable {name} is {shape}, and only a string can take an image id");
        return Err(hindrance(Reason::VariableShapeUnsupported, message).blocked_by(object).into());
    }
    not_overridden(target, topology, name)
}

fn not_overridden(target: &Target<'_>, topology: &Topology, name: &str) -> Result<(), Hindrance> {
    let of_variable = topology.overrides.iter().filter(|it| *it.variable == *name);
    let groups: Vec<String> = of_variable.map(|it| group(&it.group)).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the variable {name} is overridden for {}, which would roll with its old image",
        groups.join(", ")
    );
    let because = hindrance(Reason::ImageOverridden, message).blocked_by(target.object());
    Err(because.unblock("remove the override").into())
}

fn group(group: &Group) -> String {
    match group {
        Group::ControlPlane => "the control plane".to_owned(),
        Group::MachineDeployment(name) => format!("MachineDeployment {name}"),
        Group::MachinePool(name) => format!("MachinePool {name}"),
    }
}

/// Whether the image, just read, is the one that the plan found.
pub(super) fn image(wanted: &Wanted<'_>, found: Option<&MachineImageRow>) -> Result<(), Hindrance> {
    let message = match found {
        None => "the machine image of the Plan does not exist any more",
        Some(image) if image.meta.deleting => "the machine image of the Plan is being deleted",
        Some(image) if wanted.image_uid.is_some_and(|uid| *uid != *image.meta.uid) => {
            "the machine image of the Plan was replaced by another of its name"
        }
        Some(image) if image.id.as_deref() != Some(wanted.id) => {
            "the machine image of the Plan has another id by now"
        }
        Some(image) if KubernetesVersion::parse_strict(&image.version).as_ref() != Ok(&wanted.version) => {
            "the machine image of the Plan has another version by now"
        }
        Some(_) => return Ok(()),
    };
    let object = ObjectRef::named(machine_image::KIND, wanted.image.clone());
    Err(hindrance(Reason::ImageGone, message).blocked_by(object).into())
}
