//! The process's signals, and what they mean: the first one drains, the second one aborts.
//!
//! Place: the last line of a binary's `main`. Nothing else in the project reads signals.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::drain::{Drain, Drained};

/// A signal that asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: the kubelet, a supervisor.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}

impl Signal {
    /// The conventional name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

/// The installed handlers. From its creation on, the signals no longer kill the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
}

impl Signals {
    /// Installs the handlers. Must be called inside a runtime, early: a signal that arrives before
    /// it kills the process, as is the default.
    ///
    /// # Errors
    /// When the kernel refuses the handler.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal. Cancel safe: yes.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

/// Waits for a signal, calls `on_signal` (turn not ready), drains within `grace`; a second signal
/// cuts the drain short.
pub async fn drain_on_signal(
    signals: &mut Signals,
    drain: &Drain,
    grace: Duration,
    on_signal: impl FnOnce(Signal),
) -> Drained {
    let first = signals.next().await;
    tracing::info!(
        signal = first.as_str(),
        grace_seconds = grace.as_secs_f64(),
        "draining"
    );
    on_signal(first);
    let drained = drain
        .run(grace, async {
            let second = signals.next().await;
            tracing::warn!(
                signal = second.as_str(),
                "second signal: not waiting any longer"
            );
        })
        .await;
    match drained {
        Drained::Finished => tracing::info!("drained"),
        Drained::DeadlinePassed { left } => {
            tracing::warn!(work.left = left, "grace is over: work in flight was cut");
        }
        Drained::Aborted { left } => tracing::warn!(work.left = left, "work in flight was cut"),
    }
    drained
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal as Number, getpid, kill_process};

    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_aborts() {
        let mut signals = Signals::install().unwrap();
        let (drain, watch) = Drain::new();
        let guard = watch.guard();
        kill_process(getpid(), Number::TERM).unwrap();
        let mut seen = None;
        crate::task::spawn("test-second-signal", {
            let watch = watch.clone();
            async move {
                watch.signaled().await;
                kill_process(getpid(), Number::INT).unwrap();
                watch.forced().await;
                drop(guard);
            }
        });
        let drained = drain_on_signal(&mut signals, &drain, Duration::from_secs(60), |s| {
            seen = Some(s)
        })
        .await;
        assert_eq!(seen, Some(Signal::Terminate));
        assert_eq!(drained, Drained::Aborted { left: 1 });
    }
}
