//! What a server may answer to a step: anything.

use std::collections::BTreeMap;
use std::time::Duration;

use api::batch::pod::PodTermination;
use api::capi::control_plane::ControlPlane;
use api::capi::in_use::{ClusterInUse, MachinesInUse};
use api::capi::machine_pool::MachinePool;
use api::upgrader::machine_image::MachineImageRow;
use chain::{cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, plan};
use domain::object::{ResourceVersion, Row};
use domain::version::KubernetesVersion;
use runtime::answer::Refusal;
use runtime::store::Snapshot;
use sources::{Credentials, FetchError, Fetched, Index, PackagedVersion, Release, Validators};

use super::choices::{ANY, Choices, UIDS};
use super::schema;
use super::world::hostile;

/// An answer or a refusal; `None` where the request is not made, as with `--dry-run`.
pub(crate) type Outcome<A> = Option<Result<A, Refusal>>;

fn refusal(choices: &mut Choices) -> Refusal {
    let words = choices.word(ANY);
    match choices.below(10) {
        0 => Refusal::NotFound,
        1 => Refusal::AlreadyExists,
        2 => Refusal::Conflict,
        3 => Refusal::Admission { by: choices.word(ANY), message: words },
        4 => Refusal::Invalid(words),
        5 => Refusal::TestFailed(words),
        6 => Refusal::Forbidden(words),
        7 => Refusal::WebhookDown(words),
        8 => Refusal::Other(words),
        _ => Refusal::Unavailable {
            message: words,
            retry_after: choices.one(&[None, Some(0), Some(u32::MAX)]),
        },
    }
}

/// Whether the request comes to something at all.
fn unlucky<A>(choices: &mut Choices) -> Option<Outcome<A>> {
    match choices.below(6) {
        4 => Some(None),
        5 => Some(Some(Err(refusal(choices)))),
        _ => None,
    }
}

fn some<T>(choices: &mut Choices, mut one: impl FnMut(&mut Choices) -> T) -> Vec<T> {
    (0..choices.below(3)).map(|_| one(choices)).collect()
}

fn read<R: Row>(kind: &str, choices: &mut Choices) -> R {
    testkit::row(&hostile(kind, choices))
}

pub(crate) fn of_plan(step: &plan::Step, _: Snapshot<'_>, _: &mut Choices) -> Outcome<()> {
    match *step {}
}

pub(crate) fn of_upgrader(
    step: &cluster_upgrader::Step,
    snapshot: Snapshot<'_>,
    choices: &mut Choices,
) -> Outcome<cluster_upgrader::Answer> {
    use cluster_upgrader::{Answer, Step};
    if let Some(outcome) = unlucky(choices) {
        return outcome;
    }
    Some(Ok(match step {
        Step::ReadImage { key } => {
            let known = snapshot.get::<MachineImageRow>(key).filter(|_| choices.below(3) > 0);
            let mut image = known.cloned().unwrap_or_else(|| read("MachineImage", choices));
            image.meta.key = key.clone();
            Answer::Image(Box::new(image))
        }
        Step::ReadControlPlane { .. } => {
            Answer::ControlPlane(Box::new(read::<ControlPlane>("Machines", choices)))
        }
        Step::ReadMachinePools { .. } => {
            Answer::MachinePools(some(choices, |choices| read::<MachinePool>("Machines", choices)))
        }
        Step::PatchCluster { .. } => Answer::Set,
        Step::Record { .. } => Answer::Recorded,
    }))
}

pub(crate) fn of_image(
    step: &machine_image::Step,
    _: Snapshot<'_>,
    choices: &mut Choices,
) -> Outcome<machine_image::Answer> {
    use machine_image::{Answer, Step, TemplateRead};
    if let Some(outcome) = unlucky(choices) {
        return outcome;
    }
    Some(Ok(match step {
        Step::ReadTemplate { image } => {
            let schema = &schema::of("MachineImage")["properties"]["spec"]["properties"]["jobTemplate"];
            let spec = schema::value(&schema["properties"]["spec"], "spec", choices, false);
            let resource_version = ResourceVersion(image.resource_version.0 + choices.one(&[0, 0, 0, 1]));
            let generation = image.generation + choices.one(&[0, 0, 0, 1]);
            let lineage: BTreeMap<_, _> =
                some(choices, |choices| (choices.text("key").into(), choices.word(ANY).into()))
                    .into_iter()
                    .collect();
            let uid = image.uid.clone();
            Answer::Template(TemplateRead { uid, generation, resource_version, spec, lineage })
        }
        Step::ReadJobs { .. } => Answer::Jobs(choices.once_in(2).then(|| choices.text("name").into())),
        Step::ReadPods { job } => Answer::Pods(some(choices, |choices| {
            let mut pod: PodTermination = read("Pod", choices);
            if choices.below(4) > 0 {
                pod.owner_uid = Some(job.uid.clone());
                pod.controller_uid = Some(job.uid.clone());
            }
            pod
        })),
        // Their answers are rows, which a watch would bring.
        Step::HoldMove { .. } | Step::ReleaseMove { .. } | Step::CreateJob { .. } | Step::RecordId { .. } => {
            return None;
        }
    }))
}

pub(crate) fn of_syncer(
    step: &machine_image_syncer::Step,
    _: Snapshot<'_>,
    choices: &mut Choices,
) -> Outcome<machine_image_syncer::Answer> {
    use machine_image_syncer::{Answer, Found, LiveTemplate, Part, Step, Used, User};
    if let Some(outcome) = unlucky(choices) {
        return outcome;
    }
    Some(Ok(match step {
        Step::ReadSource(_) => Answer::Source(match choices.below(6) {
            0 => Found::NotInstalled,
            1 => Found::Forbidden(choices.word(ANY).into()),
            2 => Found::Missing,
            3 => Found::Versions(Err(choices.word(ANY).into())),
            _ => Found::Versions(Ok(some(choices, |choices| choices.text("version").into()))),
        }),
        Step::ReadTemplate(_) => Answer::Template(LiveTemplate::of(hostile("MachineImageTemplate", choices))),
        Step::CreateImage(_) => Answer::Created(choices.word(UIDS).into()),
        Step::ReadUse { .. } if choices.once_in(4) => Answer::Use(Err(choices.word(ANY).into())),
        Step::ReadUse { part: Part::Clusters, .. } => {
            let mut clusters = some(choices, |choices| read::<ClusterInUse>("Cluster", choices));
            let control_planes = clusters.iter_mut().filter_map(|it| it.control_plane_ref.take()).collect();
            Answer::Use(Ok(Used { users: clusters.into_iter().map(User::cluster).collect(), control_planes }))
        }
        Step::ReadUse { .. } => {
            let users = some(choices, |choices| {
                User::machines("Machine", read::<MachinesInUse>("Machines", choices))
            });
            Answer::Use(Ok(Used { users, control_planes: Vec::new() }))
        }
        Step::DeleteImage { .. } => Answer::Deleted,
    }))
}

pub(crate) fn of_source(
    step: &debian_repository_source::Step,
    _: Snapshot<'_>,
    choices: &mut Choices,
) -> Outcome<debian_repository_source::Answer> {
    use debian_repository_source::{Answer, Denied, Step, Use, Value};
    if let Some(outcome) = unlucky(choices) {
        return outcome;
    }
    Some(Ok(match step {
        Step::Read(read) => Answer::Held(match choices.below(7) {
            0 => Err(Denied::Missing),
            1 => Err(Denied::Forbidden),
            2 => Err(Denied::Type),
            3 => Err(Denied::NoKey(choices.word(ANY).into())),
            4 => Err(Denied::Unreadable(choices.word(ANY).into())),
            _ if read.of == Use::Credentials => Ok(Value::Credentials(Credentials {
                username: choices.word(ANY).into(),
                password: choices.word(ANY).into(),
            })),
            _ => Ok(Value::Bytes(choices.word(ANY).into_bytes().into())),
        }),
        Step::Fetch(_) => Answer::Fetched(match choices.below(4) {
            0 | 1 => Ok(fresh(choices)),
            2 => Ok(Fetched::NotModified),
            _ => Err(failure(choices)),
        }),
    }))
}

fn fresh(choices: &mut Choices) -> Fetched {
    let versions = some(choices, |choices| {
        let version = KubernetesVersion::parse_strict(&choices.text("version")).ok()?;
        Some(PackagedVersion { version, package: choices.word(ANY).into() })
    });
    let versions: Vec<PackagedVersion> = versions.into_iter().flatten().collect();
    let (stanzas, kubeadm, skipped) = (choices.below(3), choices.below(3), choices.below(3));
    Fetched::Fresh {
        index: Index { versions, stanzas, kubeadm, skipped },
        validators: Validators { etag: Some(choices.word(ANY)), last_modified: None },
        release: choices.once_in(2).then(|| Release {
            date: choices.once_in(2).then(|| choices.time()),
            valid_until: choices.once_in(2).then(|| choices.time()),
            key_expires: choices.once_in(2).then(|| choices.time()),
        }),
    }
}

fn failure(choices: &mut Choices) -> FetchError {
    let retry_after = choices.one(&[None, Some(Duration::ZERO), Some(Duration::MAX)]);
    let reason = choices.word(ANY);
    match choices.below(10) {
        0 => FetchError::InvalidUrl { reason },
        1 => FetchError::NotFound { status: 404 },
        2 => FetchError::Forbidden { status: 403 },
        3 => FetchError::TooMany { retry_after },
        4 => FetchError::Server { status: 599, retry_after },
        5 => FetchError::Redirect { reason },
        6 => FetchError::TooLarge { limit: u64::MAX },
        7 => FetchError::Connect { reason },
        8 => FetchError::Unusable { what: "the key", reason },
        _ => FetchError::Truncated,
    }
}
