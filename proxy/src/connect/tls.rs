//! A transport to an upstream: TCP, and mutual TLS where the upstream has an identity.

use super::{
    io::Transport,
    tcp,
    upstream::{Role, Upstream},
};
use crate::{error::ProxyError, shard::Shard};
use weft_identity::{alpn::Alpn, handshake, refusal::HandshakeFailure};

/// Dials within the upstream's bound. `alpn` counts only where there is TLS.
///
/// # Errors
/// By whose fault it is; a refused peer is counted and logged here.
pub(crate) async fn connect(
    shard: &Shard,
    upstream: &Upstream,
    alpn: Alpn,
) -> Result<Transport, ProxyError> {
    let after = upstream.connect_timeout;
    tokio::time::timeout(after, dial(shard, upstream, alpn))
        .await
        .unwrap_or(Err(ProxyError::ConnectTimeout {
            address: upstream.address,
            after,
        }))
}

async fn dial(shard: &Shard, upstream: &Upstream, alpn: Alpn) -> Result<Transport, ProxyError> {
    // The configuration first: without a certificate there is nothing to dial for.
    let config = match &upstream.peer {
        Some(expected) => {
            let config = shard
                .proxy
                .identity
                .client_config(expected, alpn)
                .map_err(|not_yet| ProxyError::NotCertified {
                    reason: not_yet.to_string(),
                })?;
            Some((expected, config))
        }
        None => None,
    };
    let address = upstream.address;
    let stream = tcp::dial(address)
        .await
        .map_err(|error| match upstream.role {
            Role::Peer => ProxyError::ConnectFailed {
                address,
                reason: error.to_string(),
            },
            Role::Application => ProxyError::AppUnreachable {
                address,
                reason: error.to_string(),
            },
        })?;
    let Some((expected, config)) = config else {
        return Ok(Transport::Plain(stream));
    };
    match handshake::connect(config, stream).await {
        Ok(dialled) => {
            shard.proxy.observe.handshakes.outbound.inc();
            Ok(Transport::Tls(Box::new(dialled.stream)))
        }
        Err(failure) => {
            note_refusal(shard, upstream, &failure);
            Err(ProxyError::PeerRejected {
                address,
                expected: expected.clone(),
                reason: super::http::describe(&failure),
            })
        }
    }
}

/// In TLS 1.3 a client's handshake is over before the server has judged its certificate: a refusal then arrives as the
/// connection's first read. Counts and logs it like any other.
pub(super) fn note_late_refusal(
    shard: &Shard,
    upstream: &Upstream,
    error: &(dyn std::error::Error + 'static),
) {
    if let Some(failure) = HandshakeFailure::find(error) {
        note_refusal(shard, upstream, &failure);
    }
}

fn note_refusal(shard: &Shard, upstream: &Upstream, failure: &HandshakeFailure) {
    shard.proxy.observe.refused_outbound(failure.label());
    tracing::warn!(
        server.addr = %upstream.address,
        server.expected = upstream.peer.as_ref().map(|id| id.as_str()).unwrap_or_default(),
        reason = failure.label(),
        error = super::http::describe(failure),
        "mutual TLS to a peer failed"
    );
}
