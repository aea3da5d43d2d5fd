//! Tar files whose bytes depend on what is in them alone.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::Entry;

/// A layer as it is stored.
pub(super) struct Layer {
    pub(super) bytes: Vec<u8>,
    /// The digest of the tar file, before compression.
    pub(super) diff_id: String,
    pub(super) media_type: &'static str,
}

/// The layer with these entries. An entry's folders are entries before it.
pub(super) fn layer(entries: &BTreeMap<PathBuf, Entry>, compressed: bool) -> io::Result<Layer> {
    let mut tar = Builder::new(Vec::new());
    for (path, entry) in entries {
        match entry {
            Entry::Folder { mode } => {
                tar.append_data(&mut header(EntryType::Directory, *mode, 0), path, io::empty())?;
            }
            Entry::File { mode, content } => {
                let mut header = header(EntryType::Regular, *mode, content.len());
                tar.append_data(&mut header, path, content.as_slice())?;
            }
            Entry::Link { target } => {
                tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target)?;
            }
        }
    }
    let plain = tar.into_inner()?;
    let diff_id = digest(&plain);
    if !compressed {
        return Ok(Layer { bytes: plain, diff_id, media_type: "application/vnd.oci.image.layer.v1.tar" });
    }
    // Without a time and a name in its header.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&plain)?;
    let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    Ok(Layer { bytes: encoder.finish()?, diff_id, media_type })
}

/// The tar file with the files of a layout.
pub(super) fn layout(files: &BTreeMap<PathBuf, Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for folder in ["blobs", "blobs/sha256"] {
        tar.append_data(&mut header(EntryType::Directory, 0o755, 0), Path::new(folder), io::empty())?;
    }
    for (path, content) in files {
        let mut header = header(EntryType::Regular, 0o644, content.len());
        tar.append_data(&mut header, path, content.as_slice())?;
    }
    tar.into_inner()
}

/// `sha256:` and the digest in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// Root's, and as old as time.
fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(u64::try_from(size).unwrap_or(u64::MAX));
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
