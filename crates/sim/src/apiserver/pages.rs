//! Lists as they are sent, and the pages of them that are still to be asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::{Value, json};

use super::answer::Refused;
use super::objects::Entry;

/// Lists of a resource that are being read page by page. A real server keeps them for minutes.
const KEPT: usize = 64;

/// How the objects of a resource stand in a list.
pub(crate) struct Form<'a> {
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
    /// Its items do not say of what kind they are.
    pub(crate) bare: bool,
}

impl Form<'_> {
    /// Items as JSON, separated by commas.
    pub(crate) fn items<'e>(&self, entries: impl Iterator<Item = &'e Entry>) -> BytesMut {
        let mut items = BytesMut::new();
        for entry in entries {
            if !items.is_empty() {
                items.put_u8(b',');
            }
            if self.bare {
                items.put_slice(bare(&entry.value).to_string().as_bytes());
            } else {
                items.put_slice(&entry.bytes);
            }
        }
        items
    }

    /// Objects that are not stored as items.
    pub(crate) fn of_values(&self, objects: &[Value]) -> String {
        let each = objects.iter().map(|object| if self.bare { bare(object) } else { object.clone() });
        each.map(|object| object.to_string()).collect::<Vec<_>>().join(",")
    }

    /// A list of items.
    pub(crate) fn list(&self, version: u64, next: &str, left: Option<usize>, items: &[u8]) -> Bytes {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        // A list of a CRD's objects always says it.
        if !next.is_empty() || !self.bare {
            metadata["continue"] = json!(next);
        }
        if let Some(left) = left {
            metadata["remainingItemCount"] = json!(left);
        }
        let Self { api_version, kind, .. } = self;
        let head = format!(
            "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":["
        );
        let mut list = BytesMut::with_capacity(head.len() + items.len() + 2);
        list.put_slice(head.as_bytes());
        list.put_slice(items);
        list.put_slice(b"]}");
        list.freeze()
    }
}

fn bare(object: &Value) -> Value {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    fields.remove("apiVersion");
    fields.remove("kind");
    Value::Object(fields)
}

/// What is left of a list after one of its pages.
struct Rest {
    number: u64,
    /// The resourceVersion of the whole list.
    version: u64,
    entries: Vec<Arc<Entry>>,
}

/// The lists of a resource that are being read.
#[derive(Default)]
pub(crate) struct Pages {
    count: u64,
    kept: VecDeque<Rest>,
}

impl Pages {
    /// Keeps what is left, and gives the token by which it is asked for; none where nothing is left.
    pub(crate) fn keep(&mut self, version: u64, entries: &mut Vec<Arc<Entry>>) -> String {
        if entries.is_empty() {
            return String::new();
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.count += 1;
        self.kept.push_back(Rest { number: self.count, version, entries: std::mem::take(entries) });
        format!("page-{}", self.count)
    }

    /// What a token stands for: the resourceVersion of its list, and what is left of it. A page may be asked for again.
    pub(crate) fn take(&self, token: &str, forgotten: u64) -> Result<(u64, Vec<Arc<Entry>>), Refused> {
        let number = token.strip_prefix("page-").and_then(|number| number.parse::<u64>().ok());
        let number = number.filter(|number| *number <= self.count).ok_or_else(Refused::no_such_page)?;
        let rest = self.kept.iter().find(|rest| rest.number == number && rest.version >= forgotten);
        rest.map(|rest| (rest.version, rest.entries.clone())).ok_or_else(Refused::page_expired)
    }
}
