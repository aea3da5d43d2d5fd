//! The CRDs of `operator.kairos.io` are the original's: its fields, types, defaults, minimums and what it requires, with
//! nothing missing and nothing stricter. What is beyond it is optional.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

use std::path::Path;

use serde_json::{Map, Value, json};

/// What the original's CRD of v0.1.3 says, a field per line: path, type, and what else holds of it. `[]` is an entry of a
/// list, `{}` of a map.
const NODE_OP: &str = "
spec                                        object
spec.nodeSelector                           object   map-type=atomic
spec.nodeSelector.matchLabels               object
spec.nodeSelector.matchLabels.{}            string
spec.nodeSelector.matchExpressions          array    list-type=atomic
spec.nodeSelector.matchExpressions.[]       object
spec.nodeSelector.matchExpressions.[].key         string  required
spec.nodeSelector.matchExpressions.[].operator    string  required
spec.nodeSelector.matchExpressions.[].values      array   list-type=atomic
spec.nodeSelector.matchExpressions.[].values.[]   string
spec.command                                array    required
spec.command.[]                             string
spec.hostMountPath                          string   default=\"/host\"
spec.image                                  string
spec.imagePullSecrets                       array
spec.imagePullSecrets.[]                    object   map-type=atomic
spec.imagePullSecrets.[].name               string   default=\"\"
spec.cordon                                 boolean  default=false
spec.uncordonOnFailure                      boolean  default=false
spec.drainOptions                           object
spec.drainOptions.enabled                   boolean  default=false
spec.drainOptions.force                     boolean  default=false
spec.drainOptions.gracePeriodSeconds        integer  format=int32
spec.drainOptions.ignoreDaemonSets          boolean  default=true
spec.drainOptions.deleteEmptyDirData        boolean  default=false
spec.drainOptions.timeoutSeconds            integer  format=int32
spec.rebootOnSuccess                        boolean  default=false
spec.backoffLimit                           integer  format=int32
spec.concurrency                            integer  format=int32 default=0 minimum=0
spec.stopOnFailure                          boolean  default=false
spec.preflight                              object
spec.preflight.command                      array    required
spec.preflight.command.[]                   string
spec.preflight.image                        string
spec.preflight.activeDeadlineSeconds        integer  format=int32 default=120
status                                      object
status.phase                                string
status.lastUpdated                          string   format=date-time
status.nodeStatuses                         object
status.nodeStatuses.{}                      object
status.nodeStatuses.{}.phase                string   required
status.nodeStatuses.{}.jobName              string
status.nodeStatuses.{}.message              string
status.nodeStatuses.{}.rebootStatus         string
status.nodeStatuses.{}.lastUpdated          string   format=date-time
";

const NODE_OP_UPGRADE: &str = "
spec                                        object
spec.nodeSelector                           object   map-type=atomic
spec.nodeSelector.matchLabels               object
spec.nodeSelector.matchLabels.{}            string
spec.nodeSelector.matchExpressions          array    list-type=atomic
spec.nodeSelector.matchExpressions.[]       object
spec.nodeSelector.matchExpressions.[].key         string  required
spec.nodeSelector.matchExpressions.[].operator    string  required
spec.nodeSelector.matchExpressions.[].values      array   list-type=atomic
spec.nodeSelector.matchExpressions.[].values.[]   string
spec.image                                  string   required
spec.imagePullSecrets                       array
spec.imagePullSecrets.[]                    object   map-type=atomic
spec.imagePullSecrets.[].name               string   default=\"\"
spec.concurrency                            integer  format=int32 default=0 minimum=0
spec.stopOnFailure                          boolean
spec.upgradeActive                          boolean
spec.upgradeRecovery                        boolean
spec.force                                  boolean
spec.debug                                  boolean
spec.uncordonOnFailure                      boolean
spec.excludePaths                           array
spec.excludePaths.[]                        string
status                                      object
status.phase                                string
status.nodeOpName                           string
status.message                              string
status.lastUpdated                          string   format=date-time
status.nodeStatuses                         object
status.nodeStatuses.{}                      object
status.nodeStatuses.{}.phase                string   required
status.nodeStatuses.{}.jobName              string
status.nodeStatuses.{}.message              string
status.nodeStatuses.{}.rebootStatus         string
status.nodeStatuses.{}.lastUpdated          string   format=date-time
";

/// What is beyond it. Below these, everything is ours.
const BEYOND: &[&str] = &[
    "spec.resources",
    "spec.preflightResources",
    "spec.rebootResources",
    "status.nodeStatuses.{}.preRebootBootID",
    "status.nodeStatuses.{}.reason",
    "status.nodeRecords",
    "status.finishedAt",
    "status.counts",
    "status.waitingReasons",
    "status.waitingNodes",
    "status.waiting",
    "status.conditions",
    "status.observedGeneration",
];

fn crd(plural: &str) -> Value {
    let files = xtask::generate().unwrap();
    let path = format!("config/nodes/crd/bases/operator.kairos.io_{plural}.yaml");
    serde_saphyr::from_str(&files[Path::new(&path)]).unwrap()
}

fn schema(crd: &Value) -> &Value {
    &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// The schema of each field, by its path, and whether it is required.
fn fields(schema: &Value, at: &str, all: &mut Map<String, Value>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let parts = properties
        .map(|(name, of)| (name.as_str(), of))
        .chain(schema.get("items").map(|of| ("[]", of)))
        .chain(schema.get("additionalProperties").map(|of| ("{}", of)));
    for (name, of) in parts {
        let mut one = of.clone();
        one["isRequired"] = json!(required(name));
        all.insert(below(name), one);
        fields(of, &below(name), all);
    }
}

/// What a line says beside path and type.
fn said<'a>(line: &'a str, what: &str) -> Option<&'a str> {
    line.split_whitespace().skip(2).find_map(|word| word.strip_prefix(what)?.strip_prefix('='))
}

fn is_as_in_the_original(plural: &str, table: &str) {
    let crd = crd(plural);
    let mut all = Map::new();
    fields(schema(&crd), "", &mut all);
    all.retain(|path, _| path.starts_with("spec") || path.starts_with("status"));
    for line in table.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let (path, type_) = (words.next().unwrap(), words.next().unwrap());
        let of = all.remove(path).unwrap_or_else(|| panic!("{plural}: {path} is missing"));
        let text = |keyword: &str| of[keyword].as_str();
        assert_eq!(text("type"), Some(type_), "{path}");
        assert_eq!(text("format"), said(line, "format"), "{path}");
        assert_eq!(of["isRequired"], words.any(|word| word == "required"), "{path}");
        assert_eq!(of.get("default").map(Value::to_string).as_deref(), said(line, "default"), "{path}");
        assert_eq!(of.get("minimum").map(Value::to_string).as_deref(), said(line, "minimum"), "{path}");
        assert_eq!(text("x-kubernetes-list-type"), said(line, "list-type"), "{path}");
        // Of the status only the server's notes of who wrote what depend on it.
        if path.starts_with("spec") {
            assert_eq!(text("x-kubernetes-map-type"), said(line, "map-type"), "{path}");
        }
        for stricter in ["maximum", "maxLength", "minLength", "maxItems", "minItems", "enum", "pattern"] {
            assert_eq!(of.get(stricter), None, "{path}");
        }
        assert_eq!(of.get("x-kubernetes-validations"), None, "{path}");
        // A null that is kept gets no default; one that is dropped does.
        assert!(of.get("default").is_none() || of.get("nullable").is_none(), "{path}");
    }
    for (path, of) in all {
        let root = BEYOND.iter().find(|root| path == **root || path.starts_with(&format!("{root}.")));
        let root = root.unwrap_or_else(|| panic!("{plural}: {path} is not in the original"));
        assert!(of["isRequired"] == false || path != *root, "{path} is required");
    }
}

#[test]
fn a_node_op_is_as_in_the_original() {
    is_as_in_the_original("nodeops", NODE_OP);
}

#[test]
fn a_node_op_upgrade_is_as_in_the_original() {
    is_as_in_the_original("nodeopupgrades", NODE_OP_UPGRADE);
}

#[test]
fn both_are_known_by_the_originals_names() {
    for (kind, plural) in [("NodeOp", "nodeops"), ("NodeOpUpgrade", "nodeopupgrades")] {
        let crd = crd(plural);
        assert_eq!(crd["metadata"], json!({"name": format!("{plural}.operator.kairos.io")}));
        let spec = &crd["spec"];
        assert_eq!((&spec["group"], &spec["scope"]), (&json!("operator.kairos.io"), &json!("Namespaced")));
        let (list, singular) = (format!("{kind}List"), kind.to_lowercase());
        let names = json!({"kind": kind, "listKind": list, "plural": plural, "singular": singular});
        assert_eq!(spec["names"], names);
        let [version] = &spec["versions"].as_array().unwrap()[..] else { panic!("{crd}") };
        assert_eq!(
            (&version["name"], &version["served"], &version["storage"]),
            (&json!("v1alpha1"), &json!(true), &json!(true))
        );
        assert_eq!(version["subresources"], json!({"status": {}}));
        assert_eq!(schema(&crd).get("required"), None, "an object without a spec is admitted");
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        assert_eq!(columns.first().unwrap()["jsonPath"], ".status.phase");
        assert_eq!(columns.last().unwrap()["name"], "Age");
    }
}

/// One writer of the whole map, and not one of each field of each node.
#[test]
fn the_maps_of_nodes_are_atomic() {
    for (plural, map) in
        [("nodeops", "nodeStatuses"), ("nodeops", "nodeRecords"), ("nodeopupgrades", "nodeStatuses")]
    {
        let crd = crd(plural);
        let map = &schema(&crd)["properties"]["status"]["properties"][map];
        assert_eq!(map["x-kubernetes-map-type"], "atomic");
    }
}

/// Every column shows a field that there is.
#[test]
fn columns_show_fields_of_the_schema() {
    for plural in ["nodeops", "nodeopupgrades"] {
        let crd = crd(plural);
        let mut all = Map::new();
        fields(schema(&crd), "", &mut all);
        for column in crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap() {
            let path = column["jsonPath"].as_str().unwrap().trim_start_matches('.');
            let path = path.split_once('[').map_or(path.to_owned(), |(list, _)| list.to_owned());
            assert!(all.contains_key(&path) || path == "metadata.creationTimestamp", "{path}");
        }
    }
}

/// A cluster that upgrades others has no use for them, and one whose nodes are operated on none for the rest.
#[test]
fn each_overlay_installs_its_own_kinds() {
    let files = xtask::generate().unwrap();
    let (chain, nodes) = ("config/crd/kustomization.yaml", "config/nodes/crd/kustomization.yaml");
    assert!(!files[Path::new(chain)].contains("operator.kairos.io"));
    for kind in api::kairos::KINDS {
        let file = format!("bases/operator.kairos.io_{}.yaml", kind.plural);
        assert!(files[Path::new(nodes)].contains(&file), "{file}");
    }
    assert!(!files[Path::new(nodes)].contains(api::upgrader::GROUP));
}
