//! The requests of a syncer: a source that may not be watched, the template, the new machine image.

use std::fmt;

use api::source::{VersionsRow, Wire};
use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::machine_image_template;
use domain::object::{Meta, ObjectKey, Row as _, WireMeta};
use runtime::answer::Refusal;
use runtime::request::{Place, Shell};
use runtime::room::Applied;
use serde_json::Value;

use super::manifest::LiveTemplate;
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
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadSource(target) => write!(f, "read {target}"),
            Self::ReadTemplate(key) => write!(f, "read {} {key}", machine_image_template::KIND.kind),
            Self::CreateImage(creation) => {
                write!(f, "create {} {} for {}", machine_image::KIND.kind, creation.key, creation.version)
            }
        }
    }
}

impl runtime::room::Step for Step {
    fn writes(&self) -> bool {
        matches!(self, Self::CreateImage(_))
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
    }
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
