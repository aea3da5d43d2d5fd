//! The flags: those of the original, in Go's notations, and ours.

mod controllers;
mod go;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{TypedValueParser as _, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind};
use runtime::health::BindAddress;
use runtime::log::{Encoding, Logging, Verbosity};

pub use controllers::{CONTROLLERS, Selection, SelectionError};

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the flags say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where metrics are served.
    pub metrics_address: BindAddress,
    /// Where probes are served.
    pub probe_address: BindAddress,
    /// Whether to act only while holding the lease.
    pub leader_elect: bool,
    /// The namespace of the lease, unless it is the program's own.
    pub leader_elect_namespace: Option<String>,
    /// The kubeconfig to use.
    pub kubeconfig: Option<PathBuf>,
    /// Which controllers run.
    pub controllers: Selection,
    /// Watch this namespace only.
    pub namespace: Option<String>,
    /// Decide and write conditions, and nothing else.
    pub dry_run: bool,
    /// How to log.
    pub logging: Logging,
    /// Ask for first lists as streams before pages. No flag sets it: streams saved requests and no memory.
    pub streams: bool,
}

impl Options {
    /// Reads the arguments, the program's name first. Help and the version come back as errors that exit with 0.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let command = command();
        let names: Vec<String> =
            command.get_arguments().filter_map(|flag| flag.get_long().map(str::to_owned)).collect();
        let arguments: Vec<OsString> =
            arguments.into_iter().map(|argument| go::two_dashes(argument, &names)).collect();
        let matches = command.try_get_matches_from(arguments)?;
        Self::of(&matches)
    }

    /// Whether the lease is taken. A dry run writes nothing that two could not both write.
    pub fn takes_lease(&self) -> bool {
        self.leader_elect && !self.dry_run
    }

    fn of(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |name: &str| matches.get_one::<String>(name).filter(|text| !text.is_empty()).cloned();
        let yes = |name: &str| matches.get_one::<bool>(name).copied().unwrap_or_default();
        let address =
            |name: &str| matches.get_one::<BindAddress>(name).cloned().unwrap_or(BindAddress::Disabled);
        let controllers = Selection::parse(text("controllers").as_deref().unwrap_or("*"))
            .map_err(|error| command().error(ErrorKind::InvalidValue, error))?;
        let encoding = matches.get_one::<Encoding>("zap-encoder").copied();
        let verbosity = matches.get_one::<Verbosity>("zap-log-level").copied();
        let people = yes("zap-devel");
        Ok(Self {
            metrics_address: address("metrics-bind-address"),
            probe_address: address("health-probe-bind-address"),
            leader_elect: yes("leader-elect"),
            leader_elect_namespace: text("leader-elect-namespace"),
            kubeconfig: matches.get_one::<PathBuf>("kubeconfig").cloned(),
            controllers,
            namespace: text("namespace"),
            dry_run: yes("dry-run"),
            streams: false,
            logging: Logging {
                encoding: encoding.unwrap_or(if people { Encoding::Console } else { Encoding::Json }),
                verbosity: verbosity.unwrap_or(Verbosity::INFO),
                colours: false,
            },
        })
    }
}

/// What `--help` prints, for the reference page.
pub fn help() -> String {
    command().render_help().to_string()
}

/// Flags are built and not derived: half of them have Go's notations, which need parsers of their own.
fn command() -> Command {
    Command::new("manager")
        .version(VERSION)
        .about("Upgrades Cluster API clusters when a new Kubernetes version is published")
        // As Go has it: of a flag that is given twice, the last counts.
        .args_override_self(true)
        .arg(value(
            "metrics-bind-address",
            "ADDRESS",
            "Where metrics are served; 0 for nowhere",
            ":8080",
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
        .arg(switch(
            "dry-run",
            "Decide and write conditions; create nothing, patch no Cluster, take no lease",
            "false",
        ))
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
