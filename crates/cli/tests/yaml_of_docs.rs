//! Every manifest that a page shows of our kinds is one that `lint` takes.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::path::{Path, PathBuf};

use cli::Surroundings;

const GROUP: &str = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
const NODES: &str = "operator.kairos.io/v1alpha1";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(top().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(top().join("README.md"));
    pages.sort();
    pages
}

/// What `lint` says of a file, unless it finds nothing wrong.
fn complaint(file: &Path) -> Option<String> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = ["kubectl-upgrader", "lint", "-f", file.to_str().unwrap()].map(Into::into);
    let _ = cli::run(arguments, &Surroundings::default(), &mut out, &mut err);
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    let well = out.lines().last().is_some_and(|line| line.contains(": 0 errors, ")) && err.is_empty();
    (!well).then(|| out + &err)
}

/// The YAML blocks of a page, each with the line that it begins in.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start()) {
            (None, "```yaml") => open = Some((number + 2, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, block)), _) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn manifests_on_pages_are_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (mut linted, mut wrong) = (0, Vec::new());
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (line, block) in blocks(&text) {
            if ![GROUP, NODES].iter().any(|group| block.contains(&format!("apiVersion: {group}\nkind: "))) {
                // A part of an object, or one of another kind, in which ours may be mentioned.
                continue;
            }
            let file = folder.path().join("block.yaml");
            std::fs::write(&file, &block).unwrap();
            wrong.extend(complaint(&file).map(|said| format!("{}:{line}: {said}", page.display())));
            linted += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(linted >= 12, "{linted}");
}

/// A page with such a block would stop the first test.
#[test]
fn a_manifest_with_a_mistake_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block.yaml");
    let block =
        format!("apiVersion: {GROUP}\nkind: Plan\nmetadata: {{name: a}}\nspec: {{versionRange: 1x}}\n");
    std::fs::write(&file, block).unwrap();
    assert!(complaint(&file).is_some_and(|said| said.contains("spec.versionRange")));
}
