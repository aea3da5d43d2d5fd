//! What is asked of a Cluster: version and image together, one hop, never down, never while it rolls, never without an
//! image of exactly that version. The webhook of Cluster API would refuse some of it.

use domain::version::{Hop, KubernetesVersion};
use serde_json::Value;

use super::fields::upgraders;
use super::images::Images;
use super::{Broken, Write, holds, text};
use crate::world::World;

pub(super) const ONE_HOP: &str = "a version moves one hop, and never down";
pub(super) const WITH_IMAGE: &str = "a version is set together with its image";
pub(super) const EXACT_IMAGE: &str = "what is set has an image of exactly that version";
pub(super) const NOT_ROLLING: &str = "nothing is set while a Cluster rolls";
pub(super) const NOT_PAUSED: &str = "nothing is set on a Cluster that is paused";
pub(super) const ASKED_FOR: &str = "another image of the same version is set only where it is asked for";

pub(super) fn check(world: &World, write: &Write<'_>, images: &Images) -> Result<(), Broken> {
    let (true, "Cluster", Some(old), Some(new)) = (write.is_ours(), write.kind, write.before, write.after)
    else {
        return Ok(());
    };
    let key = write.key;
    let (was, is) = (text(old, "/spec/topology/version"), text(new, "/spec/topology/version"));
    if was != is {
        one_hop(was, is)
            .map_or_else(|words| holds(false, ONE_HOP, || format!("Cluster {key}: {words}")), |()| Ok(()))?;
    }
    holds(!rolls(world, write, old), NOT_ROLLING, || {
        format!("Cluster {key} was set from {was} to {is} while machines of it are replaced")
    })?;
    holds(old["spec"]["paused"] != true, NOT_PAUSED, || format!("Cluster {key}"))?;

    let drivers: Vec<&Value> = upgraders(world, key).collect();
    let variable = drivers.iter().map(|it| text(it, "/spec/topologyVariable")).find(|it| !it.is_empty());
    let namespace = &*key.namespace;
    let Some(variable) = variable else {
        let found = images.has(namespace, is, None, write.at);
        return holds(found, EXACT_IMAGE, || format!("Cluster {key} was set to {is}"));
    };
    let (had, image) = (value(old, variable, was), value(new, variable, is));
    let Some(image) = image else {
        return holds(false, WITH_IMAGE, || format!("Cluster {key} was set to {is} without {variable}"));
    };
    if was == is {
        let asked = drivers.iter().any(|it| it["spec"]["rolloutImageChanges"] == true);
        holds(asked, ASKED_FOR, || format!("Cluster {key}: {variable} was set to {image}"))?;
    } else {
        // The very same image for another version is no image of that version, and is found out below.
        let changed = had != Some(image) || images.has(namespace, is, Some(image), write.at);
        holds(changed, WITH_IMAGE, || {
            format!("Cluster {key} was set to {is}, and {variable} stayed {image}")
        })?;
    }
    let found = images.has(namespace, is, Some(image), write.at);
    holds(found, EXACT_IMAGE, || format!("Cluster {key} was set to {is} with {image}"))
}

fn one_hop(was: &str, is: &str) -> Result<(), String> {
    let read = |text: &str| KubernetesVersion::parse_strict(text).map_err(|error| format!("{text}: {error}"));
    match read(was)?.hop_to(&read(is)?) {
        Hop::Patch | Hop::NextMinor => Ok(()),
        hop => Err(format!("from {was} to {is} is {hop:?}")),
    }
}

/// Whether machines are being replaced, or will be as soon as Cluster API notices what was written before.
fn rolls(world: &World, write: &Write<'_>, old: &Value) -> bool {
    let Some(state) = world.clusters.states.get(write.key) else { return true };
    state.is_rolling() || old["metadata"]["generation"] != state.generation
}

/// The image in a variable: its text, or what it has for a version.
pub(super) fn value<'a>(cluster: &'a Value, variable: &str, version: &str) -> Option<&'a str> {
    let list = cluster.pointer("/spec/topology/variables")?.as_array()?;
    let value = &list.iter().find(|it| it["name"] == *variable)?["value"];
    value.as_str().or_else(|| value.get(version)?.as_str())
}
