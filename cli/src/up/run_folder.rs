//! The run folder: what one mesh keeps on disk while it runs, for its own processes and for
//! `weft ps` and `weft exec`.
//!
//! Invariants: only its owner can look inside; files that others read are replaced whole, never
//! written in place; it is deleted at the end, and one whose supervisor was killed is deleted by
//! the next run. A lock on a file inside says whether the supervisor lives: a process id could be
//! somebody else's by now.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use tempfile::TempDir;

/// What every run folder's name begins with.
pub const PREFIX: &str = "weft-";

const LOCK: &str = "lock";
const LOCK_UNNAMED: &str = ".lock";
const TOKENS: &str = "tokens";
const LOGS: &str = "logs";
const DATA: &str = "data";

/// The manifest of the run.
pub const RUN_FILE: &str = "run.json";

/// What the demo's folder of manifests begins with.
pub const DEMO_PREFIX: &str = "weft-demo-";

/// A private folder that goes away at the end, or with the next run when its owner was killed.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl Scratch {
    /// Makes a folder in `base` whose name begins with `prefix`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(base: &Path, prefix: &str) -> Result<Self> {
        let make = || format!("making a folder in {}", base.display());
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir_in(base)
            .with_context(make)?;
        // Locked before it has its name: whoever finds it finds it locked, or left behind.
        let unnamed = folder.path().join(LOCK_UNNAMED);
        let lock = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&unnamed)
            .with_context(make)?;
        lock.lock().with_context(make)?;
        std::fs::rename(&unnamed, folder.path().join(LOCK)).with_context(make)?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Deletes it.
    ///
    /// # Errors
    /// When something of it cannot be deleted.
    pub fn delete(self) -> Result<()> {
        let path = self.path().to_owned();
        self.folder
            .close()
            .with_context(|| format!("deleting {}", path.display()))
    }
}

/// A run folder that this process owns.
#[derive(Debug)]
pub struct RunFolder {
    scratch: Scratch,
}

impl RunFolder {
    /// Makes a run folder in the first of `bases`, after deleting what killed runs left there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(bases: &[PathBuf]) -> Result<Self> {
        let base = bases
            .first()
            .context("there is no folder for temporary files")?;
        for left in bases.iter().flat_map(|base| folders(base)) {
            if liveness(&left) == Liveness::Ended {
                // What cannot be deleted now is tried again by the next run.
                let _ = std::fs::remove_dir_all(&left);
            }
        }
        let scratch = Scratch::create(base, PREFIX)?;
        for name in [TOKENS, LOGS, DATA] {
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(scratch.path().join(name))
                .with_context(|| format!("making a run folder in {}", base.display()))?;
        }
        Ok(Self { scratch })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Where the token of an instance is.
    pub fn token(&self, instance: &str) -> PathBuf {
        self.path().join(TOKENS).join(instance)
    }

    /// The log file of a process.
    pub fn log(&self, process: &str) -> PathBuf {
        self.path().join(LOGS).join(format!("{process}.log"))
    }

    /// The folder for what an instance writes; it is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn data(&self, instance: &str) -> Result<PathBuf> {
        let folder = self.path().join(DATA).join(instance);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// Writes a secret that only its owner can read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_secret(&self, path: &Path, secret: &[u8]) -> Result<()> {
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("making {}", path.display()))?;
        file.write_all(secret)
            .with_context(|| format!("writing {}", path.display()))
    }

    /// Replaces a file whole, so that no reader sees half of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.file(name);
        let next = self.file(&format!(".{name}"));
        let context = || format!("writing {}", path.display());
        let text = serde_json::to_vec(value).with_context(context)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&next)
            .with_context(context)?;
        file.write_all(&text).with_context(context)?;
        std::fs::rename(&next, &path).with_context(context)
    }

    /// Deletes it.
    ///
    /// # Errors
    /// When something of it cannot be deleted.
    pub fn delete(self) -> Result<()> {
        self.scratch.delete()
    }
}

/// Whether the supervisor of a run folder lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It holds the lock.
    Running,
    /// It is gone.
    Ended,
    /// Not a run folder of this user.
    Foreign,
}

/// Asks the lock of a folder.
pub fn liveness(folder: &Path) -> Liveness {
    let own = std::fs::symlink_metadata(folder)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == rustix::process::getuid().as_raw());
    if !own {
        return Liveness::Foreign;
    }
    let Ok(lock) = File::open(folder.join(LOCK)) else {
        return Liveness::Foreign;
    };
    match lock.try_lock() {
        Ok(()) => Liveness::Ended,
        Err(TryLockError::WouldBlock) => Liveness::Running,
        Err(TryLockError::Error(_)) => Liveness::Foreign,
    }
}

/// Run folders in `base`, living or not.
pub fn folders(base: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(base) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_run_folder_is_private_and_goes_away() {
        let base = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&[base.path().to_owned()]).unwrap();
        let path = run.path().to_owned();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        run.write_secret(&run.token("a-0"), b"secret").unwrap();
        let token = run.token("a-0").metadata().unwrap();
        assert_eq!(token.permissions().mode() & 0o777, 0o600);
        run.replace("registry.json", &[1, 2]).unwrap();
        assert_eq!(
            std::fs::read_to_string(run.file("registry.json")).unwrap(),
            "[1,2]"
        );
        assert_eq!(liveness(&path), Liveness::Running);
        run.delete().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_run_left_is_deleted_by_the_next() {
        let base = tempfile::tempdir().unwrap();
        let bases = [base.path().to_owned()];
        let living = RunFolder::create(&bases).unwrap();
        let left = base.path().join("weft-left");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join(LOCK), "").unwrap();
        let other = base.path().join("weft-somebody-elses");
        std::fs::create_dir(&other).unwrap();
        let next = RunFolder::create(&bases).unwrap();
        assert!(!left.exists());
        assert!(other.exists(), "a folder without a lock is not ours");
        assert!(living.path().exists() && next.path().exists());
    }
}
