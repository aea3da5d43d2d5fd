//! What was read of Cluster API: for each image the first object that uses it.

use std::collections::BTreeMap;
use std::fmt;

use api::capi::cluster::ControlPlaneRef;
use api::capi::in_use::{ClusterInUse, MachinesInUse};
use api::upgrader::machine_image::MachineImageRow;
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use serde_json::Value;

/// An image that goes where nothing uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Uid of the image.
    pub uid: Box<str>,
    /// `spec.version` as written.
    pub text: Box<str>,
    /// The same, read.
    pub version: KubernetesVersion,
    /// `spec.id`.
    pub id: Option<Box<str>>,
}

/// What is listed in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Clusters, whose control planes come next.
    Clusters,
    /// The control planes that Clusters name, of whatever kind.
    ControlPlanes(Vec<ControlPlaneRef>),
    /// MachineDeployments.
    MachineDeployments,
    /// MachinePools.
    MachinePools,
    /// Machines.
    Machines,
}

/// An object that uses versions and images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// Its kind and name.
    pub who: Box<str>,
    /// The versions that it reports, as written.
    pub versions: Vec<Box<str>>,
    /// Its variables, where it is a Cluster.
    pub variables: Vec<(Box<str>, Value)>,
}

/// What one list brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Used {
    /// In the order of their names.
    pub users: Vec<User>,
    /// Where Clusters were listed: their control planes.
    pub control_planes: Vec<ControlPlaneRef>,
}

/// What was read so far, of some images.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    images: Vec<Candidate>,
    /// When the last of it was read; a clock that a restart loses.
    pub at: Timestamp,
    /// What is still to be read, the last first.
    left: Vec<Part>,
    /// By uid of the image: who uses it.
    used: BTreeMap<Box<str>, Box<str>>,
    /// Why nothing can be said.
    unproven: Option<Box<str>>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clusters => "Clusters",
            Self::ControlPlanes(_) => "control planes",
            Self::MachineDeployments => "MachineDeployments",
            Self::MachinePools => "MachinePools",
            Self::Machines => "Machines",
        })
    }
}

impl Candidate {
    pub(super) fn of(row: &MachineImageRow, version: &KubernetesVersion) -> Self {
        let (uid, text) = (row.meta.uid.clone(), row.version.clone());
        Self { uid, text, version: version.clone(), id: row.id.clone() }
    }

    /// Whether what somebody reports is this version. Build metadata has no order, and a kubelet may report another one:
    /// rather one image too many than one too few.
    fn is(&self, reported: &str) -> bool {
        match KubernetesVersion::parse_lenient(reported) {
            Ok(reported) => reported.cmp_precedence(&self.version).is_eq(),
            Err(_) => reported.trim_start_matches('v') == self.text.trim_start_matches('v'),
        }
    }
}

impl User {
    /// What a Cluster uses.
    pub fn cluster(cluster: ClusterInUse) -> Self {
        let who = format!("Cluster {}", cluster.meta.key.name).into();
        Self { who, versions: cluster.versions, variables: cluster.variables }
    }

    /// What an object with machines of one version or more uses.
    pub fn machines(kind: &str, machines: MachinesInUse) -> Self {
        let who = format!("{kind} {}", machines.meta.key.name).into();
        Self { who, versions: machines.versions, variables: Vec::new() }
    }

    /// How it uses an image.
    pub(super) fn uses(&self, image: &Candidate) -> Option<String> {
        if self.versions.iter().any(|version| image.is(version)) {
            return Some(format!("{} has {}", self.who, image.text));
        }
        let id = image.id.as_deref()?;
        let (name, _) = self.variables.iter().find(|(_, value)| names(value, id))?;
        Some(format!("variable {name} of {} names its id", self.who))
    }
}

/// Whether an id stands anywhere in a value, also as a key, or as a part of a longer text.
fn names(value: &Value, id: &str) -> bool {
    match value {
        Value::String(text) => holds(text, id),
        Value::Array(entries) => entries.iter().any(|entry| names(entry, id)),
        Value::Object(fields) => fields.iter().any(|(key, value)| holds(key, id) || names(value, id)),
        Value::Null | Value::Bool(_) => false,
        Value::Number(number) => number.to_string() == id,
    }
}

/// Whether an id stands in a text by itself: `v1.27.1` does not in `v1.27.10`.
fn holds(text: &str, id: &str) -> bool {
    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    !id.is_empty()
        && text.match_indices(id).any(|(at, found)| {
            let (before, rest) = text.split_at(at);
            apart(before.chars().next_back()) && apart(rest.chars().nth(found.chars().count()))
        })
}

impl Reading {
    pub(super) fn begun(images: Vec<Candidate>) -> Self {
        let left = vec![Part::Machines, Part::MachinePools, Part::MachineDeployments, Part::Clusters];
        Self { images, at: Timestamp::UNIX_EPOCH, left, used: BTreeMap::new(), unproven: None }
    }

    pub(super) fn take(&mut self, part: &Part, used: Result<Used, Box<str>>, now: Timestamp) {
        self.at = now;
        self.left.retain(|left| left != part);
        let Used { users, control_planes } = match used {
            Ok(used) => used,
            Err(words) => {
                self.left.clear();
                self.unproven = Some(words);
                return;
            }
        };
        if !control_planes.is_empty() {
            self.left.push(Part::ControlPlanes(control_planes));
        }
        for image in &self.images {
            if !self.used.contains_key(&image.uid)
                && let Some(use_) = users.iter().find_map(|user| user.uses(image))
            {
                self.used.insert(image.uid.clone(), use_.into());
            }
        }
    }

    pub(super) fn is_of(&self, images: &[Candidate]) -> bool {
        self.images == images
    }

    pub(super) fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    /// What is to be read next.
    pub(super) fn next(&self) -> Option<&Part> {
        self.left.last()
    }

    /// How many images nothing was found to use.
    pub(super) fn unused(&self) -> usize {
        if self.unproven.is_some() { 0 } else { self.images.len().saturating_sub(self.used.len()) }
    }

    /// Why an image stays, as far as was read.
    pub(super) fn keeps(&self, uid: &str) -> Option<&str> {
        self.unproven.as_deref().or_else(|| self.used.get(uid).map(AsRef::as_ref))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_is_found_wherever_it_stands_by_itself() {
        for value in [
            json!("ami-1"),
            json!({"v1.36.1": "ami-1"}),
            json!({"deep": [{"ami-1": null}]}),
            json!("https://images.example/ami-1.qcow2"),
        ] {
            assert!(names(&value, "ami-1"), "{value}");
        }
        for value in
            [json!("ami-12"), json!("xami-1"), json!(["ami-", "1"]), json!(null), json!(true), json!({})]
        {
            assert!(!names(&value, "ami-1"), "{value}");
        }
        assert!(names(&json!({"templateId": 9000}), "9000"));
        assert!(!names(&json!("anything"), ""));
        assert!(names(&json!("grün-1"), "grün-1") && !names(&json!("1grün"), "grün"));
    }

    #[test]
    fn a_version_is_the_same_with_and_without_v_and_whatever_its_build() {
        let image = Candidate {
            uid: "u".into(),
            text: "v1.36.1".into(),
            version: "v1.36.1".parse().unwrap(),
            id: None,
        };
        for same in ["v1.36.1", "1.36.1", "v1.36.1+k3s1"] {
            assert!(image.is(same), "{same}");
        }
        for other in ["v1.36.10", "v1.36.2", "v1.36.1-rc.0", "", "latest"] {
            assert!(!image.is(other), "{other}");
        }
    }
}
