use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{fault, of};

/// The faults of every fixture of a folder.
fn faults(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/fixtures").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let each = files.iter().map(|file| {
        let mut object: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let schema = of(object["kind"].as_str().unwrap()).unwrap();
        schema.shape(&mut object, None);
        let faults = schema.check(&object, None).unwrap();
        let told = if faults.is_empty() { String::new() } else { fault::words(&faults) };
        (file.file_name().unwrap().to_str().unwrap().to_owned(), told)
    });
    each.collect()
}

#[test]
fn what_a_server_accepts_has_no_fault() {
    let wrong: Vec<_> = faults("accepted").into_iter().filter(|(_, told)| !told.is_empty()).collect();
    assert_eq!(wrong, []);
}

/// The words themselves are held to a real server's in `test/e2e/tests/conformance`.
#[test]
fn what_a_server_refuses_has_one() {
    let all = faults("refused");
    let passing: Vec<_> = all.iter().filter(|(_, told)| told.is_empty()).map(|(file, _)| file).collect();
    assert_eq!(passing, Vec::<&String>::new());
    assert!(all.len() > 40);
}

#[test]
fn what_was_wrong_before_may_stay_and_a_rule_about_changes_sees_both() {
    let schema = of("MachineImage").unwrap();
    let image = |version: &str, retries: i64| {
        json!({"metadata": {}, "spec": {"version": version, "build": {"retries": retries},
            "jobTemplate": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}})
    };
    let broken = image("v1.36.1", -1);
    assert_eq!(schema.check(&broken, None).unwrap().len(), 1);
    assert_eq!(schema.check(&broken, Some(&broken)).unwrap(), []);
    assert_eq!(schema.check(&image("v1.36.2", -1), Some(&broken)).unwrap(), []);
    assert_eq!(schema.check(&image("", 1), Some(&image("v1.36.1", 1))).unwrap().len(), 1);
    assert_eq!(schema.check(&image("", 1), Some(&image("", 2))).unwrap(), []);
}

#[test]
fn unknown_fields_are_dropped_and_defaults_filled_in() {
    let mut image = json!({"apiVersion": "x", "kind": "MachineImage", "metadata": {"name": "a"}, "unknown": 1,
        "spec": {"unknown": {}, "version": "v1.36.1", "jobTemplate": {"spec": {"containers": [
            {"name": "a", "ports": [{"containerPort": 1}], "unknown": 1}]}}}});
    of("MachineImage").unwrap().shape(&mut image, None);
    let container = json!({"name": "a", "ports": [{"containerPort": 1, "protocol": "TCP"}]});
    assert_eq!(
        image,
        json!({"apiVersion": "x", "kind": "MachineImage", "metadata": {"name": "a"},
            "spec": {"version": "v1.36.1", "jobTemplate": {"spec": {"containers": [container]}}}})
    );
}
