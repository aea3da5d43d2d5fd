use std::io::Read;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;

fn example() -> Image {
    Image::new("example.com/tools:v1")
        .unwrap()
        .file("/usr/bin/run", 0o755, "#!/bin/sh\n")
        .folder("/tmp", 0o1777)
        .link("/bin/run", "../usr/bin/run")
        .entrypoint(["/usr/bin/run", "now"])
        .user("65532:65532")
}

/// The files of a tar file.
fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let entries =
        archive.entries().unwrap().map(Result::unwrap).filter(|entry| entry.header().entry_type().is_file());
    entries
        .map(|mut entry| {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        })
        .collect()
}

fn written(image: &Image) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    let digest = image.write(&path).unwrap();
    (digest, fs::read(path).unwrap())
}

/// The blob of a descriptor, whose size and digest are what the descriptor says.
fn blob<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let bytes = &files[&format!("blobs/sha256/{digest}")];
    let actual = format!("{:x}", Sha256::digest(bytes));
    assert_eq!((digest, descriptor["size"].as_u64().unwrap()), (actual.as_str(), bytes.len() as u64));
    bytes
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn from_the_index_every_blob_is_found_by_its_digest() {
    let (digest, tar) = written(&example());
    let files = files(&tar);
    assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let index = json(&files["index.json"]);
    let listed = &index["manifests"][0];
    assert_eq!(listed["annotations"]["io.containerd.image.name"], "example.com/tools:v1");
    assert_eq!(listed["digest"], digest.as_str());
    let manifest = json(blob(&files, listed));
    let config = json(blob(&files, &manifest["config"]));
    let layer = &manifest["layers"][0];
    blob(&files, layer);
    assert_eq!(config["rootfs"]["diff_ids"][0], layer["digest"]);
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/bin/run", "now"]));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(files.len(), 5, "{:?}", files.keys());
}

#[test]
fn a_compressed_layer_is_the_same_layer() {
    let (_, plain) = written(&example());
    let (_, compressed) = written(&example().compressed());
    let layer = |tar: &[u8]| {
        let files = files(tar);
        let manifest = json(blob(&files, &json(&files["index.json"])["manifests"][0]));
        let config = json(blob(&files, &manifest["config"]));
        let bytes = blob(&files, &manifest["layers"][0]).to_vec();
        (manifest["layers"][0]["mediaType"].clone(), config["rootfs"]["diff_ids"][0].clone(), bytes)
    };
    let ((_, diff_id, plain), (kind, same, compressed)) = (layer(&plain), layer(&compressed));
    assert_eq!((diff_id, kind.as_str().unwrap()), (same, "application/vnd.oci.image.layer.v1.tar+gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(compressed.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
}

#[test]
fn the_same_files_give_the_same_bytes_in_whatever_order() {
    let other = Image::new("example.com/tools:v1")
        .unwrap()
        .user("65532:65532")
        .link("/bin/run", "../usr/bin/run")
        .entrypoint(["/usr/bin/run", "now"])
        .folder("/tmp", 0o1777)
        .file("/usr/bin/run", 0o755, "#!/bin/sh\n");
    assert_eq!(written(&example()), written(&other));
    assert_eq!(written(&example().compressed()), written(&other.compressed()));
    let changed = example().file("/usr/bin/run", 0o700, "#!/bin/sh\n");
    assert_ne!(written(&example()).0, written(&changed).0);
}

#[test]
fn tar_reads_the_layer_with_modes_and_owners() {
    let (_, tar) = written(&example());
    let files = files(&tar);
    let manifest = json(blob(&files, &json(&files["index.json"])["manifests"][0]));
    let folder = tempfile::tempdir().unwrap();
    let layer = folder.path().join("layer.tar");
    fs::write(&layer, blob(&files, &manifest["layers"][0])).unwrap();
    let said =
        Command::new("tar").env("TZ", "UTC").arg("--full-time").arg("-tvf").arg(&layer).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8(said.stdout).unwrap();
    let lines: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 bin",
            "lrwxrwxrwx 0/0 0 1970-01-01 00:00:00 bin/run -> ../usr/bin/run",
            "drwxrwxrwt 0/0 0 1970-01-01 00:00:00 tmp",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 usr",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 usr/bin",
            "-rwxr-xr-x 0/0 10 1970-01-01 00:00:00 usr/bin/run",
        ]
    );
}

#[test]
fn a_name_is_complete() {
    for good in ["example.com/a:v1", "localhost/a/b:x", "registry:5000/a:1", "ghcr.io/a/b-c_d:v0.7.0"] {
        assert_eq!(Image::new(good).unwrap().name(), good);
    }
    for bad in [
        "manager",
        "manager:v1",
        "library/manager:v1",
        "example.com/a",
        "registry:5000/a",
        "example.com/a:",
        "a b",
    ] {
        let error = Image::new(bad).unwrap_err().to_string();
        assert!(error.contains("its name"), "{error}");
    }
}

#[test]
fn the_managers_image_runs_a_dynamic_binary_by_itself() {
    // This very test, whose libraries are the manager's too.
    let ours = std::env::current_exe().unwrap();
    let image = manager("example.com/manager:test", &ours).unwrap();
    assert!(image.entries.contains_key(Path::new("manager")));
    assert!(image.entries.contains_key(Path::new("etc/ssl/certs/ca-certificates.crt")));
    for library in program::libraries(&ours).unwrap() {
        assert!(image.entries.contains_key(library.strip_prefix("/").unwrap()), "{}", library.display());
    }
    assert_eq!(image.user.as_deref(), Some("65532:65532"));
    assert_eq!(image.entrypoint, ["/manager"]);
}

#[test]
fn the_stand_in_tells_how_it_was_called_and_fails_when_told() {
    let Some(busybox) = busybox::find() else {
        crate::progress::say(format_args!(
            "skipped a test of the stand-in: busybox is missing, apt-get install busybox-static"
        ));
        return;
    };
    let image = busybox::kairos("example.com/kairos:v3.5.0", &busybox, "v3.5.0").unwrap();
    let Entry::File { content, .. } = &image.entries[Path::new("usr/bin/kairos-agent")] else {
        unreachable!()
    };
    let host = tempfile::tempdir().unwrap();
    let at = |path: &str| host.path().join(path.trim_start_matches('/'));
    let agent = host.path().join("agent");
    fs::write(&agent, content).unwrap();
    fs::create_dir(at("/etc")).unwrap();
    let call = |arguments: &[&str]| {
        let mut command = Command::new(&busybox);
        command.arg("sh").arg(&agent).args(arguments).env("HOST_DIR", host.path()).status().unwrap().code()
    };
    assert_eq!(call(&["upgrade", "--recovery", "--source", "dir:/"]), Some(0));
    assert!(!at(busybox::RELEASE_AFTER_BOOT).exists());
    fs::write(at(busybox::AGENT_FAILS), "7").unwrap();
    assert_eq!(call(&["--debug", "upgrade", "--source", "dir:/"]), Some(7));
    let calls = fs::read_to_string(at(busybox::AGENT_CALLS)).unwrap();
    assert_eq!(calls, "upgrade --recovery --source dir:/\n--debug upgrade --source dir:/\n");

    for applet in ["reboot", "halt", "poweroff"] {
        let Some(Entry::File { content, mode: 0o755 }) =
            image.entries.get(Path::new(&format!("bin/{applet}")))
        else {
            panic!("{applet} is not guarded");
        };
        let script = String::from_utf8(content.clone()).unwrap();
        let (guard, act) = script.split_once("exec").unwrap();
        assert!(
            guard.contains("pid:[4026531836]") && guard.contains("exit 1") && act.contains("-f"),
            "{script}"
        );
    }
}
