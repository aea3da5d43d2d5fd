//! Every generated file is in the tree as it would be generated, and small enough.

use std::path::Path;

/// The folders of CRDs.
const BASES: [&str; 2] = ["config/crd/bases", "config/nodes/crd/bases"];

#[test]
fn the_tree_holds_what_is_generated() {
    let differing = xtask::differing(&xtask::root()).unwrap();
    assert!(differing.is_empty(), "run `cargo run -p xtask generate`: {differing:?} differ");
}

/// `kubectl apply` keeps the whole object in an annotation, and annotations end at 262,144 bytes; our own limit is lower.
#[test]
fn every_crd_is_small_enough_for_client_side_apply() {
    for (path, content) in xtask::generate().unwrap() {
        if BASES.iter().any(|bases| path.starts_with(bases)) {
            let json: serde_json::Value = serde_saphyr::from_str(&content).unwrap();
            println!("{}: {} bytes, {} as JSON", path.display(), content.len(), json.to_string().len());
            assert!(content.len() < 100_000, "{} has {} bytes", path.display(), content.len());
        }
    }
}

/// Only null takes the original's conversion webhook out of a CRD that kubectl did not apply before, and the server refuses it
/// beside the strategy None.
#[test]
fn the_conversion_webhook_of_the_original_is_taken_out() {
    let files = xtask::generate().unwrap();
    let mut crds = files.iter().filter(|(path, _)| path.to_string_lossy().ends_with("_machineimages.yaml"));
    let crd: serde_json::Value = serde_saphyr::from_str(crds.next().unwrap().1).unwrap();
    let conversion = crd["spec"]["conversion"].as_object().unwrap();
    assert_eq!(conversion["strategy"], "None");
    assert!(conversion["webhook"].is_null() && conversion.contains_key("webhook"), "{conversion:?}");
}

#[test]
fn no_crd_is_left_over() {
    let files = xtask::generate().unwrap();
    for bases in BASES {
        for entry in std::fs::read_dir(xtask::root().join(bases)).unwrap() {
            let path = Path::new(bases).join(entry.unwrap().file_name());
            assert!(files.contains_key(&path), "{} is not generated", path.display());
        }
    }
}
