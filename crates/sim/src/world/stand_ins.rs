//! What a source needs to be read, and whoever simulates has not at hand: the Secrets and ConfigMaps that it names.
//!
//! A repository of a simulation asks for nothing, so what they hold does not matter; that they are missing would only hide
//! what is of interest. An event that deletes one shows what happens then.

use api::upgrader::debian_repository_source;
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::World;

/// `simulated` in base64.
const HELD: &str = "c2ltdWxhdGVk";

impl World {
    /// Adds each that is named and not there.
    pub(crate) fn stand_in(&mut self, objects: &[Value]) {
        for source in objects.iter().filter(|object| object["kind"] == debian_repository_source::KIND.kind) {
            let spec = &source["spec"];
            let namespace = source["metadata"]["namespace"].as_str().unwrap_or("default");
            if let Some(name) = spec["secretRef"]["name"].as_str() {
                let data = json!({"username": HELD, "password": HELD});
                let secret = json!({"type": "kubernetes.io/basic-auth", "data": data});
                self.put_missing("Secret", namespace, name, secret);
            }
            for (reference, key) in
                [(&spec["certificateAuthority"], "ca.crt"), (&spec["verification"]["publicKey"], "key.asc")]
            {
                let Some(name) = reference["name"].as_str() else { continue };
                let key = reference["key"].as_str().unwrap_or(key);
                let kind = reference["kind"].as_str().unwrap_or("Secret");
                self.put_missing(kind, namespace, name, json!({"data": {key: HELD}}));
            }
        }
    }

    fn put_missing(&mut self, kind: &str, namespace: &str, name: &str, mut body: Value) {
        let Some(id) = self.catalogue.of_kind("", kind) else { return };
        let key = ObjectKey::new(namespace, name);
        if self.objects.get(id, &key).is_some() {
            return;
        }
        body["apiVersion"] = json!("v1");
        body["kind"] = json!(kind);
        body["metadata"] = json!({"name": name, "namespace": namespace, "uid": self.chance.uid(),
            "creationTimestamp": self.stamp()});
        self.objects.put(id, &key, body);
    }
}
