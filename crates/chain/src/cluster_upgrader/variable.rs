//! The topology variable that takes the image: a string that holds one id, or a map from versions to ids.
//!
//! In a map the key is the version as Cluster API hands it to patches, `v1.36.2`. Keys are added and never removed, since
//! a group of machines may still be at any version that the map names.

use std::fmt::Write as _;

use api::capi::cluster::{Group, Topology};
use api::capi::cluster_class::{self, ClusterClassRow, Shape};
use api::upgrader::cluster_upgrader::{Reason, UpgraderRow};
use domain::object::ObjectRef;
use domain::version::KubernetesVersion;
use serde_json::{Map, Value, json};

use super::facts::{Hindrance, Target, hindrance};

/// How a variable takes an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// It holds the id.
    Id,
    /// It holds an id for each version.
    Map,
}

/// How the variable takes the image of every machine of the Cluster, if it can.
pub(super) fn takes(target: &Target<'_>, class: &ClusterClassRow, name: &str) -> Result<Takes, Hindrance> {
    let present = value(target.topology, name);
    let of_class = || ObjectRef::of(cluster_class::KIND, &class.meta);
    let (is, object) = match (class.variables.get(name), &present) {
        (Some(Shape::String), _) => return Ok(Takes::Id),
        (Some(Shape::Map), None | Some(Value::Null | Value::Object(_))) => return Ok(Takes::Map),
        (Some(Shape::Map), Some(_)) => (
            "a map of strings in the ClusterClass, and something else in the Cluster".to_owned(),
            target.object(),
        ),
        (Some(Shape::Other(shape)), _) => (format!("of type {shape}"), of_class()),
        // Not in the class, and yet in the Cluster: what it holds tells its shape, and the server the rest.
        (None, Some(Value::String(_))) => return Ok(Takes::Id),
        (None, Some(Value::Object(ids))) if ids.values().all(Value::is_string) => return Ok(Takes::Map),
        (None, Some(_)) => ("neither a string nor a map of strings".to_owned(), target.object()),
        (None, None) => {
            let message = format!("neither the Cluster nor its ClusterClass knows the variable {name}");
            let because = hindrance(Reason::VariableUndefined, message);
            let hint = "define it in the ClusterClass, or correct spec.topologyVariable";
            return Err(because.blocked_by(target.object()).unblock(hint).into());
        }
    };
    let message = format!("the variable {name} is {is}");
    let because = hindrance(Reason::VariableShapeUnsupported, message).blocked_by(object);
    let hint = match class.variables.get(name) {
        Some(Shape::Map) => "make it a map of strings in the Cluster as well",
        _ => "name one in spec.topologyVariable that is a string or a map of strings",
    };
    Err(because.unblock(hint).into())
}

/// No group of machines has an image of its own, unless that is allowed.
pub(super) fn not_overridden(
    upgrader: &UpgraderRow,
    target: &Target<'_>,
    name: &str,
) -> Result<(), Hindrance> {
    let of_variable = target.topology.overrides.iter().filter(|it| *it.variable == *name);
    let groups: Vec<String> = of_variable.map(|it| group(&it.group)).collect();
    if groups.is_empty() || upgrader.allow_image_overrides {
        return Ok(());
    }
    let message = format!(
        "the variable {name} is overridden for {}, which would roll with its old image",
        groups.join(", ")
    );
    let because = hindrance(Reason::ImageOverridden, message).blocked_by(target.object());
    Err(because.unblock("remove the override, or set spec.allowImageOverrides").into())
}

fn group(group: &Group) -> String {
    match group {
        Group::ControlPlane => "the control plane".to_owned(),
        Group::MachineDeployment(name) => format!("MachineDeployment {name}"),
        Group::MachinePool(name) => format!("MachinePool {name}"),
    }
}

/// The image that the Cluster has for a version, by its variable; `None` where it has none.
pub(super) fn image_of(topology: &Topology, name: &str, version: &KubernetesVersion) -> Option<Box<str>> {
    match value(topology, name)? {
        Value::String(id) => Some(id.into()),
        Value::Object(ids) => {
            let id = ids.get(&version.to_string()).or_else(|| ids.get(&*topology.version));
            id.and_then(Value::as_str).map(Into::into)
        }
        _ => None,
    }
}

fn value(topology: &Topology, name: &str) -> Option<Value> {
    let (_, variable) = topology.variable(name)?;
    serde_json::from_str(variable.value).ok()
}

/// An image to be put into a variable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image<'a> {
    pub(super) variable: &'a str,
    pub(super) takes: Takes,
    pub(super) version: &'a KubernetesVersion,
    pub(super) id: &'a str,
    /// The image of the version that the Cluster has, where the plan has one: a map that is made anew holds it as well, or
    /// machines that still have that version could not be made.
    pub(super) current: Option<(&'a KubernetesVersion, &'a str)>,
}

/// The operations of a JSON Patch that put an image into its variable.
pub(super) fn operations(topology: &Topology, image: Image<'_>) -> Vec<Value> {
    const VARIABLES: &str = "/spec/topology/variables";
    let Image { variable, takes, version, id, current } = image;
    let Some((place, _)) = topology.variable(variable) else {
        let entry = json!({"name": variable, "value": anew(takes, version, id, current)});
        return vec![match topology.variables {
            Some(_) => operation("add", &format!("{VARIABLES}/-"), entry),
            // On a list that exists this would destroy it; the resourceVersion says that there is none.
            None => operation("add", VARIABLES, json!([entry])),
        }];
    };
    let path = format!("{VARIABLES}/{place}");
    // The list is addressed by place: if it was reordered, this fails instead of hitting another variable.
    let name = operation("test", &format!("{path}/name"), json!(variable));
    let set = match (takes, value(topology, variable)) {
        (Takes::Map, Some(Value::Object(ids))) => {
            let key = version.to_string();
            let path = format!("{path}/value/{}", escaped(&key));
            operation(if ids.contains_key(&key) { "replace" } else { "add" }, &path, json!(id))
        }
        _ => operation("replace", &format!("{path}/value"), anew(takes, version, id, current)),
    };
    vec![name, set]
}

fn anew(
    takes: Takes,
    version: &KubernetesVersion,
    id: &str,
    current: Option<(&KubernetesVersion, &str)>,
) -> Value {
    if takes == Takes::Id {
        return json!(id);
    }
    let both = current.into_iter().chain([(version, id)]);
    Value::Object(both.map(|(version, id)| (version.to_string(), json!(id))).collect::<Map<_, _>>())
}

pub(super) fn operation(op: &str, path: &str, value: Value) -> Value {
    json!({"op": op, "path": path, "value": value})
}

/// A reference token of a JSON Pointer (RFC 6901).
pub(super) fn escaped(key: &str) -> String {
    key.chars().fold(String::with_capacity(key.len()), |mut token, c| {
        // Writing to a String cannot fail.
        let _ = match c {
            '~' => token.write_str("~0"),
            '/' => token.write_str("~1"),
            c => token.write_char(c),
        };
        token
    })
}
