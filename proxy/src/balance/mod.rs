//! Which endpoint of a cluster gets a request: `weft-traffic`'s balancer, with its lock and its endpoints.
//!
//! Invariants: all versions of one cluster share one balancer, so what it learned and what it has in flight survives every
//! update; an endpoint that does not change keeps its pool key, so its connections stay.

use crate::{
    connect::{Role, Upstream},
    error::ProxyError,
    observe::EdgeCache,
};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use weft_model::{cluster::Cluster, endpoint::Endpoint};
use weft_traffic::{
    Balancer, Outcome,
    balance::Member,
    upstream::{Dial, dial},
};

/// A cluster in force.
#[derive(Debug)]
pub struct ClusterHandle {
    /// What policy says.
    pub cluster: Cluster,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    balancer: Balancer,
    /// Sorted by id.
    endpoints: Vec<Arc<EndpointHandle>>,
    /// Endpoints that the cluster's TLS setting leaves out, for the error's sake.
    without_identity: Option<String>,
}

/// An endpoint in force.
#[derive(Debug)]
pub struct EndpointHandle {
    /// What the control plane says.
    pub endpoint: Endpoint,
    /// Key of its connections.
    pub upstream: Arc<Upstream>,
    /// Its metrics, found once.
    pub edges: EdgeCache,
}

impl ClusterHandle {
    /// A cluster that has learned nothing; `endpoints` are those that its labels select.
    #[must_use]
    pub fn new(cluster: Cluster, endpoints: &[Endpoint]) -> Self {
        let shared = Shared {
            balancer: Balancer::new(cluster.load_balance),
            endpoints: Vec::new(),
            without_identity: None,
        };
        Self::replace(Arc::new(Mutex::new(shared)), cluster, endpoints)
    }

    /// The next version of `previous`: keeps what was learned, and the connections of endpoints that stay.
    #[must_use]
    pub fn updated(previous: &Arc<Self>, cluster: Cluster, endpoints: &[Endpoint]) -> Self {
        Self::replace(Arc::clone(&previous.shared), cluster, endpoints)
    }

    fn replace(shared: Arc<Mutex<Shared>>, cluster: Cluster, endpoints: &[Endpoint]) -> Self {
        let mut state = shared.lock();
        let known = std::mem::take(&mut state.endpoints);
        state.without_identity = None;
        let mut next = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let Some(dialled) = dial(cluster.tls, endpoint) else {
                state.without_identity = Some(endpoint.instance.clone());
                continue;
            };
            let peer = match dialled {
                Dial::MutualTls(peer) => Some(peer.clone()),
                Dial::Plaintext => None,
            };
            let old = known
                .binary_search_by_key(&endpoint.id, |known| known.endpoint.id)
                .ok()
                .and_then(|at| known.get(at));
            next.push(handle(&cluster, endpoint, peer, old));
        }
        next.sort_by_key(|handle| handle.endpoint.id);
        state.balancer.set_algorithm(cluster.load_balance);
        let members = next.iter().map(|handle| Member::from(&handle.endpoint));
        state.balancer.update(now(), members);
        state.endpoints = next;
        drop(state);
        Self { cluster, shared }
    }

    /// The endpoints, for `/config`.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Arc<EndpointHandle>> {
        self.shared.lock().endpoints.clone()
    }

    /// How many endpoints there are, whether or not they take traffic.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().endpoints.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Chooses an endpoint. The request counts as in flight until the returned guard is dropped.
    ///
    /// # Errors
    /// When none takes traffic.
    pub fn pick(&self) -> Result<Picked, ProxyError> {
        let started = now();
        let mut state = self.shared.lock();
        let chosen = state.balancer.pick(started, &mut Thread).and_then(|id| {
            let at = state
                .endpoints
                .binary_search_by_key(&id, |handle| handle.endpoint.id)
                .ok()?;
            let endpoint = Arc::clone(state.endpoints.get(at)?);
            state.balancer.started(id);
            Some(endpoint)
        });
        let Some(endpoint) = chosen else {
            let cluster = self.cluster.name.clone();
            return Err(match state.without_identity.clone() {
                Some(instance) => ProxyError::IdentityMissing { cluster, instance },
                None => ProxyError::NoEndpoints { cluster },
            });
        };
        drop(state);
        let load = Load {
            shared: Arc::clone(&self.shared),
            id: endpoint.endpoint.id,
            started,
            head: None,
            outcome: Outcome::Cancelled,
        };
        Ok(Picked { endpoint, load })
    }
}

fn handle(
    cluster: &Cluster,
    endpoint: &Endpoint,
    peer: Option<weft_model::identity::SpiffeId>,
    old: Option<&Arc<EndpointHandle>>,
) -> Arc<EndpointHandle> {
    let upstream = Upstream::new(
        endpoint.address,
        peer,
        Some(cluster.name.clone()),
        cluster.connect_timeout,
        Role::Peer,
    );
    match old {
        Some(old) if old.endpoint == *endpoint && old.upstream.same_key(&upstream) => {
            Arc::clone(old)
        }
        Some(old) if old.upstream.same_key(&upstream) => Arc::new(EndpointHandle {
            endpoint: endpoint.clone(),
            upstream: Arc::clone(&old.upstream),
            edges: EdgeCache::default(),
        }),
        _ => Arc::new(EndpointHandle {
            endpoint: endpoint.clone(),
            upstream: Arc::new(upstream),
            edges: EdgeCache::default(),
        }),
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The thread's own generator.
struct Thread;

impl weft_traffic::Chance for Thread {
    fn below(&mut self, bound: std::num::NonZeroU64) -> u64 {
        fastrand::u64(..bound.get())
    }
}

/// The chosen endpoint.
#[derive(Debug)]
pub struct Picked {
    /// Where to.
    pub endpoint: Arc<EndpointHandle>,
    /// The balancer's account of it.
    pub load: Load,
}

/// One request's account with the balancer, closed when dropped. Without an outcome it counts as cancelled.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Mutex<Shared>>,
    id: weft_model::endpoint::EndpointId,
    started: Instant,
    head: Option<Duration>,
    outcome: Outcome,
}

impl Load {
    /// The answer's head came, or the request failed: the latency is this much.
    pub fn answered(&mut self, outcome: Outcome) {
        self.head = Some(now().saturating_duration_since(self.started));
        self.outcome = outcome;
    }

    /// What is known later (a gRPC status in trailers).
    pub fn revise(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let now = now();
        let latency = self
            .head
            .unwrap_or_else(|| now.saturating_duration_since(self.started));
        self.shared
            .lock()
            .balancer
            .finished(self.id, now, latency, self.outcome);
    }
}

/// Independent draws for splits.
pub fn chance() -> impl weft_traffic::Chance {
    Thread
}
