//! What the API server serves: the versions of a group, and the resource of a kind that only an object names.

use serde::Deserialize;

use crate::answer::Refusal;
use crate::request::{Place, Shell};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    versions: Vec<Version>,
    preferred_version: Version,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
    namespaced: bool,
}

impl Shell {
    /// Where a namespaced kind is served, in the version that its `group/version` names; `NotFound` where it is not.
    pub async fn place_of(&self, api_version: &str, kind: &str) -> Result<Place, Refusal> {
        let (root, (group, version)) =
            api_version.split_once('/').map_or(("api", ("", api_version)), |parts| ("apis", parts));
        // Both come from an object and become parts of a path.
        if !(group.is_empty() || legal(group)) || !legal(version) {
            return Err(Refusal::NotFound);
        }
        let served: Resources = self.discover(&format!("/{root}/{api_version}")).await?;
        let mut resources = served.resources.into_iter();
        let found = resources.find(|r| r.kind == kind && r.namespaced && !r.name.contains('/'));
        Ok(Place::discovered(group, version, &found.ok_or(Refusal::NotFound)?.name))
    }

    /// Where a namespaced kind is served, in the version that the server prefers; `NotFound` where it is not.
    pub async fn preferred_place_of(&self, group: &str, kind: &str) -> Result<Place, Refusal> {
        let served = self.group(group).await?;
        self.place_of(&domain::object::api_version(group, &served.preferred_version.version), kind).await
    }

    /// The first of `ours` that the server serves of a group; nothing where it serves none.
    pub(crate) async fn served(
        &self,
        group: &str,
        ours: &[&'static str],
    ) -> Result<Option<&'static str>, Refusal> {
        match self.group(group).await {
            Ok(served) => {
                Ok(ours.iter().copied().find(|ours| served.versions.iter().any(|v| v.version == *ours)))
            }
            Err(Refusal::NotFound) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn group(&self, group: &str) -> Result<Group, Refusal> {
        if legal(group) { self.discover(&format!("/apis/{group}")).await } else { Err(Refusal::NotFound) }
    }
}

/// A DNS name, as groups and versions are.
fn legal(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_name_becomes_a_part_of_a_path() {
        assert!(legal("cluster.x-k8s.io") && legal("v1beta2"));
        for led_astray in ["", "a/b", "a?b", "a%2Fb", "a b", "é"] {
            assert!(!legal(led_astray), "{led_astray:?}");
        }
    }
}
