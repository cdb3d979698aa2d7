//! The laptop's source: the folder of manifests and the supervisor's registry, watched together.
//!
//! Place: one task. It wakes when a file changes, waits for quiet (an editor's save is several events), reads
//! everything, and delivers the difference. The first delivery is the full listing.
//!
//! Invariants: a delivery is kept in the run folder before it is sent, so a restart goes on from it; nothing is delivered
//! that is equal to what was.

mod reading;

pub use reading::{Edit, News, Reading, Verb};

use super::{
    Change,
    folder::{self, FileProblem, Memory},
    registry::{self, Registry},
};
use crate::run_folder::RunFolder;
use notify::{RecursiveMode, Watcher};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use weft_model::limits;
use weft_runtime::task;

/// Longest wait for quiet: files that are written all the time are read all the same.
const QUIET_AT_MOST: Duration = Duration::from_millis(200);
/// Everything is read this often, event or not: network file systems send none.
const SWEEP: Duration = Duration::from_secs(2);
/// Deliveries that may wait for the index.
const DELIVERIES: usize = 4;

/// What the source has to say.
#[derive(Debug)]
pub struct Delivery {
    /// When its cause was seen.
    pub noticed: Instant,
    /// What changed in the mesh.
    pub changes: Vec<Change>,
    /// What a person edited, for people.
    pub edits: Vec<Edit>,
    /// Everything wrong in files now, apart from the policy objects' own problems.
    pub problems: Vec<FileProblem>,
}

/// Starts to watch. The first delivery comes at once and is the full listing.
///
/// # Errors
/// When the folder cannot be read or what was kept of it is damaged.
pub fn start(
    folder: &Path,
    namespace: String,
    run_folder: &RunFolder,
) -> io::Result<mpsc::Receiver<Delivery>> {
    let memory: Memory = run_folder.load_memory()?;
    folder::scan(folder)?;
    let state = State {
        reading: Reading::new(namespace, memory.clone()),
        kept: memory,
        path: folder.to_owned(),
        run_folder: run_folder.clone(),
        faults: Vec::new(),
    };
    let (send, receive) = mpsc::channel(DELIVERIES);
    let woken = Arc::new(Notify::new());
    let watcher = watch(folder, run_folder.path(), &woken);
    // The watcher must live as long as the loop.
    task::spawn("source-laptop", async move {
        let _watcher = watcher;
        run(state, &woken, &send).await;
    });
    Ok(receive)
}

/// Wakes the loop on events. Without inotify (a limit is reached) the sweep alone finds edits.
fn watch(
    folder: &Path,
    run_folder: &Path,
    woken: &Arc<Notify>,
) -> Option<notify::RecommendedWatcher> {
    let wake = Arc::clone(woken);
    let registry = run_folder.join(registry::FILE);
    let manifests = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let on_event = move |event: notify::Result<notify::Event>| {
        let concerns = event.is_ok_and(|it| {
            !it.kind.is_access()
                && it
                    .paths
                    .iter()
                    .any(|path| path.starts_with(&manifests) || *path == registry)
        });
        if concerns {
            wake.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(on_event)
        .inspect_err(|error| tracing::warn!(%error, "files are not watched, only looked at every two seconds"))
        .ok()?;
    let manifests = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    for (path, mode) in [
        (manifests.as_path(), RecursiveMode::Recursive),
        (run_folder, RecursiveMode::NonRecursive),
    ] {
        if let Err(error) = watcher.watch(path, mode) {
            tracing::warn!(%error, path = %path.display(), "not watched, only looked at every two seconds");
        }
    }
    Some(watcher)
}

async fn run(mut state: State, woken: &Notify, send: &mpsc::Sender<Delivery>) {
    let mut first = true;
    let mut noticed = Instant::now();
    loop {
        let read = task::blocking("source-read", move || {
            let delivery = state.read(first, noticed);
            (state, delivery)
        });
        let Ok((next, delivery)) = read.await else {
            return;
        };
        state = next;
        first = false;
        if let Some(delivery) = delivery
            && send.send(delivery).await.is_err()
        {
            return;
        }
        tokio::select! {
            () = woken.notified() => {
                noticed = Instant::now();
                quiet(woken).await;
            }
            () = tokio::time::sleep(SWEEP) => noticed = Instant::now(),
            () = send.closed() => return,
        }
    }
}

/// Waits until no event has come for a while.
async fn quiet(woken: &Notify) {
    let settled = async {
        while tokio::time::timeout(limits::PUSH_DEBOUNCE, woken.notified())
            .await
            .is_ok()
        {}
    };
    // Files that never rest are read while they change; the next quiet moment reads them again.
    let _ = tokio::time::timeout(QUIET_AT_MOST, settled).await;
}

/// What the loop carries from one reading to the next.
struct State {
    reading: Reading,
    kept: Memory,
    path: PathBuf,
    run_folder: RunFolder,
    /// Faults of the registry that have been logged.
    faults: Vec<String>,
}

impl State {
    /// Reads everything. None: all is as it was.
    fn read(&mut self, first: bool, noticed: Instant) -> Option<Delivery> {
        let texts = folder::scan(&self.path).inspect_err(|error| {
            tracing::warn!(%error, path = %self.path.display(), "the folder cannot be read; everything stays as it was");
        });
        let registry = self.registry();
        let news = self.reading.next(texts.ok(), registry);
        if self.kept != *self.reading.memory() {
            self.kept = self.reading.memory().clone();
            if let Err(error) = self.run_folder.save_memory(&self.kept) {
                tracing::error!(%error, "ages and generations cannot be kept; a restart forgets them");
            }
        }
        let news = if first {
            Some(news.unwrap_or_default())
        } else {
            news
        };
        news.map(|news| Delivery {
            noticed,
            changes: news.changes,
            edits: news.edits,
            problems: news.problems,
        })
    }

    fn registry(&mut self) -> Option<Registry> {
        let text = match self.run_folder.read_registry() {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "{} cannot be read; workloads stay as they were", registry::FILE);
                return None;
            }
        };
        let registry = registry::parse(&text)
            .inspect_err(|error| tracing::warn!(%error, "workloads stay as they were"))
            .ok()?;
        if registry.faults != self.faults {
            for fault in &registry.faults {
                tracing::warn!(fault, "left out of {}", registry::FILE);
            }
            self.faults.clone_from(&registry.faults);
        }
        Some(registry)
    }
}
