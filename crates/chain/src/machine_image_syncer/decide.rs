//! Which versions need a machine image, and why one has none.

use std::time::Duration;

use api::upgrader::machine_image;
use api::upgrader::machine_image_syncer::{DEFAULT_INTERVAL, Reason, SyncerRow};
use api::upgrader::machine_image_template;
use domain::object::{ObjectKey, ObjectRef};
use domain::verdict::{Because, Reason as _, Then, Trouble};
use jiff::{SignedDuration, Timestamp};
use runtime::clock::{after, spread};

use super::apply::{Creation, Step};
use super::choice::{Choice, NoChoice, Rules, Young};
use super::manifest::{Lineage, image_name, machine_image};
use super::observe::{Image, MOVING_OUT, Observed, REJECTED};
use super::retention::AGAIN;
use super::source::{Catalog, Found, Polled, Source, Target};

/// How long the first list of a source's kind may take before something is said of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The shortest time between two polls.
const SHORTEST: SignedDuration = SignedDuration::from_secs(10);
/// The longest time until a poll that found no versions is repeated.
const RETRY: SignedDuration = SignedDuration::from_mins(5);
/// By how much of itself, in percent, an interval is lengthened, so that syncers which appeared together part.
const JITTER: u32 = 10;

type Verdict = domain::verdict::Verdict<Step, Reason>;

pub(super) fn decide(observed: &Observed, now: Timestamp) -> Verdict {
    let syncer = &observed.syncer;
    if syncer.meta.deleting {
        return Verdict::done();
    }
    if let Some(error) = &syncer.malformed {
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Malformed), &**error));
    }
    if syncer.paused {
        return Verdict::wait(Because::new(Reason::Paused, "spec.paused is set"));
    }
    let (rules, target) = match references(syncer) {
        Ok(references) => references,
        Err(because) => return Verdict::failed(*because),
    };
    if let Some((trouble, words)) = &observed.blind {
        return Verdict::failed(Because::new(Reason::of_trouble(*trouble), words));
    }
    match &observed.source {
        Source::Unnamed(_) | Source::Watched(_) => {
            retained(observed, standing(observed, &rules, &target, now), now)
        }
        Source::Syncing(since) => syncing(&target, *since, now),
        Source::Polled(polled) => {
            let due = polled.as_ref().map(|polled| due(polled, syncer)).filter(|due| *due > now);
            match due {
                Some(due) => retained(observed, standing(observed, &rules, &target, now), now).recheck(due),
                None => Verdict::wait(unsaid("the source is being read")).step(Step::ReadSource(target)),
            }
        }
    }
}

/// A wait of a moment, of which nothing is said: what the status says already may well be true.
fn unsaid(message: impl Into<String>) -> Because<Reason> {
    Because::new(Reason::of_trouble(Trouble::ApiUnavailable), message)
}

/// Whether it is such a wait: troubles are failures otherwise.
pub(super) fn is_unsaid(then: &Then<Reason>) -> bool {
    matches!(then, Then::Wait(because) if because.reason == Reason::of_trouble(Trouble::ApiUnavailable))
}

/// What can be said of the spec by itself.
fn references(syncer: &SyncerRow) -> Result<(Rules, Target), Box<Because<Reason>>> {
    let namespace = &*syncer.meta.key.namespace;
    for (field, reference) in [("sourceRef", &syncer.source), ("machineImageTemplateRef", &syncer.template)] {
        if reference.leaves(namespace) {
            let other = reference.namespace.as_deref().unwrap_or_default();
            let message = format!("spec.{field} points to namespace {other}");
            let because = Because::new(Reason::CrossNamespaceReference, message);
            return Err(because.unblock("refer to an object of the syncer's own namespace").into());
        }
    }
    let rules = Rules::of(syncer)?;
    let target = Target::of(syncer).map_err(|field| {
        let because = Because::new(Reason::SourceInvalid, format!("spec.sourceRef has no {field}"));
        Box::new(because.unblock("name the source's apiVersion, kind and name"))
    })?;
    Ok((rules, target))
}

fn syncing(target: &Target, since: Timestamp, now: Timestamp) -> Verdict {
    let patience = after(since, PATIENCE);
    let kind = format!("{} of {}", target.kind.kind, target.kind.api_version);
    if now < patience {
        Verdict::wait(unsaid(format!("{kind} is being listed")).not_before(patience))
    } else {
        let because = Because::new(
            Reason::of_trouble(Trouble::ApiUnavailable),
            format!("the kind of the source, {kind}, cannot be listed"),
        );
        Verdict::failed(because.blocked_by(target.object()))
    }
}

/// Where everything that was read leaves the syncer: the first version that something can be done about now, else the first
/// that lacks its image. A version that is held up holds up no other.
fn standing(observed: &Observed, rules: &Rules, target: &Target, now: Timestamp) -> Verdict {
    let Choice { wanted, young, .. } = match wanted(observed, rules, target, now) {
        Ok(choice) => choice,
        Err(then) => return Verdict { steps: Vec::new(), then: *then, recheck: None },
    };
    let mut first: Option<Verdict> = None;
    for version in &wanted {
        let verdict = match observed.image_of(&version.parsed) {
            Some(Image { meta, .. }) if meta.deleting => deleting(ObjectRef::of(machine_image::KIND, meta)),
            Some(_) => continue,
            // Each has a pass of its own, so that each is told of.
            None if observed.created.is_some() => {
                let message = format!("the machine image for {} is next to be made", version.text);
                Verdict::wait(Because::new(Reason::CreatingImage, message)).recheck(now)
            }
            None => make(observed, version.text, target, now),
        };
        if !verdict.steps.is_empty() {
            return verdict;
        }
        let again = verdict.recheck;
        let kept = first.get_or_insert(verdict);
        if let Some(again) = again {
            kept.recheck = Some(kept.recheck.map_or(again, |other| other.min(again)));
        }
    }
    first.or_else(|| young.map(|young| too_young(observed, &young, target))).unwrap_or_else(Verdict::done)
}

/// Deletes what nothing needs any more, after everything else: images that stay keep no syncer from being up to date.
fn retained(observed: &Observed, verdict: Verdict, now: Timestamp) -> Verdict {
    let Some(retaining) = &observed.retention else { return verdict };
    if !verdict.steps.is_empty() || matches!(verdict.then, Then::Failed(_)) {
        return verdict;
    }
    let meta = &observed.syncer.meta;
    if observed.created.is_some() {
        // What this pass has made is told of first.
        return if retaining.has_more(&meta.key.namespace) { verdict.recheck(now) } else { verdict };
    }
    match retaining.step(&meta.key.namespace) {
        Some(step @ Step::DeleteImage { .. }) => {
            let Step::DeleteImage { image, because, .. } = &step else { return verdict };
            let because = Because::new(Reason::DeletingImage, format!("it is being deleted: {because}"))
                .blocked_by(ObjectRef::of(machine_image::KIND, image));
            Verdict::wait(because).step(step)
        }
        Some(step) => verdict.step(step),
        None if retaining.has_more(&meta.key.namespace) => verdict.recheck(now),
        None if retaining.passing => verdict.recheck(after(now, spread(AGAIN, JITTER, &meta.uid))),
        None => verdict,
    }
}

fn too_young(observed: &Observed, young: &Young<'_>, target: &Target) -> Verdict {
    let age = observed.syncer.minimum_age;
    let message = format!("{} has not been in the source for {age:#} yet", young.version.text);
    let because = Because::new(Reason::VersionTooYoung, message).blocked_by(target.object());
    Verdict::wait(because.not_before(young.due))
}

/// The machine images of the versions that must have one, the oldest minor first, and a newer version that is denied.
pub(super) fn current(observed: &Observed, now: Timestamp) -> (Vec<&Image>, Option<&str>) {
    let choice = references(&observed.syncer)
        .ok()
        .and_then(|(rules, target)| wanted(observed, &rules, &target, now).ok())
        .unwrap_or_default();
    let images = choice.wanted.iter().filter_map(|version| observed.image_of(&version.parsed)).collect();
    (images, choice.denied.map(|denied| denied.text))
}

/// The versions that must have a machine image.
fn wanted<'a>(
    observed: &'a Observed,
    rules: &Rules,
    target: &Target,
    now: Timestamp,
) -> Result<Choice<'a>, Box<Then<Reason>>> {
    let failed = |because| Box::new(Then::Failed(because));
    let versions = versions(&observed.source, target).map_err(|because| failed(*because))?;
    if let Some(because) = bad_template(observed) {
        return Err(failed(because));
    }
    rules.choose(versions, observed, now).map_err(|none| {
        let range = &observed.syncer.version_range;
        let (reason, message) = match none {
            NoChoice::Empty => (Reason::NoVersionsInSource, "the source has no versions yet".to_owned()),
            NoChoice::OutOfRange(1) => {
                (Reason::NoVersionInRange, format!("the one version of the source is not in {range}"))
            }
            NoChoice::OutOfRange(several) => (
                Reason::NoVersionInRange,
                format!("none of the {several} versions of the source is in {range}"),
            ),
            NoChoice::Denied(1) => {
                (Reason::VersionDenied, format!("spec.deniedVersions has the one version that is in {range}"))
            }
            NoChoice::Denied(several) => {
                (Reason::VersionDenied, format!("spec.deniedVersions has all {several} versions in {range}"))
            }
        };
        let because = Because::new(reason, message + &remarks(observed)).blocked_by(target.object());
        Box::new(Then::Wait(because))
    })
}

fn versions<'a>(source: &'a Source, target: &Target) -> Result<&'a [Box<str>], Box<Because<Reason>>> {
    let found = match source {
        Source::Watched(found) | Source::Polled(Some(Polled { found, .. })) => found,
        Source::Unnamed(_) | Source::Syncing(_) | Source::Polled(None) => return Ok(&[]),
    };
    let because = match found {
        Found::Versions(Ok(versions)) => return Ok(versions),
        Found::Versions(Err(words)) => Because::new(Reason::SourceInvalid, &**words),
        Found::Missing => Because::new(Reason::SourceMissing, "the source does not exist"),
        Found::NotInstalled => {
            let kind = &target.kind;
            let message = format!("the server does not serve {} of {}", kind.kind, kind.api_version);
            Because::new(Reason::SourceKindNotInstalled, message).unblock("install the kind of the source")
        }
        Found::Forbidden(words) => {
            let message = format!("the source may not be read: {words}");
            let because = Because::new(Reason::SourceKindForbidden, message);
            because.unblock("grant the controller get, list and watch on the kind of the source")
        }
    };
    Err(because.blocked_by(target.object()).into())
}

fn bad_template(observed: &Observed) -> Option<Because<Reason>> {
    let syncer = &observed.syncer;
    let Some(template) = &observed.template else {
        let because = Because::new(Reason::TemplateMissing, "the machine image template does not exist");
        return Some(because.blocked_by(template_ref(syncer)));
    };
    let problem = template.containers.as_ref().err()?;
    let because =
        Because::new(Reason::TemplateInvalid, format!("no Job can be made of the template: {problem}"));
    Some(because.blocked_by(template_ref(syncer)).unblock("correct the template"))
}

fn template_key(syncer: &SyncerRow) -> ObjectKey {
    syncer.template.key(&syncer.meta.key.namespace)
}

fn template_ref(syncer: &SyncerRow) -> ObjectRef {
    ObjectRef::named(machine_image_template::KIND, template_key(syncer))
}

/// The steps to a machine image: the template is read live, so that what is made is what the user last wrote.
fn make(observed: &Observed, version: &str, target: &Target, now: Timestamp) -> Verdict {
    let syncer = &observed.syncer;
    let name = image_name(&syncer.meta, version);
    if let Some(meta) = observed.namesake(&name) {
        let namesake = ObjectRef::of(machine_image::KIND, meta);
        if meta.deleting {
            return deleting(namesake);
        }
        let message = format!("another machine image has the name of the one for {version}");
        let because = Because::new(Reason::ImageNameTaken, message).blocked_by(namesake);
        return Verdict::wait(because.unblock("delete it"));
    }
    // A server whose clock is ahead of ours makes syncers of the future: these are not waited for.
    let believed =
        observed.believed_from(version).filter(|from| *from > now && *from <= after(now, MOVING_OUT));
    if let Some(from) = believed {
        let message = format!("{version} has no machine image, and one is made if none comes by itself");
        return Verdict::wait(Because::new(Reason::CreatingImage, message).not_before(from));
    }
    let invalid = |words: &str| {
        let because = Because::new(Reason::TemplateInvalid, words).blocked_by(template_ref(syncer));
        because.unblock("correct the template")
    };
    if let Some(rejected) = &observed.rejected {
        let again = rejected.at.checked_add(REJECTED).unwrap_or(now);
        let message = format!("the server refuses what is made of the template: {}", rejected.words);
        return Verdict::failed(invalid(&message).not_before(again));
    }
    let making = Verdict::wait(Because::new(
        Reason::CreatingImage,
        format!("the machine image for {version} is being made"),
    ));
    match &observed.live {
        None => making.step(Step::ReadTemplate(template_key(syncer))),
        Some(Err(problem)) => {
            Verdict::failed(invalid(&format!("no Job can be made of the template: {problem}")))
        }
        Some(Ok(live)) => making.step(Step::CreateImage(Box::new(Creation {
            key: syncer.meta.key.sibling(&name),
            version: version.into(),
            template: live.meta.clone(),
            body: machine_image(
                syncer,
                version,
                live,
                Lineage::of(target, observed.catalog.as_ref(), version),
            ),
        }))),
    }
}

fn deleting(image: ObjectRef) -> Verdict {
    let message = "the machine image is being deleted; another is made when it is gone";
    Verdict::wait(Because::new(Reason::ImageDeleting, message).blocked_by(image))
}

/// What a message adds where the source does not tell all that it could.
pub(super) fn remarks(observed: &Observed) -> String {
    let mut remarks = String::new();
    if let Some(reason) = observed.catalog.as_ref().and_then(Catalog::failing) {
        remarks = format!("; the source fails now ({reason}), so that a version that came since is not seen");
    }
    if let Source::Polled(_) = &observed.source {
        let interval = interval(&observed.syncer);
        remarks = format!(
            "; the source is read every {interval:#}, since the controller may not list and watch its kind"
        );
    }
    let ages = Rules::of(&observed.syncer).is_ok_and(|rules| rules.ask_for_age());
    if ages && Target::of(&observed.syncer).is_ok_and(|target| !target.is_ours()) {
        remarks.push_str(
            "; a source of this kind tells no ages, so that spec.minimumAge passes over no version",
        );
    }
    remarks
}

fn interval(syncer: &SyncerRow) -> SignedDuration {
    syncer.interval.filter(SignedDuration::is_positive).unwrap_or(DEFAULT_INTERVAL).max(SHORTEST)
}

fn due(polled: &Polled, syncer: &SyncerRow) -> Timestamp {
    let interval = interval(syncer);
    let wait = if matches!(polled.found, Found::Versions(Ok(_))) { interval } else { interval.min(RETRY) };
    after(polled.at, spread(Duration::try_from(wait).unwrap_or_default(), JITTER, &syncer.meta.uid))
}
