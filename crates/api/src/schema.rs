//! Pieces of the CRD schemas that are not derived from a Rust type.

use domain::condition::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::interval::Interval;
use crate::reference::ObjectReference;

/// `format` of the schema that stands for a `PodSpec` until `xtask` puts the one of Kubernetes in its place.
pub const POD_SPEC_FORMAT: &str = "pod-spec";

/// Conditions of an object, in the field that every status of ours has.
pub type Conditions = Vec<Condition>;

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

/// A version range: the grammar is checked by the controller, which names what is wrong.
pub fn version_range(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 1024})
}

/// As [`interval`], at least 10 seconds.
pub fn poll_interval(generator: &mut SchemaGenerator) -> Schema {
    interval(generator)
}

/// A reference that must name an object.
pub fn named_reference(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<ObjectReference>()
}
