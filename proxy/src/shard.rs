//! What a thread of the data path has for itself, and what all of them share.
//!
//! Invariant: a connection is accepted, served and ended on one shard, with that shard's pools; only tables, identity and
//! counters are shared.

use crate::{
    connect::{Pool, Role, Upstream},
    observe::Observe,
    tables::Tables,
};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use weft_identity::store::IdentityStore;
use weft_model::limits;
use weft_runtime::drain::DrainWatch;

/// Pause between two sweeps of a shard's pools.
const SWEEP: Duration = Duration::from_secs(1);
/// Places outside of every cluster (applications, destinations outside the mesh) remembered per shard.
const PLACES_MAX: usize = 4096;

/// What all shards share.
#[derive(Debug)]
pub struct Proxy {
    /// What is in force.
    pub tables: Arc<Tables>,
    /// Certificate and trust.
    pub identity: Arc<IdentityStore>,
    /// Metrics and access log.
    pub observe: Arc<Observe>,
    /// Outbound listeners of this proxy: never a destination.
    pub own_listeners: Vec<SocketAddr>,
}

impl Proxy {
    /// Whether `address` is one of the proxy's own outbound listeners.
    #[must_use]
    pub fn is_own(&self, address: SocketAddr) -> bool {
        self.own_listeners.iter().any(|own| {
            own.port() == address.port()
                && (own.ip() == address.ip()
                    || (is_local(address.ip())
                        && (own.ip().is_unspecified() || own.ip().is_loopback())))
        })
    }
}

fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

/// See the module.
#[derive(Debug)]
pub struct Shard {
    /// What all shards share.
    pub proxy: Arc<Proxy>,
    /// Connections kept for the next request.
    pub pool: Pool,
    /// Keys of places that belong to no cluster.
    places: Mutex<HashMap<(SocketAddr, Place), Arc<Upstream>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Application,
    Outside,
}

impl Shard {
    /// A shard without connections.
    #[must_use]
    pub fn new(proxy: Arc<Proxy>) -> Arc<Self> {
        Arc::new(Self {
            proxy,
            pool: Pool::default(),
            places: Mutex::new(HashMap::new()),
        })
    }

    /// Keeps the pools clean until the drain is forced. Spawned once on the shard's own runtime.
    pub async fn maintain(self: Arc<Self>, drain: DrainWatch) {
        let mut gauge = self.proxy.observe.pool_gauge();
        let sweeping = async {
            let mut tick = tokio::time::interval(SWEEP);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                gauge.set(self.pool.sweep(tick.tick().await));
            }
        };
        let _: Option<()> = drain.until_forced(sweeping).await;
    }

    /// The version of the certificate that a connection to `upstream` is made with; 0 for plaintext.
    #[must_use]
    pub fn certificate_version(&self, upstream: &Upstream) -> u64 {
        match upstream.peer {
            Some(_) => self.proxy.identity.version().get(),
            None => 0,
        }
    }

    /// The application at `address`.
    #[must_use]
    pub fn application(&self, address: SocketAddr) -> Arc<Upstream> {
        self.place(address, Place::Application)
    }

    /// A destination outside the mesh.
    #[must_use]
    pub fn outside(&self, address: SocketAddr) -> Arc<Upstream> {
        self.place(address, Place::Outside)
    }

    fn place(&self, address: SocketAddr, place: Place) -> Arc<Upstream> {
        let mut places = self.places.lock();
        if let Some(upstream) = places.get(&(address, place)) {
            return Arc::clone(upstream);
        }
        if places.len() >= PLACES_MAX {
            // Their pools go with the next sweep; connections in use are not touched.
            places.clear();
        }
        let role = match place {
            Place::Application => Role::Application,
            Place::Outside => Role::Peer,
        };
        let upstream = Arc::new(Upstream::new(
            address,
            None,
            None,
            limits::CONNECT_TIMEOUT,
            role,
        ));
        places.insert((address, place), Arc::clone(&upstream));
        upstream
    }
}

/// Spawns hyper's own tasks through the project's one way to spawn.
#[derive(Debug, Clone, Copy)]
pub struct Executor;

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        weft_runtime::task::spawn("h2-stream", future);
    }
}
