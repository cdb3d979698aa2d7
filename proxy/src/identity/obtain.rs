//! One attempt to obtain a certificate: new key, signing request, token, answer.

use crate::{
    config::Config,
    control::link::{self, LinkError, Present},
};
use std::{io, path::PathBuf, time::Duration};
use weft_api::{
    decode, encode,
    pb::{CertifyRequest, identity_client::IdentityClient},
};
use weft_identity::{
    leaf::{KeyPair, Leaf, LeafError},
    store::IdentityStore,
    trust::{self, TrustRoots},
};
use weft_model::identity::{IdentityError, SpiffeId};

/// Bound on one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// A file that the platform mounts is not there.
    #[error("cannot read {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The anchors to start with cannot be used.
    #[error("the trust anchors cannot be used: {0}")]
    Trust(#[from] trust::TrustError),
    /// The control plane cannot be reached, or is somebody else.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The control plane refused.
    #[error("the control plane refused a certificate: {0}")]
    Refused(String),
    /// The control plane did not answer.
    #[error("the control plane did not answer within {0:?}")]
    Timeout(Duration),
    /// The answer cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Leaf(#[from] LeafError),
    /// The answer cannot be read.
    #[error("the answer cannot be read: {0}")]
    Decode(#[from] decode::DecodeError),
    /// The workload's name makes no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Obtains a certificate, of the given life if one is wanted.
pub(super) async fn leaf(
    config: &Config,
    store: &IdentityStore,
    lifetime: Option<Duration>,
) -> Result<Leaf, ObtainError> {
    match tokio::time::timeout(ATTEMPT, attempt(config, store, lifetime)).await {
        Ok(result) => result,
        Err(_) => Err(ObtainError::Timeout(ATTEMPT)),
    }
}

async fn attempt(
    config: &Config,
    store: &IdentityStore,
    lifetime: Option<Duration>,
) -> Result<Leaf, ObtainError> {
    let token = read(&config.token_file)?;
    if store.trust().is_empty() {
        let pem = read(&config.root_file)?;
        let bundle = trust::bundle_from_pem(config.trust_domain.clone(), &pem)?;
        store.set_trust(TrustRoots::new([&bundle])?);
    }
    let key = KeyPair::generate()?;
    let channel = link::connect(
        &config.controller,
        &config.trust_domain,
        store,
        Present::Nothing,
    )
    .await?;
    let request = CertifyRequest {
        token: token.into(),
        csr_der: key.csr_der(&asking(config)?)?.into(),
        ttl: lifetime.map(encode::duration),
    };
    let answer = IdentityClient::new(channel)
        .certify(request)
        .await
        .map_err(|status| ObtainError::Refused(status.message().to_owned()))?
        .into_inner();
    let chain = answer.chain_der.iter().map(|der| der.to_vec()).collect();
    Ok(Leaf::new(chain, &key)?)
}

/// The name in the signing request. The signer takes the public key and ignores every name: the token says who asks.
fn asking(config: &Config) -> Result<SpiffeId, IdentityError> {
    SpiffeId::new(
        &config.trust_domain,
        &config.workload.namespace,
        &config.workload.name,
    )
}

fn read(path: &PathBuf) -> Result<Vec<u8>, ObtainError> {
    // A file of a few hundred bytes on a memory file system, once a day: not worth another thread.
    std::fs::read(path).map_err(|error| ObtainError::File {
        path: path.clone(),
        error,
    })
}
