//! A request that asks for another protocol on its connection (WebSocket): it gets a connection of its own.

use super::{copy::copy_both, http::closed, io::Transport, tls, upstream::Upstream};
use crate::{body::Body, error::ProxyError, shard::Shard};
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use weft_identity::alpn::Alpn;
use weft_model::limits;
use weft_runtime::drain::DrainWatch;

/// The client's end of an upgrade.
#[derive(Debug)]
pub struct Upgrading {
    /// Resolves once the 101 is written.
    pub client: OnUpgrade,
    /// What the tunnel obeys.
    pub drain: DrainWatch,
}

/// Sends `request` over a new HTTP/1.1 connection. On 101 the two sides are joined in a task of its own, which holds the
/// drain open; on anything else the connection ends with the response.
///
/// # Errors
/// When there is no connection or no response.
pub async fn send_upgrade(
    shard: &Arc<Shard>,
    upstream: &Arc<Upstream>,
    request: Request<Body>,
    upgrading: Upgrading,
) -> Result<Response<Incoming>, ProxyError> {
    let transport: Transport = tls::connect(shard, upstream, Alpn::MeshH1).await?;
    let (mut send, connection) = http1::Builder::new()
        .max_buf_size(limits::HTTP1_MAX_BUFFER_BYTES)
        // WebSocket clients exist that compare the case of header names.
        .preserve_header_case(true)
        .handshake::<_, Body>(TokioIo::new(transport))
        .await
        .map_err(|error| closed(upstream, &error))?;
    weft_runtime::task::spawn("upgrade-client", async move {
        // What goes wrong reaches the request, or the tunnel, that uses the connection.
        let _ = connection.with_upgrades().await;
    });
    let mut response = send
        .send_request(request)
        .await
        .map_err(|error| closed(upstream, &error))?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let server = hyper::upgrade::on(&mut response);
        let Upgrading { client, drain } = upgrading;
        weft_runtime::task::spawn("upgrade-tunnel", async move {
            let guard = drain.guard();
            let tunnel = async {
                let (Ok(client), Ok(server)) = tokio::join!(client, server) else {
                    return;
                };
                let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
                // Either side may end a tunnel as it likes: nobody is left to be told.
                let _ = copy_both(&mut client, &mut server, |_, _| {}).await;
            };
            let _: Option<()> = guard.watch().until_forced(tunnel).await;
        });
    }
    Ok(response)
}
