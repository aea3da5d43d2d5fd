//! What the CRDs say of an object: fields that they do not know are dropped, defaults are filled in, and what they do not
//! allow is refused in the words of a real server. The schemas are the installed ones: there are no others.

mod check;
mod fault;
mod read;
mod rules;
mod shape;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

pub(crate) use self::fault::{Fault, Why, words};
use self::rules::Rule;

macro_rules! crd {
    ($folder:literal, $name:literal) => {
        include_str!(concat!("../../../../../config/", $folder, "/bases/", $name, ".yaml"))
    };
}

const CRDS: [&str; 8] = [
    crd!("crd", "kubernetesupgraded.dimitrikoshkin.com_debianrepositorysources"),
    crd!("crd", "kubernetesupgraded.dimitrikoshkin.com_machineimagetemplates"),
    crd!("crd", "kubernetesupgraded.dimitrikoshkin.com_machineimagesyncers"),
    crd!("crd", "kubernetesupgraded.dimitrikoshkin.com_machineimages"),
    crd!("crd", "kubernetesupgraded.dimitrikoshkin.com_plans"),
    crd!("crd", "kubernetesupgraded.dimitrikoshkin.com_clusterclassclusterupgraders"),
    crd!("nodes/crd", "operator.kairos.io_nodeops"),
    crd!("nodes/crd", "operator.kairos.io_nodeopupgrades"),
];

static SCHEMAS: LazyLock<Result<BTreeMap<String, Schema>, String>> =
    LazyLock::new(|| CRDS.iter().map(|text| read::crd(text)).collect());

/// The schema of one of our kinds; why it cannot be read, where it cannot.
pub(crate) fn of(kind: &str) -> Result<&'static Schema, String> {
    let schemas = SCHEMAS.as_ref().map_err(Clone::clone)?;
    schemas.get(kind).ok_or_else(|| format!("the schema of {kind}"))
}

/// A structural schema, as far as our CRDs have one.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a keyword of the schema")]
pub(crate) struct Schema {
    type_: Type,
    nullable: bool,
    /// Unknown fields are kept.
    preserve: bool,
    /// The root: metadata is the server's.
    root: bool,
    date_time: bool,
    int32: bool,
    properties: BTreeMap<String, Schema>,
    additional: Option<Box<Schema>>,
    items: Option<Box<Schema>>,
    /// The fields that make an entry of a list unique, where the list is a map.
    keys: Vec<String>,
    /// No entry of a list is there twice.
    set: bool,
    required: Vec<String>,
    values: Vec<Value>,
    pattern: Option<Regex>,
    lengths: (Option<u64>, Option<u64>),
    limits: (Option<i64>, Option<i64>),
    most_items: Option<u64>,
    default: Option<Value>,
    rules: Vec<Rule>,
    within: Within,
}

/// What a schema has, at itself or at whatever place below, so that nobody looks for it where it is not.
#[derive(Clone, Copy, Debug, Default)]
struct Within {
    rules: bool,
    /// Rules that look at what was there before.
    rules_of_change: bool,
    /// Lists whose entries are unique.
    unique: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Type {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }
}

impl Schema {
    /// The schema of a field, if there may be one of that name.
    fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// Whether it has rules, at whatever place.
    pub(crate) fn has_rules(&self) -> bool {
        self.within.rules
    }

    fn find_within(&self) -> Within {
        let of_itself = Within {
            rules: !self.rules.is_empty(),
            rules_of_change: self.rules.iter().any(Rule::is_of_change),
            unique: self.set || !self.keys.is_empty(),
        };
        let inner = self.properties.values().chain(self.additional.as_deref()).chain(self.items.as_deref());
        inner.fold(of_itself, |found, inner| Within {
            rules: found.rules || inner.within.rules,
            rules_of_change: found.rules_of_change || inner.within.rules_of_change,
            unique: found.unique || inner.within.unique,
        })
    }

    /// Drops what is not known, and fills in what is absent. What stands in `before` has been through this.
    pub(crate) fn shape(&self, object: &mut Value, before: Option<&Value>) {
        shape::shape(self, object, before);
    }

    /// What is wrong with an object. What was wrong `before` and has not changed is let pass.
    pub(crate) fn check(&self, object: &Value, before: Option<&Value>) -> Result<Vec<Fault>, String> {
        let mut faults = Vec::new();
        check::check(self, object, before, "", &mut faults);
        self.rest(object, before, faults)
    }

    /// The same of a status, as the subresource looks at it: paths in words then begin at the status.
    pub(crate) fn check_status(&self, object: &Value, before: &Value) -> Result<Vec<Fault>, String> {
        let mut faults = Vec::new();
        if let (Some(schema), Some(status)) = (self.properties.get("status"), object.get("status")) {
            check::check(schema, status, before.get("status"), "", &mut faults);
            for fault in &mut faults {
                let dot = if fault.field.is_empty() || fault.field.starts_with('[') { "" } else { "." };
                fault.field = format!("status{dot}{}", fault.field);
            }
        }
        self.rest(object, Some(before), faults)
    }

    fn rest(
        &self,
        object: &Value,
        before: Option<&Value>,
        mut faults: Vec<Fault>,
    ) -> Result<Vec<Fault>, String> {
        let mut twice = Vec::new();
        check::unique(self, object, "", &mut twice);
        if !twice.is_empty() {
            let mut had = Vec::new();
            if let Some(before) = before {
                check::unique(self, before, "", &mut had);
            }
            if had.is_empty() {
                faults.append(&mut twice);
            }
        }
        if faults.iter().any(|fault| fault.why.blocks_rules()) {
            faults.extend(Some(Fault::rules_not_checked()).filter(|_| self.has_rules()));
        } else {
            rules::check(self, object, before, "", &mut faults)?;
        }
        Ok(faults)
    }
}
