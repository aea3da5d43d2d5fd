//! The id of the image that a Job has built: where it may stand, and what may be one.
//!
//! First the Job's annotation, then its label, which whoever runs in the Job puts there by himself; else the termination
//! message of the pod, which counts only where it cannot be mistaken for that of a sidecar or of a retry. What was told
//! is never quoted in a message: it may hold anything.

use api::batch::job::{IMAGE_ID, JobRow};
use api::batch::pod::{PodTermination, SUCCEEDED};
use domain::object::Meta;
use serde::Deserialize;

/// Longest id, in characters: what the schema of `spec.id` takes.
const LIMIT: usize = 1_024;

/// What a Job that has succeeded, or its pods, tell of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Its id.
    Id(Box<str>),
    /// Nothing, and why: a clause about the Job.
    Nothing(String),
    /// Something that cannot be an id, or several: a clause that says what.
    Unclear(String),
}

/// What the Job itself tells; nothing where neither its annotation nor its label is filled.
pub(super) fn of_job(job: &JobRow) -> Option<Told> {
    let places = [("annotation", &job.image_id_annotation), ("label", &job.image_id_label)];
    places.into_iter().find_map(|(place, value)| {
        let text = value.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
        Some(match fault(text).filter(|fault| *fault != SPACE) {
            None => Told::Id(text.into()),
            Some(fault) => Told::Unclear(format!("its {place} {IMAGE_ID} {fault}")),
        })
    })
}

/// What the termination messages of a Job's pods tell. Pods of other Jobs and pods that did not succeed are passed over.
pub(super) fn of_pods(job: &Meta, pods: &[PodTermination]) -> Told {
    let mut left = 0_usize;
    let mut id: Option<Box<str>> = None;
    for pod in pods {
        if pod.owner_uid.as_ref() != Some(&job.uid) || *pod.phase != *SUCCEEDED {
            continue;
        }
        left += 1;
        let name = &pod.meta.key.name;
        let mut messages =
            pod.terminated.iter().map(|ended| ended.message.trim()).filter(|message| !message.is_empty());
        let Some(message) = messages.next() else { continue };
        if pod.containers != 1 {
            let count = pod.containers;
            return Told::Unclear(format!(
                "Pod {name} has {count} containers, and a termination message counts where there is one"
            ));
        }
        match of_message(message) {
            Err(fault) => return Told::Unclear(format!("the termination message of Pod {name} {fault}")),
            Ok(other) if id.as_ref().is_some_and(|id| *id != other) => {
                return Told::Unclear("its pods tell different ids".to_owned());
            }
            Ok(told) => id = Some(told),
        }
    }
    match (id, left) {
        (Some(id), _) => Told::Id(id),
        (None, 0) => Told::Nothing("no pod of it is left that has succeeded".to_owned()),
        (None, _) => Told::Nothing("its pod left no termination message".to_owned()),
    }
}

/// The id in a trimmed termination message: the message itself, or `{"imageId": …}`.
fn of_message(message: &str) -> Result<Box<str>, &'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        image_id: Box<str>,
    }
    let id = if message.starts_with('{') {
        let read = serde_json::from_str::<Message>(message);
        read.map_err(|_| "begins with `{` and is not JSON with a string `imageId`")?.image_id
    } else {
        message.into()
    };
    match fault(&id) {
        None => Ok(id),
        Some(fault) => Err(fault),
    }
}

/// Allowed where somebody named the id on purpose (paths of an inventory have spaces), not where it is what a program
/// happened to print last.
const SPACE: &str = "has a space in it";

/// Why a text is no id.
fn fault(text: &str) -> Option<&'static str> {
    // Characters that do not show: an id that looks right and is not would be found by nobody.
    let unseen = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let length = text.chars().count();
    if length == 0 {
        Some("holds an empty id")
    } else if text.contains(['\n', '\r']) {
        Some("has more than one line")
    } else if length > LIMIT {
        Some("is longer than 1,024 characters")
    } else if text.chars().any(|c| c.is_control() || unseen(c)) {
        Some("has characters that cannot be printed")
    } else if text.contains(char::is_whitespace) {
        Some(SPACE)
    } else {
        None
    }
}
