//! Pieces of the CRD schemas that are not derived from a Rust type.

use domain::condition::Condition;
use domain::verdict::Waiting;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::interval::Interval;
use crate::reference::ObjectReference;

/// `format` of the schema that stands for a `PodSpec` until `xtask` puts the one of Kubernetes in its place.
pub const POD_SPEC_FORMAT: &str = "pod-spec";

/// `format` of the schema that stands for `ResourceRequirements`, in the same way.
pub const RESOURCES_FORMAT: &str = "resource-requirements";

/// Keyword of a schema whose value the API server fills in where the field is absent or `null`: `xtask` makes the keyword
/// `default` of it, and drops the defaults that only describe Rust.
pub const DEFAULT: &str = "x-default";

/// Conditions of an object, in the field that every status of ours has.
pub type Conditions = Vec<Condition>;

/// Why the object is not done, in the field that every status of ours has.
pub type Wait = Option<Waiting>;

/// [`Waiting`], for programs: the same reason as in the conditions.
pub fn waiting(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Why the object is not done: the reason of the conditions, in a form that programs follow.",
        "type": "object",
        "nullable": true,
        "required": ["reason", "since"],
        "properties": {
            "reason": {"type": "string", "maxLength": 1024},
            "since": {"type": "string", "format": "date-time"},
            "blockedBy": {
                "description": "The object that must change first.",
                "type": "object",
                "nullable": true,
                "required": ["apiVersion", "kind", "name"],
                "properties": {
                    "apiVersion": {"type": "string", "maxLength": 317},
                    "kind": {"type": "string", "maxLength": 63},
                    "namespace": {"type": "string", "maxLength": 63},
                    "name": {"type": "string", "maxLength": 253},
                },
            },
            "notBefore": {
                "description": "When it goes on by itself.",
                "type": "string", "format": "date-time", "nullable": true,
            },
            "unblock": {
                "description": "What would unblock it.",
                "type": "string", "maxLength": 4096, "nullable": true,
            },
        },
    })
}

/// `[]metav1.Condition` with the limits that Kubernetes' own markers give it (apimachinery `meta/v1/types.go`).
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Conditions of the object: Ready, UpToDate, Reconciling, Stalled.",
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "message": {"type": "string", "maxLength": 32768},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "type": {
                    "type": "string", "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
            },
        },
    })
}

/// An integer number of nanoseconds, or a duration as text. Structural schemas spell "one of two types" this way.
pub fn interval(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 64,
        "pattern": Interval::PATTERN,
        "nullable": true,
    })
}

/// Stands for a `core/v1` `PodSpec`; see [`POD_SPEC_FORMAT`].
pub fn pod_spec(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "format": POD_SPEC_FORMAT})
}

/// Stands for `core/v1` `ResourceRequirements`; see [`RESOURCES_FORMAT`].
pub fn resource_requirements(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "format": RESOURCES_FORMAT})
}

/// As [`interval`], at least 10 seconds.
pub fn poll_interval(generator: &mut SchemaGenerator) -> Schema {
    with_rules(interval(generator), &[AT_LEAST_10S])
}

/// As [`interval`], not negative and at most a year: an age, or a limit of time.
pub fn period(generator: &mut SchemaGenerator) -> Schema {
    with_rules(interval(generator), &[NOT_NEGATIVE])
}

/// A version range: its grammar is checked by the controller, which says what is wrong.
pub fn version_range(_: &mut SchemaGenerator) -> Schema {
    let schema = json_schema!({"type": "string", "minLength": 1, "maxLength": 1024});
    with_rules(schema, &[RANGE])
}

/// A reference that must name an object.
pub fn named_reference(generator: &mut SchemaGenerator) -> Schema {
    with_rules(generator.subschema_for::<ObjectReference>(), &[NAMED])
}

/// An http or https URL.
pub fn url(_: &mut SchemaGenerator) -> Schema {
    let schema = json_schema!({"type": "string", "minLength": 1, "maxLength": 2048});
    with_rules(schema, &[HTTP_URL])
}

/// As [`url`], where it may be absent.
pub fn optional_url(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = url(generator);
    schema.insert("nullable".to_owned(), json!(true));
    schema
}

/// A time (RFC 3339) that may be absent.
pub fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

/// A CEL rule of a schema. Kubernetes ratchets it: an object that breaks it already may be written as long as the part
/// that the rule stands at does not change. A rule that must tell create from update says so with `optional_old_self`,
/// and then ratchets itself.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The expression.
    pub rule: &'static str,
    /// What the user reads.
    pub message: &'static str,
    /// `oldSelf` is an optional: absent on create.
    pub optional_old_self: bool,
}

const AT_LEAST_10S: Rule = Rule {
    rule: "(type(self) == string ? duration(self) : duration(string(self) + 'ns')) >= duration('10s')",
    message: "must be at least 10s",
    optional_old_self: false,
};
const NOT_NEGATIVE: Rule = Rule {
    rule: "(type(self) == string ? duration(self) : duration(string(self) + 'ns')) >= duration('0s')",
    message: "must not be negative",
    optional_old_self: false,
};
const RANGE: Rule = Rule {
    rule: "self.matches('[0-9xX*]')",
    message: "must be a version range such as v1.36.x",
    optional_old_self: false,
};
const NAMED: Rule =
    Rule { rule: "has(self.name) && self.name != ''", message: "name must be set", optional_old_self: false };
const HTTP_URL: Rule = Rule {
    rule: r"self.matches('^https?://[^/\\s]+(/\\S*)?$')",
    message: "must be an http or https URL",
    optional_old_self: false,
};

/// Adds rules to a schema.
pub fn with_rules(mut schema: Schema, rules: &[Rule]) -> Schema {
    let rules: Vec<Value> = rules.iter().map(Rule::render).collect();
    schema.insert("x-kubernetes-validations".to_owned(), Value::Array(rules));
    schema
}

impl Rule {
    /// The entry of `x-kubernetes-validations`.
    pub fn render(&self) -> Value {
        let mut entry = json!({"rule": self.rule, "message": self.message});
        if self.optional_old_self {
            entry["optionalOldSelf"] = json!(true);
        }
        entry
    }
}
