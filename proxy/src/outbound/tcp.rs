//! Opaque bytes outbound: one mutual TLS connection to the peer for each of the application's.

use super::{Conn, Stream, place};
use crate::{
    balance::Load,
    connect::{self, Prefixed, Transport, Way, copy_both, reset},
    error::ProxyError,
    observe::{OpenTcp, labels::Service},
    respond,
    route::{self, Destination},
};
use bytes::Bytes;
use std::{io, sync::Arc};
use weft_identity::alpn::Alpn;
use weft_traffic::Outcome;

/// An upstream connection for opaque bytes, counted as open.
pub(super) struct Open {
    pub(super) server: Prefixed<Transport>,
    counted: OpenTcp,
    _load: Option<Load>,
    drain: weft_runtime::drain::DrainWatch,
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
        Ok(open) => join(stream, open).await,
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
    let (upstream, edge, mut load) = match destination {
        Destination::Mesh(policy) => {
            let decision = route::tcp(&proxy.tables, Arc::clone(policy))?;
            let picked = decision.cluster.pick()?;
            let host = &decision.cluster.cluster.name.host;
            let (edge, _) = proxy.observe.outbound(&own, host, &picked.endpoint);
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
    Ok(Open {
        server: Prefixed::new(Bytes::new(), server?),
        counted: OpenTcp::new(edge),
        _load: load,
        drain: conn.drain.clone(),
    })
}

/// Joins the two until both have ended, or the drain is forced.
pub(super) async fn join(mut client: Stream, open: Open) -> io::Result<()> {
    let Open {
        mut server,
        counted,
        _load,
        drain,
    } = open;
    let passed = |way, count| match way {
        Way::There => counted.passed(count, 0),
        Way::Back => counted.passed(0, count),
    };
    drain
        .until_forced(copy_both(&mut client, &mut server, passed))
        .await
        .unwrap_or(Ok(()))
}
