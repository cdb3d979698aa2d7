//! One authenticated HTTP/2 channel to the control plane.

use crate::identity::controller_id;
use hyper_util::rt::TokioIo;
use std::{error::Error, fmt::Write, io, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};
use weft_identity::{
    alpn::Alpn,
    handshake,
    store::{IdentityStore, NotYet},
};
use weft_model::identity::TrustDomain;

/// Time for TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);
/// A control plane that vanished without a word is noticed by unanswered pings of this interval ...
const PING: Duration = Duration::from_secs(10);
/// ... within this time. Both are Linkerd's.
const PONG: Duration = Duration::from_secs(3);

/// Whether we show our certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// For Discovery.
    Leaf,
    /// For Certify: it must work without a certificate and with an expired one.
    Nothing,
}

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// We cannot speak TLS yet.
    #[error(transparent)]
    NotYet(#[from] NotYet),
    /// The identity that the control plane would have is no identity: a wrong trust domain.
    #[error("the control plane's identity cannot be formed")]
    Identity(#[from] weft_model::identity::IdentityError),
    /// TCP, TLS or HTTP/2.
    #[error("cannot reach the control plane at {address}: {reason}")]
    Connect {
        /// Where.
        address: String,
        /// Why, the whole chain of causes.
        reason: String,
    },
}

/// Connects to `address` and checks that it is the control plane of `trust_domain`.
///
/// # Errors
/// When it cannot be reached or is somebody else.
pub async fn connect(
    address: &str,
    trust_domain: &TrustDomain,
    identity: &IdentityStore,
    present: Present,
) -> Result<Channel, LinkError> {
    let expected = controller_id(trust_domain)?;
    let tls = match present {
        Present::Leaf => identity.client_config(&expected, Alpn::Control)?,
        Present::Nothing => identity.anonymous_client_config(&expected, Alpn::Control)?,
    };
    let target: Arc<str> = Arc::from(address);
    let dial = tower::service_fn(move |_: Uri| {
        let (tls, target) = (Arc::clone(&tls), Arc::clone(&target));
        async move {
            let stream = TcpStream::connect(&*target).await?;
            stream.set_nodelay(true)?;
            let dialled = handshake::connect(tls, stream)
                .await
                .map_err(io::Error::other)?;
            Ok::<_, io::Error>(TokioIo::new(dialled.stream))
        }
    });
    Endpoint::from_static("http://weft-controller")
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(true)
        .connect_with_connector(dial)
        .await
        .map_err(|error| LinkError::Connect {
            address: address.to_owned(),
            reason: causes(&error),
        })
}

/// An error with its causes, each said once.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut last = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        if !last.contains(&said) && said != "transport error" {
            let separator = if text.is_empty() { "" } else { ": " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{said}");
            last = said;
        }
        next = error.source();
    }
    text
}
