//! Whom we trust: the anchors of each trust domain, parsed once.
//!
//! Place: made from a pushed [`TrustBundle`] (or a PEM file at start), read by the verifier at each
//! handshake. Invariant: an anchor vouches only for identities of the trust domain that it was
//! given for, so a federated authority cannot speak for ours.

use std::collections::BTreeMap;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use weft_model::identity::TrustDomain;
use weft_model::trust::TrustBundle;

/// Why anchors cannot be used. The control plane's fault, or that of whoever wrote the file.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A certificate cannot be read.
    #[error("anchor {index} of trust domain {trust_domain} is not a certificate: {source}")]
    Anchor {
        /// The domain.
        trust_domain: TrustDomain,
        /// Counted from zero.
        index: usize,
        /// What the parser says.
        source: webpki::Error,
    },
    /// A domain without anchors trusts nobody, which nobody wants.
    #[error("trust domain {0} has no anchor")]
    Empty(TrustDomain),
    /// The text is not PEM.
    #[error("the trust bundle is not PEM: {0}")]
    Pem(rustls_pki_types::pem::Error),
}

/// Anchors by trust domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustRoots {
    domains: BTreeMap<String, Vec<TrustAnchor<'static>>>,
}

impl TrustRoots {
    /// Parses bundles; two for one domain add up.
    ///
    /// # Errors
    /// When an anchor cannot be read or a bundle is empty.
    pub fn new<'a>(bundles: impl IntoIterator<Item = &'a TrustBundle>) -> Result<Self, TrustError> {
        let mut roots = Self::default();
        for bundle in bundles {
            if bundle.anchors_der.is_empty() {
                return Err(TrustError::Empty(bundle.trust_domain.clone()));
            }
            let anchors = roots
                .domains
                .entry(bundle.trust_domain.as_str().to_owned())
                .or_default();
            for (index, der) in bundle.anchors_der.iter().enumerate() {
                let der = CertificateDer::from(der.as_slice());
                let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|source| {
                    TrustError::Anchor {
                        trust_domain: bundle.trust_domain.clone(),
                        index,
                        source,
                    }
                })?;
                anchors.push(anchor.to_owned());
            }
        }
        Ok(roots)
    }

    /// The anchors of a domain; `None` when it is not known.
    pub(crate) fn anchors(&self, trust_domain: &str) -> Option<&[TrustAnchor<'static>]> {
        self.domains.get(trust_domain).map(Vec::as_slice)
    }

    /// Whether an identity of that domain could be verified.
    pub fn knows(&self, trust_domain: &str) -> bool {
        self.domains.contains_key(trust_domain)
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }
}

/// Reads a bundle from PEM text, as mounted beside a proxy.
///
/// # Errors
/// When it is not PEM or holds no certificate.
pub fn bundle_from_pem(trust_domain: TrustDomain, pem: &[u8]) -> Result<TrustBundle, TrustError> {
    let mut anchors_der = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        anchors_der.push(certificate.map_err(TrustError::Pem)?.to_vec());
    }
    if anchors_der.is_empty() {
        return Err(TrustError::Empty(trust_domain));
    }
    let bundle = TrustBundle {
        trust_domain,
        anchors_der,
    };
    TrustRoots::new([&bundle])?;
    Ok(bundle)
}

/// Writes a bundle as PEM text.
pub fn bundle_to_pem(bundle: &TrustBundle) -> String {
    bundle
        .anchors_der
        .iter()
        .map(|der| pem_block("CERTIFICATE", der))
        .collect()
}

/// One PEM block (RFC 7468), 64 characters a line.
pub(crate) fn pem_block(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    // 48 bytes make one line of 64 characters.
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
            for at in 0..4 {
                let six = (bits >> (18 - 6 * at)) & 0x3f;
                let character = ALPHABET.get(six as usize).copied().unwrap_or(b'=');
                text.push(if at <= group.len() {
                    char::from(character)
                } else {
                    '='
                });
            }
        }
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> TrustDomain {
        "cluster.local".parse().unwrap()
    }

    #[test]
    fn pem_goes_out_and_comes_back() {
        for length in [1, 2, 3, 47, 48, 49, 600] {
            let der: Vec<u8> = (0..length).map(|i| (i * 7 % 256) as u8).collect();
            let pem = pem_block("CERTIFICATE", &der);
            let back = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            assert_eq!(back.as_ref(), der, "{length} bytes");
            assert!(pem.lines().all(|line| line.len() <= 64));
        }
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        assert!(matches!(
            bundle_from_pem(domain(), b"hello"),
            Err(TrustError::Empty(_))
        ));
        let garbage = pem_block("CERTIFICATE", b"hello");
        assert!(matches!(
            bundle_from_pem(domain(), garbage.as_bytes()),
            Err(TrustError::Anchor { index: 0, .. })
        ));
        let empty = TrustBundle {
            trust_domain: domain(),
            anchors_der: Vec::new(),
        };
        assert!(matches!(
            TrustRoots::new([&empty]),
            Err(TrustError::Empty(_))
        ));
    }
}
