//! The schema of `jobTemplate.spec`: the kept one of Kubernetes, made structural and never stricter than the original's
//! (Kubernetes 0.28), so that what is stored stays valid.

use serde_json::{Map, Value, json};

use crate::Error;

/// Lists whose keys Kubernetes names, and yet accepts twice. The CRD would refuse them: repeated `KUBERNETES_VERSION`
/// entries, which the original's webhook left in stored objects, are such.
const REPEATED: [&str; 3] = ["env", "hostAliases", "imagePullSecrets"];
/// `required` that Kubernetes gained after the original's schema, only to make a list-map of the list: (list, field).
const NOT_REQUIRED: (&str, &str) = ("hostAliases", "ip");
/// No Job has them; kept as they are, and the API server refuses the Job. Their schema would be a third of the whole.
const RAW: &str = "ephemeralContainers";
/// What controller-gen writes for a quantity.
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// The schema, as it stands in the CRDs.
pub fn schema() -> Result<Value, Error> {
    Ok(structural("", crate::openapi::pod_spec()?))
}

/// The schema of `ResourceRequirements`: that of a container's `resources`.
pub fn resources() -> Result<Value, Error> {
    let mut schema = schema()?;
    let resources = schema.pointer_mut("/properties/containers/items/properties/resources");
    resources.map(Value::take).ok_or_else(|| Error::Content("a container has no resources".to_owned()))
}

/// `name` is the property that the schema belongs to.
fn structural(name: &str, schema: Value) -> Value {
    let Value::Object(mut schema) = schema else { return schema };
    if name == RAW {
        return json!({"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    }
    if let Some(variants) = schema.remove("oneOf") {
        return either(&variants);
    }
    // Enums and defaults are left to the API server that gets the Job: a value newer than this file must pass.
    schema.remove("enum");
    schema.remove("default");
    if REPEATED.contains(&name) {
        schema.remove("x-kubernetes-list-map-keys");
        schema.remove("x-kubernetes-list-type");
    }
    let keys = map_keys(&schema);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let old = std::mem::take(properties);
        properties.extend(old.into_iter().map(|(name, of)| (name.clone(), structural(&name, of))));
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(of) = schema.get_mut(keyword) {
            if name == NOT_REQUIRED.0 {
                no_longer_required(of, NOT_REQUIRED.1);
            }
            let default = defaults(of, &keys);
            *of = structural("", of.take());
            put_defaults(of, default);
        }
    }
    schema.retain(|keyword, value| {
        keyword != "required" || value.as_array().is_none_or(|list| !list.is_empty())
    });
    Value::Object(schema)
}

fn no_longer_required(schema: &mut Value, field: &str) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|other| other != field);
        if required.is_empty() {
            schema.remove("required");
        }
    }
}

fn map_keys(schema: &Map<String, Value>) -> Vec<String> {
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten();
    keys.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A key of a list-map is required, or has a default: `protocol` is the one that has.
fn defaults(item: &Value, keys: &[String]) -> Vec<(String, Value)> {
    let required = |key: &str| {
        item["required"].as_array().is_some_and(|required| required.iter().any(|field| field == key))
    };
    let default = |key: &String| Some((key.clone(), item["properties"].get(key)?.get("default")?.clone()));
    keys.iter().filter(|key| !required(key)).filter_map(default).collect()
}

fn put_defaults(item: &mut Value, defaults: Vec<(String, Value)>) {
    for (key, default) in defaults {
        item["properties"][&key]["default"] = default;
    }
}

/// Of the two types that Kubernetes has as `oneOf`: a port or percentage, and a quantity.
fn either(variants: &Value) -> Value {
    let number =
        variants.as_array().is_some_and(|list| list.iter().any(|variant| variant["type"] == "number"));
    let mut schema = json!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
    });
    if number {
        schema["pattern"] = json!(QUANTITY);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(schema: &'a Value, path: &str) -> &'a Value {
        path.split('.').fold(schema, |schema, name| match name {
            "[]" => &schema["items"],
            "{}" => &schema["additionalProperties"],
            name => &schema["properties"][name],
        })
    }

    #[test]
    fn map_keys_and_the_one_default_are_kept() {
        let schema = schema().unwrap();
        let ports = at(&schema, "containers.[].ports");
        assert_eq!(ports["x-kubernetes-list-map-keys"], json!(["containerPort", "protocol"]));
        assert_eq!(at(ports, "[].protocol"), &json!({"type": "string", "default": "TCP"}));
        assert_eq!(schema.to_string().matches("\"default\"").count(), 2, "of containers and initContainers");
        assert_eq!(at(&schema, "volumes")["x-kubernetes-list-map-keys"], json!(["name"]));
    }

    #[test]
    fn what_kubernetes_accepts_twice_is_accepted_twice() {
        let schema = schema().unwrap();
        for list in ["containers.[].env", "hostAliases", "imagePullSecrets"] {
            assert_eq!(at(&schema, list).get("x-kubernetes-list-type"), None, "{list}");
        }
        assert_eq!(at(&schema, "hostAliases.[]").get("required"), None);
        assert_eq!(schema["required"], json!(["containers"]));
    }

    #[test]
    fn nothing_is_left_that_a_structural_schema_cannot_say() {
        let text = schema().unwrap().to_string();
        for word in ["$ref", "oneOf", "allOf", "description", "\"enum\"", "x-kubernetes-patch"] {
            assert!(!text.contains(word), "{word}");
        }
        let memory = at(&schema().unwrap(), "containers.[].resources.limits.{}").clone();
        assert_eq!(memory["x-kubernetes-int-or-string"], json!(true));
        assert_eq!(memory["pattern"], json!(QUANTITY));
    }
}
