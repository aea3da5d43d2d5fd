//! What happened, line by line, and where it ended.

mod display;
pub(crate) mod tell;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// A controller's name, `cluster-api`, `job`, `repository`, `garbage-collector`, or who the scenario names.
    pub actor: Box<str>,
    /// `Kind namespace/name`, or what else it was done to.
    pub object: Box<str>,
    /// One line.
    pub what: Box<str>,
}

/// Where an upgrader stands at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Namespace and name.
    pub upgrader: Box<str>,
    /// The Cluster that it drives.
    pub cluster: Box<str>,
    /// The version of the Cluster's topology; empty where there is none.
    pub have: Box<str>,
    /// The version of the Plan's result; empty where there is none.
    pub want: Box<str>,
    /// The reason that it waits for or has failed with; nothing where it is done, or where nobody has looked at it.
    pub reason: Option<Box<str>>,
    /// The same in words; that nobody has looked at it is told here alone, as no controller gives a reason for it.
    pub message: Option<Box<str>>,
}

impl Outcome {
    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.reason.is_none() && self.message.is_none()
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What happened.
    pub entries: Vec<Entry>,
    /// How many lines more there would have been.
    pub left_out: u64,
    /// Where every upgrader stands, by namespace and name.
    pub outcomes: Vec<Outcome>,
    /// Requests of the manager, by verb and resource; the fetches of package indexes are among them.
    pub requests: BTreeMap<String, u64>,
    /// Of every request with its time and body: two runs of the same digest made the same requests.
    pub digest: u64,
}
