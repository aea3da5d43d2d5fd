//! The CRDs, as they are installed: there is no second schema.

use serde_json::Value;

use super::rules::Programs;
use crate::Failure;

macro_rules! crd {
    ($plural:literal) => {
        crd!("crd/bases/kubernetesupgraded.dimitrikoshkin.com_", $plural)
    };
    ($place:literal, $plural:literal) => {
        include_str!(concat!("../../../../config/", $place, $plural, ".yaml"))
    };
}

/// The manifests.
pub(crate) const TEXTS: [&str; 8] = [
    crd!("debianrepositorysources"),
    crd!("machineimagetemplates"),
    crd!("machineimagesyncers"),
    crd!("machineimages"),
    crd!("plans"),
    crd!("clusterclassclusterupgraders"),
    crd!("nodes/crd/bases/operator.kairos.io_", "nodeops"),
    crd!("nodes/crd/bases/operator.kairos.io_", "nodeopupgrades"),
];

/// The schema of one kind.
pub(crate) struct Crd {
    kind: String,
    /// `openAPIV3Schema`.
    pub(super) schema: Value,
    /// The same, compiled as JSON Schema.
    pub(super) compiled: jsonschema::Validator,
    pub(super) programs: Programs,
}

/// The schemas of all kinds.
pub(crate) struct Crds(Vec<Crd>);

impl Crds {
    pub(crate) fn load() -> Result<Self, Failure> {
        let crds: Result<Vec<Crd>, Failure> = TEXTS
            .iter()
            .map(|text| {
                let crd: Value = serde_saphyr::from_str(text)?;
                let kind =
                    crd.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default().to_owned();
                let schema =
                    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default();
                let mut plain = schema.clone();
                super::structure::as_json_schema(&mut plain);
                let options =
                    jsonschema::options().with_draft(jsonschema::Draft::Draft4).should_validate_formats(true);
                let compiled = options.build(&plain).map_err(|error| error.to_string())?;
                Ok(Crd { kind, schema, compiled, programs: Programs::default() })
            })
            .collect();
        crds.map(Self)
    }

    pub(crate) fn of(&self, kind: &str) -> Option<&Crd> {
        self.0.iter().find(|crd| crd.kind == kind)
    }
}
