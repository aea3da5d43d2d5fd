//! The CRDs at a real API server: established, small enough for client-side apply, and accepting and refusing what they should.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use controlplane::{ControlPlane, Error};
use e2e::repository;
use futures::stream::{self, StreamExt as _};

/// kubectl processes at a time: each takes a fraction of a second, nearly all of it its own.
const AT_ONCE: usize = 4;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = repository().join("crates/api/fixtures").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// What the first line of a fixture wants the server to say.
fn expectation(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.lines().next().and_then(|line| line.strip_prefix("# expect: ")).unwrap().trim().to_owned()
}

/// Applies every file, client-side as users do, and gives those that went otherwise than `judge` says.
async fn apply_all(
    plane: &ControlPlane,
    folder: &str,
    judge: impl Fn(&Path, Result<String, Error>) -> Option<String>,
) -> Vec<String> {
    let judged = stream::iter(fixtures(folder))
        .map(|file| {
            let judge = &judge;
            async move {
                let outcome = plane.apply_file(&file).await;
                judge(&file, outcome).map(|problem| format!("{}: {problem}", file.display()))
            }
        })
        .buffered(AT_ONCE);
    judged.filter_map(std::future::ready).collect().await
}

fn accepted(_: &Path, outcome: Result<String, Error>) -> Option<String> {
    outcome.err().map(|error| error.to_string())
}

fn refused(file: &Path, outcome: Result<String, Error>) -> Option<String> {
    let expected = expectation(file);
    match outcome {
        Err(Error::Command { output, .. }) if output.contains(&expected) => None,
        other => Some(format!("expected {expected:?}, got {other:?}")),
    }
}

#[tokio::test]
async fn a_real_server_accepts_and_refuses_what_it_should() {
    let plane = ControlPlane::builder().start().await.unwrap();
    // Client-side apply keeps the whole object in an annotation of 256 KiB at most.
    e2e::install_crds(&plane).await.unwrap();

    let none: Vec<String> = Vec::new();
    assert_eq!(apply_all(&plane, "accepted", accepted).await, none);
    assert_eq!(apply_all(&plane, "refused", refused).await, none);

    // Without the policy, the namespace of a reference is the controllers' business alone.
    assert_eq!(apply_all(&plane, "refused_by_policy", accepted).await, none);
    plane
        .run_kubectl(&["delete", "machineimagesyncers,clusterclassclusterupgraders", "--all"])
        .await
        .unwrap();
    plane.apply_kustomize(&repository().join("config/components/validating-admission-policy")).await.unwrap();
    await_policy(&plane).await;
    assert_eq!(apply_all(&plane, "refused_by_policy", refused).await, none);
    assert_eq!(apply_all(&plane, "accepted", accepted).await, none);
}

/// A policy is compiled and watched before it holds.
async fn await_policy(plane: &ControlPlane) {
    let files = fixtures("refused_by_policy");
    let objects = e2e::Objects::new(plane.client().await.unwrap());
    objects
        .await_that("the admission policies hold", "default", e2e::WITHIN, async || {
            for file in &files {
                let file = file.to_str().unwrap();
                if plane.run_kubectl(&["apply", "--dry-run=server", "-f", file]).await.is_ok() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
        .unwrap();
}
