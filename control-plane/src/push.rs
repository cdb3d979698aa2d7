//! Pushing: one delta stream per proxy, over the control plane's own TLS.
//!
//! Place: the end of a configuration's way. [`session`] is the protocol, without I/O; [`stream`] moves its messages;
//! [`wire`] turns batches into protobuf; [`certify`] signs certificates on the same port; [`listen`] is the port.

pub mod certify;
pub mod listen;
pub mod session;
pub mod stream;
pub mod wire;

use crate::{ca::Authority, hub::Hub, metrics::Metrics};
use certify::IdentityService;
use std::{sync::Arc, time::Duration};
use stream::DiscoveryService;
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use weft_api::pb::{discovery_server::DiscoveryServer, identity_server::IdentityServer};
use weft_runtime::drain::DrainWatch;

/// A proxy that is silent for this long is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// One that does not answer is cut after this; what it needs is still counted.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves both services until the drain begins and every stream has ended.
///
/// # Errors
/// When the server ends by itself.
pub async fn serve(
    listener: TcpListener,
    hub: Arc<Hub>,
    authority: Arc<Authority>,
    metrics: Metrics,
    drain: DrainWatch,
) -> Result<(), tonic::transport::Error> {
    let accepted = listen::accept(
        listener,
        Arc::clone(&authority),
        metrics.clone(),
        drain.clone(),
    );
    let discovery = DiscoveryService {
        hub: Arc::clone(&hub),
        metrics: metrics.clone(),
        drain: drain.clone(),
    };
    let identity = IdentityService {
        hub,
        authority,
        metrics,
    };
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(DiscoveryServer::new(discovery))
        .add_service(IdentityServer::new(identity))
        .serve_with_incoming_shutdown(ReceiverStream::new(accepted), async move {
            drain.signaled().await
        })
        .await
}
