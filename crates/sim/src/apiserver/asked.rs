//! What a request asks for: its path, its parameters, and what discovery answers.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::answer::Refused;
use super::catalogue::{Catalogue, Id, is_built_in};
use super::selector::Selector;

/// What a path names.
pub(crate) struct Path<'a> {
    pub(crate) id: Id,
    pub(crate) namespace: Box<str>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) subresource: Option<&'a str>,
}

/// The parameters of a request.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) limit: Option<usize>,
    pub(crate) token: String,
    pub(crate) selector: Selector,
    /// Of a watch: what came after it is asked for.
    pub(crate) version: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) bookmarks: bool,
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
}

impl Query {
    /// Reads what goes with a verb; a parameter that is not known is named.
    pub(crate) fn read(verb: &str, query: &str) -> Result<Self, String> {
        let mut read = Self { manager: "manager".to_owned(), ..Self::default() };
        for (name, value) in pairs(query) {
            let unknown = || format!("the parameter {name}={value}");
            match (verb, name.as_str()) {
                ("list", "limit") => {
                    read.limit = Some(value.parse().map_err(|_| unknown())?).filter(|limit| *limit > 0);
                }
                ("list", "continue") => read.token = value,
                ("list" | "watch", "labelSelector") => read.selector.and(Selector::parse(&value)?),
                ("list", "fieldSelector") => read.selector.by_field(&value)?,
                // Whatever is there is as new as that.
                ("list", "resourceVersion") if matches!(value.as_str(), "" | "0") => {}
                ("list", "resourceVersionMatch") if value == "NotOlderThan" => {}
                ("watch", "watch") => {}
                ("watch", "resourceVersion") if value.is_empty() => {}
                ("watch", "resourceVersion") => read.version = Some(value.parse().map_err(|_| unknown())?),
                ("watch", "timeoutSeconds") => {
                    read.timeout = Some(Duration::from_secs(value.parse().map_err(|_| unknown())?));
                }
                ("watch", "allowWatchBookmarks") => read.bookmarks = value == "true",
                ("create" | "patch", "fieldManager") => read.manager = value,
                ("create" | "patch" | "delete", "dryRun") if value == "All" => read.dry_run = true,
                _ => return Err(unknown()),
            }
        }
        Ok(read)
    }
}

/// The answer of discovery.
pub(crate) fn discover(catalogue: &Catalogue, path: &str) -> Result<Value, Refused> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let found = match parts.as_slice() {
        ["apis"] => Some(catalogue.groups()),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["apis", group] => catalogue.group(group),
        ["apis", group, version] => catalogue.resources(group, version),
        ["api", version] => catalogue.resources("", version),
        _ => None,
    };
    found.ok_or_else(|| nothing_at(path))
}

/// The answer where nothing is served.
pub(crate) fn nothing_at(path: &str) -> Refused {
    let mut parts = path.trim_matches('/').split('/');
    let group = match parts.next() {
        Some("apis") => parts.next(),
        _ => Some(""),
    };
    if group.is_some_and(is_built_in) { Refused::not_served() } else { Refused::no_page() }
}

/// What of the catalogue a path names; nothing where it is not served.
pub(crate) fn place<'a>(catalogue: &Catalogue, path: &'a str) -> Option<Path<'a>> {
    let mut parts = path.trim_matches('/').split('/');
    let group = match parts.next()? {
        "api" => "",
        "apis" => parts.next()?,
        _ => return None,
    };
    let version = parts.next()?;
    let mut rest: Vec<&str> = parts.collect();
    let mut namespace = Box::default();
    if rest.len() > 2 && rest[0] == "namespaces" {
        namespace = decoded(rest[1]).into();
        rest.drain(..2);
    }
    let id = catalogue.at(group, version, rest.first()?)?;
    let name = rest.get(1).map(|name| decoded(name).into());
    Some(Path { id, namespace, name, subresource: rest.get(2).copied() })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(&value.replace('+', " ")))
    })
}
