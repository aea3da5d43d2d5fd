//! `policy/v1` PodDisruptionBudget: which pods, and how many of them may go.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use serde::{Deserialize, Deserializer};

use crate::selector::{LabelSelector, Labels};
use crate::wire::Part;

/// The kind.
pub const KIND: Kind =
    Kind { group: "policy", versions: &["v1"], kind: "PodDisruptionBudget", plural: "poddisruptionbudgets" };
/// `spec.unhealthyPodEvictionPolicy` that lets pods which are not ready go, whatever the budget.
pub const ALWAYS_ALLOW: &str = "AlwaysAllow";

/// A budget as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    spec: SpecWire,
    #[serde(deserialize_with = "null_is_default")]
    status: StatusWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpecWire {
    selector: Part<LabelSelector>,
    min_available: Option<Amount>,
    max_unavailable: Option<Amount>,
    unhealthy_pod_eviction_policy: Option<Box<str>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusWire {
    observed_generation: i64,
    disruptions_allowed: i32,
    current_healthy: i32,
    desired_healthy: i32,
    expected_pods: i32,
}

/// A number of pods, or a part of them: `IntOrString`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Pods.
    Count(i64),
    /// Percent of all.
    Percent(u32),
    /// Text that is neither; the API server admits none.
    Other(Box<str>),
}

impl Amount {
    /// The number of pods, of so many in all; a part of one counts as one, as it does for the disruption controller.
    /// `None` where it cannot be told.
    pub fn of(&self, all: i64) -> Option<i64> {
        match self {
            Self::Count(count) => Some(*count),
            Self::Percent(percent) => {
                let hundredfold = all.checked_mul(i64::from(*percent))?;
                Some(hundredfold.div_euclid(100) + i64::from(hundredfold.rem_euclid(100) > 0))
            }
            Self::Other(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Count(i64),
            Text(Box<str>),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Count(count) => Self::Count(count),
            Either::Text(text) => match text.strip_suffix('%').map(str::parse) {
                Some(Ok(percent)) => Self::Percent(percent),
                _ => Self::Other(text),
            },
        })
    }
}

/// What is kept of a budget.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DisruptionBudgetRow {
    /// Identity.
    pub meta: Meta,
    /// Why the budget could not be read; the fields below are then empty.
    pub malformed: Option<Box<str>>,
    /// Its pods, in its namespace. Absent: none; empty: all.
    pub selector: Option<LabelSelector>,
    /// `spec.minAvailable`.
    pub min_available: Option<Amount>,
    /// `spec.maxUnavailable`.
    pub max_unavailable: Option<Amount>,
    /// Pods that are not ready may always go.
    pub always_allows_unhealthy: bool,
    /// `status.disruptionsAllowed`: how many may go now.
    pub disruptions_allowed: i32,
    /// Pods that are healthy.
    pub current_healthy: i32,
    /// Pods that must stay healthy.
    pub desired_healthy: i32,
    /// Pods in all.
    pub expected_pods: i32,
    /// The status speaks of the spec as it is.
    pub is_observed: bool,
}

impl DisruptionBudgetRow {
    /// Whether it counts a pod of its namespace with these labels.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

impl Row for DisruptionBudgetRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        let selector = match spec.selector.0 {
            Ok(selector) => selector.map(|selector| selector.checked("spec.selector")).transpose(),
            Err(error) => Err(format!("spec.selector: {error}").into()),
        };
        match selector {
            Err(problem) => Self::malformed(meta, &problem),
            Ok(selector) => Self {
                meta: meta.meta(),
                malformed: None,
                selector,
                min_available: spec.min_available,
                max_unavailable: spec.max_unavailable,
                always_allows_unhealthy: spec.unhealthy_pod_eviction_policy.as_deref() == Some(ALWAYS_ALLOW),
                disruptions_allowed: status.disruptions_allowed,
                current_healthy: status.current_healthy,
                desired_healthy: status.desired_healthy,
                expected_pods: status.expected_pods,
                is_observed: status.observed_generation >= meta.generation,
            },
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), malformed: Some(error.into()), ..Self::default() }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::row;
    use serde_json::json;

    fn labels(of: serde_json::Value) -> Labels {
        serde_json::from_value(of).unwrap()
    }

    #[test]
    fn a_budget_that_lets_one_go() {
        let row: DisruptionBudgetRow = row("
metadata: {namespace: ns, name: web, generation: 2}
spec: {maxUnavailable: 25%, selector: {matchLabels: {app: web}}, unhealthyPodEvictionPolicy: AlwaysAllow}
status: {observedGeneration: 2, disruptionsAllowed: 1, currentHealthy: 4, desiredHealthy: 3, expectedPods: 4, disruptedPods: {}}");
        assert_eq!((row.malformed.as_deref(), row.disruptions_allowed), (None, 1));
        assert_eq!((row.current_healthy, row.desired_healthy, row.expected_pods), (4, 3, 4));
        assert_eq!(
            (row.max_unavailable.clone(), row.min_available.clone()),
            (Some(Amount::Percent(25)), None)
        );
        assert!(row.always_allows_unhealthy && row.is_observed);
        assert!(row.selects(&labels(json!({"app": "web"}))) && !row.selects(&labels(json!({}))));
    }

    #[test]
    fn an_empty_selector_is_all_and_none_is_none() {
        let selecting = |spec: &str| {
            row::<DisruptionBudgetRow>(&format!("metadata: {{name: b, generation: 1}}\nspec: {spec}"))
        };
        assert!(selecting("{selector: {}, minAvailable: 1}").selects(&labels(json!({}))));
        assert!(!selecting("{minAvailable: 1}").selects(&labels(json!({}))));
        assert!(!selecting("{selector: null, minAvailable: 1}").is_observed);
    }

    #[test]
    fn one_that_cannot_be_read_says_why_and_selects_nothing() {
        for (selector, told) in [
            ("7", "spec.selector: invalid type: integer `7`"),
            ("{matchExpressions: [{key: a, operator: Has}]}", "spec.selector: \"Has\" on a is none of"),
        ] {
            let row: DisruptionBudgetRow =
                row(&format!("metadata: {{name: b}}\nspec: {{selector: {selector}}}"));
            assert!(row.malformed.as_deref().unwrap().starts_with(told), "{:?}", row.malformed);
            assert!(!row.selects(&labels(json!({"a": "b"}))));
        }
    }

    #[test]
    fn a_part_of_a_pod_is_a_pod() {
        let amount = |of| serde_json::from_value::<Amount>(of).unwrap();
        assert_eq!(amount(json!("50%")).of(3), Some(2));
        assert_eq!(amount(json!("100%")).of(3), Some(3));
        assert_eq!(amount(json!("0%")).of(3), Some(0));
        assert_eq!(amount(json!(5)).of(3), Some(5));
        assert_eq!(amount(json!("50%")).of(i64::MAX), None);
        assert_eq!(amount(json!("half")).of(3), None);
        assert_eq!(amount(json!("-1%")).of(3), None);
    }
}
