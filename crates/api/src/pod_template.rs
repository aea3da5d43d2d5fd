//! The little that is kept of a `PodSpec`: how many containers it has, and which version they are told. The `PodSpec` itself stays raw JSON, so that no field
//! newer than this program is lost.

use serde::Deserialize;

use crate::wire::Part;

/// Containers of a `PodSpec`, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Containers {
    /// Entries of `containers`: a termination message tells the image id only where there is exactly one.
    pub main: usize,
    /// Entries of `initContainers`.
    pub init: usize,
}

/// A `PodSpec` on the wire: its lists are counted, their entries must be objects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodSpec {
    #[serde(default)]
    containers: Option<Vec<Entry>>,
    #[serde(default)]
    init_containers: Option<Vec<Entry>>,
}

/// A container, of which only the variables are looked at; what is wrong with those is the API server's to say.
#[derive(Clone, Debug, Deserialize)]
struct Entry {
    #[serde(default)]
    env: Part<Vec<Part<Variable>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Variable {
    name: Box<str>,
    #[serde(default)]
    value: Option<Box<str>>,
}

impl PodSpec {
    pub(crate) fn count(&self) -> Containers {
        let count = |list: &Option<Vec<Entry>>| list.as_ref().map_or(0, Vec::len);
        Containers { main: count(&self.containers), init: count(&self.init_containers) }
    }

    /// The value of a variable in the first container: of several entries the last counts, as for the container.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let env = self.containers.iter().flatten().next()?.env.0.as_ref().ok()?.as_ref()?;
        let mut known = env.iter().filter_map(|entry| entry.0.as_ref().ok()?.as_ref());
        known.rfind(|variable| *variable.name == *name)?.value.as_deref()
    }
}

/// Containers of a `PodSpec` that a Job can be made of, or what is wrong with it. `at` is its path, for the message.
pub(crate) fn containers(spec: &crate::wire::Part<PodSpec>, at: &str) -> Result<Containers, Box<str>> {
    match &spec.0 {
        Ok(None) => Err(format!("{at} is missing").into()),
        Ok(Some(pod)) if pod.count().main == 0 => Err(format!("{at} has no containers").into()),
        Ok(Some(pod)) => Ok(pod.count()),
        Err(error) => Err(format!("{at}: {error}").into()),
    }
}
