//! How a process of the shop ends: serving, draining (still accepting, asking clients to leave),
//! stopping (accepting no more, finishing what is in flight).

use tokio::sync::watch;

/// A step towards the end. The order of the variants is the order in time; a process never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Normal work.
    Serving,
    /// Connections and requests are still taken, and told to go elsewhere; readiness says no.
    Draining,
    /// No new connection; requests in flight are finished.
    Stopping,
}

/// Moves a process through its phases.
#[derive(Debug)]
pub struct DrainHandle(watch::Sender<Phase>);

/// Sees the phase of a process.
#[derive(Debug, Clone)]
pub struct DrainWatch(watch::Receiver<Phase>);

/// A process that serves, and the handle that ends it.
#[must_use]
pub fn channel() -> (DrainHandle, DrainWatch) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (DrainHandle(sender), DrainWatch(receiver))
}

impl DrainHandle {
    /// Goes on to `phase`, unless the process is further already.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let later = *current < phase;
            if later {
                *current = phase;
            }
            later
        });
    }
}

impl DrainWatch {
    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns when the process stops. A dropped handle counts as a stop. Cancel safe.
    pub async fn stopping(mut self) {
        // The error says that the handle is gone, which is an end as well.
        let _ = self.0.wait_for(|phase| *phase == Phase::Stopping).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn never_goes_back() {
        let (handle, watch) = channel();
        assert_eq!(watch.phase(), Phase::Serving);
        handle.advance(Phase::Stopping);
        handle.advance(Phase::Draining);
        assert_eq!(watch.phase(), Phase::Stopping);
        watch.stopping().await;
    }

    #[tokio::test]
    async fn a_dropped_handle_stops() {
        let (handle, watch) = channel();
        drop(handle);
        watch.stopping().await;
    }
}
