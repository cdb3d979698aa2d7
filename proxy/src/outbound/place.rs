//! Where a destination outside the mesh is.

use crate::{
    connect::Upstream,
    error::ProxyError,
    route::Outside,
    shard::{Proxy, Shard},
};
use std::{net::SocketAddr, sync::Arc};

/// The upstream of a place outside the mesh, its name resolved.
///
/// # Errors
/// When the name does not resolve or leads to this proxy.
pub(super) async fn outside(shard: &Shard, place: &Outside) -> Result<Arc<Upstream>, ProxyError> {
    let address = match place {
        Outside::Address(address) => not_own(&shard.proxy, *address)?,
        Outside::Name { host, port } => resolve(&shard.proxy, host, *port).await?,
    };
    Ok(shard.outside(address))
}

async fn resolve(proxy: &Proxy, host: &str, port: u16) -> Result<SocketAddr, ProxyError> {
    let unresolved = |reason: String| ProxyError::NameUnresolved {
        host: host.to_owned(),
        reason,
    };
    // An address in brackets is an address; everything else is the system's resolver's.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return not_own(proxy, SocketAddr::new(ip, port));
    }
    let mut addresses = tokio::net::lookup_host((bare, port))
        .await
        .map_err(|error| unresolved(error.to_string()))?;
    let first = addresses
        .next()
        .ok_or_else(|| unresolved("it has no address".to_owned()))?;
    not_own(proxy, first)
}

fn not_own(proxy: &Proxy, address: SocketAddr) -> Result<SocketAddr, ProxyError> {
    match proxy.is_own(address) {
        true => Err(ProxyError::LoopDetected { address }),
        false => Ok(address),
    }
}
