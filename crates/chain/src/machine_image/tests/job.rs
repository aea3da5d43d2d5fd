//! The Job as it is sent.

use domain::name::LIMIT;
use domain::object::Meta;
use proptest::prelude::*;
use serde_json::Map;

use super::super::job::{Order, image_label, manifest, next_name, prepared};
use super::*;

/// The golden file `golden` is the Job of an image.
fn made(golden: &str, name: &str, version: &str, pod_spec: &str) {
    let yaml = format!("kind: MachineImage\nmetadata: {{name: '{name}'}}\nspec: {{version: {version}}}");
    let image = testkit::row::<MachineImageRow>(&objects(&yaml)[0]);
    let spec: Value = serde_saphyr::from_str(pod_spec).unwrap();
    let order = Order { image: &image, name: &next_name(&image, ""), attempt: 1 };
    golden_file(golden, &manifest(order, &TemplateRead { spec, ..TemplateRead::default() }));
}

fn golden_file(golden: &str, body: &Value) {
    let body = serde_json::to_string_pretty(body).unwrap();
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(golden, body);
    });
}

#[test]
fn plain() {
    made(
        "plain",
        "image",
        "v1.27.6",
        "
containers: [{name: build, image: 'builder:v1', resources: {requests: {memory: 1Gi}}}]
serviceAccountName: job-annotator-sa
notYetKnown: {a: [1, null, {b: 0.5}]}
",
    );
}

/// Bug B7: the original appended the variable at every update of the image.
#[test]
fn repeated_version() {
    made(
        "repeated_version",
        "image",
        "v1.27.6",
        "
restartPolicy: OnFailure
containers:
- name: build
  env:
  - {name: KUBERNETES_VERSION, value: v1.27.3}
  - {name: IMAGE, value: 'node:$(KUBERNETES_VERSION)'}
  - {name: KUBERNETES_VERSION, value: v1.27.6}
  - {name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}
  - {name: KUBERNETES_VERSION, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
",
    );
}

#[test]
fn init_containers() {
    made(
        "init_containers",
        "image",
        "v1.27.3+vmware.1",
        "
restartPolicy: ''
initContainers: [{name: config, env: null}, {name: sidecar, restartPolicy: Always}]
containers: [{name: build}, {name: writer, env: [{name: A, value: b}]}]
",
    );
}

#[test]
fn long_name() {
    let name = format!("{}.v1.27.6", "machineimagesyncer-sample".repeat(4));
    made("long_name", &name, "v1.27.6", "containers: [{name: build}]");
}

/// A deadline, the attempt and where the version is from; a template's own `activeDeadlineSeconds` is the pod's, and stays.
#[test]
fn deadline_and_lineage() {
    let yaml = "
kind: MachineImage
metadata: {name: image}
spec: {version: v1.36.2, build: {deadlineSeconds: 5400, retries: 2}}";
    let image = testkit::row::<MachineImageRow>(&objects(yaml)[0]);
    let lineage = [
        ("kubernetesupgraded.dimitrikoshkin.com/source", "DebianRepositorySource/core"),
        ("kubernetesupgraded.dimitrikoshkin.com/package", "kubeadm 1.36.2-1.1"),
        ("kubernetesupgraded.dimitrikoshkin.com/attempt", "99"),
    ];
    let template = TemplateRead {
        spec: json!({"activeDeadlineSeconds": 60, "containers": [{"name": "build"}]}),
        lineage: lineage.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        ..TemplateRead::default()
    };
    golden_file(
        "deadline_and_lineage",
        &manifest(Order { image: &image, name: "image-2", attempt: 2 }, &template),
    );
}

#[test]
fn what_is_no_list_of_variables_is_left_to_the_server() {
    let pod_spec =
        json!({"containers": [{"name": "build", "env": {"A": "b"}}, "build"], "initContainers": 7});
    let mut expected = pod_spec.clone();
    expected["restartPolicy"] = json!("Never");
    assert_eq!(prepared(&pod_spec, "v1.27.6"), expected);
    assert_eq!(prepared(&json!(null), "v1.27.6"), json!(null));
    assert_eq!(prepared(&json!({"restartPolicy": "Always"}), "v1"), json!({"restartPolicy": "Always"}));
}

#[test]
fn a_name_is_the_same_until_its_job_was_seen() {
    let image = testkit::row::<MachineImageRow>(&objects(&image("", "", ""))[0]);
    let name = |previous: &str| next_name(&image, previous);
    assert_eq!(name("uid-job-image-1"), name("uid-job-image-1"));
    let names = [name(""), name("uid-job-image-1"), name("uid-job-image-2")];
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    let namesake = testkit::row::<MachineImageRow>(&objects(&super::image(", uid: other", "", ""))[0]);
    assert_ne!(names[0], next_name(&namesake, ""));
}

proptest! {
    #[test]
    fn names_and_labels_are_legal(name in "[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", uid in ".{0,40}") {
        let meta = Meta { key: ObjectKey::new("ns", &*name), uid: (&*uid).into(), ..Meta::default() };
        prop_assert!(image_label(&meta).len() <= LIMIT);
        let image = testkit::row::<MachineImageRow>(&json!({"metadata": {"name": name, "uid": uid}}));
        prop_assert!(next_name(&image, &uid).len() <= LIMIT);
    }

    /// Whatever the PodSpec: a second time changes nothing, every container has the variable once and first, and without
    /// the variable and the restart policy it is what it was.
    #[test]
    fn injection_is_idempotent_and_touches_nothing_else(pod_spec in pod_spec(), version in "v1\\.[0-9]{1,2}\\.[0-9]") {
        let once = prepared(&pod_spec, &version);
        prop_assert_eq!(&prepared(&once, &version), &once);
        for container in containers(&once) {
            let variables = container["env"].as_array().unwrap();
            prop_assert_eq!(&variables[0], &json!({"name": "KUBERNETES_VERSION", "value": version}));
            prop_assert_eq!(variables.iter().filter(|variable| variable["name"] == "KUBERNETES_VERSION").count(), 1);
        }
        if pod_spec["restartPolicy"].as_str().is_none_or(str::is_empty) {
            prop_assert_eq!(&once["restartPolicy"], "Never");
        }
        prop_assert_eq!(stripped(once), stripped(pod_spec));
    }
}

fn containers(pod_spec: &Value) -> Vec<&Value> {
    let list = |name: &str| pod_spec.get(name).and_then(Value::as_array).into_iter().flatten();
    list("initContainers").chain(list("containers")).collect()
}

/// Without the variable, without an empty `env`, and without a restart policy that was defaulted.
fn stripped(mut pod_spec: Value) -> Value {
    let fields = pod_spec.as_object_mut().unwrap();
    if fields.get("restartPolicy").is_none_or(|policy| policy.is_null() || policy == "" || policy == "Never")
    {
        fields.remove("restartPolicy");
    }
    for name in ["initContainers", "containers"] {
        for container in fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            let container = container.as_object_mut().unwrap();
            if let Some(Value::Array(variables)) = container.get_mut("env") {
                variables.retain(|variable| variable["name"] != "KUBERNETES_VERSION");
            }
            if container.get("env").is_some_and(|env| env.is_null() || *env == json!([])) {
                container.remove("env");
            }
        }
    }
    pod_spec
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-zA-Z $(){}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn variable() -> impl Strategy<Value = Value> {
    (prop_oneof!["[A-Z]{1,3}", Just("KUBERNETES_VERSION".to_owned())], anything())
        .prop_map(|(name, value)| json!({"name": name, "value": value}))
}

fn container() -> impl Strategy<Value = Value> {
    let env = prop::option::of(prop::option::of(prop::collection::vec(variable(), 0..5)));
    (anything(), env).prop_map(|(image, env)| {
        let mut container = json!({"name": "c", "image": image});
        if let Some(env) = env {
            container["env"] = json!(env);
        }
        container
    })
}

fn pod_spec() -> impl Strategy<Value = Value> {
    let policy =
        prop_oneof![Just(json!(null)), Just(json!("")), Just(json!("Never")), Just(json!("OnFailure"))];
    let lists = (prop::collection::vec(container(), 0..3), prop::collection::vec(container(), 1..4));
    (lists, prop::option::of(policy), anything()).prop_map(|((init, main), policy, other)| {
        let mut spec = json!({"containers": main, "other": other});
        if !init.is_empty() {
            spec["initContainers"] = json!(init);
        }
        if let Some(policy) = policy {
            spec["restartPolicy"] = policy;
        }
        spec
    })
}
