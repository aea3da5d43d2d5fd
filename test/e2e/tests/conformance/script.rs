//! A script: requests, one after another.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::fixtures;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// What it shows; for people.
    #[serde(rename = "about")]
    pub(crate) _about: String,
    /// Of nodes and pods: the simulated server has them where it is asked to.
    #[serde(default)]
    pub(crate) nodes: bool,
    pub(crate) steps: Vec<Step>,
}

/// One of `do`, `read`, `await` and `writeOften`.
///
/// In paths and bodies, `${name:/pointer}` is what an earlier answer held. Paths that do not begin with a slash begin with a
/// plural, and lie in the namespace of the script.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct Step {
    /// A request: method and path; the method `WATCH` opens a watch that `read` reads from.
    #[serde(rename = "do")]
    pub(crate) request: Option<String>,
    /// JSON; `apiVersion` and `kind` are added where they are absent.
    pub(crate) body: Option<Value>,
    /// The body of a Merge Patch.
    pub(crate) merge: Option<Value>,
    /// The body of a JSON Patch.
    pub(crate) json: Option<Value>,
    /// The name under which the answer is kept.
    #[serde(rename = "as")]
    pub(crate) name: Option<String>,
    /// Compare these places of the answer and no others.
    pub(crate) only: Vec<String>,
    /// Do not compare these places.
    pub(crate) without: Vec<String>,
    /// Of a list of discovery, compare these resources.
    pub(crate) resources: Vec<String>,
    /// Reads from a watch.
    pub(crate) read: Option<String>,
    /// So many lines; where absent, to the end of the watch.
    pub(crate) events: Option<usize>,
    /// Awaits that what is at a path is gone, or with `until`, that its answer is so.
    #[serde(rename = "await")]
    pub(crate) wait: Option<String>,
    pub(crate) until: BTreeMap<String, Value>,
    /// Writes to an object so often that a server which forgets by count has forgotten what was before; one that forgets by
    /// time (compaction) may need an `await` of its answer.
    pub(crate) write_often: Option<String>,
}

/// All scripts by their names: the files, and one that is made of the fixtures of `crates/api`.
pub(crate) fn all() -> Vec<(String, Script)> {
    let folder = e2e::repository().join("test/e2e/tests/conformance/scripts");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut scripts: Vec<(String, Script)> = files
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file).unwrap();
            let script =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file.file_stem().unwrap().to_str().unwrap().to_owned(), script)
        })
        .collect();
    scripts.push(("fixtures".to_owned(), fixtures::script()));
    assert!(scripts.len() > 15);
    scripts
}
