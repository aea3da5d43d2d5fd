//! Creates and patches, as an API server makes them: preconditions, schemas, admission, the subresource `status`, and
//! generations.

use std::sync::Arc;

use bytes::Bytes;
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::answer::Refused;
use super::catalogue::{Id, Resource};
use super::metadata;
use super::objects::Entry;
use super::patch;
use super::schema::{self, Fault};
use crate::world::World;

/// A patch as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Patch {
    Merge(Value),
    Json(Vec<Value>),
}

impl World {
    /// Creates an object.
    pub(crate) fn create(
        &mut self,
        actor: &str,
        id: Id,
        namespace: &str,
        body: Value,
    ) -> Result<Bytes, Refused> {
        let (key, object) = self.created(actor, id, namespace, body)?;
        self.store(actor, id, &key, object);
        self.check_owners(id, &key);
        self.bytes(id, &key)
    }

    /// The object that a create would store.
    pub(crate) fn created(
        &mut self,
        actor: &str,
        id: Id,
        namespace: &str,
        mut body: Value,
    ) -> Result<(ObjectKey, Value), Refused> {
        let resource = self.catalogue.get(id).clone();
        let (group, plural) = (&*resource.group, &*resource.plural);
        let namespace = if resource.namespaced { namespace } else { "" };
        let meta = &mut body["metadata"];
        if meta["namespace"].as_str().is_some_and(|other| other != namespace) {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refused::bad_request(why.to_owned()));
        }
        if meta["name"].as_str().is_none_or(str::is_empty) {
            match meta["generateName"].as_str().filter(|base| !base.is_empty()) {
                Some(base) => meta["name"] = json!(format!("{base}{}", self.chance.suffix())),
                None => return Err(Refused::nameless(&resource.kind, group)),
            }
        }
        let key = ObjectKey::new(namespace, meta["name"].as_str().unwrap_or_default());
        let versioned = !meta["resourceVersion"].is_null();
        for field in ["uid", "generation", "creationTimestamp", "deletionTimestamp", "resourceVersion"] {
            set(meta, field, Value::Null);
        }
        body["apiVersion"] = json!(resource.api_version());
        body["kind"] = json!(resource.kind);
        if resource.status
            && !resource.made
            && let Value::Object(fields) = &mut body
        {
            fields.remove("status");
        }
        self.shape(&resource, &mut body, None);
        self.admit(actor, id, &key, None, &mut body)?;
        self.check(&resource, &key, &body, None, false)?;
        if versioned {
            return Err(Refused::version_set());
        }
        if let Some(there) = self.objects.get(id, &key) {
            let mut refused = Refused::already_exists(group, plural, &key.name);
            if !there.value["metadata"]["deletionTimestamp"].is_null() {
                refused.message.insert_str(0, "object is being deleted: ");
            }
            return Err(refused);
        }
        let now = self.stamp();
        let uid = self.chance.uid();
        let meta = &mut body["metadata"];
        if resource.namespaced {
            meta["namespace"] = json!(key.namespace);
        }
        meta["uid"] = json!(uid);
        meta["creationTimestamp"] = json!(now);
        if resource.has_generation() {
            meta["generation"] = json!(1);
        }
        if resource.writes_empty_status() {
            body["status"] = json!({});
        }
        if resource.is_pod() {
            body["status"] = json!({"phase": "Pending"});
        }
        Ok((key, body))
    }

    /// Patches an object, or its status.
    pub(crate) fn patch(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        status: bool,
        how: Patch,
    ) -> Result<Bytes, Refused> {
        let Some((entry, after)) = self.patched(actor, id, key, status, how)? else {
            self.unchanged(actor, id, key);
            return self.bytes(id, key);
        };
        let before = &entry.value;
        let leaving = !before["metadata"]["deletionTimestamp"].is_null() && !has_finalizers(&after);
        if leaving {
            // It goes as it was: nobody is told that its last finalizer was taken away.
            self.drop_object(actor, id, key);
            return Ok(Bytes::from(after.to_string()));
        }
        let owned = before["metadata"]["ownerReferences"] != after["metadata"]["ownerReferences"];
        self.store(actor, id, key, after);
        if owned {
            self.check_owners(id, key);
        }
        self.bytes(id, key)
    }

    /// The object as it is, and as a patch would store it; nothing where it changes nothing.
    pub(crate) fn patched(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        status: bool,
        how: Patch,
    ) -> Result<Option<(Arc<Entry>, Value)>, Refused> {
        let resource = self.catalogue.get(id).clone();
        let (group, plural) = (&*resource.group, &*resource.plural);
        let Some(entry) = self.objects.kept(id, key) else {
            return Err(Refused::not_found(group, plural, &key.name));
        };
        let before = &entry.value;
        let mut after = before.clone();
        match how {
            Patch::Merge(body) => patch::merge(&mut after, body),
            Patch::Json(steps) => {
                patch::json(&mut after, &steps).map_err(|patch::DoesNotApply| Refused::patch_failed())?
            }
        }
        let (old, new) = (&before["metadata"], &mut after["metadata"]);
        match &new["resourceVersion"] {
            Value::Null if resource.is_custom() => {
                return Err(Refused::version_missing(plural, group, &key.name));
            }
            Value::Null => {}
            wanted if *wanted != old["resourceVersion"] => {
                return Err(Refused::modified(group, plural, &key.name));
            }
            _ => {}
        }
        if new["namespace"] != old["namespace"] {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refused::bad_request(why.to_owned()));
        }
        if new["name"] != old["name"] {
            return Err(Refused::other_name(new["name"].as_str().unwrap_or_default(), &key.name));
        }
        for field in ["resourceVersion", "generation", "creationTimestamp"] {
            if new[field] != old[field] {
                set(new, field, old[field].clone());
            }
        }
        // Nobody takes these back; who sets them is refused.
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            if new[field] != old[field] && !old[field].is_null() {
                set(new, field, old[field].clone());
            }
        }
        if new["uid"].is_null() {
            new["uid"] = old["uid"].clone();
        }
        if status {
            leave_all_but_status(&mut after, before);
        } else if resource.status {
            set(&mut after, "status", before["status"].clone());
        }
        self.shape(&resource, &mut after, Some(before));
        if after == *before {
            return Ok(None);
        }
        if !status {
            self.admit(actor, id, key, Some(before), &mut after)?;
            if after == *before {
                return Ok(None);
            }
            if resource.has_generation() && is_other_spec(before, &after) {
                after["metadata"]["generation"] =
                    json!(before["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
            }
        }
        self.check(&resource, key, &after, Some(before), status)?;
        Ok(Some((entry, after)))
    }

    /// Drops what the schema of one of our kinds does not know.
    pub(crate) fn shape(&mut self, resource: &Resource, object: &mut Value, before: Option<&Value>) {
        if resource.is_ours() {
            match schema::of(&resource.kind) {
                Ok(schema) => schema.shape(object, before),
                Err(what) => self.lacks(what),
            }
        }
    }

    /// Refuses what no object may be.
    fn check(
        &mut self,
        resource: &Resource,
        key: &ObjectKey,
        object: &Value,
        before: Option<&Value>,
        status: bool,
    ) -> Result<(), Refused> {
        let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
        if labels.into_iter().any(|(_, label)| !label.is_string()) {
            self.lacks(format!("a label that is no text, of {} {key}", resource.kind));
        }
        let mut faults: Vec<Fault> = if status { Vec::new() } else { metadata::check(object, before) };
        if resource.is_ours() {
            let of_schema = schema::of(&resource.kind).and_then(|schema| match before {
                Some(before) if status => schema.check_status(object, before),
                before => schema.check(object, before),
            });
            match of_schema {
                Ok(of_schema) => faults.extend(of_schema),
                Err(what) => self.lacks(what),
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Refused::faulty(&resource.kind, &resource.group, &key.name, &faults))
        }
    }

    /// What one of the models writes to a status, past every admission.
    pub(crate) fn set_status(&mut self, actor: &str, id: Id, key: &ObjectKey, status: Value) {
        let Some(entry) = self.objects.get(id, key) else { return };
        if entry.value["status"] == status {
            return;
        }
        let mut value = entry.value.clone();
        set(&mut value, "status", status);
        self.store(actor, id, key, value);
    }

    pub(super) fn store(&mut self, actor: &str, id: Id, key: &ObjectKey, value: Value) {
        let before = self.objects.put(id, key, value);
        let before = before.as_ref().map(|entry| &entry.value);
        self.tell_change_to(actor, id, key, before);
        self.changed(id, key, before);
    }

    pub(super) fn bytes(&self, id: Id, key: &ObjectKey) -> Result<Bytes, Refused> {
        self.objects.get(id, key).map(|entry| entry.bytes.clone()).ok_or_else(Refused::not_served)
    }
}

/// Whether somebody holds an object.
pub(super) fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

/// Of everything but the status the subresource leaves what is there.
fn leave_all_but_status(after: &mut Value, before: &Value) {
    let (Value::Object(after), Value::Object(before)) = (after, before) else { return };
    after.retain(|name, _| name == "status" || before.contains_key(name));
    for (name, value) in before.iter().filter(|(name, _)| *name != "status") {
        if after.get(name) != Some(value) {
            after.insert(name.clone(), value.clone());
        }
    }
}

fn is_other_spec(before: &Value, after: &Value) -> bool {
    fn rest(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let fields = object.as_object().into_iter().flatten();
        fields.filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"))
    }
    !rest(before).eq(rest(after))
}

/// Sets a field, or takes it out where there is nothing to set.
pub(crate) fn set(object: &mut Value, field: &str, value: Value) {
    if value.is_null() {
        if let Value::Object(fields) = object {
            fields.remove(field);
        }
    } else {
        object[field] = value;
    }
}
