//! The certificate authority: create, load, save, sign. Bytes in, bytes out.
//!
//! Place: the control plane's `ca/` owns one and stores its PEM texts; tests make theirs. Invariants:
//! of a signing request only the public key is used, after its signature proved that the asker holds
//! the key; names, validity and purposes are ours. A leaf lives between
//! [`CERTIFICATE_LIFETIME_MIN`](limits::CERTIFICATE_LIFETIME_MIN) and `_MAX` and never longer than
//! what signs it.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SerialNumber,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use weft_model::identity::{SpiffeId, TrustDomain};
use weft_model::limits;
use weft_model::trust::TrustBundle;

use crate::leaf::{KeyPair, Leaf, LeafError, Serial, spiffe_san};
use crate::provider::provider;
use crate::trust::pem_block;

/// How long a root that we make lives: ten years.
pub const ROOT_LIFETIME: Duration = Duration::from_secs(3_650 * 86_400);
/// How long an issuer that we make lives: one year.
pub const ISSUER_LIFETIME: Duration = Duration::from_secs(365 * 86_400);
/// Bytes of a serial number: 127 random bits, more than the 64 that are asked for.
const SERIAL_BYTES: usize = 16;

/// Why the authority cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The asker's fault: the request cannot be read, or its signature does not fit its key.
    #[error("the signing request cannot be used: {0}")]
    Request(rcgen::Error),
    /// The asker's fault: keys of the mesh are P-256.
    #[error("the signing request is for a key that is not P-256")]
    KeyType,
    /// The asker's fault: the identity belongs to another trust domain.
    #[error("{id} is not in trust domain {trust_domain}")]
    TrustDomain {
        /// What was asked for.
        id: SpiffeId,
        /// What this authority signs for.
        trust_domain: TrustDomain,
    },
    /// Our fault: the authority's own certificate has expired.
    #[error("the authority has expired")]
    Expired,
    /// Our fault, or the machine's: no randomness, or a key that cannot sign.
    #[error("the authority cannot sign: {0}")]
    Sign(#[from] rcgen::Error),
    /// The stored authority is damaged, or somebody else's.
    #[error("the stored authority cannot be read: {0}")]
    Stored(&'static str),
    /// The machine has no randomness to give.
    #[error("no randomness")]
    Random,
    /// Our fault: a leaf that we signed cannot be used by ourselves.
    #[error("the signed leaf cannot be used")]
    Leaf(#[from] LeafError),
}

/// A request for a leaf.
#[derive(Debug, Clone, Copy)]
pub struct LeafRequest<'a> {
    /// PKCS #10 in DER; only its public key is used.
    pub csr_der: &'a [u8],
    /// Who the asker was found to be.
    pub id: &'a SpiffeId,
    /// How long the leaf should live; clamped.
    pub lifetime: Duration,
}

/// A signed leaf, for its asker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedLeaf {
    /// Leaf first, then the issuer; the root is not sent.
    pub chain_der: Vec<Vec<u8>>,
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
    /// Its serial number.
    pub serial: Serial,
}

/// An authority as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct CaPem {
    /// The authority's certificate, and above it all others up to and with the root.
    pub chain: String,
    /// Its private key (PKCS #8).
    pub key: String,
}

impl fmt::Debug for CaPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaPem")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

/// An authority: a root, or an issuer below one.
pub struct Ca {
    trust_domain: TrustDomain,
    /// This authority's certificate first, the root last; one entry for a root.
    chain: Vec<CertificateDer<'static>>,
    issuer: Issuer<'static, rcgen::KeyPair>,
    not_after: SystemTime,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("trust_domain", &self.trust_domain)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Ca {
    /// Makes a root, valid from a little before `now`.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn create_root(
        trust_domain: &TrustDomain,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Self, CaError> {
        let key = KeyPair::generate()?.key;
        let params = authority_params("root", trust_domain, Depth::Root, lifetime, now)?;
        let certificate = params.self_signed(&key)?;
        let chain = vec![certificate.der().clone()];
        Self::new(trust_domain.clone(), chain, key)
    }

    /// Makes an issuer below this authority: it signs leaves, no further authorities.
    ///
    /// # Errors
    /// When this authority has expired or cannot sign.
    pub fn create_issuer(&self, lifetime: Duration, now: SystemTime) -> Result<Self, CaError> {
        let lifetime = lifetime.min(self.remaining(now)?);
        let key = KeyPair::generate()?.key;
        let params = authority_params("issuer", &self.trust_domain, Depth::Issuer, lifetime, now)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let mut chain = vec![certificate.der().clone()];
        chain.extend(self.chain.iter().cloned());
        Self::new(self.trust_domain.clone(), chain, key)
    }

    fn new(
        trust_domain: TrustDomain,
        chain: Vec<CertificateDer<'static>>,
        key: rcgen::KeyPair,
    ) -> Result<Self, CaError> {
        let own = chain
            .first()
            .ok_or(CaError::Stored("there is no certificate"))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(own)
            .map_err(|_| CaError::Stored("the certificate cannot be read"))?;
        if !parsed.is_ca() {
            return Err(CaError::Stored("the certificate is not an authority's"));
        }
        let public_key: &[u8] = &parsed.public_key().subject_public_key.data;
        if public_key != key.public_key_raw() {
            return Err(CaError::Stored("the key does not fit the certificate"));
        }
        let not_after = u64::try_from(parsed.validity.not_after.timestamp())
            .ok()
            .and_then(|s| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(s)))
            .ok_or(CaError::Stored("the certificate's time cannot be read"))?;
        let issuer = Issuer::from_ca_cert_der(own, key)?;
        Ok(Self {
            trust_domain,
            chain,
            issuer,
            not_after,
        })
    }

    /// Loads a stored authority.
    ///
    /// # Errors
    /// When a part is missing, damaged, or does not fit the others.
    pub fn from_pem(trust_domain: &TrustDomain, pem: &CaPem) -> Result<Self, CaError> {
        let chain = CertificateDer::pem_slice_iter(pem.chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CaError::Stored("the chain is not PEM"))?;
        let key = rcgen::KeyPair::from_pem(&pem.key)
            .map_err(|_| CaError::Stored("the key cannot be read"))?;
        Self::new(trust_domain.clone(), chain, key)
    }

    /// What to store. Holds the private key.
    pub fn to_pem(&self) -> CaPem {
        CaPem {
            chain: self
                .chain
                .iter()
                .map(|der| pem_block("CERTIFICATE", der))
                .collect(),
            key: self.issuer.key().serialize_pem(),
        }
    }

    /// What others must trust to trust this authority: its root.
    pub fn trust_bundle(&self) -> TrustBundle {
        TrustBundle {
            trust_domain: self.trust_domain.clone(),
            anchors_der: self
                .chain
                .last()
                .map(|root| root.to_vec())
                .into_iter()
                .collect(),
        }
    }

    /// The trust domain it signs for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// When it expires.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    fn remaining(&self, now: SystemTime) -> Result<Duration, CaError> {
        match self.not_after.duration_since(now) {
            Ok(left) if !left.is_zero() => Ok(left),
            _ => Err(CaError::Expired),
        }
    }

    /// Signs a leaf for the public key of the request and the identity that the asker was found to
    /// have.
    ///
    /// # Errors
    /// When the request cannot be used or the authority has expired.
    pub fn sign(&self, request: &LeafRequest<'_>, now: SystemTime) -> Result<SignedLeaf, CaError> {
        if request.id.trust_domain() != self.trust_domain.as_str() {
            return Err(CaError::TrustDomain {
                id: request.id.clone(),
                trust_domain: self.trust_domain.clone(),
            });
        }
        let csr = CertificateSigningRequestDer::from(request.csr_der);
        // This checks the request's own signature.
        let csr = CertificateSigningRequestParams::from_der(&csr).map_err(CaError::Request)?;
        if csr.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(CaError::KeyType);
        }
        let lifetime = request
            .lifetime
            .clamp(
                limits::CERTIFICATE_LIFETIME_MIN,
                limits::CERTIFICATE_LIFETIME_MAX,
            )
            .min(self.remaining(now)?);
        let (not_before, not_after) = (now - limits::CERTIFICATE_BACKDATE, now + lifetime);
        let serial = random_serial()?;

        let mut params = CertificateParams::default();
        set_validity(&mut params, not_before, not_after);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        // A SPIFFE certificate needs no subject; the identity is the URI name.
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![spiffe_san(request.id)?];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&csr.public_key, &self.issuer)?;

        let mut chain_der = vec![certificate.der().to_vec()];
        let above_root = self.chain.len().saturating_sub(1);
        chain_der.extend(self.chain.iter().take(above_root).map(|der| der.to_vec()));
        Ok(SignedLeaf {
            chain_der,
            not_before: whole_seconds(not_before),
            not_after: whole_seconds(not_after),
            serial: Serial::from_bytes(&serial),
        })
    }

    /// Makes a key and signs a leaf for it: for the control plane itself, and for tests.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn issue(
        &self,
        id: &SpiffeId,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Leaf, CaError> {
        let key = KeyPair::generate()?;
        let csr_der = key.csr_der(id)?;
        let signed = self.sign(
            &LeafRequest {
                csr_der: &csr_der,
                id,
                lifetime,
            },
            now,
        )?;
        Ok(Leaf::for_identity(id, signed.chain_der, &key)?)
    }
}

/// What an authority may sign.
#[derive(Debug, Clone, Copy)]
enum Depth {
    Root,
    Issuer,
}

fn authority_params(
    role: &str,
    trust_domain: &TrustDomain,
    depth: Depth,
    lifetime: Duration,
    now: SystemTime,
) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    set_validity(
        &mut params,
        now - limits::CERTIFICATE_BACKDATE,
        now + lifetime,
    );
    params.serial_number = Some(SerialNumber::from_slice(&random_serial()?));
    params.distinguished_name = DistinguishedName::new();
    // Subjects differ between two authorities of one domain, so that a chain cannot be confused
    // during a rotation.
    let number: String = random_serial()?
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("weft {role} {trust_domain} {number}"),
    );
    params.is_ca = IsCa::Ca(match depth {
        Depth::Root => BasicConstraints::Unconstrained,
        Depth::Issuer => BasicConstraints::Constrained(0),
    });
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Random, positive, never zero, and always of the same length.
fn random_serial() -> Result<[u8; SERIAL_BYTES], CaError> {
    let mut serial = [0_u8; SERIAL_BYTES];
    provider()
        .secure_random
        .fill(&mut serial)
        .map_err(|_| CaError::Random)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}

/// rcgen's kind of time, by whole seconds, as certificates count.
fn set_validity(params: &mut CertificateParams, not_before: SystemTime, not_after: SystemTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(not_before);
    params.not_after = epoch + since_epoch(not_after);
}

/// The same moment without its fraction.
fn whole_seconds(at: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + since_epoch(at)
}

fn since_epoch(at: SystemTime) -> Duration {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests;
