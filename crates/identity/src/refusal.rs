//! Why a handshake failed, typed: who refused whom, and for what.
//!
//! Place: the verifier gives a [`Refusal`], rustls wraps it, an `io::Error` wraps that, and hyper
//! may wrap it once more; [`HandshakeFailure::find`] gets it back from any of them, so that the proxy
//! can count and log it. Labels are stable words from here, never an error's text.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use rustls::{AlertDescription, CertificateError};
use weft_model::identity::SpiffeId;

/// Why we refuse a peer's certificate. The peer's fault, or our trust bundle's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The peer presented no certificate where one is required.
    #[error("the peer presented no certificate")]
    NoCertificate,
    /// No anchor that we trust for the peer's trust domain vouches for the certificate.
    #[error("the peer's certificate is not signed by an authority that we trust")]
    UnknownAuthority,
    /// We trust no anchor for the trust domain that the certificate names.
    #[error("the peer's trust domain {0} is not known")]
    UnknownTrustDomain(String),
    /// The certificate, or one above it, has expired.
    #[error("the peer's certificate has expired")]
    Expired {
        /// When it did.
        not_after: Option<SystemTime>,
    },
    /// The certificate is not valid yet: the clocks differ, or it was made for later.
    #[error("the peer's certificate is not valid yet")]
    NotYetValid {
        /// From when on it would be.
        not_before: Option<SystemTime>,
    },
    /// The certificate is good, and somebody else's.
    #[error("the peer is {presented}, not {expected}")]
    WrongIdentity {
        /// Who should have answered.
        expected: SpiffeId,
        /// Who did; verified.
        presented: SpiffeId,
    },
    /// The certificate carries no SPIFFE identity that can be read.
    #[error("the peer's certificate carries no SPIFFE identity")]
    NoIdentity,
    /// The certificate carries more than one URI; SPIFFE allows one.
    #[error("the peer's certificate carries {0} URI names, not one")]
    ManyIdentities(usize),
    /// The certificate may not be used by a client, or by a server, as it was.
    #[error("the peer's certificate is not meant for this side of a connection")]
    WrongPurpose,
    /// The peer could not prove that it holds the certificate's key, or a signature in the chain is
    /// wrong.
    #[error("a signature of the peer's certificate or handshake is wrong")]
    BadSignature,
    /// The certificate cannot be used for another reason.
    #[error("the peer's certificate cannot be used: {0:?}")]
    Unusable(CertificateError),
}

impl Refusal {
    /// The stable word for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::UnknownAuthority => "unknown_authority",
            Self::UnknownTrustDomain(_) => "unknown_trust_domain",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::WrongIdentity { .. } => "wrong_identity",
            Self::NoIdentity => "no_identity",
            Self::ManyIdentities(_) => "many_identities",
            Self::WrongPurpose => "wrong_purpose",
            Self::BadSignature => "bad_signature",
            Self::Unusable(_) => "unusable",
        }
    }

    fn from_certificate_error(error: &CertificateError) -> Self {
        let time = |t: &rustls::pki_types::UnixTime| {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(t.as_secs()))
        };
        match error {
            CertificateError::Expired => Self::Expired { not_after: None },
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired {
                not_after: time(not_after),
            },
            CertificateError::NotValidYet => Self::NotYetValid { not_before: None },
            CertificateError::NotValidYetContext { not_before, .. } => Self::NotYetValid {
                not_before: time(not_before),
            },
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongPurpose
            }
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::Other(other) => other
                .0
                .downcast_ref::<Self>()
                .cloned()
                .unwrap_or_else(|| Self::Unusable(error.clone())),
            other => Self::Unusable(other.clone()),
        }
    }
}

impl From<Refusal> for rustls::Error {
    /// As rustls wants it: the standard reasons where there is one, because they choose the alert
    /// that the peer gets to see.
    fn from(refusal: Refusal) -> Self {
        let error = match refusal {
            Refusal::NoCertificate => return Self::NoCertificatesPresented,
            Refusal::UnknownAuthority => CertificateError::UnknownIssuer,
            Refusal::BadSignature => CertificateError::BadSignature,
            Refusal::WrongPurpose => CertificateError::InvalidPurpose,
            Refusal::Unusable(error) => error,
            other => CertificateError::Other(rustls::OtherError(std::sync::Arc::new(other))),
        };
        Self::InvalidCertificate(error)
    }
}

/// Why a handshake failed, and whose fault it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HandshakeFailure {
    /// We refused the peer.
    #[error("we refused the peer")]
    Refused(#[from] Refusal),
    /// The peer refused us. In TLS 1.3 a client learns this only when it first reads: its own
    /// handshake is over by then.
    #[error("the peer refused us: alert {}", alert_name(*.0))]
    RefusedByPeer(AlertDescription),
    /// The two sides have no protocol in common: the peer is no sidecar, or of another time.
    #[error("no protocol in common with the peer")]
    NoCommonProtocol,
    /// The peer does not speak TLS, or not TLS 1.3.
    #[error("the peer does not speak TLS 1.3")]
    NotTls,
    /// The peer hung up, or the network failed, before the handshake was over.
    #[error("the connection failed during the handshake: {0:?}")]
    Connection(io::ErrorKind),
    /// The peer broke the protocol.
    #[error("the handshake failed: {0}")]
    Protocol(rustls::Error),
}

impl HandshakeFailure {
    /// The stable word for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.label(),
            Self::RefusedByPeer(_) => "refused_by_peer",
            Self::NoCommonProtocol => "no_common_protocol",
            Self::NotTls => "not_tls",
            Self::Connection(_) => "connection",
            Self::Protocol(_) => "protocol",
        }
    }

    /// Why we refused the peer, if it was us.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::RefusedByPeer(_)
            | Self::NoCommonProtocol
            | Self::NotTls
            | Self::Connection(_)
            | Self::Protocol(_) => None,
        }
    }

    /// What a TLS error means.
    pub fn from_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => {
                Self::Refused(Refusal::from_certificate_error(error))
            }
            rustls::Error::NoCertificatesPresented => Self::Refused(Refusal::NoCertificate),
            rustls::Error::NoApplicationProtocol
            | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::NoCommonProtocol
            }
            rustls::Error::InvalidMessage(_)
            | rustls::Error::PeerIncompatible(_)
            | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::NotTls,
            rustls::Error::AlertReceived(alert) => Self::RefusedByPeer(*alert),
            other => Self::Protocol(other.clone()),
        }
    }

    /// What an I/O error of a handshake means.
    pub fn from_io(error: &io::Error) -> Self {
        Self::find(error).unwrap_or_else(|| Self::Connection(error.kind()))
    }

    /// The TLS failure inside of any error: looks through its sources and through what an
    /// `io::Error` carries. `None` when TLS had no part in it.
    pub fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        // An error's chain is a few links long; the bound guards against one that loops.
        for _ in 0..16 {
            let error = next?;
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::from_tls(tls));
            }
            if let Some(failure) = error.downcast_ref::<Self>() {
                return Some(failure.clone());
            }
            // `io::Error::source` skips the error that it carries.
            next = match error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

impl From<HandshakeFailure> for io::Error {
    fn from(failure: HandshakeFailure) -> Self {
        let kind = match &failure {
            HandshakeFailure::Connection(kind) => *kind,
            HandshakeFailure::Refused(_)
            | HandshakeFailure::RefusedByPeer(_)
            | HandshakeFailure::NoCommonProtocol
            | HandshakeFailure::NotTls
            | HandshakeFailure::Protocol(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, failure)
    }
}

/// The alert's name in words; for a reader, not for a label.
fn alert_name(alert: AlertDescription) -> String {
    format!("{alert:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_its_way_through_rustls_and_io() {
        let id = |sa: &str| {
            format!("spiffe://td/ns/a/sa/{sa}")
                .parse::<SpiffeId>()
                .unwrap()
        };
        let refusals = [
            Refusal::NoCertificate,
            Refusal::UnknownAuthority,
            Refusal::UnknownTrustDomain("other".to_owned()),
            Refusal::WrongIdentity {
                expected: id("a"),
                presented: id("b"),
            },
            Refusal::NoIdentity,
            Refusal::ManyIdentities(2),
            Refusal::WrongPurpose,
            Refusal::BadSignature,
        ];
        for refusal in refusals {
            let tls = rustls::Error::from(refusal.clone());
            let io = io::Error::new(io::ErrorKind::InvalidData, tls);
            let wrapped = io::Error::other(io);
            assert_eq!(
                HandshakeFailure::find(&wrapped),
                Some(HandshakeFailure::Refused(refusal)),
            );
        }
    }

    #[test]
    fn an_error_without_tls_is_a_connection_failure() {
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(HandshakeFailure::find(&error), None);
        let failure = HandshakeFailure::from_io(&error);
        assert_eq!(
            failure,
            HandshakeFailure::Connection(io::ErrorKind::ConnectionReset)
        );
        assert_eq!(failure.label(), "connection");
    }
}
