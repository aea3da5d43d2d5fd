//! What can be asked, in the words that users of kubectl expect.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;

/// Why a Cluster was not upgraded yet, and what would happen.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-upgrader",
    bin_name = "kubectl upgrader",
    after_help = "Exit codes: 0 done, 1 error (also of the command line), 2 blocked (something failed, or you must act), 3 waiting (it goes on by itself).",
    disable_version_flag = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

impl Arguments {
    /// Reads a command line, its first word being the program.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        // Where an object is named as well, a second word after -f would be taken for a file, and not for the object.
        for verb in ["why", "trace", "preflight"] {
            command = command.mut_subcommand(verb, |verb| verb.mut_arg("files", |files| files.num_args(1)));
        }
        let arguments = Self::from_arg_matches(&command.clone().try_get_matches_from(arguments)?)?;
        match arguments.meaningless() {
            Some(why) => Err(command.error(ErrorKind::ArgumentConflict, why)),
            None => Ok(arguments),
        }
    }

    /// A flag that the verb could only ignore.
    fn meaningless(&self) -> Option<String> {
        let flags = &self.flags;
        let of_server = flags.context.is_some().then_some("--context");
        let of_server = of_server.or(flags.kubeconfig.is_some().then_some("--kubeconfig"));
        let of_place = flags.namespace.is_some().then_some("--namespace");
        let of_place = of_place.or(flags.all_namespaces.then_some("--all-namespaces"));
        let with_files = |files: &[PathBuf]| of_server.filter(|_| !files.is_empty());
        let (flag, why) = match &self.verb {
            Verb::Get(verb) => (with_files(&verb.from.files), "with -f no server is asked"),
            Verb::Why(verb) => (with_files(&verb.from.files), "with -f no server is asked"),
            Verb::Trace(verb) => (with_files(&verb.of.from.files), "with -f no server is asked"),
            Verb::Preflight(verb) => (with_files(&verb.from.files), "with -f no server is asked"),
            Verb::Simulate(verb) if !verb.from_cluster => {
                (of_server, "without --from-cluster no server is asked")
            }
            Verb::Lint(_) => {
                let all = flags.all_namespaces.then_some("--all-namespaces");
                (of_server.or(all), "lint looks at files, and at all of them")
            }
            Verb::Version(verb) if verb.client => {
                (of_server.or(of_place), "with --client no server is asked")
            }
            Verb::Completion(_) => {
                let form = (flags.output != Form::Table).then_some("--output");
                (of_server.or(of_place).or(form), "the script is the same for every cluster")
            }
            Verb::Simulate(_) | Verb::Version(_) | Verb::Complete(_) => return None,
        };
        flag.map(|flag| format!("{flag} has no meaning here: {why}"))
    }
}

/// The flags of every verb.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Flags {
    /// Namespace; the one of the kubeconfig's context where absent
    #[arg(short, long, global = true, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub(crate) namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long, global = true)]
    pub(crate) all_namespaces: bool,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Kubeconfig file; KUBECONFIG or ~/.kube/config where absent
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Form,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Columns for people
    #[default]
    Table,
    /// More columns, and times instead of ages
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Where the objects are, for verbs that only read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct From {
    /// Look at objects in files instead of a server, such as a dump by `kubectl get -o yaml`: files, directories, or -
    #[arg(short, long = "filename", value_name = "FILES", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// The time that ages are counted to (RFC 3339), such as the time of a dump; now where absent
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// All Clusters: what they have, what they want, and why they do not have it
    #[command(after_help = "Examples:
  kubectl upgrader get
  kubectl upgrader get -A -o wide
  kubectl upgrader get -f dump.yaml --at 2026-11-21T12:00:00Z")]
    Get(Get),
    /// Why an object waits: the reason, and the chain of its causes
    #[command(after_help = "Examples:
  kubectl upgrader why cluster/production
  kubectl upgrader why ccup/production -n fleet
  kubectl upgrader why plan stable -o yaml")]
    Why(Of),
    /// What an object came from and what it led to, from the package repository to the Clusters
    #[command(after_help = "Examples:
  kubectl upgrader trace cluster/production
  kubectl upgrader trace machineimage/stable-v1.36.2-x7k2p -n fleet
  kubectl upgrader trace source/kubernetes --grouping=false")]
    Trace(Trace),
    /// Check manifests without a server: schema, rules, version ranges, references
    #[command(after_help = "Examples:
  kubectl upgrader lint -f config/samples
  kubectl upgrader lint -f plan.yaml -f images/ --strict
  kustomize build . | kubectl upgrader lint -f -")]
    Lint(Lint),
    /// Whether a Cluster could be moved to a version now: each condition, and the server's dry run of the write
    #[command(after_help = "Examples:
  kubectl upgrader preflight production
  kubectl upgrader preflight production --to v1.37.0 -n fleet
  kubectl upgrader preflight production --to v1.37.0 -f dump.yaml

Nothing is written: the last condition is a server-side dry run, which needs the verb patch on clusters.")]
    Preflight(Preflight),
    /// What the controllers would do, in order: they run themselves, on a simulated cluster and clock
    #[command(after_help = "Examples:
  kubectl upgrader simulate -f manifests/ --until 30d
  kubectl upgrader simulate --from-cluster -A --release v1.37.0@2026-12-09T12:00Z
  kubectl upgrader simulate --from-cluster -f changed-plan.yaml --build 40m --roll 1h

With --from-cluster objects are only read; an object in a file takes the place of the one in the cluster. A file may hold
a document of kind Simulation that says what else happens: outages, failed builds, refusals.")]
    Simulate(Simulate),
    /// The version of this plugin, and what is installed in the cluster
    #[command(after_help = "Examples:
  kubectl upgrader version
  kubectl upgrader version --client")]
    Version(Version),
    /// A completion script for a shell
    #[command(after_help = "Examples:
  source <(kubectl upgrader completion bash)
  kubectl upgrader completion fish > ~/.config/fish/completions/kubectl-upgrader.fish

These complete the word kubectl-upgrader. For `kubectl upgrader`, put kubectl_complete-upgrader into PATH.")]
    Completion(Completion),
    /// Candidates for the last word, for kubectl_complete-upgrader
    #[command(name = "__complete", hide = true)]
    Complete(Complete),
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) from: From,
    /// Also Clusters with a topology that no upgrader drives
    #[arg(long)]
    pub(crate) all: bool,
}

/// One object.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// The object, as KIND/NAME or KIND NAME; a kind by its name, plural or short name
    #[arg(required = true, num_args = 1..=2, value_name = "KIND/NAME")]
    pub(crate) object: Vec<String>,
    #[command(flatten)]
    pub(crate) from: From,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) of: Of,
    /// Show objects of one kind that are in the same state in one line
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) grouping: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Manifests: files, directories (with all below), or - for standard input
    #[arg(short, long = "filename", value_name = "FILES", num_args = 1.., required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// A reference to an object that is not among the files is an error, not a warning
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Preflight {
    /// Name of the Cluster
    #[arg(value_name = "CLUSTER")]
    pub(crate) cluster: String,
    /// The version to go to; the result of the upgrader's Plan where absent
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) from: From,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// What is there at the start: files, directories (with all below), or - for standard input
    #[arg(short, long = "filename", value_name = "FILES", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Begin with what is in the cluster, in the namespace or with -A in all of them
    #[arg(long)]
    pub(crate) from_cluster: bool,
    /// How long, such as 30d, or until when (RFC 3339); 30d where neither it nor a Simulation says
    #[arg(long, value_name = "DURATION")]
    pub(crate) until: Option<String>,
    /// A version and when it is published, such as v1.37.0@2026-12-09T12:00Z or v1.36.4@2d; may be repeated
    #[arg(long, value_name = "VERSION@TIME")]
    pub(crate) release: Vec<String>,
    /// How long a Job builds; 30m where absent
    #[arg(long, value_name = "DURATION")]
    pub(crate) build: Option<String>,
    /// How long the machines of a Cluster take to be replaced; 20m where absent
    #[arg(long, value_name = "DURATION")]
    pub(crate) roll: Option<String>,
    /// Of names, jitter and chance: one seed gives one timeline
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// When it begins (RFC 3339); now where neither it nor a Simulation says
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Only the version of this plugin
    #[arg(long)]
    pub(crate) client: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Complete {
    /// The words after `kubectl upgrader`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}
