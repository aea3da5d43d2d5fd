//! What people and other programs do, as the scenario says.

use api::upgrader::{debian_repository_source, machine_image};
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::agenda::Due;
use super::{World, releases};
use crate::apiserver::catalogue::Id;
use crate::apiserver::delete::Deletion;
use crate::apiserver::write::Patch;
use crate::scenario::{Happening, Source, Target};

impl World {
    /// Does it.
    pub(crate) fn happen(&mut self, actor: &str, happening: Happening) {
        match happening {
            Happening::Publish(version) => self.publish(actor, &version),
            Happening::Merge { target, patch } => self.merge(actor, &target, patch),
            Happening::Pause(target) => self.merge(actor, &target, json!({"spec": {"paused": true}})),
            Happening::Unpause(target) => self.merge(actor, &target, json!({"spec": {"paused": null}})),
            Happening::RebuildImage { key, id } => {
                let target = Target {
                    kind: machine_image::KIND.kind.into(),
                    namespace: (&*key.namespace).into(),
                    name: (&*key.name).into(),
                };
                self.merge(actor, &target, json!({"spec": {"id": id}}));
            }
            Happening::Create(object) => self.create_of(actor, object),
            Happening::Delete(target) => {
                let Some((id, key)) = self.resolve(&target) else { return };
                if let Err(refused) = self.delete(actor, id, &key, &Deletion::default()) {
                    self.tell(actor, &target.to_string(), format!("delete refused: {}", refused.message));
                }
            }
            Happening::Refuse(rule) => {
                let what = format!("refuses writes with \"{}\"", rule.message);
                let scope = [rule.namespace.as_deref(), rule.name.as_deref()];
                let scope: Vec<&str> = scope.into_iter().flatten().collect();
                let object = format!(
                    "{} {}",
                    rule.kind,
                    if scope.is_empty() { "*".to_owned() } else { scope.join("/") }
                );
                self.tell(&rule.webhook.clone(), &object, what);
                self.rules.push(rule);
            }
            Happening::Stall(key) => {
                self.tell(actor, &format!("Cluster {key}"), "machines are no longer replaced".to_owned());
                self.stall(&key, true);
            }
            Happening::Resume(key) => {
                self.tell(actor, &format!("Cluster {key}"), "machines are replaced again".to_owned());
                self.stall(&key, false);
            }
            Happening::FailBuilds(count) => {
                self.builds.failing = count;
                let what = match count {
                    0 => "builds succeed again".to_owned(),
                    1 => "the next build to end will fail".to_owned(),
                    _ => format!("the next {count} builds to end will fail"),
                };
                self.tell(actor, super::JOB, what);
            }
            Happening::Outage { source, error } => {
                let Some(part) = self.url_part(&source) else { return };
                let Some(failure) = releases::error_named(&error) else {
                    return self.lacks(format!("an outage named {error}"));
                };
                self.tell(actor, super::REPOSITORY, format!("{source} answers {error}"));
                self.releases.outages.retain(|(other, _)| *other != part);
                self.releases.outages.push((part, failure));
            }
            Happening::Back(source) => {
                let Some(part) = self.url_part(&source) else { return };
                self.releases.outages.retain(|(other, _)| *other != part);
                self.tell(actor, super::REPOSITORY, format!("{source} answers again"));
            }
            Happening::Restart => {
                self.tell(actor, "manager", "is killed and started again".to_owned());
                self.restart = true;
            }
        }
    }

    /// The status is a write of its own, as it is for whoever writes one.
    fn merge(&mut self, actor: &str, target: &Target, mut patch: Value) {
        let Some((id, key)) = self.resolve(target) else { return };
        let status = patch.as_object_mut().and_then(|fields| fields.remove("status"));
        let status = status.map(|status| (true, json!({ "status": status })));
        let rest = patch.as_object().is_none_or(|fields| !fields.is_empty()).then_some((false, patch));
        for (is_status, patch) in rest.into_iter().chain(status) {
            if let Err(refused) = self.patch(actor, id, &key, is_status, Patch::Merge(patch)) {
                self.tell(actor, &target.to_string(), format!("write refused: {}", refused.message));
            }
        }
    }

    fn create_of(&mut self, actor: &str, object: Value) {
        let (group, _, kind) = crate::scenario::kind_of(&object);
        let Some(id) = self.catalogue.of_kind(group, kind) else {
            return self.lacks(format!("an event creates {kind} in {group}, which is not served"));
        };
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let object = crate::scenario::modern(object);
        if let Err(refused) = self.create(actor, id, &namespace, object) {
            let words = format!("create refused: {}", refused.message);
            self.tell(actor, &format!("{} {namespace}/{name}", self.catalogue.get(id).kind.clone()), words);
        }
    }

    fn resolve(&mut self, target: &Target) -> Option<(Id, ObjectKey)> {
        let Some(id) = self.catalogue.named(&target.kind) else {
            self.lacks(format!("an event is about a {}, and nothing of that kind is served", target.kind));
            return None;
        };
        let namespaced = self.catalogue.get(id).namespaced;
        let namespace = if namespaced { target.namespace.clone() } else { Box::default() };
        Some((id, ObjectKey::new(namespace, target.name.clone())))
    }

    /// What the URLs of a source begin with.
    fn url_part(&mut self, source: &Source) -> Option<Box<str>> {
        let (namespace, name) = match source {
            Source::Url(part) => return Some(part.clone()),
            Source::Object(key) => (&key.namespace, &key.name),
        };
        let kind = debian_repository_source::KIND;
        let id = self.catalogue.of_kind(kind.group, kind.kind)?;
        let url = self
            .objects
            .get(id, &ObjectKey::new(namespace.clone(), name.clone()))
            .and_then(|entry| entry.value["spec"]["url"].as_str())
            .and_then(|url| url.split(debian_repository_source::MINOR_PLACEHOLDER).next());
        let url = url.map(Box::from);
        if url.is_none() {
            self.lacks(format!("an event is about {source}, which is not there"));
        }
        url
    }

    /// Puts the objects in that are there from the beginning, as if every controller had seen them.
    pub(crate) fn load(&mut self, objects: &[Value]) {
        use ::api::capi::{GROUP, cluster, cluster_class};
        for object in objects {
            let mut object = crate::scenario::modern(object.clone());
            let (group, _, kind) = crate::scenario::kind_of(&object);
            let builds = (group, kind) == ("batch", "Job");
            let Some(id) = self.catalogue.of_kind(group, kind) else { continue };
            let resource = self.catalogue.get(id).clone();
            object["apiVersion"] = json!(resource.api_version());
            let now = self.stamp();
            let uid = self.chance.uid();
            let meta = &mut object["metadata"];
            let namespace = meta["namespace"].as_str().unwrap_or("default").to_owned();
            let namespace = if resource.namespaced { namespace } else { String::new() };
            let name = meta["name"].as_str().unwrap_or_default().to_owned();
            if resource.namespaced {
                meta["namespace"] = json!(namespace);
            }
            for (field, value) in
                [("uid", json!(uid)), ("creationTimestamp", json!(now)), ("generation", json!(1))]
            {
                if meta[field].is_null() && (field != "generation" || resource.has_generation()) {
                    meta[field] = value;
                }
            }
            if let Value::Object(fields) = meta {
                fields.remove("managedFields");
                fields.remove("resourceVersion");
            }
            if builds {
                let uid = object["metadata"]["uid"].as_str().unwrap_or_default().into();
                let key = ObjectKey::new(namespace.as_str(), name.as_str());
                self.later(super::builds::BEGINS_AFTER, Due::BuildBegins(key, uid));
            }
            self.published_before(&object);
            self.shape(&resource, &mut object, None);
            self.objects.put(id, &ObjectKey::new(namespace, name), object);
        }
        let keys = |world: &Self, kind: &str| -> Vec<ObjectKey> {
            let id = world.catalogue.of_kind(GROUP, kind);
            id.into_iter().flat_map(|id| world.objects.all(id)).map(|(key, _)| key.clone()).collect()
        };
        for key in keys(self, cluster_class::KIND.kind) {
            self.reconcile_class(&key);
        }
        for key in keys(self, cluster::KIND.kind) {
            self.reconcile(&key);
        }
    }

    /// Every version that an object of the beginning has was published before.
    fn published_before(&mut self, object: &Value) {
        let versions = [
            object.pointer("/spec/topology/version"),
            object.pointer("/spec/version").filter(|_| object["kind"] == machine_image::KIND.kind),
        ];
        let listed = object["status"]["versions"].as_array();
        let listed = listed.filter(|_| object["kind"] == debian_repository_source::KIND.kind);
        let all = versions.into_iter().flatten().chain(listed.into_iter().flatten());
        for version in all.filter_map(Value::as_str) {
            if let Ok(version) = domain::version::KubernetesVersion::parse_lenient(version) {
                self.releases.add(&version);
            }
        }
    }
}
