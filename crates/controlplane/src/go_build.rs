//! Builds what is missing, and finds what is there.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::binaries::{Binary, Module};
use crate::cache::{self, BuildLock};
use crate::error::{Error, Result};
use crate::guard::{guarded, spawn_error};
use crate::process::tail;
use crate::progress::{Stopwatch, Took, say};
use crate::rendered::Rendered;

const STILL_BUILDING_EVERY: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// The paths of built binaries and rendered manifests. Get one with [`Binaries::ensure`] or [`Binaries::locate`].
#[derive(Clone, Debug)]
pub struct Binaries {
    paths: BTreeMap<Binary, PathBuf>,
    folders: BTreeMap<Module, PathBuf>,
}

impl Binaries {
    /// Where these binaries are, or will be once built. `etcd`, `kube-apiserver` and `kubectl` come from the folder
    /// `$KUBEBUILDER_ASSETS` if it has them; all others need Go, whose version is part of their place.
    pub fn locate(wanted: &[Binary]) -> Result<Self> {
        let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let mut found = Self { paths: BTreeMap::new(), folders: BTreeMap::new() };
        let mut toolchain = None;
        for binary in wanted.iter().copied() {
            let given = [Binary::Etcd, Binary::KubeApiserver, Binary::Kubectl].contains(&binary);
            if let Some(path) = assets.as_ref().filter(|_| given).map(|folder| folder.join(binary.name()))
                && path.is_file()
            {
                found.paths.insert(binary, path);
                continue;
            }
            let toolchain = match &toolchain {
                Some(known) => known,
                None => toolchain.insert(go_toolchain()?),
            };
            let module = binary.module();
            let folder = cache::directory()?.join("control-plane").join(module.cache_folder(toolchain));
            found.paths.insert(binary, folder.join(binary.name()));
            found.folders.insert(module, folder);
        }
        Ok(found)
    }

    /// Like [`Binaries::locate`], and builds those that are missing, with progress lines on standard error. Blocks: minutes
    /// when cold. Builders of several processes wait for one another; a killed build leaves no half binary.
    pub fn ensure(wanted: &[Binary]) -> Result<Self> {
        let mut wanted = wanted.to_vec();
        if !wanted.contains(&Binary::Kubectl) {
            wanted.push(Binary::Kubectl);
        }
        let located = Self::locate(&wanted)?;
        if !located.is_complete() {
            let _lock = BuildLock::acquire(&cache::directory()?)?;
            located.build_missing()?;
        }
        Ok(located)
    }

    /// The path of a binary, which is there if this came from [`Binaries::ensure`]. None if it was not asked for.
    pub fn path(&self, binary: Binary) -> Option<&Path> {
        self.paths.get(&binary).map(PathBuf::as_path)
    }

    /// Adds what another search has found.
    pub(crate) fn add(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.folders.extend(other.folders);
    }

    /// The path of a binary that a caller of ours must have asked for.
    pub(crate) fn require(&self, binary: Binary) -> Result<&Path> {
        self.path(binary).ok_or(Error::MissingProgram {
            program: binary.name().to_owned(),
            purpose: "this control plane runs",
            remedy: "ask for it before start()",
        })
    }

    /// The path of a file that was rendered from a module's kustomizations.
    pub(crate) fn rendered(&self, rendered: Rendered) -> Result<PathBuf> {
        let folder = self.folders.get(&rendered.module()).ok_or(Error::MissingProgram {
            program: rendered.file_name().to_owned(),
            purpose: "this control plane applies",
            remedy: "ask for its module's binaries before start()",
        })?;
        Ok(folder.join(rendered.file_name()))
    }

    fn missing_rendered(&self) -> impl Iterator<Item = (Rendered, PathBuf)> {
        Rendered::ALL.into_iter().filter_map(|rendered| {
            let path = self.folders.get(&rendered.module())?.join(rendered.file_name());
            (!path.is_file()).then_some((rendered, path))
        })
    }

    fn is_complete(&self) -> bool {
        self.paths.values().all(|path| path.is_file()) && self.missing_rendered().next().is_none()
    }

    fn build_missing(&self) -> Result<()> {
        let scratch = scratch()?;
        let _removed_at_the_end = Scratch::create(&scratch)?;
        for (module, folder) in &self.folders {
            fs::create_dir_all(folder).map_err(Error::file(folder))?;
            cache::remove_partials(folder);
            cache::write_whole(&folder.join("go.mod"), module.go_mod())?;
            cache::write_whole(&folder.join("go.sum"), module.go_sum())?;
        }
        // Asked again, now that the lock is held: the one before us may have built them.
        let missing: Vec<(&Binary, &PathBuf)> =
            self.paths.iter().filter(|(_, path)| !path.is_file()).collect();
        for (place, (binary, path)) in missing.iter().enumerate() {
            build(**binary, path, (place + 1, missing.len()))?;
        }
        let kubectl = self.require(Binary::Kubectl)?;
        for (rendered, path) in self.missing_rendered() {
            say(format_args!("rendering {}", rendered.file_name()));
            let source = module_folder(rendered.go_module(), path.parent().unwrap_or(Path::new(".")))?;
            cache::write_whole(&path, &rendered.render(kubectl, &source)?)?;
        }
        Ok(())
    }
}

/// What of the toolchain decides over the bytes of a binary.
fn go_toolchain() -> Result<String> {
    let mut command = Command::new("go");
    command.args(["env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT"]);
    let output = command.output().map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::MissingProgram {
            program: "go".to_owned(),
            purpose: "builds the control plane from published modules",
            remedy: "install Go 1.26 or later",
        },
        _ => Error::File { path: "go".into(), source },
    })?;
    if !output.status.success() {
        return Err(failed("go env", &output.status.to_string(), &String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where Go compiles: a killed compiler leaves hundreds of megabytes, which the next holder of the lock then finds.
fn scratch() -> Result<PathBuf> {
    Ok(cache::directory()?.join("go-tmp"))
}

struct Scratch<'a>(&'a Path);

impl<'a> Scratch<'a> {
    fn create(path: &'a Path) -> Result<Self> {
        // It is there only if a builder was killed.
        let _ = fs::remove_dir_all(path);
        fs::create_dir_all(path).map_err(Error::file(path))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // The next builder tries again.
        let _ = fs::remove_dir_all(self.0);
    }
}

fn go_command(folder: &Path) -> Result<Command> {
    let mut command = guarded("go");
    // Whatever a developer has set for own work must not reach these builds: their place in the cache does not know of it.
    command
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "")
        .env("GOWORK", "off")
        .env("GOTMPDIR", scratch()?)
        .stdin(Stdio::null());
    Ok(command)
}

fn build(binary: Binary, path: &Path, (place, count): (usize, usize)) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let label = format!("[{place}/{count}] {} {}", binary.name(), binary.version());
    say(format_args!("{label}: building from {}", binary.import_path()));
    let partial = cache::partial(path);
    let log = folder.join(format!("{}.build.log", binary.name()));
    let out = File::create(&log).map_err(Error::file(&log))?;
    let watch = Stopwatch::start();
    let mut child = go_command(folder)?
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &binary.module().ldflags(), "-o"])
        .arg(&partial)
        .arg(binary.import_path())
        .stdout(out.try_clone().map_err(Error::file(&log))?)
        .stderr(out)
        .spawn()
        .map_err(spawn_error)?;
    let mut next = STILL_BUILDING_EVERY;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::file(&log))? {
            break status;
        }
        if watch.elapsed() >= next {
            say(format_args!("{label}: still building after {}", Took(watch.elapsed())));
            next += STILL_BUILDING_EVERY;
        }
        std::thread::sleep(POLL);
    };
    if !status.success() {
        return Err(failed(&format!("go build {}", binary.import_path()), &status.to_string(), &tail(&log)));
    }
    fs::rename(&partial, path).map_err(Error::file(path))?;
    say(format_args!("{label}: built in {}", Took(watch.elapsed())));
    Ok(())
}

/// Where a module's sources are, downloaded if they are not.
fn module_folder(module: &str, folder: &Path) -> Result<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Downloaded {
        #[serde(rename = "Dir")]
        dir: PathBuf,
    }
    let output =
        go_command(folder)?.args(["mod", "download", "-json", module]).output().map_err(spawn_error)?;
    let command = format!("go mod download {module}");
    if !output.status.success() {
        return Err(failed(&command, &output.status.to_string(), &String::from_utf8_lossy(&output.stdout)));
    }
    let downloaded: Downloaded = serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::Manifest { manifest: command, reason: error.to_string() })?;
    Ok(downloaded.dir)
}

fn failed(command: &str, status: &str, output: &str) -> Error {
    Error::Command { command: command.to_owned(), status: status.to_owned(), output: output.to_owned() }
}
