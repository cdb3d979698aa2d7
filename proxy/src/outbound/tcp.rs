//! Opaque bytes outbound: one mutual TLS connection to the peer for each of the application's.

use super::{Conn, Stream, place};
use crate::{
    balance::Load,
    connect::{self, OnSocket, Prefixed, Transport, Upstream, Way, copy_both, reset},
    error::ProxyError,
    observe::{OpenTcp, Own, access_log::Entry, labels::Service, series::Edge},
    respond,
    route::{self, Decision, Destination},
};
use bytes::Bytes;
use std::{io, sync::Arc};
use weft_identity::alpn::Alpn;
use weft_traffic::Outcome;

/// An upstream connection for opaque bytes, counted as open.
pub(super) struct Open {
    pub(super) server: Prefixed<Transport>,
    own: Arc<Own>,
    edge: Arc<Edge>,
    upstream: Arc<Upstream>,
    decision: Option<Decision>,
    instance: Option<String>,
    _load: Option<Load>,
}

impl Open {
    /// The same, with what the server has said already.
    pub(super) fn heard(self, said: Bytes) -> Self {
        let (_, server) = self.server.into_parts();
        Self {
            server: Prefixed::new(said, server),
            ..self
        }
    }
}

/// Sends the connection on as it is, over what was dialled for it already or a new connection.
pub(super) async fn forward(
    conn: &Conn,
    stream: Stream,
    destination: Destination,
    dialled: Option<Open>,
) -> io::Result<()> {
    let opened = match dialled {
        Some(open) => Ok(open),
        None => open(conn, &destination).await,
    };
    match opened {
        Ok(open) => join(conn, stream, open).await,
        Err(error) => {
            note(&error);
            reset(stream.into_parts().1);
            Ok(())
        }
    }
}

pub(super) fn note(error: &ProxyError) {
    tracing::warn!(%error, code = respond::row(error).code, "opaque connection not forwarded");
}

/// Decides and dials. Cancel safe: yes, a dropped call closes what it dialled.
pub(super) async fn open(conn: &Conn, destination: &Destination) -> Result<Open, ProxyError> {
    let shard = &conn.shard;
    let proxy = &shard.proxy;
    let own = proxy.observe.own(proxy.tables.workload().as_ref());
    let mut decided = None;
    let (upstream, edge, mut load) = match destination {
        Destination::Mesh(policy) => {
            let decision = route::tcp(&proxy.tables, Arc::clone(policy))?;
            let picked = decision.cluster.pick()?;
            let host = &decision.cluster.cluster.name.host;
            let (edge, _) = proxy.observe.outbound(&own, host, &picked.endpoint);
            decided = Some((decision, picked.endpoint.endpoint.instance.clone()));
            (
                Arc::clone(&picked.endpoint.upstream),
                edge,
                Some(picked.load),
            )
        }
        Destination::Outside(outside) => {
            let edge = proxy.observe.to_service(&own, Service::outside());
            (place::outside(shard, outside).await?, edge, None)
        }
    };
    let server = connect::connect(shard, &upstream, Alpn::MeshTcp).await;
    if let Some(load) = &mut load {
        // For an opaque connection the answer is the connection itself.
        load.answered(if server.is_ok() {
            Outcome::Success
        } else {
            Outcome::Failure
        });
    }
    let (decision, instance) = decided.unzip();
    Ok(Open {
        server: Prefixed::new(Bytes::new(), server?),
        own,
        edge,
        upstream,
        decision,
        instance,
        _load: load,
    })
}

/// Joins the two until both have ended, or the drain is forced. It is counted from here on: a speculative connection that
/// turns out not to be wanted is none of the application's.
pub(super) async fn join(conn: &Conn, mut client: Stream, open: Open) -> io::Result<()> {
    let entry = || entry(&open);
    let counted = OpenTcp::new(
        &conn.shard.proxy.observe,
        Arc::clone(&open.own),
        Arc::clone(&open.edge),
        entry,
    );
    let Open {
        mut server, _load, ..
    } = open;
    let passed = |way, count| match way {
        Way::There => counted.passed(count, 0),
        Way::Back => counted.passed(0, count),
    };
    let copied = conn
        .drain
        .until_forced(copy_both(&mut client, &mut server, passed))
        .await;
    // What broke off must not look like an end.
    if !matches!(copied, Some(Ok(()))) {
        client.close_with_reset();
        server.close_with_reset();
    }
    copied.unwrap_or(Ok(()))
}

fn entry(open: &Open) -> Entry {
    let decision = open.decision.as_ref();
    Entry {
        side: "outbound",
        method: "-".to_owned(),
        path: "-".to_owned(),
        version: "TCP",
        cluster: decision.map(|decision| decision.cluster.cluster.name.to_string()),
        sources: decision.map_or_else(Vec::new, |decision| {
            decision.sources().map(ToString::to_string).collect()
        }),
        instance: open.instance.clone(),
        upstream: Some(open.upstream.address),
        peer: open.upstream.peer.as_ref().map(|id| id.as_str().to_owned()),
        ..Entry::default()
    }
}
