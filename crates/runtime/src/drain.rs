//! How work ends: one signal that every long task watches, and guards that say who is still busy.
//!
//! Place: the binary owns the [`Drain`]; listeners, connections and loops each hold a clone of the
//! [`DrainWatch`], and whatever has work in flight holds a [`DrainGuard`].
//!
//! The contract, in order:
//! 1. [`Drain::begin`]: [`DrainWatch::signaled`] resolves everywhere. Listeners stop accepting,
//!    HTTP/2 connections send GOAWAY, HTTP/1 connections close after the response in flight.
//! 2. A holder finishes what it has begun, then drops its guard. When the last guard is gone the
//!    drain is complete.
//! 3. At the deadline (or on a second signal) [`Drain::force`]: [`DrainWatch::forced`] resolves
//!    and holders drop what they have at once.
//!
//! Invariants: the phases only move forward; a watch taken after a signal sees that signal at
//! once; guards may be taken at any time, also while draining (a request that arrives on a
//! connection which is being drained is still answered).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long holders get, after they have been forced, to drop what they hold (a TLS close_notify
/// leaves, a log line is written) before the process goes on without them.
pub const FORCED_GRACE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Shared {
    graceful: CancellationToken,
    forced: CancellationToken,
    live: AtomicUsize,
    idle: Notify,
}

/// The side that tells the others to stop. One per process.
#[derive(Debug)]
pub struct Drain {
    shared: Arc<Shared>,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everybody finished within the deadline.
    Finished,
    /// The deadline passed; `left` holders had work in flight and were cut.
    DeadlinePassed {
        /// Guards alive when the deadline passed.
        left: usize,
    },
    /// A second signal came; `left` holders had work in flight and were cut.
    Aborted {
        /// Guards alive when the second signal came.
        left: usize,
    },
}

impl Drain {
    /// A drain that has not begun, and the watch to clone for everybody else.
    pub fn new() -> (Self, DrainWatch) {
        let shared = Arc::new(Shared {
            graceful: CancellationToken::new(),
            forced: CancellationToken::new(),
            live: AtomicUsize::new(0),
            idle: Notify::new(),
        });
        (
            Self {
                shared: Arc::clone(&shared),
            },
            DrainWatch { shared },
        )
    }

    /// Another watch of the same drain.
    pub fn watch(&self) -> DrainWatch {
        DrainWatch {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Begins the graceful phase. Repeating it changes nothing.
    pub fn begin(&self) {
        self.shared.graceful.cancel();
    }

    /// Ends the graceful phase: holders drop what they have.
    pub fn force(&self) {
        self.shared.graceful.cancel();
        self.shared.forced.cancel();
    }

    /// How many guards are held now.
    pub fn live(&self) -> usize {
        self.shared.live.load(Ordering::Acquire)
    }

    /// Resolves once no guard is held. Cancel safe: yes.
    pub async fn idle(&self) {
        loop {
            let notified = self.shared.idle.notified();
            if self.live() == 0 {
                return;
            }
            notified.await;
        }
    }

    /// The whole contract: begin, wait for the guards, and force at `deadline` or when `abort`
    /// resolves (a second signal).
    pub async fn run(&self, deadline: Duration, abort: impl Future<Output = ()>) -> Drained {
        self.begin();
        let end = tokio::select! {
            biased;
            () = self.idle() => return Drained::Finished,
            () = abort => Drained::Aborted { left: self.live() },
            () = tokio::time::sleep(deadline) => Drained::DeadlinePassed { left: self.live() },
        };
        self.force();
        // Cut holders get a moment to go; how many there were is already in the answer.
        let _ = tokio::time::timeout(FORCED_GRACE, self.idle()).await;
        end
    }
}

/// The side that is told to stop. Cheap to clone, one per task.
#[derive(Debug, Clone)]
pub struct DrainWatch {
    shared: Arc<Shared>,
}

impl DrainWatch {
    /// Resolves when the graceful phase begins; at once if it has. Cancel safe: yes.
    pub async fn signaled(&self) {
        self.shared.graceful.cancelled().await;
    }

    /// Resolves when the time for grace is over; at once if it is. Cancel safe: yes.
    pub async fn forced(&self) {
        self.shared.forced.cancelled().await;
    }

    /// Whether the graceful phase has begun.
    pub fn is_draining(&self) -> bool {
        self.shared.graceful.is_cancelled()
    }

    /// Whether the time for grace is over.
    pub fn is_forced(&self) -> bool {
        self.shared.forced.is_cancelled()
    }

    /// Holds the drain open until the returned guard is dropped.
    pub fn guard(&self) -> DrainGuard {
        self.shared.live.fetch_add(1, Ordering::AcqRel);
        DrainGuard {
            watch: self.clone(),
        }
    }

    /// Runs `future` until it ends or the drain is forced, which gives `None`.
    pub async fn until_forced<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.forced() => None,
        }
    }

    /// Runs `future` until it ends or the graceful phase begins, which gives `None`: for loops
    /// that have nothing to finish.
    pub async fn until_signaled<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.signaled() => None,
            output = future => Some(output),
        }
    }
}

/// Work in flight. The drain is not complete while it lives.
#[derive(Debug)]
pub struct DrainGuard {
    watch: DrainWatch,
}

impl DrainGuard {
    /// The watch of the drain that this guard holds open.
    pub fn watch(&self) -> &DrainWatch {
        &self.watch
    }
}

impl Drop for DrainGuard {
    fn drop(&mut self) {
        if self.watch.shared.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.watch.shared.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::Instant;

    const DEADLINE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn without_work_it_ends_at_once() {
        let (drain, watch) = Drain::new();
        assert!(!watch.is_draining());
        let start = Instant::now();
        assert_eq!(drain.run(DEADLINE, pending()).await, Drained::Finished);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(watch.is_draining());
        assert!(!watch.is_forced());
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_work_in_flight() {
        let (drain, watch) = Drain::new();
        let guard = watch.guard();
        let worker = crate::task::spawn("test-worker", async move {
            guard.watch().signaled().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(guard);
        });
        let start = Instant::now();
        assert_eq!(drain.run(DEADLINE, pending()).await, Drained::Finished);
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(worker.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_cuts_what_is_left() {
        let (drain, watch) = Drain::new();
        let guard = watch.guard();
        let worker = crate::task::spawn("test-worker", async move {
            guard.watch().until_forced(pending::<()>()).await
        });
        let start = Instant::now();
        assert_eq!(
            drain.run(DEADLINE, pending()).await,
            Drained::DeadlinePassed { left: 1 }
        );
        assert_eq!(
            start.elapsed(),
            DEADLINE,
            "a holder that obeys costs no forced grace"
        );
        assert_eq!(worker.await, Ok(None));
        assert_eq!(drain.live(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_does_not_obey_costs_the_forced_grace_only() {
        let (drain, watch) = Drain::new();
        let _stubborn = watch.guard();
        let start = Instant::now();
        assert_eq!(
            drain.run(DEADLINE, pending()).await,
            Drained::DeadlinePassed { left: 1 }
        );
        assert_eq!(start.elapsed(), DEADLINE + FORCED_GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_aborts() {
        let (drain, watch) = Drain::new();
        let guard = watch.guard();
        crate::task::spawn("test-worker", async move {
            guard.watch().forced().await;
            drop(guard);
        });
        let start = Instant::now();
        let second = tokio::time::sleep(Duration::from_secs(2));
        assert_eq!(
            drain.run(DEADLINE, second).await,
            Drained::Aborted { left: 1 }
        );
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_watch_sees_the_signal_and_loops_end() {
        let (drain, watch) = Drain::new();
        assert_eq!(watch.until_signaled(async { 1 }).await, Some(1));
        drain.begin();
        drain.watch().signaled().await;
        assert_eq!(watch.until_signaled(pending::<()>()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn guards_taken_while_draining_count() {
        let (drain, watch) = Drain::new();
        drain.begin();
        let guard = watch.guard();
        assert_eq!(drain.live(), 1);
        drop(guard);
        drain.idle().await;
    }
}
