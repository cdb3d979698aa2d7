//! One handshake on a stream that somebody else has opened.
//!
//! Place: `connect/tls` and the inbound of the proxy, both ends of the control channel, tests. The
//! caller owns the deadline. Cancel safe: no (a handshake that is dropped has to be started on a new
//! stream).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::alpn::Alpn;
use crate::peer::PeerIdentity;
use crate::refusal::{HandshakeFailure, Refusal};

/// A stream that we dialled and the peer that answered.
#[derive(Debug)]
pub struct Dialled<IO> {
    /// Carries the plaintext.
    pub stream: client::TlsStream<IO>,
    /// Who answered: the identity that the configuration expects.
    pub peer: PeerIdentity,
}

/// A stream that was dialled to us.
#[derive(Debug)]
pub struct Accepted<IO> {
    /// Carries the plaintext.
    pub stream: server::TlsStream<IO>,
    /// Who dialled; `None` when it presented no certificate, which only
    /// [`ClientAuth::Optional`](crate::store::ClientAuth::Optional) lets pass.
    pub peer: Option<PeerIdentity>,
    /// What it wants to speak; `None` when it did not say.
    pub alpn: Option<Alpn>,
}

/// Dials: `config` says whom.
///
/// # Errors
/// When the handshake fails, typed by whose fault it is.
pub async fn connect<IO>(
    config: Arc<ClientConfig>,
    stream: IO,
) -> Result<Dialled<IO>, HandshakeFailure>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TlsConnector::from(config)
        .connect(server_name(), stream)
        .await
        .map_err(|error| HandshakeFailure::from_io(&error))?;
    let state = stream.get_ref().1;
    // A peer that picks no protocol is no sidecar and no control plane.
    if state.alpn_protocol().and_then(Alpn::from_bytes).is_none() {
        return Err(HandshakeFailure::NoCommonProtocol);
    }
    let peer = PeerIdentity::of_connection(state)?.ok_or(Refusal::NoCertificate)?;
    Ok(Dialled { stream, peer })
}

/// Answers. Bytes that were read before (to tell TLS from plaintext) must be read again from
/// `stream`.
///
/// # Errors
/// When the handshake fails, typed by whose fault it is.
pub async fn accept<IO>(
    config: Arc<ServerConfig>,
    stream: IO,
) -> Result<Accepted<IO>, HandshakeFailure>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TlsAcceptor::from(config)
        .accept(stream)
        .await
        .map_err(|error| HandshakeFailure::from_io(&error))?;
    let state = stream.get_ref().1;
    let alpn = state.alpn_protocol().and_then(Alpn::from_bytes);
    let peer = PeerIdentity::of_connection(state)?;
    Ok(Accepted { stream, peer, alpn })
}

/// rustls wants a name. Ours is never sent (SNI is off) and never compared (the verifier knows whom
/// it expects).
pub fn server_name() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into())
}
