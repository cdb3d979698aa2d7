//! Threads with a runtime each: the data path's shards, and single workers such as the admin's.
//!
//! Place: `main` of a binary starts them; nothing else builds a runtime. A shard is one
//! `current_thread` runtime on one thread: what it accepts it keeps, so a connection's locks are
//! never contended. Futures stay `Send`, so that [`Flavor::WorkStealing`] is a setting and a
//! benchmark can compare.
//!
//! Invariants: when a shard's main future returns, what it spawned is dropped, so it must drain
//! first (see [`crate::drain`]). A panic in a shard's main is reported by [`Shards::finished`], not
//! swallowed: a process that lost a shard must not look healthy.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// Threads of each runtime's blocking pool at most: blocking work is rare (a file, a name lookup)
/// and each thread costs memory. tokio's default is 512.
pub const MAX_BLOCKING_THREADS: usize = 4;

/// How long an ending runtime waits for blocking work that cannot be cancelled.
const BLOCKING_GRACE: Duration = Duration::from_millis(200);

/// Which shard of how many: handed to each shard's main future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(usize);

impl ShardIndex {
    /// Counted from zero.
    pub fn get(self) -> usize {
        self.0
    }
}

impl std::fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How shards are laid onto threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavor {
    /// One `current_thread` runtime per shard. The default.
    #[default]
    Sharded,
    /// One work-stealing runtime with as many workers as shards; each shard's main is a task of it.
    WorkStealing,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many shards.
    pub count: NonZeroUsize,
    /// How they are laid onto threads.
    pub flavor: Flavor,
    /// Prefix of the thread names; the kernel shows 15 bytes of a name.
    pub name: &'static str,
}

/// A shard or worker ended by a panic (our fault; it has been logged).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("thread {thread} panicked")]
pub struct ThreadPanicked {
    /// The thread's name.
    pub thread: String,
}

/// Running shards. Dropping the value lets them run.
#[derive(Debug)]
pub struct Shards {
    handles: Vec<Handle>,
    workers: Vec<Worker>,
}

impl Shards {
    /// Starts the threads; each runs `main(index)` to its end.
    ///
    /// # Errors
    /// When a thread or a runtime cannot be created.
    pub fn start<M, F>(plan: &Plan, main: M) -> io::Result<Self>
    where
        M: Fn(ShardIndex) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        match plan.flavor {
            Flavor::Sharded => {
                let main = Arc::new(main);
                let mut workers = Vec::with_capacity(plan.count.get());
                for index in (0..plan.count.get()).map(ShardIndex) {
                    let main = Arc::clone(&main);
                    let name = format!("{}-{index}", plan.name);
                    workers.push(Worker::start(&name, move || main(index))?);
                }
                let handles = workers.iter().map(|w| w.handle.clone()).collect();
                Ok(Self { handles, workers })
            }
            Flavor::WorkStealing => {
                let name = plan.name;
                let runtime = Builder::new_multi_thread()
                    .worker_threads(plan.count.get())
                    .max_blocking_threads(MAX_BLOCKING_THREADS)
                    .thread_name(name)
                    .enable_all()
                    .build()?;
                let handle = runtime.handle().clone();
                let tasks: Vec<_> = (0..plan.count.get())
                    .map(|index| crate::task::spawn_on(&handle, "shard", main(ShardIndex(index))))
                    .collect();
                let worker = Worker::run(name, runtime, move || async move {
                    for task in tasks {
                        #[expect(clippy::expect_used, reason = "a shard's panic goes on upwards")]
                        task.await.expect("a shard's main does not panic");
                    }
                })?;
                Ok(Self {
                    handles: vec![handle; plan.count.get()],
                    workers: vec![worker],
                })
            }
        }
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// The runtime of each shard, for [`crate::task::spawn_on`], in the order of their indexes.
    pub fn runtimes(&self) -> &[Handle] {
        &self.handles
    }

    /// Waits until every shard's main has returned; the first panic is an error at once.
    /// Cancel safe: no.
    ///
    /// # Errors
    /// When a shard panicked.
    pub async fn finished(self) -> Result<(), ThreadPanicked> {
        for worker in self.workers {
            worker.finished().await?;
        }
        Ok(())
    }
}

/// One thread with one `current_thread` runtime. Dropping the value lets it run.
#[derive(Debug)]
pub struct Worker {
    name: String,
    handle: Handle,
    done: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread `name` and runs `main()` to its end on it. `main` is called on that
    /// thread, inside the runtime.
    ///
    /// # Errors
    /// When the thread or the runtime cannot be created.
    pub fn start<M, F>(name: &str, main: M) -> io::Result<Self>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        Self::run(name, current_thread()?, main)
    }

    fn run<M, F>(name: &str, runtime: Runtime, main: M) -> io::Result<Self>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let handle = runtime.handle().clone();
        let (finished, done) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async move { main().await });
                runtime.shutdown_timeout(BLOCKING_GRACE);
                // Whoever started the thread may not wait for it.
                let _ = finished.send(());
            })?;
        Ok(Self {
            name: name.to_owned(),
            handle,
            done,
            thread,
        })
    }

    /// The thread's runtime, for [`crate::task::spawn_on`].
    pub fn runtime(&self) -> &Handle {
        &self.handle
    }

    /// Waits until main has returned. Cancel safe: no.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn finished(self) -> Result<(), ThreadPanicked> {
        // An unwound thread drops the sender unsent.
        self.done
            .await
            .map_err(|_| ThreadPanicked { thread: self.name })
    }

    /// The same for a caller without a runtime: blocks the calling thread.
    ///
    /// # Errors
    /// When it panicked.
    pub fn join(self) -> Result<(), ThreadPanicked> {
        self.thread
            .join()
            .map_err(|_| ThreadPanicked { thread: self.name })
    }
}

/// Runs `main` on the calling thread, as a binary's `main` does.
///
/// # Errors
/// When the runtime cannot be created.
pub fn block_on<F: Future>(main: F) -> io::Result<F::Output> {
    let runtime = current_thread()?;
    let output = runtime.block_on(main);
    runtime.shutdown_timeout(BLOCKING_GRACE);
    Ok(output)
}

fn current_thread() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    fn plan(count: usize, flavor: Flavor) -> Plan {
        Plan {
            count: NonZeroUsize::new(count).unwrap(),
            flavor,
            name: "test-shard",
        }
    }

    fn check_each_shard_runs_once(flavor: Flavor) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shards = Shards::start(&plan(3, flavor), {
            let seen = Arc::clone(&seen);
            move |index| {
                let seen = Arc::clone(&seen);
                async move {
                    crate::task::spawn("test", async {}).await.unwrap();
                    let thread = std::thread::current().name().map(str::to_owned);
                    seen.lock().push((index.get(), thread));
                }
            }
        })
        .unwrap();
        assert_eq!(shards.count(), 3);
        assert_eq!(shards.runtimes().len(), 3);
        block_on(shards.finished()).unwrap().unwrap();
        let mut seen = seen.lock().clone();
        seen.sort();
        assert_eq!(
            seen.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        if flavor == Flavor::Sharded {
            assert_eq!(seen.get(2).unwrap().1.as_deref(), Some("test-shard-2"));
        }
    }

    #[test]
    fn each_shard_runs_once() {
        check_each_shard_runs_once(Flavor::Sharded);
        check_each_shard_runs_once(Flavor::WorkStealing);
    }

    fn check_a_panic_is_reported(flavor: Flavor) {
        let shards = Shards::start(&plan(2, flavor), |index| async move {
            assert_ne!(index.get(), 1, "on purpose");
        })
        .unwrap();
        let ended = block_on(shards.finished()).unwrap();
        assert!(ended.is_err(), "{ended:?}");
    }

    #[test]
    fn a_panic_is_reported() {
        check_a_panic_is_reported(Flavor::Sharded);
        check_a_panic_is_reported(Flavor::WorkStealing);
    }

    #[test]
    fn a_task_can_be_placed_on_another_shard() {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let shards = Shards::start(&plan(2, Flavor::Sharded), move |_| {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.changed().await;
            }
        })
        .unwrap();
        let runtime = shards.runtimes().last().unwrap().clone();
        let name = block_on(crate::task::spawn_on(&runtime, "test", async {
            std::thread::current().name().map(str::to_owned)
        }))
        .unwrap()
        .unwrap();
        assert_eq!(name.as_deref(), Some("test-shard-1"));
        stop.send_replace(true);
        block_on(shards.finished()).unwrap().unwrap();
    }

    #[test]
    fn a_worker_can_be_joined() {
        Worker::start("test-worker", || async {})
            .unwrap()
            .join()
            .unwrap();
        let panicked = Worker::start("test-worker", || async { panic!("on purpose") }).unwrap();
        assert_eq!(
            panicked.join(),
            Err(ThreadPanicked {
                thread: "test-worker".to_owned()
            })
        );
    }
}
