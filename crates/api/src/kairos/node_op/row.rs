//! What is kept of a NodeOp: its spec with the defaults filled in, and its status.

use domain::object::{Meta, WireMeta};

use super::super::pod_settings::{LocalObjectReference, Resources};
use super::super::{
    DEFAULT_BACKOFF_LIMIT, DEFAULT_HOST_MOUNT_PATH, DEFAULT_PREFLIGHT_DEADLINE_SECONDS, FINALIZER,
    UPGRADE_NAME_LABEL,
};
use super::{Spec, Status};
use crate::selector::LabelSelector;
use crate::wire::Written;

/// What is kept of a NodeOp.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the spec")]
pub struct NodeOpRow {
    /// Identity.
    pub meta: Meta,
    /// What is wrong with the spec; where it does not parse, its fields are empty.
    pub malformed: Option<Box<str>>,
    /// Which nodes, or what is wrong with `spec.nodeSelector`. One that is absent selects all.
    pub selector: Result<LabelSelector, Box<str>>,
    /// `spec.command`; empty only where `malformed` says so.
    pub command: Vec<Box<str>>,
    /// `spec.hostMountPath`, or its default.
    pub host_mount_path: Box<str>,
    /// `spec.image`.
    pub image: Option<Box<str>>,
    /// `spec.imagePullSecrets`, without those that have no name.
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// `spec.cordon`.
    pub cordon: bool,
    /// `spec.uncordonOnFailure`.
    pub uncordon_on_failure: bool,
    /// `spec.drainOptions` where the node is drained: both it and `spec.cordon` say so.
    pub drain: Option<Drain>,
    /// `spec.rebootOnSuccess`.
    pub reboot_on_success: bool,
    /// `spec.backoffLimit`, or its default.
    pub backoff_limit: i32,
    /// `spec.concurrency`; `None` is no limit.
    pub concurrency: Option<u32>,
    /// `spec.stopOnFailure`.
    pub stop_on_failure: bool,
    /// `spec.preflight`.
    pub preflight: Option<Preflight>,
    /// `spec.resources`.
    pub resources: Option<Resources>,
    /// `spec.preflightResources`.
    pub preflight_resources: Option<Resources>,
    /// `spec.rebootResources`.
    pub reboot_resources: Option<Resources>,
    /// All finalizers.
    pub finalizers: Vec<Box<str>>,
    /// Uid of the owner that manages it.
    pub owner_uid: Option<Box<str>>,
    /// The label [`UPGRADE_NAME_LABEL`].
    pub upgrade_name: Option<Box<str>>,
    /// What was last written, by whomever.
    pub status: Written<Status>,
}

/// How a node is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Pods without a controller are evicted.
    pub force: bool,
    /// Seconds that each pod has; `None`: its own.
    pub grace_period_seconds: Option<u32>,
    /// Pods of DaemonSets stay.
    pub ignore_daemon_sets: bool,
    /// Pods may lose what they hold in emptyDir volumes. The original never asks, and the CRD fills in false.
    pub delete_empty_dir_data: bool,
    /// Seconds after which the drain has failed; `None` where absent, 0 or negative.
    pub timeout_seconds: Option<u32>,
}

/// `spec.preflight`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Never empty, unless the row says that it is malformed.
    pub command: Vec<Box<str>>,
    /// Absent: the image of the operation.
    pub image: Option<Box<str>>,
    /// Seconds, or the default.
    pub active_deadline_seconds: i32,
}

impl NodeOpRow {
    /// Whether [`FINALIZER`] is there.
    pub fn has_finalizer(&self) -> bool {
        self.finalizers.iter().any(|finalizer| **finalizer == *FINALIZER)
    }

    pub(super) fn new(
        meta: &WireMeta,
        spec: Spec,
        status: Written<Status>,
        malformed: Option<Box<str>>,
    ) -> Self {
        let problem = || problem(&spec).map(Box::from);
        let drain = |options: super::DrainOptions| Drain {
            force: options.force.unwrap_or_default(),
            grace_period_seconds: options.grace_period_seconds.and_then(|seconds| seconds.try_into().ok()),
            ignore_daemon_sets: options.ignore_daemon_sets.unwrap_or(true),
            delete_empty_dir_data: options.delete_empty_dir_data.unwrap_or_default(),
            timeout_seconds: options.timeout_seconds.and_then(positive),
        };
        let cordon = spec.cordon.unwrap_or_default();
        let drained = spec.drain_options.clone().filter(|options| cordon && options.enabled == Some(true));
        let deadline = |seconds: Option<i32>| seconds.unwrap_or(DEFAULT_PREFLIGHT_DEADLINE_SECONDS);
        Self {
            meta: meta.meta(),
            malformed: malformed.or_else(problem),
            finalizers: meta.finalizers.clone(),
            owner_uid: meta.controller().map(|owner| owner.uid.clone()),
            upgrade_name: meta.label(UPGRADE_NAME_LABEL).map(Box::from),
            selector: spec.node_selector.unwrap_or_default().checked("spec.nodeSelector"),
            command: spec.command,
            host_mount_path: spec.host_mount_path.unwrap_or_else(|| DEFAULT_HOST_MOUNT_PATH.into()),
            image: spec.image,
            image_pull_secrets: spec
                .image_pull_secrets
                .into_iter()
                .filter(|secret| !secret.name.is_empty())
                .collect(),
            cordon,
            uncordon_on_failure: spec.uncordon_on_failure.unwrap_or_default(),
            drain: drained.map(drain),
            reboot_on_success: spec.reboot_on_success.unwrap_or_default(),
            backoff_limit: spec.backoff_limit.unwrap_or(DEFAULT_BACKOFF_LIMIT),
            concurrency: spec.concurrency.and_then(positive),
            stop_on_failure: spec.stop_on_failure.unwrap_or_default(),
            preflight: spec.preflight.map(|preflight| Preflight {
                command: preflight.command,
                image: preflight.image,
                active_deadline_seconds: deadline(preflight.active_deadline_seconds),
            }),
            resources: spec.resources,
            preflight_resources: spec.preflight_resources,
            reboot_resources: spec.reboot_resources,
            status,
        }
    }
}

fn positive(number: i32) -> Option<u32> {
    number.try_into().ok().filter(|number| *number > 0)
}

/// What the schema admits and nothing can be done with. Each would fail on every node: a container without a program is
/// refused or runs whatever its image has, and a Job with a negative limit is refused.
fn problem(spec: &Spec) -> Option<&'static str> {
    let nothing = |command: &[Box<str>]| command.first().is_none_or(|program| program.is_empty());
    if nothing(&spec.command) {
        Some("spec.command is empty: it must name a program")
    } else if spec.preflight.as_ref().is_some_and(|preflight| nothing(&preflight.command)) {
        Some("spec.preflight.command is empty: it must name a program")
    } else if spec.backoff_limit.is_some_and(i32::is_negative) {
        Some("spec.backoffLimit is negative")
    } else if spec.concurrency.is_some_and(i32::is_negative) {
        Some("spec.concurrency is negative: 0 means all nodes at a time")
    } else if spec.preflight.as_ref().and_then(|of| of.active_deadline_seconds).is_some_and(|of| of < 1) {
        Some("spec.preflight.activeDeadlineSeconds must be at least 1")
    } else {
        None
    }
}
