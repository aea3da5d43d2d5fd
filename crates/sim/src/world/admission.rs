//! Who may refuse a write: the webhook of Cluster API, and whatever webhook the scenario puts up for a time.

use api::capi::cluster;
use domain::object::ObjectKey;
use serde_json::Value;

use super::World;
use crate::apiserver::answer::Refused;
use crate::apiserver::catalogue::Id;

impl World {
    /// Asks everyone who may refuse; the body may be changed by them.
    pub(crate) fn admit(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        before: Option<&Value>,
        after: &mut Value,
    ) -> Result<(), Refused> {
        self.asked_for(actor, id, key, before, after);
        let resource = self.catalogue.get(id);
        let is_cluster = *resource.group == *cluster::KIND.group && *resource.kind == *cluster::KIND.kind;
        if is_cluster && self.webhooks {
            default_version(after);
            self.admit_cluster(key, before, after)?;
        }
        self.refused_by_rule(actor, id, key)
    }

    /// Asks the webhooks of the scenario.
    pub(crate) fn refused_by_rule(&mut self, actor: &str, id: Id, key: &ObjectKey) -> Result<(), Refused> {
        let now = self.now();
        self.rules.retain(|rule| rule.until > now);
        if [super::GARBAGE_COLLECTOR, super::nodes::KUBELET].contains(&actor) {
            return Ok(());
        }
        let kind = &self.catalogue.get(id).kind;
        let concerned = self.rules.iter().find(|rule| {
            rule.kind.eq_ignore_ascii_case(kind)
                && rule.namespace.as_ref().is_none_or(|namespace| **namespace == *key.namespace)
                && rule.name.as_ref().is_none_or(|name| **name == *key.name)
        });
        concerned.map_or(Ok(()), |rule| Err(Refused::denied(&rule.webhook, &rule.message)))
    }
}

/// The defaulting webhook: a version begins with `v`.
fn default_version(cluster: &mut Value) {
    if let Some(Value::String(version)) = cluster.pointer_mut("/spec/topology/version")
        && !version.is_empty()
        && !version.starts_with('v')
    {
        version.insert(0, 'v');
    }
}
