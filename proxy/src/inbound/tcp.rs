//! Opaque bytes inbound: to the application, once policy has spoken.

use super::Conn;
use crate::{
    connect::{self, OnSocket, Prefixed, Transport, Way, copy_both},
    detect::{self, First, Look},
    error::ProxyError,
    observe::{OpenTcp, Own, access_log::Entry, series::Edge},
    policy, respond,
};
use bytes::{Bytes, BytesMut};
use std::{io, pin::pin, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use weft_identity::alpn::Alpn;

/// The application's connection, counted as open.
pub(super) struct Open {
    server: Prefixed<Transport>,
    own: Arc<Own>,
    edge: Arc<Edge>,
}

/// Sends the connection on to the application; without the right to be there it is closed.
pub(super) async fn forward(
    conn: &Conn,
    client: impl AsyncRead + AsyncWrite + OnSocket + Unpin,
) -> io::Result<()> {
    match open(conn).await {
        Ok(open) => join(conn, client, open).await,
        Err(error) => {
            note(conn, &error);
            client.close_with_reset();
            Ok(())
        }
    }
}

async fn open(conn: &Conn) -> Result<Open, ProxyError> {
    let proxy = &conn.shard.proxy;
    let policy = proxy
        .tables
        .inbound(conn.port)
        .ok_or(ProxyError::InboundPolicyMissing { port: conn.port })?;
    policy::refusal(&policy)?;
    let application = conn.shard.application(conn.app);
    let server = connect::connect(&conn.shard, &application, Alpn::MeshTcp).await?;
    let own = proxy.observe.own(proxy.tables.workload().as_ref());
    let edge = conn.source.edge_of_bytes(&proxy.observe, &own);
    Ok(Open {
        server: Prefixed::new(Bytes::new(), server),
        own,
        edge,
    })
}

fn note(conn: &Conn, error: &ProxyError) {
    let code = respond::row(error).code;
    conn.shard.proxy.observe.refused_inbound(code);
    tracing::warn!(client.addr = %conn.client, port = conn.port, %error, code, "opaque connection closed");
}

/// Joins the two until both have ended, the drain is forced, or policy forbids what they do.
pub(super) async fn join(
    conn: &Conn,
    mut client: impl AsyncRead + AsyncWrite + OnSocket + Unpin,
    open: Open,
) -> io::Result<()> {
    let Open {
        mut server,
        own,
        edge,
    } = open;
    let counted = OpenTcp::new(&conn.shard.proxy.observe, own, edge, || entry(conn));
    let passed = |way, count| match way {
        Way::There => counted.passed(count, 0),
        Way::Back => counted.passed(0, count),
    };
    let copied = tokio::select! {
        copied = copy_both(&mut client, &mut server, passed) => Some(copied),
        () = conn.drain.forced() => None,
        () = forbidden(conn) => {
            tracing::warn!(client.addr = %conn.client, port = conn.port, "connection closed by a change of policy");
            conn.shard.proxy.observe.refused_inbound("policy_changed");
            None
        }
    };
    // What broke off must not look like an end.
    if !matches!(copied, Some(Ok(()))) {
        client.close_with_reset();
        server.close_with_reset();
    }
    copied.unwrap_or(Ok(()))
}

fn entry(conn: &Conn) -> Entry {
    Entry {
        side: "inbound",
        method: "-".to_owned(),
        path: "-".to_owned(),
        version: "TCP",
        upstream: Some(conn.app),
        peer: conn
            .source
            .identity()
            .map(|peer| peer.id.as_str().to_owned()),
        ..Entry::default()
    }
}

/// Resolves once policy forbids the connection. Cancel safe: yes.
async fn forbidden(conn: &Conn) {
    let tables = &conn.shard.proxy.tables;
    let mut changes = tables.changes();
    loop {
        if let Some(policy) = tables.inbound(conn.port) {
            let refused = policy::refusal(&policy).is_err();
            let admission = policy::admit(&policy, conn.source.arrival());
            if refused || admission == policy::Admission::PlaintextRefused {
                return;
            }
        }
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Who spoke on a connection of undeclared protocol.
pub(super) enum Spoke {
    /// The client.
    Client(First),
    /// The application: a server-first protocol.
    Server(Open),
    /// The connection ended, or the application takes none.
    Nobody,
}

/// Dials the application meanwhile, and lets whoever speaks first decide. When the client does, the connection to the
/// application is dropped: bytes that are opaque after all are worth another connect on the loopback.
pub(super) async fn whoever_speaks_first(
    conn: &Conn,
    client: &mut TcpStream,
    look: Look,
) -> io::Result<Spoke> {
    let mut heard = BytesMut::new();
    let opening = async {
        let mut open = match open(conn).await {
            Ok(open) => open,
            Err(error) => {
                note(conn, &error);
                return None;
            }
        };
        let mut said = BytesMut::new();
        match detect::read(&mut open.server, &mut said).await {
            Ok(0) | Err(_) => None,
            Ok(_) => {
                let (_, server) = open.server.into_parts();
                Some(Open {
                    server: Prefixed::new(said.freeze(), server),
                    ..open
                })
            }
        }
    };
    let mut opening = pin!(opening);
    tokio::select! {
        read = detect::read(client, &mut heard) => {
            if read? == 0 {
                return Ok(Spoke::Nobody);
            }
        }
        open = &mut opening => return Ok(open.map_or(Spoke::Nobody, Spoke::Server)),
        () = conn.drain.signaled() => return Ok(Spoke::Nobody),
    }
    Ok(Spoke::Client(detect::more(client, heard, look).await?))
}
