//! The next hop of a Cluster towards the result of its plan: one version with the image for exactly that version.
//!
//! Cluster API takes several minors in one write where a class lists its versions or an extension plans them, and would
//! then insert versions of its own choice, with an image that is not theirs. So it is never asked for more than one.

use std::fmt::Write as _;

use api::capi::cluster_class::{self, ClusterClassRow};
use api::upgrader::cluster_upgrader::Reason;
use api::upgrader::machine_image::{self, MachineImageRow};
use domain::object::ObjectRef;
use domain::path::{self, Allowed, NoHop, next_hop};
use domain::range::VersionRange;
use domain::version::{self, KubernetesVersion, Minor};

use super::facts::{Hindrance, Source, Target, Wanted, hindrance};
use super::gates::lowest_worker;
use super::observe::Observed;
use super::variable;

/// What is to be set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hop {
    pub(super) version: KubernetesVersion,
    pub(super) source: Source,
    /// The Cluster has the version already, and another image.
    pub(super) image_only: bool,
}

/// Where a Cluster goes next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Nowhere: it is where it is to go.
    Reached,
    Hop(Hop),
    /// Nowhere, since something is missing on the way.
    Missing(NoHop),
}

/// Where a Cluster goes next, as far as images and the class have a say.
pub(super) fn next(observed: &Observed, target: &Target<'_>, wanted: &Wanted<'_>) -> Next {
    match next_hop(&target.current, None, &wanted.version, allowed(observed), &images(observed, wanted)) {
        Ok(found) => {
            let (version, source) = (found.version.clone(), found.image.clone());
            Next::Hop(Hop { version, source, image_only: false })
        }
        Err(NoHop::Done) => image_change(observed, target, wanted).map_or(Next::Reached, Next::Hop),
        // Build metadata has no order: of two versions that differ in it alone, neither is an upgrade of the other.
        Err(NoHop::Rebuild) => Next::Reached,
        Err(missing) => Next::Missing(missing),
    }
}

/// The same version with another image, where that is asked for.
fn image_change(observed: &Observed, target: &Target<'_>, wanted: &Wanted<'_>) -> Option<Hop> {
    let upgrader = &observed.upgrader;
    let variable = upgrader.topology_variable.as_deref().filter(|_| upgrader.rollout_image_changes)?;
    let source = wanted.source.clone()?;
    let present = variable::image_of(target.topology, variable, &target.current);
    let version = wanted.version.clone();
    (present.as_deref() != Some(&*source.id)).then_some(Hop { version, source, image_only: true })
}

/// What a Cluster that goes nowhere has other than the result of its plan, if anything, for people.
pub(super) fn difference(observed: &Observed, target: &Target<'_>, wanted: &Wanted<'_>) -> Option<String> {
    if target.current != wanted.version {
        return Some(format!("{}, the result of the Plan, is another build of it", wanted.version));
    }
    let variable = observed.upgrader.topology_variable.as_deref()?;
    let id = &wanted.source.as_ref()?.id;
    let present = variable::image_of(target.topology, variable, &target.current);
    let has = match present {
        Some(present) if present == *id => return None,
        Some(present) => format!("its {variable} is {present}"),
        None => format!("it has no {variable}"),
    };
    Some(format!("{has}, and the image of the Plan is {id}: spec.rolloutImageChanges would roll it out"))
}

/// What leads on: the images of the plan, and its result as it is told.
fn images<'a>(observed: &'a Observed, wanted: &'a Wanted<'_>) -> Vec<path::Hop<&'a Source>> {
    let result = wanted.source.iter().map(|source| (&wanted.version, source));
    let others = observed.images.iter().map(|hop| (&hop.version, &hop.image));
    let others = others.filter(|(version, _)| **version != wanted.version);
    let both = result.chain(others);
    both.map(|(version, image)| path::Hop { version: version.clone(), image }).collect()
}

fn allowed(observed: &Observed) -> Allowed<'_> {
    observed.class.as_ref().map_or(Allowed::All, |class| Allowed::of_class(&class.kubernetes_versions))
}

/// Every image that the hop needs is there.
pub(super) fn image_missing(target: &Target<'_>, wanted: &Wanted<'_>, missing: &NoHop) -> Option<Hindrance> {
    let (message, hint) = match missing {
        NoHop::Missing { minor } => lacking(target, wanted, *minor),
        NoHop::TargetMissing { target: version } => (
            format!("the Plan has no machine image of {version}"),
            format!("have a machine image of {version} made that the Plan selects"),
        ),
        NoHop::NextMajor => (
            format!(
                "from {} to {} is a step to another major version, and no rule says how",
                target.current, wanted.version
            ),
            "upgrade by hand".to_owned(),
        ),
        _ => return None,
    };
    let because = hindrance(Reason::NoImageForHop, message).blocked_by(wanted.object());
    Some(because.unblock(hint).into())
}

/// A minor in between without an image, and who could change that.
fn lacking(target: &Target<'_>, wanted: &Wanted<'_>, minor: Minor) -> (String, String) {
    let (from, to, range) = (&target.current, &wanted.version, &wanted.plan.version_range);
    let way = format!("on the way from {from} to {to} comes {minor}");
    if range.parse().is_ok_and(|range| holds(&range, minor)) {
        let message = format!("{way}, of which the Plan has no machine image");
        (message, format!("have a machine image of {minor} made that the Plan selects"))
    } else {
        let message = format!("{way}, which is outside {range}, the range of the Plan");
        (message, format!("widen spec.versionRange, and have a machine image of {minor} made"))
    }
}

/// Whether a range holds a release of a minor. No minor of Kubernetes has had so many patches.
fn holds(range: &VersionRange, minor: Minor) -> bool {
    const PATCHES: u64 = 128;
    (0..PATCHES).any(|patch| {
        let version = KubernetesVersion::parse_strict(&format!("{minor}.{patch}"));
        version.is_ok_and(|version| range.matches(&version))
    })
}

/// The class lists the version.
pub(super) fn not_listed(observed: &Observed, target: &Target<'_>, missing: &NoHop) -> Option<Hindrance> {
    let NoHop::NotListed { minor, newest } = missing else { return None };
    let class = observed.class.as_ref();
    let listed = class.and_then(|class| listed(class, &target.current, *minor, newest));
    let mut message = format!("the ClusterClass does not list {newest}");
    let mut hint = "add it to spec.kubernetesVersions of the ClusterClass".to_owned();
    if let Some(listed) = listed {
        _ = write!(message, ", and of {listed}, which it lists, the Plan has no machine image");
        _ = write!(hint, ", or have a machine image of {listed} made that the Plan selects");
    }
    let class = class.map(|class| ObjectRef::of(cluster_class::KIND, &class.meta));
    let because = hindrance(Reason::VersionNotInClass, message);
    Some(because.blocked_by(class.unwrap_or_else(|| target.object())).unblock(hint).into())
}

/// The newest version of a minor that a class lists and that would lead on, were there an image of it.
fn listed(
    class: &ClusterClassRow,
    current: &KubernetesVersion,
    minor: Minor,
    below: &KubernetesVersion,
) -> Option<KubernetesVersion> {
    let all = class.kubernetes_versions.iter().filter_map(|text| KubernetesVersion::parse_strict(text).ok());
    let leads_on = |version: &KubernetesVersion| {
        Minor::from(version) == minor && version.is_newer_than(current) && below.is_newer_than(version)
    };
    all.filter(leads_on).max_by(KubernetesVersion::cmp_precedence)
}

/// No worker is left too far behind.
pub(super) fn within_skew(target: &Target<'_>, hop: &Hop) -> Result<(), Hindrance> {
    let lowest = lowest_worker(target);
    let only = [path::Hop { version: hop.version.clone(), image: () }];
    match next_hop(&target.current, lowest.as_ref(), &hop.version, Allowed::All, &only) {
        Err(no_hop @ NoHop::WorkerSkew { .. }) => {
            let because = hindrance(Reason::WorkerSkew, no_hop.to_string()).blocked_by(target.object());
            Err(because.unblock("upgrade the workers of the Cluster first").into())
        }
        _ => Ok(()),
    }
}

/// Whether the image, just read, is the one that the plan found.
pub(super) fn image(hop: &Hop, found: Option<&MachineImageRow>) -> Result<(), Hindrance> {
    let message = match found {
        None => "the machine image of the Plan does not exist any more",
        Some(image) if image.meta.deleting => "the machine image of the Plan is being deleted",
        Some(image) if hop.source.uid.as_ref().is_some_and(|uid| *uid != image.meta.uid) => {
            "the machine image of the Plan was replaced by another of its name"
        }
        Some(image) if image.id.as_ref() != Some(&hop.source.id) => {
            "the machine image of the Plan has another id by now"
        }
        Some(image) if image.parsed.as_ref() != Some(&hop.version) => {
            "the machine image of the Plan has another version by now"
        }
        Some(_) => return Ok(()),
    };
    let object = ObjectRef::named(machine_image::KIND, hop.source.key.clone());
    Err(hindrance(Reason::ImageGone, message).blocked_by(object).into())
}

/// Whether images of a version matter to a Cluster that is to go to `wanted`: its next hop may lead there.
pub(super) fn may_lead_to(
    current: &KubernetesVersion,
    wanted: &KubernetesVersion,
    image: &KubernetesVersion,
) -> bool {
    use version::Hop::{NextMinor, Patch};
    matches!(current.hop_to(image), Patch | NextMinor) && !image.is_newer_than(wanted)
}
