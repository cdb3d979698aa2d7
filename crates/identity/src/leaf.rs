//! A workload's key and certificate.
//!
//! Place: the proxy makes a [`KeyPair`] for each renewal, sends the signing request, and turns the
//! answer into a [`Leaf`]; the control plane makes its own leaf the same way. Invariants: a key is
//! P-256 and never leaves the process; a `Leaf` has a key that fits its certificate and exactly one
//! SPIFFE identity. Whether anybody trusts it is for the verifier.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use webpki::EndEntityCert;
use weft_model::identity::SpiffeId;

use crate::provider::provider;
use crate::refusal::Refusal;

/// Why a key or a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// Our fault, or the machine's: a key cannot be made or used.
    #[error("a key cannot be made or used: {0}")]
    Key(rcgen::Error),
    /// The control plane's fault: no certificate was given.
    #[error("the certificate chain is empty")]
    EmptyChain,
    /// The control plane's fault: the certificate cannot be read.
    #[error("the certificate cannot be read")]
    Encoding,
    /// The control plane's fault: the certificate carries no usable identity.
    #[error("the certificate carries no usable identity")]
    Identity(#[source] Refusal),
    /// The control plane's fault: the certificate is for another identity.
    #[error("the certificate is for {issued}, not for {expected}")]
    OtherIdentity {
        /// What was asked for.
        expected: SpiffeId,
        /// What came.
        issued: SpiffeId,
    },
    /// The control plane's fault: the certificate is for another key.
    #[error("the certificate does not fit the key: {0}")]
    Mismatch(rustls::Error),
}

/// A new P-256 key.
pub struct KeyPair {
    pub(crate) key: rcgen::KeyPair,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(P-256)")
    }
}

impl KeyPair {
    /// Makes a key.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn generate() -> Result<Self, LeafError> {
        let key = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(LeafError::Key)?;
        Ok(Self { key })
    }

    /// A signing request (PKCS #10, DER) for this key. It names `id` for whoever reads it; the
    /// signer ignores every name and takes the public key alone.
    ///
    /// # Errors
    /// When the key cannot sign, or the identity is not ASCII.
    pub fn csr_der(&self, id: &SpiffeId) -> Result<Vec<u8>, LeafError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![spiffe_san(id).map_err(LeafError::Key)?];
        let request = params
            .serialize_request(&self.key)
            .map_err(LeafError::Key)?;
        Ok(request.der().to_vec())
    }
}

/// The identity as a name in a certificate.
pub(crate) fn spiffe_san(id: &SpiffeId) -> Result<SanType, rcgen::Error> {
    Ok(SanType::URI(id.as_str().try_into()?))
}

/// A certificate with its chain and its key. Cheap to clone.
#[derive(Clone)]
pub struct Leaf {
    inner: Arc<Inner>,
}

struct Inner {
    certified: Arc<CertifiedKey>,
    id: SpiffeId,
    serial: Serial,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("id", &self.inner.id)
            .field("serial", &self.inner.serial)
            .field("not_after", &self.inner.not_after)
            .finish_non_exhaustive()
    }
}

impl Leaf {
    /// Takes a certificate chain, leaf first, and the key that it was asked for with.
    ///
    /// # Errors
    /// When the chain cannot be read, has no identity, or does not fit the key.
    pub fn new(chain_der: Vec<Vec<u8>>, key: &KeyPair) -> Result<Self, LeafError> {
        let chain: Vec<CertificateDer<'static>> =
            chain_der.into_iter().map(CertificateDer::from).collect();
        let leaf = chain.first().ok_or(LeafError::EmptyChain)?;
        let (not_before, not_after) = validity(leaf).ok_or(LeafError::Encoding)?;
        let certificate = EndEntityCert::try_from(leaf).map_err(|_| LeafError::Encoding)?;
        let id = crate::verify::spiffe_id(&certificate).map_err(LeafError::Identity)?;
        let serial = Serial::from_bytes(certificate.serial());
        let key = PrivatePkcs8KeyDer::from(key.key.serialize_der());
        let certified =
            CertifiedKey::from_der(chain, key.into(), &provider()).map_err(LeafError::Mismatch)?;
        let certified = Arc::new(certified);
        Ok(Self {
            inner: Arc::new(Inner {
                certified,
                id,
                serial,
                not_before,
                not_after,
            }),
        })
    }

    /// The same, refusing a certificate for anybody but `expected`.
    ///
    /// # Errors
    /// As [`Self::new`], and when the identity is another one.
    pub fn for_identity(
        expected: &SpiffeId,
        chain_der: Vec<Vec<u8>>,
        key: &KeyPair,
    ) -> Result<Self, LeafError> {
        let leaf = Self::new(chain_der, key)?;
        if leaf.id() == expected {
            Ok(leaf)
        } else {
            Err(LeafError::OtherIdentity {
                expected: expected.clone(),
                issued: leaf.id().clone(),
            })
        }
    }

    /// Whose it is.
    pub fn id(&self) -> &SpiffeId {
        &self.inner.id
    }

    /// The serial number.
    pub fn serial(&self) -> &Serial {
        &self.inner.serial
    }

    /// From when on it is valid (a little before it was issued, for clocks that differ).
    pub fn not_before(&self) -> SystemTime {
        self.inner.not_before
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> SystemTime {
        self.inner.not_after
    }

    /// Whether nobody will accept it at `now`.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now > self.inner.not_after
    }

    /// The chain in DER, leaf first.
    pub fn chain_der(&self) -> impl Iterator<Item = &[u8]> {
        self.inner.certified.cert.iter().map(AsRef::as_ref)
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.inner.certified
    }
}

/// notBefore and notAfter, which webpki checks but does not tell.
fn validity(certificate: &CertificateDer<'_>) -> Option<(SystemTime, SystemTime)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let time = |t: x509_parser::time::ASN1Time| {
        let seconds = u64::try_from(t.timestamp()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    };
    Some((
        time(parsed.validity.not_before)?,
        time(parsed.validity.not_after)?,
    ))
}

/// A certificate's serial number, shown in lower-case hexadecimal as openssl does (without its
/// leading zero byte).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(Box<str>);

impl Serial {
    /// From the bytes of the certificate, big end first.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let start = bytes
            .iter()
            .position(|byte| *byte != 0)
            .unwrap_or(bytes.len());
        let significant = bytes.get(start..).unwrap_or_default();
        let text: String = significant
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self(if text.is_empty() {
            "00".into()
        } else {
            text.into_boxed_str()
        })
    }

    /// The hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::{Ca, LeafRequest, ROOT_LIFETIME};

    fn id(name: &str) -> SpiffeId {
        format!("spiffe://cluster.local/ns/production/sa/{name}")
            .parse()
            .unwrap()
    }

    #[test]
    fn a_serial_is_shown_without_its_sign_byte() {
        let cases: [(&[u8], &str); 4] = [
            (&[0, 0xab, 1], "ab01"),
            (&[1], "01"),
            (&[0], "00"),
            (&[], "00"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Serial::from_bytes(bytes).as_str(), text);
        }
    }

    #[test]
    fn a_leaf_fits_its_key_and_its_identity() {
        let now = SystemTime::now();
        let ca = Ca::create_root(&"cluster.local".parse().unwrap(), ROOT_LIFETIME, now).unwrap();
        let key = KeyPair::generate().unwrap();
        let csr = key.csr_der(&id("order")).unwrap();
        let lifetime = Duration::from_secs(3_600);
        let request = LeafRequest {
            csr_der: &csr,
            id: &id("order"),
            lifetime,
        };
        let chain = ca.sign(&request, now).unwrap().chain_der;

        let leaf = Leaf::for_identity(&id("order"), chain.clone(), &key).unwrap();
        assert_eq!(leaf.id(), &id("order"));
        assert!(!leaf.is_expired(now));
        assert!(leaf.is_expired(now + Duration::from_secs(3_601)));

        let other = Leaf::for_identity(&id("payment"), chain.clone(), &key);
        assert!(
            matches!(other, Err(LeafError::OtherIdentity { .. })),
            "{other:?}"
        );
        let wrong_key = Leaf::new(chain, &KeyPair::generate().unwrap());
        assert!(
            matches!(wrong_key, Err(LeafError::Mismatch(_))),
            "{wrong_key:?}"
        );
        assert!(matches!(
            Leaf::new(Vec::new(), &key),
            Err(LeafError::EmptyChain)
        ));
        assert!(matches!(
            Leaf::new(vec![vec![1, 2, 3]], &key),
            Err(LeafError::Encoding)
        ));
        // A root carries no identity.
        let root = ca.trust_bundle().anchors_der;
        assert!(matches!(
            Leaf::new(root, &key),
            Err(LeafError::Identity(Refusal::NoIdentity))
        ));
    }
}
