//! `manager label-node`: what runs in a pod of the labeler. It labels the node that it runs on, if that runs Kairos, once or
//! again and again.
//!
//! Files are read every time, the Node when they have changed and now and then besides, so that a fleet that does not change
//! costs the API server next to nothing.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use api::kairos::labeler::{HOST_ETC, HOST_ETC_ENV, HOST_SYS, HOST_SYS_ENV, NODE_NAME_ENV};
use api::nodes::node::{self, NodeRow};
use clap::{Arg, ArgAction, Command};
use domain::object::{ObjectKey, WireMeta};
use nodes::kairos::node_labeler::labels::{self, Told};
use runtime::answer::Refusal;
use runtime::client::Stack;
use runtime::clock::Clock;
use runtime::log::{Encoding, Logging, Verbosity};
use runtime::metrics::Metrics;
use runtime::request::{Patch, Place, Shell};
use runtime::rules::Rule;
use serde::Deserialize;

use crate::connection;
use crate::options::VERSION;
use crate::process::{ProcessError, chain, stop_signal};

/// The requests of the labeler, for the ClusterRole of its ServiceAccount.
pub const RULES: &[Rule] = &[Rule::new("", "nodes", &["get", "patch"])];

/// The field manager.
const MANAGER: &str = "kairos-node-labeler";
const CMDLINE: &str = "/proc/cmdline";
/// Below /sys: what a boot loader by the Boot Loader Interface of systemd tells.
const EFI_DEVICE: &str = "firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const EFI_ENTRY: &str = "firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// More than this of a file is not read.
const FILE_LIMIT: u64 = 1 << 20;
/// The Node is read at every such look, though no file has changed: somebody may have taken a label away.
const REREAD: u32 = 10;
/// Others write a Node all the time: how often a patch is made anew.
const RACES: u32 = 5;

/// What it is told by its flags and its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The node.
    pub node: String,
    /// Where the node's /etc is.
    pub etc: PathBuf,
    /// Where the node's /sys is.
    pub sys: PathBuf,
    /// How long after a look the next one is; none: there is one look.
    pub every: Option<Duration>,
}

impl Settings {
    /// Reads the arguments after `label-node`, and the environment through `variable`. Help comes back as an error that exits
    /// with 0.
    pub fn read(
        arguments: impl IntoIterator<Item = OsString>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, clap::Error> {
        let mut command = command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Some(node) = set(NODE_NAME_ENV) else {
            let message = format!("the environment variable {NODE_NAME_ENV} must name the node");
            return Err(command.error(clap::error::ErrorKind::MissingRequiredArgument, message));
        };
        let seconds = matches.get_one::<u32>("every").copied().unwrap_or_default();
        Ok(Self {
            node,
            etc: set(HOST_ETC_ENV).unwrap_or_else(|| HOST_ETC.to_owned()).into(),
            sys: set(HOST_SYS_ENV).unwrap_or_else(|| HOST_SYS.to_owned()).into(),
            every: (seconds > 0).then(|| Duration::from_secs(seconds.into())),
        })
    }
}

fn command() -> Command {
    Command::new("manager label-node")
        .no_binary_name(true)
        .about("Labels the node that it runs on, if that runs Kairos")
        .args_override_self(true)
        .arg(
            Arg::new("every")
                .long("every")
                .value_name("SECONDS")
                .help("Look again after so many seconds; 0 to look once")
                .action(ArgAction::Set)
                .default_value("0")
                .value_parser(clap::value_parser!(u32)),
        )
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// A file of the node is there and cannot be read.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] io::Error),
    /// The API server refuses.
    #[error("cannot label the node: {0}")]
    Refused(Refusal),
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The node does not run Kairos, and is left as it is.
    NotKairos,
    /// The node has what it should have, or is opted out.
    AsItShouldBe,
    /// Labels or annotations were written.
    Labelled,
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotKairos => "The node does not run Kairos, and is left as it is",
            Self::AsItShouldBe => "The node is labelled as it should be, or not to be labelled",
            Self::Labelled => "Labelled the node",
        })
    }
}

/// Runs until it is told to stop, or for one look. `arguments` are those after `label-node`; the environment is asked for
/// NODE_NAME, HOST_ETC_PATH and HOST_SYS_PATH. The exit code is 0 when it was told to stop or the one look came to an end, 1
/// in trouble, and 2 where an argument is wrong.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> ExitCode {
    let settings = match Settings::read(arguments, variable) {
        Ok(settings) => settings,
        Err(error) => error.exit(),
    };
    let logging = Logging { encoding: Encoding::Json, verbosity: Verbosity::INFO, colours: false };
    if let Err(error) = logging.start() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    // Fails only where one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ProcessError::from)
        .and_then(|runtime| runtime.block_on(serve(&settings)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = chain(&error), "Cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: &Settings) -> Result<ExitCode, ProcessError> {
    let stop = stop_signal()?;
    let config = connection::configure(None).await?;
    let client = Stack::new(Metrics::new(VERSION)).connect(config)?;
    let shell = Shell::new(client, MANAGER, Clock::system(0));
    tokio::select! {
        biased;
        signal = stop => {
            tracing::info!(signal, "Stopping");
            Ok(ExitCode::SUCCESS)
        }
        code = looks(settings, &shell) => Ok(code),
    }
}

/// Looks once, or for ever; a look that fails is made again with the next.
async fn looks(settings: &Settings, shell: &Shell) -> ExitCode {
    let mut keeper = Keeper::default();
    for number in 0.. {
        let looked = match read(settings) {
            Ok(told) if !keeper.is_due(&told, number) => None,
            Ok(told) => {
                let looked = label(shell, &settings.node, &told).await;
                if looked.is_ok() {
                    keeper.last = Some(told);
                }
                Some(looked)
            }
            Err(error) => Some(Err(error)),
        };
        let failed = match looked {
            None => false,
            Some(Ok(look)) => {
                tracing::info!(node = settings.node, "{look}");
                false
            }
            Some(Err(error)) => {
                tracing::error!(node = settings.node, error = chain(&error), "Looking again later");
                true
            }
        };
        let Some(every) = settings.every else {
            return if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        };
        // Those of a fleet were all started by one DaemonSet.
        let pause = shell.clock().jittered(every, 10, &settings.node, number);
        shell.clock().sleep(pause).await;
    }
    ExitCode::SUCCESS
}

/// Whether the Node is to be read at a look.
#[derive(Debug, Default)]
struct Keeper {
    /// What the files told when the node was last labelled.
    last: Option<Told>,
}

impl Keeper {
    fn is_due(&self, told: &Told, number: u32) -> bool {
        self.last.as_ref() != Some(told) || number.is_multiple_of(REREAD)
    }
}

/// Reads what the node tells of itself.
pub fn read(settings: &Settings) -> Result<Told, LookError> {
    let text = |path: PathBuf| {
        let bytes = bytes(&path).map_err(|error| LookError::File(path, error))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    // These only make a word more exact.
    let hint = |path: PathBuf| bytes(&path).ok().flatten();
    Ok(Told {
        kairos_release: text(settings.etc.join("kairos-release"))?,
        os_release: text(settings.etc.join("os-release"))?,
        cmdline: text(CMDLINE.into()).ok().flatten().unwrap_or_default(),
        efi_device: hint(settings.sys.join(EFI_DEVICE)),
        efi_entry: hint(settings.sys.join(EFI_ENTRY)),
    })
}

/// The bytes of a file; nothing where there is none.
fn bytes(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(FILE_LIMIT).read_to_end(&mut bytes).map(|_| Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A Node as it is read live.
#[derive(Deserialize)]
struct Live {
    metadata: WireMeta,
}

/// Labels a node as its files tell. A write that was overtaken by another of the Node is made anew, a few times.
pub async fn label(shell: &Shell, node: &str, told: &Told) -> Result<Look, LookError> {
    let Some(wanted) = labels::wanted(told) else { return Ok(Look::NotKairos) };
    let (place, key) = (Place::of(node::KIND), ObjectKey::new("", node));
    let mut races = 0;
    loop {
        let live: Live = shell.get(&place, &key).await.map_err(LookError::Refused)?;
        let meta = &live.metadata;
        let Some(body) = labels::patch(&wanted, &meta.meta(), &meta.labels, &meta.annotations) else {
            return Ok(Look::AsItShouldBe);
        };
        match shell.patch::<NodeRow>(&place, &key, None, &Patch::Merge(body)).await {
            Ok(_) => return Ok(Look::Labelled),
            Err(Refusal::Conflict) if races < RACES => races += 1,
            Err(refusal) => return Err(LookError::Refused(refusal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, clap::Error> {
        let variable = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(arguments.iter().map(OsString::from), &variable)
    }

    #[test]
    fn the_environment_is_the_originals() {
        let settings = read_from(
            &["--every", "60"],
            &[("NODE_NAME", "n"), ("HOST_ETC_PATH", "/mnt/etc"), ("HOST_SYS_PATH", "")],
        )
        .unwrap();
        assert_eq!(
            settings,
            Settings {
                node: "n".into(),
                etc: "/mnt/etc".into(),
                sys: "/host/sys".into(),
                every: Some(Duration::from_mins(1)),
            }
        );
        let once = read_from(&[], &[("NODE_NAME", "n")]).unwrap();
        assert_eq!((once.every, once.etc), (None, "/host/etc".into()));
        assert_eq!(read_from(&["--every=0"], &[("NODE_NAME", "n")]).unwrap().every, None);
    }

    #[test]
    fn without_a_node_and_with_a_wrong_flag_it_says_what_is_missing() {
        for environment in [&[][..], &[("NODE_NAME", "")]] {
            let error = read_from(&[], environment).unwrap_err().to_string();
            assert!(error.contains("NODE_NAME must name the node"), "{error}");
        }
        for arguments in [&["--every", "-1"][..], &["--every", "soon"], &["--often"], &["label"]] {
            let error = read_from(arguments, &[("NODE_NAME", "n")]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn the_node_is_read_when_a_file_has_changed_and_now_and_then() {
        let told = |text: &str| Told { kairos_release: Some(text.into()), ..Told::default() };
        let mut keeper = Keeper::default();
        assert!(keeper.is_due(&told("a"), 0) && keeper.is_due(&told("a"), 3), "it was never labelled");
        keeper.last = Some(told("a"));
        let due: Vec<u32> = (1..=20).filter(|number| keeper.is_due(&told("a"), *number)).collect();
        assert_eq!(due, [10, 20]);
        assert!(keeper.is_due(&told("b"), 3));
    }
}
