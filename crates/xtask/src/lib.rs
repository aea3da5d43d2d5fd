//! What is generated from Rust and kept in the repository: a table of generators, and the comparison with the tree.
//!
//! *Architecture invariant:* a generator is a pure function; only [`write`] and [`differing`] touch the file system, and no
//! file of the repository is both generated and edited by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

pub mod crds;
pub mod docs;
pub mod openapi;
pub mod pod_spec;
pub mod policy;
pub mod rbac;
pub mod structural;
pub mod yaml;

/// Generated files: path relative to the repository's root, and content.
pub type Files = BTreeMap<PathBuf, String>;

/// A generator fails only on a bug, or on a file of `crates/xtask/openapi` that does not parse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value has no YAML form.
    #[error("cannot render YAML: {0}")]
    Yaml(String),
    /// A file is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A file does not hold what it should.
    #[error("{0}")]
    Content(String),
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Makes some of the files.
pub type Generator = fn() -> Result<Files, Error>;

/// Every generator, with the name that it is known by.
pub const GENERATORS: &[(&str, Generator)] = &[
    ("crds", crds::generate),
    ("policy", policy::generate),
    ("rbac", rbac::generate),
    ("docs", docs::generate),
];

/// Every generated file.
pub fn generate() -> Result<Files, Error> {
    let mut files = Files::new();
    for (_, generator) in GENERATORS {
        files.extend(generator()?);
    }
    Ok(files)
}

/// The generated files that differ from those below `root`, or are not there.
pub fn differing(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let differs =
        |path: &Path, content: &str| fs::read_to_string(root.join(path)).ok().as_deref() != Some(content);
    Ok(generate()?
        .into_iter()
        .filter(|(path, content)| differs(path, content))
        .map(|(path, _)| path)
        .collect())
}

/// Writes every generated file that differs below `root`; returns them.
pub fn write(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let files = generate()?;
    let differing = differing(root)?;
    for path in &differing {
        let file = root.join(path);
        let failed = |error| Error::File { path: file.clone(), error };
        file.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        fs::write(&file, &files[path]).map_err(failed)?;
    }
    Ok(differing)
}

/// The root of this checkout.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root.pop();
    root
}
