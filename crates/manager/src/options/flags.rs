//! The flags of each family, in the order in which `--help` lists them.
//!
//! They are built and not derived: half of them have Go's notations, which need parsers of their own.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{TypedValueParser as _, ValueParser};
use clap::{Arg, ArgAction, Command};
use runtime::health::BindAddress;
use runtime::log::{Encoding, Verbosity};

use super::{VERSION, go};
use crate::family::Family;

/// The flags of a family.
pub(super) fn command(family: Family) -> Command {
    match family {
        Family::Chain => chain(),
        Family::Nodes => nodes(),
    }
}

fn chain() -> Command {
    let command = Command::new("manager")
        .about("Upgrades Cluster API clusters when a new Kubernetes version is published");
    let dry_run = "Decide and write conditions; create nothing, patch no Cluster, take no lease";
    logging(shared(command, ":8080", dry_run))
}

fn nodes() -> Command {
    let command = Command::new("manager nodes")
        .bin_name("manager nodes")
        .about("Runs commands and upgrades on nodes, with cordon, drain and reboot around them");
    let dry_run = "Decide and write conditions; create nothing, disturb no node, take no lease";
    logging(originals(disruption(shared(command, "0", dry_run))))
}

/// What every manager has.
fn shared(command: Command, metrics: &'static str, dry_run: &'static str) -> Command {
    command
        .version(VERSION)
        // As Go has it: of a flag that is given twice, the last counts.
        .args_override_self(true)
        .arg(value(
            "metrics-bind-address",
            "ADDRESS",
            "Where metrics are served; 0 for nowhere",
            metrics,
            address(),
        ))
        .arg(value(
            "health-probe-bind-address",
            "ADDRESS",
            "Where /healthz and /readyz are served",
            ":8081",
            address(),
        ))
        .arg(switch(
            "leader-elect",
            "Act only while holding the lease, so that one of several processes acts",
            "false",
        ))
        .arg(plain("leader-elect-namespace", "NAMESPACE", "Namespace of the lease [default: the pod's own]"))
        .arg(
            plain("kubeconfig", "FILE", "Kubeconfig to use [default: as kubectl, else the pod's own]")
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(
            plain(
                "controllers",
                "NAMES",
                "Controllers to run: * for all, a name for one, -name to leave one out",
            )
            .default_value("*"),
        )
        .arg(plain("namespace", "NAMESPACE", "Watch this namespace only [default: all]"))
        .arg(switch("dry-run", dry_run, "false"))
}

/// How nodes are disturbed, where their NodeOps do not say it.
fn disruption(command: Command) -> Command {
    command
        .arg(switch(
            "one-control-plane-node-at-a-time",
            "Start on a control-plane node only while every other one is ready and not at work, whatever spec.concurrency is",
            "false",
        ))
        .arg(value(
            "drain-timeout",
            "DURATION",
            "Time after which a drain has failed whose NodeOp has no timeoutSeconds; 0 for never",
            "0",
            ValueParser::from(go::duration),
        ))
        .arg(value(
            "reboot-timeout",
            "DURATION",
            "Time after which a node that was asked to reboot and is not back and ready has failed",
            "30m",
            ValueParser::from(longer_than_nothing),
        ))
        .arg(value(
            "orderly-reboot-timeout",
            "DURATION",
            "Time that the reboot program of a node has to take it down, before its kernel is asked; whole seconds",
            "5m",
            ValueParser::from(longer_than_nothing),
        ))
}

/// What kairos-operator has and this program does without.
fn originals(command: Command) -> Command {
    const PLAIN: &str = "Accepted and without effect: metrics are plain HTTP";
    const NO_WEBHOOKS: &str = "Accepted and without effect: there are no webhooks";
    const NO_ARTIFACTS: &str = "Accepted and without effect: OSArtifacts are not served";
    command
        .arg(switch("metrics-secure", PLAIN, "true"))
        .arg(plain("metrics-cert-path", "FOLDER", PLAIN))
        .arg(plain("metrics-cert-name", "FILE", PLAIN).default_value("tls.crt"))
        .arg(plain("metrics-cert-key", "FILE", PLAIN).default_value("tls.key"))
        .arg(switch("enable-http2", "Accepted and without effect: metrics are HTTP/1.1", "false"))
        .arg(plain("webhook-cert-path", "FOLDER", NO_WEBHOOKS))
        .arg(plain("webhook-cert-name", "FILE", NO_WEBHOOKS).default_value("tls.crt"))
        .arg(plain("webhook-cert-key", "FILE", NO_WEBHOOKS).default_value("tls.key"))
        .arg(plain("tool-image", "IMAGE", NO_ARTIFACTS))
        .arg(plain("buildah-image", "IMAGE", NO_ARTIFACTS))
}

/// The flags of zap, which both originals log with.
fn logging(command: Command) -> Command {
    command
        .arg(switch(
            "zap-devel",
            "Log for people rather than machines, unless --zap-encoder says which",
            "true",
        ))
        .arg(
            plain("zap-encoder", "ENCODER", "Log as json or console")
                .value_parser(|text: &str| text.parse::<Encoding>()),
        )
        .arg(
            plain("zap-log-level", "LEVEL", "Least level to log: debug, info, error, or a number above 0")
                .value_parser(|text: &str| text.parse::<Verbosity>()),
        )
        .arg(
            plain("zap-stacktrace-level", "LEVEL", "Accepted and without effect: there are no stack traces")
                .value_parser(["info", "error", "panic"]),
        )
        .arg(
            plain("zap-time-encoding", "ENCODING", "Accepted and without effect: times are RFC 3339, in UTC")
                .value_parser(["epoch", "millis", "nano", "iso8601", "rfc3339", "rfc3339nano"]),
        )
}

fn plain(name: &'static str, shown: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(shown).help(help).action(ArgAction::Set)
}

fn value(
    name: &'static str,
    shown: &'static str,
    help: &'static str,
    default: &'static str,
    parser: ValueParser,
) -> Arg {
    plain(name, shown, help).default_value(default).value_parser(parser)
}

/// A switch as Go has it: `--x`, `--x=true`, `--x=false`, but never `--x false`.
fn switch(name: &'static str, help: &'static str, default: &'static str) -> Arg {
    plain(name, "BOOL", help)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value(default)
        .value_parser(clap::builder::StringValueParser::new().try_map(|text| go::boolean(&text)))
}

fn address() -> ValueParser {
    ValueParser::from(|text: &str| text.parse::<BindAddress>())
}

fn longer_than_nothing(text: &str) -> Result<Duration, String> {
    match go::duration(text) {
        Ok(Duration::ZERO) => Err("it must be longer than 0".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}
