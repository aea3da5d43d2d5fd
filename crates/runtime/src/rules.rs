//! The RBAC that each controller declares beside its code, and what a request needs of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use http::Method;

/// Verbs on one resource. RBAC is rendered from these, and in tests a request outside them is refused before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// `resource` or `resource/subresource`; `*` only where the kinds of a group are not known.
    pub resource: &'static str,
    /// Verbs as RBAC has them.
    pub verbs: &'static [&'static str],
    /// Names that it is limited to; empty for all.
    pub names: &'static [&'static str],
}

impl Rule {
    /// Verbs on every object of a resource.
    pub const fn new(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Self {
        Self { group, resource, verbs, names: &[] }
    }

    fn allows(&self, wish: &Wish) -> bool {
        // As in RBAC; but a rule of ours that says `*` never means subresources.
        let every = self.resource == "*" && !wish.resource.contains('/');
        self.group == wish.group
            && (every || self.resource == wish.resource)
            && self.verbs.contains(&wish.verb)
    }
}

/// What a request asks for, in the words of RBAC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    /// RBAC verb.
    pub verb: &'static str,
    /// API group, empty for the core group.
    pub group: String,
    /// `resource` or `resource/subresource`.
    pub resource: String,
}

impl Wish {
    /// Reads a request; nothing for discovery and other paths that are no resources.
    pub fn of(method: &Method, path: &str, query: &str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/');
        let group = match parts.next()? {
            "api" => String::new(),
            "apis" => parts.next()?.to_owned(),
            _ => return None,
        };
        let _version = parts.next()?;
        let mut rest: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        if rest.len() > 2 && rest[0] == "namespaces" {
            rest.drain(..2);
        }
        let (plural, name, subresource) = (*rest.first()?, rest.get(1), rest.get(2));
        let watching = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"));
        let verb = match (method.as_str(), name) {
            ("GET" | "HEAD", None) if watching => "watch",
            ("GET" | "HEAD", None) => "list",
            ("GET" | "HEAD", Some(_)) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            _ => return None,
        };
        let resource = subresource.map_or_else(|| plural.to_owned(), |sub| format!("{plural}/{sub}"));
        Some(Self { verb, group, resource })
    }
}

/// Counts which declared rules were used, and refuses what none allows.
#[derive(Clone, Debug)]
pub struct Declared {
    rules: Arc<[Rule]>,
    used: Arc<Mutex<BTreeSet<(Rule, &'static str)>>>,
}

impl Declared {
    /// All rules of a process.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().collect(), used: Arc::default() }
    }

    /// Whether a rule allows it; remembers which did.
    pub fn allows(&self, wish: &Wish) -> bool {
        let mut allowed = false;
        for rule in self.rules.iter().filter(|rule| rule.allows(wish)) {
            allowed = true;
            if let Ok(mut used) = self.used.lock() {
                used.insert((*rule, wish.verb));
            }
        }
        allowed
    }

    /// The rules, verb by verb, that no request has needed so far.
    pub fn unused(&self) -> Vec<String> {
        let Ok(used) = self.used.lock() else { return Vec::new() };
        let each = self.rules.iter().flat_map(|rule| rule.verbs.iter().map(move |verb| (*rule, *verb)));
        each.filter(|entry| !used.contains(entry))
            .map(|(rule, verb)| format!("{verb} {}.{}", rule.resource, rule.group))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(method: &str, path: &str, query: &str) -> Option<(&'static str, String, String)> {
        Wish::of(&Method::from_bytes(method.as_bytes()).unwrap(), path, query)
            .map(|w| (w.verb, w.group, w.resource))
    }

    #[test]
    fn requests_read_as_rbac_does() {
        let is = |verb, group: &str, resource: &str| Some((verb, group.to_owned(), resource.to_owned()));
        assert_eq!(wish("GET", "/apis/batch/v1/jobs", "limit=100"), is("list", "batch", "jobs"));
        assert_eq!(wish("GET", "/apis/batch/v1/jobs", "watch=true&x=1"), is("watch", "batch", "jobs"));
        assert_eq!(wish("POST", "/apis/batch/v1/namespaces/ns/jobs", ""), is("create", "batch", "jobs"));
        assert_eq!(wish("GET", "/api/v1/namespaces/ns/pods", ""), is("list", "", "pods"));
        assert_eq!(wish("GET", "/api/v1/namespaces/ns", ""), is("get", "", "namespaces"));
        assert_eq!(
            wish("PATCH", "/apis/x.io/v1alpha1/namespaces/ns/plans/p/status", ""),
            is("patch", "x.io", "plans/status")
        );
        assert_eq!(wish("GET", "/apis/x.io", ""), None);
        assert_eq!(wish("GET", "/version", ""), None);
    }

    #[test]
    fn what_is_not_declared_is_refused_and_what_is_unused_is_named() {
        let declared = Declared::new([Rule::new("batch", "jobs", &["get", "create"])]);
        let create = Wish::of(&Method::POST, "/apis/batch/v1/namespaces/ns/jobs", "").unwrap();
        let delete = Wish::of(&Method::DELETE, "/apis/batch/v1/namespaces/ns/jobs/j", "").unwrap();
        assert!(declared.allows(&create));
        assert!(!declared.allows(&delete));
        assert_eq!(declared.unused(), ["get jobs.batch"]);
    }

    #[test]
    fn a_star_stands_for_the_kinds_of_its_group_and_no_subresource() {
        let declared = Declared::new([Rule::new("controlplane.x", "*", &["get"])]);
        let of = |method, path| declared.allows(&Wish::of(&method, path, "").unwrap());
        assert!(of(Method::GET, "/apis/controlplane.x/v1/namespaces/ns/things/a"));
        assert!(!of(Method::GET, "/apis/controlplane.x/v1/namespaces/ns/things/a/status"));
        assert!(!of(Method::DELETE, "/apis/controlplane.x/v1/namespaces/ns/things/a"));
        assert!(!of(Method::GET, "/apis/other.x/v1/namespaces/ns/things/a"));
    }
}
