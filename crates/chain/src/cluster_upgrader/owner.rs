//! Who sets the version and the image of a Cluster: this upgrader, an older one, or someone else.
//!
//! Two writers of one variable would roll machines for ever, and Cluster API does not refuse it. So what was last set is
//! kept in an annotation, and a Cluster that has something else instead is left alone until the plan has another result.

use api::upgrader::cluster_upgrader::{
    CLUSTER_INDEX, DONE, LAST_SET_ANNOTATION, LastSet, Reason, UpgraderRow,
};
use domain::condition;
use domain::object::{Meta, Row as _};
use domain::version::{Hop, KubernetesVersion};
use runtime::store::Snapshot;

use super::convergence::{self, Standing};
use super::facts::{Hindrance, Source, Target, Wanted, hindrance};
use super::memory::Origin;
use super::observe::Observed;
use super::variable;

/// The upgrader that drives the Cluster, where it is another one: the oldest, then the first by name.
pub(super) fn driver(snapshot: Snapshot<'_>, upgrader: &UpgraderRow) -> Option<Meta> {
    let own = &upgrader.meta;
    let name = &upgrader.cluster_name;
    let all = snapshot.referring::<UpgraderRow>(CLUSTER_INDEX, &own.key.namespace, name);
    let others = all.map(UpgraderRow::meta).filter(|other| !other.deleting && other.key != own.key);
    let first = others.min_by_key(|other| (other.created, &other.key))?;
    ((first.created, &first.key) < (own.created, &own.key)).then(|| first.clone())
}

/// The plan's image of the version that the Cluster has, where the Cluster has it indeed.
fn present(observed: &Observed, target: &Target<'_>, wanted: &Wanted<'_>) -> Option<Source> {
    let at_result = wanted.source.iter().filter(|_| wanted.version == target.current);
    let others = observed.images.iter().filter(|hop| hop.version == target.current).map(|hop| &hop.image);
    let mut found = at_result.chain(others);
    match observed.upgrader.topology_variable.as_deref() {
        None => found.next().cloned(),
        Some(name) => {
            let id = variable::image_of(target.topology, name, &target.current)?;
            found.find(|source| source.id == id).cloned()
        }
    }
}

/// The plan's image that the Cluster has, if it has it from us: from this process or, as far as can be known, from an
/// earlier one that has not come to say so.
pub(super) fn set_by_us(observed: &Observed, target: &Target<'_>, wanted: &Wanted<'_>) -> Option<Source> {
    let source = present(observed, target, wanted)?;
    let upgrader = &observed.upgrader;
    let ours = match observed.origin {
        Origin::Us => true,
        Origin::Others => false,
        Origin::Unknown if last_set(observed, target).is_some() => true,
        Origin::Unknown => {
            let told = upgrader.status.latest_set_version.as_deref();
            let told = told.and_then(|told| KubernetesVersion::parse_lenient(told).ok());
            let known = told.as_ref() == Some(&target.current) || was_done(observed);
            !known && (wanted.version == target.current || is_moving(observed, target))
        }
    };
    ours.then_some(source)
}

fn was_done(observed: &Observed) -> bool {
    let before = condition::find(&observed.upgrader.status.conditions, condition::UP_TO_DATE);
    before.is_some_and(|before| before.status == condition::Status::True && before.reason == DONE)
}

/// A Cluster whose machines are on their way to its version has got that lately.
fn is_moving(observed: &Observed, target: &Target<'_>) -> bool {
    let Target { cluster, topology, current } = target;
    !matches!(convergence::standing(cluster, topology, current, &observed.live), Standing::Converged)
}

/// What was last set on this very Cluster, in the variable of the spec.
fn last_set<'a>(observed: &'a Observed, target: &Target<'_>) -> Option<&'a LastSet> {
    let variable = observed.upgrader.topology_variable.as_ref()?;
    let last = observed.upgrader.last_set.as_ref()?;
    (last.cluster == target.cluster.meta.uid && last.variable == *variable).then_some(last)
}

/// What the annotation is to hold, where it does not: the Cluster has what we have set.
pub(super) fn to_record(observed: &Observed, target: &Target<'_>, wanted: &Wanted<'_>) -> Option<LastSet> {
    let variable = observed.upgrader.topology_variable.as_ref()?;
    let result = wanted.source.as_ref()?;
    let version: Box<str> = target.current.to_string().into();
    let last = observed.upgrader.last_set.as_ref();
    // What was recorded before the Cluster was moved to another management cluster still holds, of the new uid.
    let moved = last.filter(|last| last.cluster != target.cluster.meta.uid && last.version == version);
    let moved = moved.and_then(|last| Some((last, present(observed, target, wanted)?)));
    let moved = moved.filter(|(last, source)| last.image == source.id && last.variable == *variable);
    let source = moved.map(|(_, source)| source).or_else(|| set_by_us(observed, target, wanted))?;
    let said = last_set(observed, target);
    if said.is_some_and(|last| last.version == version && last.image == source.id) {
        return None;
    }
    // Within the version the target stays: a new result must be told from the one under which this was set.
    Some(LastSet {
        cluster: target.cluster.meta.uid.clone(),
        variable: variable.clone(),
        version,
        image: source.id,
        machine_image: (&*source.key.name).into(),
        target: wanted.version.to_string().into(),
        target_image: result.id.clone(),
    })
}

/// Nobody else has set the image since, or put the version back, while the plan has the same result.
pub(super) fn sole(observed: &Observed, target: &Target<'_>, wanted: &Wanted<'_>) -> Result<(), Hindrance> {
    let Some(last) = last_set(observed, target) else { return Ok(()) };
    let same_result = *last.target == *wanted.version.to_string()
        && wanted.source.as_ref().is_some_and(|source| source.id == last.target_image);
    let Ok(version) = KubernetesVersion::parse_lenient(&last.version) else { return Ok(()) };
    if !same_result {
        return Ok(());
    }
    let (variable, current) = (&last.variable, &target.current);
    let has = match current.hop_to(&version) {
        Hop::Same => match variable::image_of(target.topology, variable, current) {
            Some(id) if id == last.image => return Ok(()),
            Some(id) => format!("the Cluster has {id}"),
            None => "the Cluster has none".to_owned(),
        },
        // The Cluster is further than what was recorded of it.
        Hop::Downgrade | Hop::Rebuild => return Ok(()),
        Hop::Patch | Hop::NextMinor | Hop::Minors(_) | Hop::NextMajor => {
            format!("the Cluster is at {current}")
        }
    };
    let message =
        format!("{version} was set with {variable} {}, and now {has}: someone else writes it", last.image);
    let because = hindrance(Reason::ConflictingOwner, message).blocked_by(target.object());
    let hint = format!(
        "leave version and image to one writer: let the Plan choose another image, set the Cluster back, or remove the \
         annotation {LAST_SET_ANNOTATION} to let the upgrader write again"
    );
    Err(because.unblock(hint).into())
}
