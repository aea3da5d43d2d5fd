//! Container images without a container engine: a list of files in, an OCI image layout in a tar file out.
//!
//! The bytes depend on the files alone: entries are sorted, times are zero, owners are root. So the same binary gives the same digest
//! on every machine. The layout is that of the OCI image specification 1.0 (`oci-layout`, `index.json`, `blobs/sha256/`), with the
//! image's name in the annotation that containerd reads; `ctr images import`, `docker load` and `skopeo copy oci-archive:` take it.

pub mod busybox;
mod layer;
mod layout;
mod manager;
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub use manager::manager;

/// A container image of one layer, for this machine's architecture.
#[derive(Clone, Debug)]
#[must_use = "nothing is written before write()"]
pub struct Image {
    name: String,
    entries: BTreeMap<PathBuf, Entry>,
    entrypoint: Vec<String>,
    user: Option<String>,
    compressed: bool,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Folder { mode: u32 },
    File { mode: u32, content: Vec<u8> },
    Link { target: PathBuf },
}

impl Image {
    /// An empty image. `name` is complete, registry and tag included, such as `example.com/manager:v1`: kubelet asks for exactly this
    /// one, and adds to a shorter name what its user did not mean.
    ///
    /// # Errors
    /// A name without a registry or a tag, or with characters that no such name has.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if let Err(reason) = check(&name) {
            return Err(Error::Manifest { manifest: format!("image {name:?}"), reason: reason.to_owned() });
        }
        Ok(Self { name, entries: BTreeMap::new(), entrypoint: Vec::new(), user: None, compressed: false })
    }

    /// The name with its tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its containers run if they do not say.
    pub fn entrypoint<T: Into<String>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// Whom they run as: numbers, such as `65532:65532`, or kubelet cannot tell that it is not root.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The layer is compressed (gzip): smaller to push, slower to make.
    pub fn compressed(mut self) -> Self {
        self.compressed = true;
        self
    }

    /// A file with its permission bits, at an absolute path. The folders above it are made.
    pub fn file(self, path: impl Into<PathBuf>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path.into(), Entry::File { mode, content: content.into() })
    }

    /// A copy of a file of this machine, which may be a link to one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn copy(self, path: impl Into<PathBuf>, mode: u32, from: &Path) -> Result<Self> {
        let content = fs::read(from).map_err(Error::file(from))?;
        Ok(self.file(path, mode, content))
    }

    /// An empty folder with its permission bits.
    pub fn folder(self, path: impl Into<PathBuf>, mode: u32) -> Self {
        self.entry(path.into(), Entry::Folder { mode })
    }

    /// A symbolic link.
    pub fn link(self, path: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.entry(path.into(), Entry::Link { target: target.into() })
    }

    /// An executable of this machine, and if it is linked dynamically the libraries and the loader that it needs, each where the loader
    /// looks for it.
    ///
    /// # Errors
    /// It cannot be read, or a library that it needs is not on this machine.
    pub fn program(self, path: impl Into<PathBuf>, from: &Path) -> Result<Self> {
        let mut image = self.copy(path, 0o755, from)?;
        for library in program::libraries(from)? {
            image = image.copy(library.clone(), 0o755, &library)?;
        }
        Ok(image)
    }

    /// Writes the image into a tar file. Gives the digest of its manifest, such as `sha256:…`.
    pub fn write(&self, archive: &Path) -> Result<String> {
        let layer = layer::layer(&self.entries, self.compressed).map_err(Error::file(archive))?;
        let layout = layout::layout(self, layer)?;
        fs::write(archive, layer::layout(&layout.files).map_err(Error::file(archive))?)
            .map_err(Error::file(archive))?;
        Ok(layout.digest)
    }

    fn entry(mut self, path: PathBuf, entry: Entry) -> Self {
        let path = path.strip_prefix("/").map(Path::to_path_buf).unwrap_or(path);
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            self.entries.entry(parent.to_path_buf()).or_insert(Entry::Folder { mode: 0o755 });
        }
        self.entries.insert(path, entry);
        self
    }
}

/// A registry, a path and a tag, as far as a mistake would only show when kubelet asks for something else.
fn check(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"./:-_".contains(&byte);
    if !name.bytes().all(allowed) {
        return Err("its name has letters, digits and . / : - _ only");
    }
    let (registry, rest) =
        name.split_once('/').ok_or("its name starts with a registry, such as example.com/")?;
    if !(registry == "localhost" || registry.contains(['.', ':'])) {
        return Err("its name starts with a registry, such as example.com/");
    }
    match rest.rsplit_once(':') {
        Some((path, tag)) if !path.is_empty() && !tag.is_empty() && !tag.contains('/') => Ok(()),
        _ => Err("its name ends with a tag, such as :v1"),
    }
}

#[cfg(test)]
mod tests;
