//! The control plane's temporary folder. It is removed at the end; what a killed process left is removed by the next start.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::progress::say;

const PREFIX: &str = "kubernetes-upgrader-control-plane-";
const OWNER: &str = "owner";
const KEEP: &str = "keep";

/// A folder of our own, locked while we live.
pub(crate) struct Folder {
    path: PathBuf,
    keep: bool,
    _owner: File,
}

impl Folder {
    /// Makes the folder in `parent`, and removes those there whose owner is dead. A kept one stays.
    pub(crate) fn create(parent: &Path, keep: bool) -> Result<Self> {
        remove_orphans(parent);
        let path =
            tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(Error::file(parent))?.keep();
        // Locked before it has its name: whoever finds the name finds it locked.
        let unlocked = path.join(".owner");
        let owner = File::create(&unlocked).map_err(Error::file(&unlocked))?;
        owner.lock().map_err(Error::file(&unlocked))?;
        fs::rename(&unlocked, path.join(OWNER)).map_err(Error::file(&unlocked))?;
        if keep {
            fs::write(path.join(KEEP), "").map_err(Error::file(&path))?;
        }
        Ok(Self { path, keep, _owner: owner })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The end of its name, which no other folder of a living process in the same place has.
    pub(crate) fn suffix(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name.trim_start_matches(PREFIX).to_owned()
    }

    /// Makes a folder inside.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(Error::file(&path))?;
        Ok(path)
    }

    /// Writes a file inside that only its owner may read: most of them hold keys.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        let mut file = File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file(&path))?;
        file.write_all(content.as_bytes()).map_err(Error::file(&path))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep {
            say(format_args!("kept {}", self.path.display()));
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            say(format_args!("could not remove {}: {error}", self.path.display()));
        }
    }
}

fn remove_orphans(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && !path.join(KEEP).exists()
            && let Ok(owner) = File::open(path.join(OWNER))
            && owner.try_lock().is_ok()
        {
            // Another start may be removing it at the same time: then it is gone, which is what we want.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_start_removes_what_a_dead_one_left_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Folder::create(parent.path(), false).unwrap();
        let orphan = parent.path().join(format!("{PREFIX}orphan"));
        let kept = parent.path().join(format!("{PREFIX}kept"));
        let stranger = parent.path().join("somebody-elses");
        for folder in [&orphan, &kept, &stranger] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(OWNER), "").unwrap();
        }
        fs::write(kept.join(KEEP), "").unwrap();

        let next = Folder::create(parent.path(), false).unwrap();
        assert!(!orphan.exists());
        assert!(kept.exists() && stranger.exists() && alive.path().exists());

        let path = next.path().to_path_buf();
        drop(next);
        assert!(!path.exists());
    }

    #[test]
    fn keys_are_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), false).unwrap();
        let path = folder.write("key", "secret").unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
