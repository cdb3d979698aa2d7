//! The one way to start concurrent work: named, supervised tasks.
//!
//! Place: called once per connection on the data path and once per loop elsewhere, so a task costs
//! what tokio's own costs and nothing more: the future is wrapped in place (no second copy of it in
//! an `async` block, no box), and its span exists only while debug logging is on.
//!
//! Invariants: a panic in a task is logged with the task's name and counted
//! (`weft_runtime_task_panics_total`), and ends that task alone. Nothing else in the project calls
//! `tokio::spawn`. A task is not cancelled when its [`Task`] is dropped; what must end with its
//! owner goes into [`Tasks`], and what must end with the process watches a
//! [`DrainWatch`](crate::drain::DrainWatch).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::task::{JoinError, JoinHandle, JoinSet};

/// Panics so far, by task name. Names are `'static` and few, so the map is bounded.
static PANICS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Starts `future` as a task of the current runtime.
///
/// `name` is a constant such as `"inbound-connection"`: it labels the span and the panic counter.
///
/// # Panics
/// When called outside a tokio runtime, as `tokio::spawn` does.
pub fn spawn<F>(name: &'static str, future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "the one home of spawning")]
    let handle = tokio::spawn(Supervised::new(name, future));
    Task { name, handle }
}

/// Starts `future` as a task of another runtime, such as another shard's.
pub fn spawn_on<F>(
    runtime: &tokio::runtime::Handle,
    name: &'static str,
    future: F,
) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Task {
        name,
        handle: runtime.spawn(Supervised::new(name, future)),
    }
}

/// Runs a blocking function (file I/O, a name lookup) on the runtime's small blocking pool.
pub fn blocking<F, T>(name: &'static str, work: F) -> Task<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let handle = tokio::task::spawn_blocking(move || {
        let _alarm = Alarm { name };
        work()
    });
    Task { name, handle }
}

/// How often tasks have panicked, by task name.
pub fn panics() -> Vec<(&'static str, u64)> {
    PANICS
        .lock()
        .iter()
        .map(|(name, count)| (*name, *count))
        .collect()
}

/// Counts and logs one panic of the task `name`.
fn record_panic(name: &'static str) {
    *PANICS.lock().entry(name).or_default() += 1;
    tracing::error!(task.name = name, "task panicked");
}

/// A running task. Dropping it lets the task run on.
///
/// As a future it resolves to the task's output. Cancel safe: yes.
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    handle: JoinHandle<T>,
}

impl<T> Task<T> {
    /// The name it was spawned with.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks the runtime to drop the task at its next suspension point.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Whether the task has ended, in whichever way.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// The same task, aborted when the returned value is dropped.
    #[must_use]
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop(self)
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        Pin::new(&mut self.handle)
            .poll(cx)
            .map_err(|error| TaskFailed::new(name, &error))
    }
}

/// A [`Task`] that ends with its owner.
#[derive(Debug)]
pub struct AbortOnDrop<T>(Task<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, TaskFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Why a task gave no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskFailed {
    /// Our fault: a bug. It has been logged and counted already.
    #[error("task {0} panicked")]
    Panicked(&'static str),
    /// Somebody called [`Task::abort`], or its runtime ended.
    #[error("task {0} was aborted")]
    Aborted(&'static str),
}

impl TaskFailed {
    fn new(name: &'static str, error: &JoinError) -> Self {
        if error.is_panic() {
            Self::Panicked(name)
        } else {
            Self::Aborted(name)
        }
    }
}

/// Tasks that live no longer than their owner: dropping the set aborts what is left in it.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts `future` as a task of the current runtime and of this set.
    pub fn spawn<F>(&mut self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Ended tasks are taken out here, so that a long-lived set does not grow with its history.
        while self.set.try_join_next().is_some() {}
        self.set.spawn(Supervised::new(name, future));
    }

    /// How many tasks of the set have not been seen to end.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether no task is left.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Waits until every task of the set has ended. Cancel safe: yes.
    pub async fn join_all(&mut self) {
        while self.set.join_next().await.is_some() {}
    }

    /// Aborts what is left and waits until it is gone.
    pub async fn abort_all(&mut self) {
        self.set.abort_all();
        self.join_all().await;
    }
}

/// Notices that the stack is unwinding through a task.
struct Alarm {
    name: &'static str,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            record_panic(self.name);
        }
    }
}

pin_project! {
    /// A future with its span and its alarm. An aborted task is dropped without unwinding and
    /// raises nothing.
    struct Supervised<F> {
        name: &'static str,
        span: tracing::Span,
        #[pin]
        future: F,
    }
}

impl<F> Supervised<F> {
    fn new(name: &'static str, future: F) -> Self {
        Self {
            name,
            span: tracing::debug_span!("task", task.name = name),
            future,
        }
    }
}

impl<F: Future> Future for Supervised<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.span.enter();
        // The alarm lives for one poll: that is the only place from which a task can panic while it
        // runs, and it keeps the struct free of a Drop, which a pinned projection forbids.
        let _alarm = Alarm { name: this.name };
        this.future.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str) -> u64 {
        panics()
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(0, |(_, count)| *count)
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_ends_only_its_task() {
        let failed = spawn("test-panic", async { panic!("on purpose") }).await;
        assert_eq!(failed, Err::<(), _>(TaskFailed::Panicked("test-panic")));
        assert_eq!(count("test-panic"), 1);
        assert_eq!(spawn("test-fine", async { 7 }).await, Ok(7));
        assert_eq!(count("test-fine"), 0);
    }

    #[tokio::test]
    async fn a_panic_in_blocking_work_is_counted() {
        let failed = blocking("test-blocking-panic", || panic!("on purpose")).await;
        assert_eq!(
            failed,
            Err::<(), _>(TaskFailed::Panicked("test-blocking-panic"))
        );
        assert_eq!(count("test-blocking-panic"), 1);
        assert_eq!(blocking("test-blocking", || 3).await, Ok(3));
    }

    #[tokio::test]
    async fn an_abort_is_not_a_panic() {
        let task = spawn("test-abort", std::future::pending::<()>());
        task.abort();
        assert_eq!(task.await, Err(TaskFailed::Aborted("test-abort")));
        assert_eq!(count("test-abort"), 0);
    }

    #[tokio::test]
    async fn what_is_in_a_set_ends_with_it() {
        let (ended, observed) = tokio::sync::oneshot::channel::<()>();
        let mut tasks = Tasks::new();
        tasks.spawn("test-set", async move {
            let _ended = ended;
            std::future::pending::<()>().await;
        });
        assert_eq!(tasks.len(), 1);
        drop(tasks);
        assert!(observed.await.is_err(), "the task's own value was dropped");
    }

    #[tokio::test]
    async fn abort_on_drop_ends_the_task_and_can_be_awaited() {
        let (ended, observed) = tokio::sync::oneshot::channel::<()>();
        drop(
            spawn("test-owned", async move {
                let _ended = ended;
                std::future::pending::<()>().await;
            })
            .abort_on_drop(),
        );
        assert!(observed.await.is_err());
        assert_eq!(
            spawn("test-owned", async { 1 }).abort_on_drop().await,
            Ok(1)
        );
    }

    #[test]
    fn supervision_adds_no_second_copy_of_the_future() {
        let big = [0_u8; 4096];
        let future = async move {
            std::future::pending::<()>().await;
            std::hint::black_box(big)
        };
        let bare = std::mem::size_of_val(&future);
        let supervised = std::mem::size_of_val(&Supervised::new("test-size", future));
        assert!(supervised <= bare + 128, "{supervised} against {bare}");
    }
}
