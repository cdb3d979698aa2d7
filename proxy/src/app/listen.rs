//! The listeners of a sidecar, bound once at start and served by every shard.
//!
//! With one shard a listener is that shard's alone. With more, each shard accepts from a duplicate of the same socket: the
//! kernel wakes whoever is idle, and a connection stays where it was accepted.

use crate::{
    accept::{Acceptor, InboundAcceptor},
    config::Config,
    inbound, outbound,
    shard::Shard,
};
use anyhow::{Context, Result};
use std::{net::SocketAddr, sync::Arc};
use weft_runtime::{drain::DrainWatch, shard::ShardIndex, task::Tasks};

/// What a connection that comes in on a listener means.
#[derive(Debug, Clone)]
enum Kind {
    Outbound(Acceptor),
    Inbound(InboundAcceptor),
}

/// All listeners of this process.
#[derive(Debug)]
pub(super) struct Listeners(Vec<(std::net::TcpListener, Kind)>);

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

impl Listeners {
    /// Binds every listener of the settings.
    pub(super) fn bind(config: &Config) -> Result<Self> {
        let mut listeners = Vec::new();
        let mut add = |address: SocketAddr, kind: Kind, what: &str| {
            let listener =
                bind(address).with_context(|| format!("binding {address} for {what}"))?;
            listeners.push((listener, kind));
            anyhow::Ok(())
        };
        for port in &config.inbound {
            let kind = Kind::Inbound(InboundAcceptor::Port(port.clone()));
            add(port.listen, kind, &format!("container port {}", port.port))?;
        }
        if let Some(address) = config.inbound_redirect {
            add(
                address,
                Kind::Inbound(InboundAcceptor::Redirect),
                "redirected inbound connections",
            )?;
        }
        if let Some(address) = config.outbound {
            add(
                address,
                Kind::Outbound(Acceptor::Explicit),
                "the explicit proxy",
            )?;
        }
        for service in &config.services {
            let kind = Kind::Outbound(Acceptor::Service {
                host: service.host.clone(),
                port: service.port,
            });
            add(
                service.listen,
                kind,
                &format!("{}:{}", service.host, service.port),
            )?;
        }
        if let Some(address) = config.outbound_redirect {
            add(
                address,
                Kind::Outbound(Acceptor::Redirect),
                "redirected connections",
            )?;
        }
        Ok(Self(listeners))
    }

    /// Where applications reach this proxy; never a destination of its own.
    pub(super) fn outbound_addresses(&self) -> Vec<SocketAddr> {
        self.0
            .iter()
            .filter(|(_, kind)| matches!(kind, Kind::Outbound(_)))
            .filter_map(|(listener, _)| listener.local_addr().ok())
            .collect()
    }

    /// Serves every listener on this shard until the drain stops it and its connections are finished.
    pub(super) async fn serve(
        &self,
        index: ShardIndex,
        shard: &Arc<Shard>,
        drain: &DrainWatch,
    ) -> Result<()> {
        let mut tasks = Tasks::new();
        for (listener, kind) in &self.0 {
            let listener = listener.try_clone().context("duplicating a listener")?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (shard, drain) = (Arc::clone(shard), drain.clone());
            match kind.clone() {
                Kind::Outbound(acceptor) => {
                    tasks.spawn(
                        "outbound",
                        outbound::serve(listener, acceptor, shard, drain),
                    );
                }
                Kind::Inbound(acceptor) => {
                    tasks.spawn("inbound", inbound::serve(listener, acceptor, shard, drain));
                }
            }
        }
        tracing::debug!(shard = index.get(), listeners = self.0.len(), "serving");
        tasks.join_all().await;
        // Connections outlive their acceptor and hold guards; the thread that drains waits for those.
        drain.forced().await;
        Ok(())
    }
}

fn bind(address: SocketAddr) -> Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
