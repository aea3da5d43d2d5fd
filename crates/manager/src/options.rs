//! The flags: those of the originals, in Go's notations, and ours.

mod controllers;
mod flags;
mod go;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::error::ErrorKind;
use runtime::health::BindAddress;
use runtime::log::{Encoding, Logging, Verbosity};

use crate::family::Family;

pub use controllers::{Selection, SelectionError};

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the flags say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whose flags they are.
    pub family: Family,
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
    /// How nodes are disturbed; the defaults where the family disturbs none.
    pub disruption: Disruption,
    /// How to log.
    pub logging: Logging,
    /// Ask for first lists as streams before pages. No flag sets it: streams saved requests and no memory.
    pub streams: bool,
}

/// How nodes are disturbed, where their NodeOps do not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disruption {
    /// A control-plane node is started on only while every other one is ready and not at work.
    pub one_control_plane_at_a_time: bool,
    /// How long a drain may take; none: as long as it takes.
    pub drain_timeout: Option<Duration>,
    /// How long a node may take from being asked to reboot until it is back and ready.
    pub reboot_timeout: Duration,
    /// How long the node's own way to reboot has, before the kernel is asked.
    pub orderly_reboot_timeout: Duration,
}

impl Default for Disruption {
    fn default() -> Self {
        Self {
            one_control_plane_at_a_time: false,
            drain_timeout: None,
            reboot_timeout: Duration::from_mins(30),
            orderly_reboot_timeout: crate::reboot::ORDERLY,
        }
    }
}

impl Options {
    /// Reads the arguments: the program's name, the family's subcommand where it has one, flags. Help and the version come
    /// back as errors that exit with 0.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        let named = |family: &Family| {
            family.subcommand().is_some_and(|name| arguments.get(1).is_some_and(|first| first == name))
        };
        let family = Family::ALL.into_iter().find(named).unwrap_or_default();
        if family.subcommand().is_some() {
            arguments.remove(1);
        }
        let command = flags::command(family);
        let names: Vec<String> =
            command.get_arguments().filter_map(|flag| flag.get_long().map(str::to_owned)).collect();
        let arguments: Vec<OsString> =
            arguments.into_iter().map(|argument| go::two_dashes(argument, &names)).collect();
        let matches = command.try_get_matches_from(arguments)?;
        Self::of(family, &matches)
    }

    /// Whether the lease is taken. A dry run writes nothing that two could not both write.
    pub fn takes_lease(&self) -> bool {
        self.leader_elect && !self.dry_run
    }

    fn of(family: Family, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |name: &str| matches.get_one::<String>(name).filter(|text| !text.is_empty()).cloned();
        let yes = |name: &str| matches.get_one::<bool>(name).copied().unwrap_or_default();
        let address =
            |name: &str| matches.get_one::<BindAddress>(name).cloned().unwrap_or(BindAddress::Disabled);
        let controllers = Selection::parse(family, text("controllers").as_deref().unwrap_or("*"))
            .map_err(|error| flags::command(family).error(ErrorKind::InvalidValue, error))?;
        let encoding = matches.get_one::<Encoding>("zap-encoder").copied();
        let verbosity = matches.get_one::<Verbosity>("zap-log-level").copied();
        let people = yes("zap-devel");
        Ok(Self {
            family,
            metrics_address: address("metrics-bind-address"),
            probe_address: address("health-probe-bind-address"),
            leader_elect: yes("leader-elect"),
            leader_elect_namespace: text("leader-elect-namespace"),
            kubeconfig: matches.get_one::<PathBuf>("kubeconfig").cloned(),
            controllers,
            namespace: text("namespace"),
            dry_run: yes("dry-run"),
            streams: false,
            disruption: match family {
                Family::Chain => Disruption::default(),
                Family::Nodes => disruption(matches),
            },
            logging: Logging {
                encoding: encoding.unwrap_or(if people { Encoding::Console } else { Encoding::Json }),
                verbosity: verbosity.unwrap_or(Verbosity::INFO),
                colours: false,
            },
        })
    }
}

/// The flags that only a family has which disturbs nodes.
fn disruption(matches: &ArgMatches) -> Disruption {
    let time = |name: &str| matches.get_one::<Duration>(name).copied().filter(|time| !time.is_zero());
    let defaults = Disruption::default();
    Disruption {
        one_control_plane_at_a_time: matches
            .get_one::<bool>("one-control-plane-node-at-a-time")
            .copied()
            .unwrap_or(defaults.one_control_plane_at_a_time),
        drain_timeout: time("drain-timeout"),
        reboot_timeout: time("reboot-timeout").unwrap_or(defaults.reboot_timeout),
        orderly_reboot_timeout: time("orderly-reboot-timeout").unwrap_or(defaults.orderly_reboot_timeout),
    }
}

/// What `--help` prints, for the reference page.
pub fn help(family: Family) -> String {
    flags::command(family).render_help().to_string()
}
