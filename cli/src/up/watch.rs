//! Notices that the folder changed.
//!
//! Invariants: a burst of events (an editor's save, a `cp` of ten files) is one change; a change
//! that happens while the folder is read is seen afterwards; reading a file is no change.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// How long the folder must be quiet.
const QUIET: Duration = Duration::from_millis(60);

/// A watched folder.
#[derive(Debug)]
pub struct FolderWatch {
    _watcher: RecommendedWatcher,
    changes: mpsc::Receiver<()>,
    /// A change was seen and not reported yet.
    pending: bool,
}

impl FolderWatch {
    /// Watches `folder` and everything below it.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn new(folder: &Path) -> Result<Self> {
        let (seen, changes) = mpsc::channel(1);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let read =
                    matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(_)));
                if !read {
                    // Full: a change is waiting to be seen already.
                    let _ = seen.try_send(());
                }
            })
            .context("setting up the watch")?;
        watcher
            .watch(folder, RecursiveMode::Recursive)
            .with_context(|| format!("watching {}", folder.display()))?;
        Ok(Self {
            _watcher: watcher,
            changes,
            pending: false,
        })
    }

    /// Waits for a change and for the quiet after it. Cancel safe: yes.
    pub async fn changed(&mut self) {
        if !self.pending && self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        self.pending = true;
        while tokio::time::timeout(QUIET, self.changes.recv())
            .await
            .is_ok_and(|event| event.is_some())
        {}
        self.pending = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_is_one_change() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = FolderWatch::new(folder.path()).unwrap();
        for name in ["a.yaml", "b.yaml"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let patience = Duration::from_secs(10);
        tokio::time::timeout(patience, watch.changed())
            .await
            .unwrap();
        assert!(
            watch.changes.try_recv().is_err(),
            "nothing is left of the burst"
        );
        std::fs::read_to_string(folder.path().join("a.yaml")).unwrap();
        std::fs::remove_file(folder.path().join("a.yaml")).unwrap();
        tokio::time::timeout(patience, watch.changed())
            .await
            .unwrap();
    }
}
