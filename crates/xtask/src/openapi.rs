//! The schema of `PodSpec` as a kube-apiserver serves it, kept in the repository: references put in, descriptions left
//! out, with the hash of what was kept.
//!
//! It is not derived from Rust types: those lose the keys of list-maps and the default of `protocol`, and require more
//! than Kubernetes does.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::Error;

/// Where it is kept, relative to the root of the repository.
pub const PATH: &str = "crates/xtask/openapi/podspec-v1.36.json";
const KEPT: &str = include_str!("../openapi/podspec-v1.36.json");

const REFERENCES: &str = "#/components/schemas/";
const ROOT: &str = "io.k8s.api.core.v1.PodSpec";
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// What a structural schema can say; descriptions, patch strategies and the like are left out.
const KEYWORDS: [&str; 13] = [
    "type",
    "format",
    "required",
    "properties",
    "items",
    "additionalProperties",
    "enum",
    "default",
    "oneOf",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-int-or-string",
];

/// The kept file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Version of Kubernetes that served it.
    kubernetes: String,
    /// Of `schema` as compact JSON with sorted keys.
    sha256: String,
    schema: Value,
}

/// The file to keep, from the answer to `GET /openapi/v3/api/v1`.
pub fn fetch(document: &str) -> Result<String, Error> {
    let document: Value = serde_json::from_str(document)?;
    let schemas = &document["components"]["schemas"];
    let Some(schemas) = schemas.as_object() else {
        return Err(Error::Content("no components.schemas: not an OpenAPI v3 document".to_owned()));
    };
    let schema = inline(schemas, &json!({"$ref": format!("{REFERENCES}{ROOT}")}))?;
    let kubernetes = document["info"]["version"].as_str().unwrap_or_default().to_owned();
    let kept = Kept { kubernetes, sha256: hash(&schema), schema };
    Ok(serde_json::to_string_pretty(&kept)? + "\n")
}

/// The schema of the kept file.
pub fn pod_spec() -> Result<Value, Error> {
    let kept: Kept = serde_json::from_str(KEPT)?;
    if hash(&kept.schema) == kept.sha256 {
        Ok(kept.schema)
    } else {
        Err(Error::Content(format!("{PATH} was edited: its hash is not that of its schema")))
    }
}

fn hash(schema: &Value) -> String {
    let digest = Sha256::digest(crate::yaml::sorted(schema).to_string());
    digest.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
}

fn inline(schemas: &Map<String, Value>, schema: &Value) -> Result<Value, Error> {
    // A reference stands alone, or as the only entry of allOf beside a description and a default of {}.
    let reference = schema.get("$ref").or_else(|| schema.get("allOf")?.get(0)?.get("$ref"));
    if let Some(name) = reference.and_then(Value::as_str).and_then(|name| name.strip_prefix(REFERENCES)) {
        if name == METADATA {
            // Of a claim template, labels and annotations are all that counts.
            let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
            return Ok(json!({"type": "object", "properties": {"labels": map, "annotations": map}}));
        }
        let target =
            schemas.get(name).ok_or_else(|| Error::Content(format!("{name} is not in the document")))?;
        return inline(schemas, target);
    }
    let Some(object) = schema.as_object() else { return Ok(schema.clone()) };
    let mut kept = Map::new();
    for (keyword, value) in object.iter().filter(|(keyword, _)| KEYWORDS.contains(&keyword.as_str())) {
        let value = match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                let properties = properties.iter().map(|(name, of)| Ok((name.clone(), inline(schemas, of)?)));
                Value::Object(properties.collect::<Result<_, Error>>()?)
            }
            ("items" | "additionalProperties", of) => inline(schemas, of)?,
            _ => value.clone(),
        };
        kept.insert(keyword.clone(), value);
    }
    Ok(Value::Object(kept))
}
