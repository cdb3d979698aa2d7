//! Who is at the other end of a finished handshake.
//!
//! Place: after the verifier. rustls hands out the peer's certificates only once it has verified
//! them, so nothing is checked again here; the name is read again because a verifier cannot leave
//! anything behind.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use weft_model::identity::SpiffeId;

use crate::leaf::Serial;
use crate::refusal::Refusal;

/// A verified peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Who it is.
    pub id: SpiffeId,
    /// Which of its certificates it showed.
    pub serial: Serial,
}

impl PeerIdentity {
    /// The peer of a handshake that is over; `None` when it presented no certificate.
    ///
    /// # Errors
    /// When the handshake was made with another configuration than this crate's, which may verify
    /// a certificate that carries no identity.
    pub fn of_connection(connection: &rustls::CommonState) -> Result<Option<Self>, Refusal> {
        connection
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(Self::of_certificate)
            .transpose()
    }

    fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, Refusal> {
        let certificate = EndEntityCert::try_from(certificate)
            .map_err(|_| Refusal::Unusable(rustls::CertificateError::BadEncoding))?;
        let id = crate::verify::spiffe_id(&certificate)?;
        Ok(Self {
            id,
            serial: Serial::from_bytes(certificate.serial()),
        })
    }
}
