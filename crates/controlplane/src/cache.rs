//! Where built binaries and rendered manifests are kept: outside the checkout, so that a fresh clone does not build again.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::progress::say;

/// `$KUBERNETES_UPGRADER_CACHE`, else `$XDG_CACHE_HOME/kubernetes-upgrader`, else `~/.cache/kubernetes-upgrader`.
pub(crate) fn directory() -> Result<PathBuf> {
    from_environment(|name| env::var_os(name)).ok_or(Error::MissingProgram {
        program: "$HOME".to_owned(),
        purpose: "is where built binaries are kept",
        remedy: "set it, or KUBERNETES_UPGRADER_CACHE",
    })
}

fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("KUBERNETES_UPGRADER_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("kubernetes-upgrader")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/kubernetes-upgrader")))
}

/// Holds the cache for one builder at a time, until dropped or dead. Readers need no lock: files appear complete.
pub(crate) struct BuildLock {
    _file: File,
}

impl BuildLock {
    /// Waits for another builder, and says so.
    pub(crate) fn acquire(cache: &Path) -> Result<Self> {
        fs::create_dir_all(cache).map_err(Error::file(cache))?;
        let path = cache.join("build.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say(format_args!("another builder is at work in {}; waiting for it", cache.display()));
                file.lock().map_err(Error::file(&path))?;
            }
            Err(TryLockError::Error(error)) => return Err(Error::file(&path)(error)),
        }
        Ok(Self { _file: file })
    }
}

/// Where a file is written before it is whole. The pid keeps apart a builder and what outlived a killed one.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial-{}", std::process::id()))
}

/// Writes a file so that a reader sees all of it or none.
pub(crate) fn write_whole(path: &Path, content: &str) -> Result<()> {
    let partial = partial(path);
    fs::write(&partial, content).map_err(Error::file(&partial))?;
    fs::rename(&partial, path).map_err(Error::file(path))
}

/// Removes what killed builders left in a folder. Only for the holder of the [`BuildLock`].
pub(crate) fn remove_partials(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().contains(".partial-") {
            // Only tidiness: a leftover is never read.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_variable_wins_and_an_empty_one_is_unset() {
        let with = |pairs: &'static [(&str, &str)]| {
            from_environment(move |name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            })
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("HOME", "/home/me")]), Some("/home/me/.cache/kubernetes-upgrader".into()));
        assert_eq!(with(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]), Some("/c/kubernetes-upgrader".into()));
        assert_eq!(with(&[("KUBERNETES_UPGRADER_CACHE", "/k"), ("XDG_CACHE_HOME", "/c")]), Some("/k".into()));
        assert_eq!(
            with(&[("KUBERNETES_UPGRADER_CACHE", ""), ("HOME", "/h")]),
            Some("/h/.cache/kubernetes-upgrader".into())
        );
    }

    #[test]
    fn one_builder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = BuildLock::acquire(folder.path()).unwrap();
        let other = File::open(folder.path().join("build.lock")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        other.try_lock().unwrap();
    }

    #[test]
    fn a_killed_write_leaves_nothing_under_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kwok.yaml");
        fs::write(partial(&path), "half").unwrap();
        assert!(!path.exists());
        remove_partials(folder.path());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        write_whole(&path, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    }
}
