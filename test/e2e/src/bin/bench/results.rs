//! What one run has found, for machines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use e2e::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::figures::{CHAPTERS, Figures};
use crate::machine::Machine;

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Results {
    /// Where and with what it was measured.
    pub(crate) machine: Machine,
    /// Seconds that it took.
    pub(crate) took: u64,
    /// Every figure.
    pub(crate) figures: Vec<Figure>,
    /// Requests of the manager by phase.
    pub(crate) requests: Vec<Phase>,
}

/// One figure, with what tells a reader of the file what it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figure {
    pub(crate) id: String,
    title: String,
    /// Absent where it has nothing to do with Clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clusters: Option<u32>,
    pub(crate) value: f64,
    unit: String,
    how: String,
}

/// Requests by verb and resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Phase {
    #[serde(rename = "phase")]
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clusters: Option<u32>,
    pub(crate) counts: BTreeMap<String, usize>,
}

impl Results {
    /// Nothing yet.
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, took: 0, figures: Vec::new(), requests: Vec::new() }
    }

    /// A name for its file, by its time.
    pub(crate) fn name(&self) -> String {
        self.machine.date.chars().filter(|character| !matches!(character, '-' | ':')).collect()
    }

    /// Adds what was measured with so many Clusters.
    pub(crate) fn add(&mut self, clusters: Option<u32>, found: Figures) {
        for subject in CHAPTERS.iter().flat_map(|chapter| chapter.subjects) {
            if let Some(value) = found.values.get(subject.id) {
                self.figures.push(Figure {
                    id: subject.id.to_owned(),
                    title: subject.title.to_owned(),
                    // The program alone is the same with any number.
                    clusters: clusters.filter(|_| !subject.id.starts_with("empty_")),
                    value: (value * 1e4).round() / 1e4,
                    unit: subject.unit.to_owned(),
                    how: subject.how.to_owned(),
                });
            }
        }
        let phases = found.requests.into_iter();
        self.requests.extend(phases.map(|(name, counts)| Phase { name, clusters, counts }));
    }

    /// Writes it, where earlier ones of the run may be.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(path)(error.into()))?;
        fs::write(path, text + "\n").map_err(failed(path))
    }

    /// Reads one of an earlier run.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(failed(path))?;
        serde_json::from_str(&text).map_err(|error| failed(path)(error.into()))
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let what = path.display().to_string();
    move |source| Error::System { what, source }
}

/// The numbers of Clusters of some runs, the fewest first.
pub(crate) fn sizes(all: &[Results]) -> Vec<u32> {
    let mut sizes: Vec<u32> =
        all.iter().flat_map(|run| &run.figures).filter_map(|figure| figure.clusters).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// The least and the most that a figure was in some runs.
pub(crate) fn spread(all: &[Results], id: &str, clusters: Option<u32>) -> Option<(f64, f64)> {
    let figures = all.iter().flat_map(|run| &run.figures);
    let values = figures.filter(|figure| figure.id == id && figure.clusters == clusters).map(|it| it.value);
    values.fold(None, |spread, value| match spread {
        None => Some((value, value)),
        Some((least, most)) => Some((value.min(least), value.max(most))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_runs_are_put_together() {
        let folder = std::env::temp_dir().join(format!("bench-results-{}", std::process::id()));
        let path = folder.join("a.json");
        let mut one = Results::new(Machine::default());
        let mut figures = Figures::default();
        figures.put("binary", 12.3);
        one.add(None, figures.clone());
        figures.put("idle_rss", 17.0);
        one.add(Some(250), figures.clone());
        one.write(&path).unwrap();
        let again = Results::read(&path).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let mut other = Results::new(Machine::default());
        figures.put("idle_rss", 16.0);
        other.add(Some(250), figures);
        let all = [again, other];
        assert_eq!(sizes(&all), [250]);
        assert_eq!(spread(&all, "idle_rss", Some(250)), Some((16.0, 17.0)));
        assert_eq!(spread(&all, "binary", None), Some((12.3, 12.3)));
        assert_eq!(spread(&all, "idle_rss", Some(500)), None);
    }
}
