//! An opaque connection in progress: counted as open until dropped, and logged then.

use super::{
    Observe,
    access_log::Entry,
    labels::RequestProtocol,
    own::Own,
    series::{Edge, SeriesKey},
};
use crate::respond::Flag;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::time::Instant;
use weft_model::mesh::AccessLog as Mode;

/// See the module.
#[derive(Debug)]
pub struct OpenTcp {
    observe: Arc<Observe>,
    own: Arc<Own>,
    edge: Arc<Edge>,
    started: Instant,
    from_client: AtomicU64,
    from_server: AtomicU64,
    log: Option<Box<Entry>>,
}

impl OpenTcp {
    /// Counts it as opened. `entry` is asked only while the access log is on.
    #[must_use]
    pub fn new(
        observe: &Arc<Observe>,
        own: Arc<Own>,
        edge: Arc<Edge>,
        entry: impl FnOnce() -> Entry,
    ) -> Self {
        edge.tcp.opened.fetch_add(1, Ordering::Relaxed);
        let log = (own.access_log != Mode::Off).then(|| Box::new(entry()));
        Self {
            observe: Arc::clone(observe),
            own,
            edge,
            started: Instant::now(),
            from_client: AtomicU64::new(0),
            from_server: AtomicU64::new(0),
            log,
        }
    }

    /// Bytes have passed: from the client, and from the server.
    pub fn passed(&self, from_client: u64, from_server: u64) {
        let tcp = &self.edge.tcp;
        for (counter, whole, bytes) in [
            (&self.from_client, &tcp.received, from_client),
            (&self.from_server, &tcp.sent, from_server),
        ] {
            counter.fetch_add(bytes, Ordering::Relaxed);
            whole.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for OpenTcp {
    fn drop(&mut self) {
        self.edge.tcp.closed.fetch_add(1, Ordering::Relaxed);
        if let Some(mut entry) = self.log.take() {
            entry.bytes_received = Some(self.from_client.load(Ordering::Relaxed));
            entry.bytes_sent = Some(self.from_server.load(Ordering::Relaxed));
            let key = SeriesKey {
                protocol: RequestProtocol::Tcp,
                code: 0,
                flag: Flag::None,
                grpc: None,
            };
            let took = self.started.elapsed();
            self.observe
                .access
                .write(self.own.access_log, &entry, key, took);
        }
    }
}
