//! Certificates for workloads: a token stands for an identity, and for nothing else.
//!
//! The caller shows no certificate, so that one whose leaf has expired gets a new one. Of its signing request only the
//! public key is used. A token that is not known is waited for a little: a sidecar may be faster than the source.

use crate::{
    ca::Authority,
    hub::Hub,
    metrics::{Metrics, OutcomeLabels},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tonic::{Request, Response, Status};
use weft_api::{decode, encode, pb, pb::identity_server::Identity};
use weft_identity::ca::{CaError, LeafRequest};
use weft_model::{identity::SpiffeId, limits};

/// How long an unknown token is waited for.
const KNOWN_WITHIN: Duration = Duration::from_secs(3);
/// Bytes of a token at most.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The service.
#[derive(Debug, Clone)]
pub struct IdentityService {
    /// Knows the tokens.
    pub hub: Arc<Hub>,
    /// Signs.
    pub authority: Arc<Authority>,
    /// What is counted.
    pub metrics: Metrics,
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn certify(
        &self,
        request: Request<pb::CertifyRequest>,
    ) -> Result<Response<pb::CertifyResponse>, Status> {
        let request = request.into_inner();
        let count = |outcome| {
            self.metrics
                .certificates
                .get_or_create(&OutcomeLabels { outcome })
                .inc();
        };
        if request.token.is_empty() || request.token.len() > MAX_TOKEN_BYTES {
            count("bad_request");
            return Err(Status::invalid_argument(
                "there is no token, or it is too long",
            ));
        }
        let hash: [u8; 32] = Sha256::digest(&request.token).into();
        let Some((id, lifetime)) = self.identity_of(&hash).await else {
            count("unknown_token");
            tracing::warn!("certificate refused: no workload has this token");
            return Err(Status::unauthenticated("no workload has this token"));
        };
        // A length of time that makes no sense is one that was not asked for.
        let asked = request
            .ttl
            .as_ref()
            .and_then(|it| decode::duration(it, "ttl").ok());
        let lifetime = lifetime_of(asked, lifetime);
        let signing = LeafRequest {
            csr_der: &request.csr_der,
            id: &id,
            lifetime,
        };
        match self.authority.sign(&signing, SystemTime::now()) {
            Ok(signed) => {
                count("signed");
                tracing::info!(identity = %id, serial = %signed.serial, "certificate signed");
                Ok(Response::new(pb::CertifyResponse {
                    chain_der: signed.chain_der.into_iter().map(Bytes::from).collect(),
                    not_after_unix: unix_seconds(signed.not_after),
                    trust: Some(encode::trust(&self.authority.trust_bundle())),
                }))
            }
            Err(error @ (CaError::Request(_) | CaError::KeyType)) => {
                count("bad_request");
                tracing::warn!(identity = %id, %error, "certificate refused");
                Err(Status::invalid_argument(error.to_string()))
            }
            Err(error) => {
                count("failed");
                tracing::error!(identity = %id, %error, "certificate cannot be signed");
                Err(Status::internal(error.to_string()))
            }
        }
    }
}

impl IdentityService {
    async fn identity_of(&self, hash: &[u8; 32]) -> Option<(SpiffeId, Duration)> {
        let mut changes = self.hub.changes();
        let known = async {
            loop {
                if let Some(known) = self.hub.identity_of_token(hash) {
                    return Some(known);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(KNOWN_WITHIN, known)
            .await
            .ok()
            .flatten()
    }
}

/// What the mesh's settings say, or less where less is asked for.
fn lifetime_of(asked: Option<Duration>, configured: Duration) -> Duration {
    let asked = asked.filter(|it| !it.is_zero());
    asked.map_or(configured, |it| it.min(configured)).clamp(
        limits::CERTIFICATE_LIFETIME_MIN,
        limits::CERTIFICATE_LIFETIME_MAX,
    )
}

fn unix_seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_bound_what_is_asked_for() {
        let hour = Duration::from_secs(3600);
        let ask = |seconds| Some(Duration::from_secs(seconds));
        let cases = [
            (None, hour, hour),
            (ask(0), hour, hour),
            (ask(600), hour, Duration::from_secs(600)),
            (ask(7200), hour, hour),
            (ask(5), hour, limits::CERTIFICATE_LIFETIME_MIN),
            (
                None,
                Duration::from_secs(1),
                limits::CERTIFICATE_LIFETIME_MIN,
            ),
            (None, hour * 24 * 30, limits::CERTIFICATE_LIFETIME_MAX),
        ];
        for (asked, configured, expected) in cases {
            assert_eq!(
                lifetime_of(asked, configured),
                expected,
                "{asked:?} {configured:?}"
            );
        }
    }
}
