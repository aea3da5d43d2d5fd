//! Schemas of what a status has beyond the original's.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::node_status::{MOST_WAITING_NODES, NodeRecord, NodeStatus};
use crate::schema;

/// The original's map. Atomic, so that the server notes one writer of the whole and not one of each field of each node: with
/// 5,000 nodes that would be half as much again as the map itself, and an object ends at 1.5 MiB.
pub(super) fn node_statuses(generator: &mut SchemaGenerator) -> Schema {
    atomic_map(generator.subschema_for::<NodeStatus>())
}

/// [`super::node_status::NodeRecords`]; atomic for the same reason.
pub(super) fn node_records(generator: &mut SchemaGenerator) -> Schema {
    atomic_map(generator.subschema_for::<NodeRecord>())
}

fn atomic_map(entry: Schema) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": entry,
        "x-kubernetes-map-type": "atomic",
    })
}

/// [`super::node_status::WaitingNode`]: what `status.waiting` has, with the name of the node.
pub(super) fn waiting_nodes(generator: &mut SchemaGenerator) -> Schema {
    let mut entry = schema::waiting(generator);
    entry.remove("nullable");
    entry.insert("description".to_owned(), json!("A node that waits."));
    entry.insert("required".to_owned(), json!(["name", "reason", "since"]));
    if let Some(properties) = entry.get_mut("properties").and_then(|properties| properties.as_object_mut()) {
        properties.insert("name".to_owned(), json!({"type": "string", "maxLength": 253}));
        properties
            .insert("message".to_owned(), json!({"type": "string", "maxLength": 32768, "nullable": true}));
    }
    json_schema!({
        "type": "array",
        "maxItems": MOST_WAITING_NODES,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": entry,
    })
}
