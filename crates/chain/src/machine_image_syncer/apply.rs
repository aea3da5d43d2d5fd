//! The requests of a syncer: a source that may not be watched, the template, the new machine image, what Cluster API uses,
//! and the machine image that goes.

use std::fmt;

use api::capi::cluster::{self, ControlPlaneRef};
use api::capi::in_use::{ClusterInUse, MACHINE, MACHINE_DEPLOYMENT, MachinesInUse};
use api::capi::machine_pool;
use api::source::{VersionsRow, Wire};
use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::machine_image_template;
use domain::object::{Kind, Meta, ObjectKey, Row, WireMeta, api_version};
use runtime::answer::Refusal;
use runtime::request::{Place, Shell};
use runtime::room::Applied;
use serde_json::Value;

use super::manifest::LiveTemplate;
use super::retention::{Candidate, Part, Used, User};
use super::source::{Found, Target};

/// The closed set of a syncer's requests.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads a source that may not be watched.
    ReadSource(Target),
    /// Reads the template that a machine image is about to be made from.
    ReadTemplate(ObjectKey),
    /// Makes a machine image.
    CreateImage(Box<Creation>),
    /// Lists what objects of Cluster API use.
    ReadUse {
        /// Where.
        namespace: Box<str>,
        /// Which objects.
        part: Part,
        /// The machine images that go unless something uses them.
        images: Vec<Candidate>,
    },
    /// Deletes a machine image that nothing uses, while it is as it was read.
    DeleteImage {
        /// The machine image.
        image: Meta,
        /// Its version.
        version: Box<str>,
        /// Why.
        because: Box<str>,
    },
}

/// A machine image to be made.
#[derive(Clone, Debug)]
pub struct Creation {
    /// Where.
    pub key: ObjectKey,
    /// Its version.
    pub version: Box<str>,
    /// The template as it was read.
    pub template: Meta,
    /// The whole object.
    pub body: Value,
}

/// What a request brought.
#[derive(Clone, Debug)]
pub enum Answer {
    /// What was found where the source should be.
    Source(Found),
    /// The template, or why no Job can be made of it.
    Template(Result<LiveTemplate, Box<str>>),
    /// Uid of the new machine image.
    Created(Box<str>),
    /// What objects of Cluster API use, or why that cannot be told.
    Use(Result<Used, Box<str>>),
    /// The machine image is deleted.
    Deleted,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadSource(target) => write!(f, "read {target}"),
            Self::ReadTemplate(key) => write!(f, "read {} {key}", machine_image_template::KIND.kind),
            Self::CreateImage(creation) => {
                write!(f, "create {} {} for {}", machine_image::KIND.kind, creation.key, creation.version)
            }
            Self::ReadUse { namespace, part, .. } => write!(f, "list the {part} of namespace {namespace}"),
            Self::DeleteImage { image, version, .. } => {
                write!(f, "delete {} {} of {version}", machine_image::KIND.kind, image.key)
            }
        }
    }
}

impl runtime::room::Step for Step {
    fn writes(&self) -> bool {
        matches!(self, Self::CreateImage(_) | Self::DeleteImage { .. })
    }
}

pub(super) async fn apply(shell: Shell, step: Step) -> Result<Applied<Answer>, Refusal> {
    match step {
        Step::ReadSource(target) => {
            read_source(&shell, &target).await.map(Answer::Source).map(Applied::answer)
        }
        Step::ReadTemplate(key) => {
            let object = shell.get(&Place::of(machine_image_template::KIND), &key).await?;
            Ok(Applied::answer(Answer::Template(LiveTemplate::of(object))))
        }
        Step::CreateImage(creation) => {
            let Creation { key, body, .. } = *creation;
            let place = Place::of(machine_image::KIND);
            let row: MachineImageRow = shell.create(&place, &key.namespace, &body).await?;
            let uid = row.meta.uid.clone();
            Ok(Applied::wrote(row).with(Answer::Created(uid)))
        }
        Step::ReadUse { namespace, part, .. } => {
            Ok(Applied::answer(Answer::Use(read_use(&shell, &namespace, part).await)))
        }
        Step::DeleteImage { image, .. } => {
            let place = Place::of(machine_image::KIND);
            shell.delete(&place, &image.key, &image.uid, Some(image.resource_version)).await?;
            Ok(Applied::answer(Answer::Deleted))
        }
    }
}

/// What cannot be read is no refusal: it is why images stay.
async fn read_use(shell: &Shell, namespace: &str, part: Part) -> Result<Used, Box<str>> {
    let kind = match part {
        Part::Clusters => return read_clusters(shell, namespace).await,
        Part::ControlPlanes(references) => return read_control_planes(shell, namespace, references).await,
        Part::MachineDeployments => MACHINE_DEPLOYMENT,
        Part::MachinePools => machine_pool::KIND,
        Part::Machines => MACHINE,
    };
    let rows: Vec<MachinesInUse> = match list(shell, namespace, kind).await? {
        Some(rows) => rows,
        // Clusters without MachinePools are common; without the others there is no Cluster API that we know.
        None if kind == machine_pool::KIND => Vec::new(),
        None => return Err(format!("the server does not serve {}", resource(kind)).into()),
    };
    let users = rows.into_iter().map(|row| match &row.malformed {
        Some(error) => Err(unreadable(kind.kind, &row.meta, error)),
        None => Ok(User::machines(kind.kind, row)),
    });
    Ok(Used { users: users.collect::<Result<_, _>>()?, control_planes: Vec::new() })
}

async fn read_clusters(shell: &Shell, namespace: &str) -> Result<Used, Box<str>> {
    let Some(rows) = list::<ClusterInUse>(shell, namespace, cluster::KIND).await? else {
        return Err("Cluster API is not installed, so that nothing tells whether it is used".into());
    };
    let mut used = Used::default();
    for mut row in rows {
        if let Some(error) = &row.malformed {
            return Err(unreadable(cluster::KIND.kind, &row.meta, error));
        }
        used.control_planes.extend(row.control_plane_ref.take());
        used.users.push(User::cluster(row));
    }
    Ok(used)
}

async fn read_control_planes(
    shell: &Shell,
    namespace: &str,
    references: Vec<ControlPlaneRef>,
) -> Result<Used, Box<str>> {
    let mut users = Vec::with_capacity(references.len());
    let mut known: Option<(Box<str>, Box<str>, Place)> = None;
    for ControlPlaneRef { group, kind, name } in references {
        let found = known.take().filter(|(of_group, of_kind, _)| (of_group, of_kind) == (&group, &kind));
        let place = match found {
            Some((.., place)) => place,
            // Version and plural are the server's to say.
            None => shell
                .preferred_place_of(&group, &kind)
                .await
                .map_err(|refusal| refused("get", &format!("{kind}.{group}"), &refusal))?,
        };
        match shell.read::<MachinesInUse>(&place, &ObjectKey::new(namespace, name)).await {
            Ok(MachinesInUse { meta, malformed: Some(error), .. }) => {
                return Err(unreadable(&kind, &meta, &error));
            }
            Ok(row) => users.push(User::machines(&kind, row)),
            // It is gone, or not made yet: its Cluster tells the version.
            Err(Refusal::NotFound) => {}
            Err(refusal) => return Err(refused("get", &format!("{kind}.{group}"), &refusal)),
        }
        known = Some((group, kind, place));
    }
    Ok(Used { users, control_planes: Vec::new() })
}

/// The objects of a kind, in the first version of it that is served and that we can read; `None` where there is none.
async fn list<R: Row>(shell: &Shell, namespace: &str, kind: Kind) -> Result<Option<Vec<R>>, Box<str>> {
    for version in kind.versions {
        match shell.place_of(&api_version(kind.group, version), kind.kind).await {
            Ok(place) => {
                let rows = shell.rows(&place, namespace, "").await;
                return rows.map(Some).map_err(|refusal| refused("list", &resource(kind), &refusal));
            }
            Err(Refusal::NotFound) => {}
            Err(refusal) => return Err(refused("list", &resource(kind), &refusal)),
        }
    }
    Ok(None)
}

fn resource(kind: Kind) -> String {
    format!("{}.{}", kind.plural, kind.group)
}

fn refused(verb: &str, resource: &str, refusal: &Refusal) -> Box<str> {
    match refusal {
        Refusal::Forbidden(_) => {
            format!("whether it is used cannot be told: grant the controller {verb} on {resource}").into()
        }
        Refusal::NotFound => {
            format!("whether it is used cannot be told: the server does not serve {resource}").into()
        }
        other => format!("whether it is used cannot be told: cannot {verb} {resource}: {other}").into(),
    }
}

fn unreadable(kind: &str, meta: &Meta, error: &str) -> Box<str> {
    format!("whether it is used cannot be told: {kind} {} cannot be read: {error}", meta.key.name).into()
}

/// Asks discovery where the kind is served, then for the object.
async fn read_source(shell: &Shell, target: &Target) -> Result<Found, Refusal> {
    let place = match shell.place_of(&target.kind.api_version, &target.kind.kind).await {
        Ok(place) => place,
        Err(refusal) => return found(Found::NotInstalled, refusal),
    };
    match shell.get::<Value>(&place, &target.key).await {
        Ok(object) => Ok(Found::Versions(versions(object))),
        Err(refusal) => found(Found::Missing, refusal),
    }
}

fn found(absent: Found, refusal: Refusal) -> Result<Found, Refusal> {
    match refusal {
        Refusal::NotFound => Ok(absent),
        Refusal::Forbidden(words) => Ok(Found::Forbidden(words.into())),
        other => Err(other),
    }
}

fn versions(object: Value) -> Result<Vec<Box<str>>, Box<str>> {
    let wire: Wire = serde_json::from_value(object).map_err(|error| error.to_string())?;
    VersionsRow::from_wire(&WireMeta::default(), wire).versions
}
