//! Connections kept for the next request: one pool per shard, one slot per [`Upstream`].
//!
//! Between sidecars everything rides HTTP/2, over one connection per shard and peer; a second one is opened when the
//! streams near the peer's limit. Plain HTTP/1 connections lie on a stack, the warmest on top, and go after
//! [`limits::HTTP1_IDLE`]. Connects happen outside every lock, in a task of their own: a request that gives up does not
//! take the connection from the others that wait for it. A connection made with an older certificate serves its streams
//! to the end and gets no new ones.

use super::{
    http::{H2, Http1, connect_h1, connect_h2},
    upstream::Upstream,
};
use crate::{error::ProxyError, shard::Shard};
use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::sync::{Arc, Weak};
use tokio::{sync::oneshot, time::Instant};
use weft_model::limits;

/// Idle HTTP/1 connections kept for one place and shard; a burst beyond it closes what it opened.
const IDLE_MAX: usize = 256;

type Waiter = oneshot::Sender<Result<Arc<H2>, ProxyError>>;

/// See the module.
#[derive(Debug, Default)]
pub struct Pool {
    slots: Mutex<HashMap<u64, Arc<Slot>>>,
}

#[derive(Debug)]
struct Slot {
    upstream: Weak<Upstream>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    h1: Vec<Idle>,
    h2: SmallVec<[Arc<H2>; 1]>,
    /// Who waits for the connect under way; none while there is none.
    connecting: Option<Vec<Waiter>>,
}

#[derive(Debug)]
struct Idle {
    connection: Http1,
    since: Instant,
}

/// What the pool holds, for gauges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// HTTP/2 connections.
    pub h2: usize,
    /// Idle HTTP/1 connections.
    pub h1_idle: usize,
}

impl Pool {
    fn slot(&self, upstream: &Arc<Upstream>) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        let slot = slots.entry(upstream.id).or_insert_with(|| {
            Arc::new(Slot {
                upstream: Arc::downgrade(upstream),
                state: Mutex::new(State::default()),
            })
        });
        Arc::clone(slot)
    }

    /// Drops what nobody can use any more: idle HTTP/1 connections, connections that ended, slots whose endpoint is gone.
    pub fn sweep(&self, now: Instant) -> Held {
        let mut held = Held::default();
        self.slots.lock().retain(|_, slot| {
            let mut state = slot.state.lock();
            state.h1.retain(|idle| {
                !idle.connection.is_closed()
                    && now.saturating_duration_since(idle.since) < limits::HTTP1_IDLE
            });
            state.h2.retain(|connection| connection.is_usable());
            let gone = slot.upstream.strong_count() == 0;
            if !gone {
                held.h2 += state.h2.len();
                held.h1_idle += state.h1.len();
            }
            !gone
        });
        held
    }
}

/// A connection for one more stream to `upstream`.
///
/// # Errors
/// When none is open and none can be opened.
pub(super) async fn h2(
    shard: &Arc<Shard>,
    upstream: &Arc<Upstream>,
) -> Result<Arc<H2>, ProxyError> {
    let version = shard.certificate_version(upstream);
    let slot = shard.pool.slot(upstream);
    let waiting = {
        let mut state = slot.state.lock();
        state
            .h2
            .retain(|connection| connection.is_usable() && connection.version == version);
        let least = state
            .h2
            .iter()
            .min_by_key(|connection| connection.streams())
            .cloned();
        match least {
            Some(connection) if connection.has_room() => return Ok(connection),
            Some(connection) => {
                // All are nearly full: one more is on its way, and this stream does not wait for it.
                if state.connecting.is_none() {
                    state.connecting = Some(Vec::new());
                    spawn_connect(shard, upstream, &slot);
                }
                return Ok(connection);
            }
            None => {}
        }
        let (waiter, waiting) = oneshot::channel();
        match &mut state.connecting {
            Some(waiters) => waiters.push(waiter),
            None => {
                state.connecting = Some(vec![waiter]);
                spawn_connect(shard, upstream, &slot);
            }
        }
        waiting
    };
    waiting.await.unwrap_or_else(|_| {
        Err(ProxyError::ConnectFailed {
            address: upstream.address,
            reason: "this proxy is ending".to_owned(),
        })
    })
}

fn spawn_connect(shard: &Arc<Shard>, upstream: &Arc<Upstream>, slot: &Arc<Slot>) {
    let (shard, upstream, slot) = (Arc::clone(shard), Arc::clone(upstream), Arc::clone(slot));
    weft_runtime::task::spawn("connect", async move {
        let connected = connect_h2(&shard, &upstream).await.map(Arc::new);
        let mut state = slot.state.lock();
        if let Ok(connection) = &connected {
            state.h2.push(Arc::clone(connection));
        }
        for waiter in state.connecting.take().unwrap_or_default() {
            // A waiter that gave up needs no answer.
            let _ = waiter.send(connected.clone());
        }
    });
}

/// A plain HTTP/1 connection to `upstream`: the one that rested least, else a new one.
///
/// # Errors
/// When none is open and none can be opened.
pub(super) async fn h1(
    shard: &Arc<Shard>,
    upstream: &Arc<Upstream>,
) -> Result<(Http1, Age), ProxyError> {
    let slot = shard.pool.slot(upstream);
    let version = shard.certificate_version(upstream);
    {
        let mut state = slot.state.lock();
        let now = Instant::now();
        while let Some(idle) = state.h1.pop() {
            let fresh = now.saturating_duration_since(idle.since) < limits::HTTP1_IDLE;
            if fresh && idle.connection.is_ready() && idle.connection.version == version {
                return Ok((idle.connection, Age::Reused));
            }
        }
    }
    let connection = connect_h1(shard, upstream).await?;
    Ok((connection, Age::Fresh))
}

/// Whether a connection has served before: only then may its end mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// It was opened for this request.
    Fresh,
    /// It lay in the pool.
    Reused,
}

/// Lays a connection back that has finished its exchange.
pub(super) fn give_back(shard: &Arc<Shard>, upstream: &Arc<Upstream>, mut connection: Http1) {
    if connection.is_closed() {
        return;
    }
    if connection.is_ready() {
        rest(shard, upstream, connection);
        return;
    }
    // The connection has not noticed the end of the exchange yet (its request's body may still be on its way).
    let (shard, upstream) = (Arc::clone(shard), Arc::clone(upstream));
    weft_runtime::task::spawn("give-back", async move {
        if connection.ready().await.is_ok() {
            rest(&shard, &upstream, connection);
        }
    });
}

fn rest(shard: &Arc<Shard>, upstream: &Arc<Upstream>, connection: Http1) {
    let slot = shard.pool.slot(upstream);
    let mut state = slot.state.lock();
    if state.h1.len() < IDLE_MAX {
        state.h1.push(Idle {
            connection,
            since: Instant::now(),
        });
    }
}
