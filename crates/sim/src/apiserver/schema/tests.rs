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
fn node_operations_that_a_server_accepts_have_no_fault() {
    let all = faults("kairos/accepted");
    let wrong: Vec<_> = all.iter().filter(|(_, told)| !told.is_empty()).collect();
    assert_eq!(wrong, Vec::<&(String, String)>::new());
    assert!(all.len() > 10);
}

#[test]
fn node_operations_that_a_server_refuses_have_the_fault_that_is_expected() {
    for (file, told) in faults("kairos/refused") {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/fixtures/kairos/refused");
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        let expected = text.lines().next().and_then(|line| line.strip_prefix("# expect: ")).unwrap();
        assert!(told.contains(expected), "{file}: {told:?}");
    }
}

/// What kairos-operator v0.1.3 wrote stays valid, and nothing of it is dropped.
#[test]
fn what_the_original_operator_left_is_kept_as_it_is() {
    assert!(kept_as_they_are("../api/fixtures/kairos/upstream-v0.1.3") >= 7);
}

#[test]
fn the_samples_of_node_operations_are_kept_as_they_are() {
    assert_eq!(kept_as_they_are("../../config/samples"), 2);
}

/// How many node operations the files of a folder have; each fits its schema, and nothing of it is dropped.
fn kept_as_they_are(folder: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut checked = 0;
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for object in objects.iter().filter(|object| object["apiVersion"] == "operator.kairos.io/v1alpha1") {
            let schema = of(object["kind"].as_str().unwrap()).unwrap();
            let mut shaped = object.clone();
            schema.shape(&mut shaped, None);
            assert_eq!(schema.check(&shaped, None).unwrap(), []);
            assert_eq!(shaped.get("status"), object.get("status"));
            assert!(holds(&shaped["spec"], &object["spec"]), "{shaped}");
            checked += 1;
        }
    }
    checked
}

/// Whether a value has all that another has, and beside it only more fields.
fn holds(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(name, part)| value.get(name).is_some_and(|value| holds(value, part)))
        }
        _ => value == part,
    }
}

#[test]
fn defaults_of_a_node_operation_are_filled_in_where_it_says_nothing_or_null() {
    for concurrency in ["", ", concurrency: null, cordon: null, hostMountPath: null"] {
        let text = format!(
            "{{kind: NodeOp, spec: {{command: [a], drainOptions: {{}}, preflight: {{command: [b]}}{concurrency}}}}}"
        );
        let mut object: Value = serde_saphyr::from_str(&text).unwrap();
        of("NodeOp").unwrap().shape(&mut object, None);
        let drain =
            json!({"enabled": false, "force": false, "ignoreDaemonSets": true, "deleteEmptyDirData": false});
        let expected = json!({
            "command": ["a"], "hostMountPath": "/host", "cordon": false, "uncordonOnFailure": false, "drainOptions": drain,
            "rebootOnSuccess": false, "concurrency": 0, "stopOnFailure": false,
            "preflight": {"command": ["b"], "activeDeadlineSeconds": 120},
        });
        assert_eq!(object["spec"], expected);
    }
    let mut object = json!({"kind": "NodeOpUpgrade", "spec": {"image": "a"}});
    of("NodeOpUpgrade").unwrap().shape(&mut object, None);
    assert_eq!(object["spec"], json!({"image": "a", "concurrency": 0}));
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
