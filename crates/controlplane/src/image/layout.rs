//! The documents of an OCI image layout.

use std::collections::BTreeMap;
use std::env::consts;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Image;
use super::layer::{Layer, digest};
use crate::error::{Error, Result};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CREATED: &str = "1970-01-01T00:00:00Z";
/// Where a container looks for programs, as other images say it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The files of a layout, by their paths in it.
pub(super) struct Layout {
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Of the manifest.
    pub(super) digest: String,
}

pub(super) fn layout(image: &Image, layer: Layer) -> Result<Layout> {
    let mut files = BTreeMap::new();
    let platform = json!({ "architecture": architecture(consts::ARCH), "os": "linux" });

    let mut runs = json!({ "Env": [PATH] });
    if !image.entrypoint.is_empty() {
        runs["Entrypoint"] = json!(image.entrypoint);
    }
    if let Some(user) = &image.user {
        runs["User"] = json!(user);
    }
    let config = json!({
        "architecture": platform["architecture"],
        "os": platform["os"],
        "created": CREATED,
        "config": runs,
        "rootfs": { "type": "layers", "diff_ids": [layer.diff_id] },
        "history": [{ "created": CREATED }],
    });
    let config = add(&mut files, CONFIG, text(&config)?);
    let layer = add(&mut files, layer.media_type, layer.bytes);
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    let mut manifest = add(&mut files, MANIFEST, text(&manifest)?);
    let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
    let tag = image.name.rsplit(':').next().unwrap_or_default();
    manifest["platform"] = platform;
    manifest["annotations"] =
        json!({ "io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": tag });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
    files.insert("index.json".into(), text(&index)?);
    files.insert("oci-layout".into(), text(&json!({ "imageLayoutVersion": "1.0.0" }))?);
    Ok(Layout { files, digest })
}

/// Adds a blob, and gives its descriptor.
fn add(files: &mut BTreeMap<PathBuf, Vec<u8>>, media_type: &str, bytes: Vec<u8>) -> Value {
    let digest = digest(&bytes);
    let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
    files.insert(PathBuf::from("blobs").join(digest.replace(':', "/")), bytes);
    descriptor
}

fn text(document: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(document)
        .map_err(|error| Error::Manifest { manifest: "image".to_owned(), reason: error.to_string() })
}

/// An architecture of Rust's in the words of images, which are Go's.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
