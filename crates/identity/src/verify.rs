//! The one verifier of the mesh, for both directions.
//!
//! rustls's own server verifier needs a DNS name or an address; a SPIFFE identity is neither, so
//! this one checks, in order: exactly one URI name, and it is a SPIFFE identity; its trust domain is
//! known; the chain leads to an anchor of that domain, is valid now and meant for this side
//! (webpki); and the identity is the expected one (outbound) or any of a known domain (inbound, where
//! policy decides later). Invariant: `WrongIdentity::presented` has passed the chain check.
//!
//! A purpose that a certificate names is binding, one that it does not name is not asked for: webpki
//! asks of every certificate in the chain, and issuers made elsewhere seldom name any.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use weft_model::identity::SpiffeId;

use crate::provider::provider;
use crate::refusal::Refusal;
use crate::store::ClientAuth;
use crate::trust::TrustRoots;

/// Verifies the server that we dialled.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    pub(crate) roots: Arc<TrustRoots>,
    pub(crate) expected: SpiffeId,
}

/// Verifies a client that dialled us.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    pub(crate) roots: Arc<TrustRoots>,
    pub(crate) auth: ClientAuth,
}

/// The identity in a certificate, not verified.
pub(crate) fn spiffe_id(certificate: &EndEntityCert<'_>) -> Result<SpiffeId, Refusal> {
    let mut names = certificate.valid_uri_names();
    let Some(name) = names.next() else {
        return Err(Refusal::NoIdentity);
    };
    let more = names.count();
    if more > 0 {
        return Err(Refusal::ManyIdentities(more + 1));
    }
    name.parse().map_err(|_| Refusal::NoIdentity)
}

fn check_chain(
    roots: &TrustRoots,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    usage: KeyUsage,
) -> Result<SpiffeId, rustls::Error> {
    let certificate = EndEntityCert::try_from(leaf).map_err(chain_error)?;
    let id = spiffe_id(&certificate)?;
    let anchors = roots
        .anchors(id.trust_domain())
        .ok_or_else(|| Refusal::UnknownTrustDomain(id.trust_domain().to_owned()))?;
    certificate
        .verify_for_usage(
            algorithms().all,
            anchors,
            intermediates,
            now,
            usage,
            None,
            None,
        )
        .map_err(chain_error)?;
    Ok(id)
}

/// As rustls itself translates webpki's errors, so that the peer gets the alert it expects.
fn chain_error(error: webpki::Error) -> rustls::Error {
    use rustls::CertificateError;
    match error {
        webpki::Error::CertExpired { time, not_after } => {
            CertificateError::ExpiredContext { time, not_after }.into()
        }
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }.into()
        }
        webpki::Error::UnknownIssuer => Refusal::UnknownAuthority.into(),
        webpki::Error::InvalidSignatureForPublicKey => Refusal::BadSignature.into(),
        webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => {
            Refusal::WrongPurpose.into()
        }
        webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
            CertificateError::BadEncoding.into()
        }
        other => CertificateError::Other(rustls::OtherError(Arc::new(other))).into(),
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

fn check_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms())
}

/// TLS 1.2 is compiled out and not offered; rustls asks all the same.
fn no_tls12() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let usage = KeyUsage::server_auth();
        let presented = check_chain(&self.roots, end_entity, intermediates, now, usage)?;
        if presented != self.expected {
            return Err(Refusal::WrongIdentity {
                expected: self.expected.clone(),
                presented,
            }
            .into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.auth == ClientAuth::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hints: a client of the mesh has one certificate and sends it.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let usage = KeyUsage::client_auth();
        check_chain(&self.roots, end_entity, intermediates, now, usage)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

#[cfg(test)]
mod tests;
