//! What the authority signs, read back with another library.

use super::*;
use x509_parser::extensions::GeneralName;

fn domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

fn id() -> SpiffeId {
    "spiffe://cluster.local/ns/production/sa/order-service"
        .parse()
        .unwrap()
}

/// A whole second, so that certificates hold it exactly.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn root() -> Ca {
    Ca::create_root(&domain(), ROOT_LIFETIME, now()).unwrap()
}

fn sign(ca: &Ca, lifetime: Duration, at: SystemTime) -> Result<SignedLeaf, CaError> {
    let csr = KeyPair::generate().unwrap().csr_der(&id()).unwrap();
    ca.sign(
        &LeafRequest {
            csr_der: &csr,
            id: &id(),
            lifetime,
        },
        at,
    )
}

#[test]
fn a_leaf_says_what_the_mesh_needs_and_no_more() {
    let ca = root();
    let signed = sign(&ca, Duration::from_secs(3_600), now()).unwrap();
    assert_eq!(signed.not_before, now() - limits::CERTIFICATE_BACKDATE);
    assert_eq!(signed.not_after, now() + Duration::from_secs(3_600));
    let der = signed.chain_der.first().unwrap();
    let (_, leaf) = x509_parser::parse_x509_certificate(der).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::URI(id().as_str())]);
    assert!(names.critical, "critical, because there is no subject");
    assert!(!leaf.is_ca());
    let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.client_auth && purposes.server_auth && !purposes.any);
    let usage = leaf.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    assert_eq!(leaf.raw_serial().len(), SERIAL_BYTES);
    assert_eq!(Serial::from_bytes(leaf.raw_serial()), signed.serial);
    let (_, issuer) = x509_parser::parse_x509_certificate(ca.chain.first().unwrap()).unwrap();
    leaf.verify_signature(Some(issuer.public_key())).unwrap();
}

#[test]
fn names_in_a_request_are_ignored() {
    let key = KeyPair::generate().unwrap();
    let asked: SpiffeId = "spiffe://cluster.local/ns/kube-system/sa/admin"
        .parse()
        .unwrap();
    let csr = key.csr_der(&asked).unwrap();
    let request = LeafRequest {
        csr_der: &csr,
        id: &id(),
        lifetime: Duration::from_secs(600),
    };
    let signed = root().sign(&request, now()).unwrap();
    assert_eq!(Leaf::new(signed.chain_der, &key).unwrap().id(), &id());
}

#[test]
fn lifetimes_are_clamped() {
    let ca = root();
    let cases = [
        (Duration::from_secs(1), limits::CERTIFICATE_LIFETIME_MIN),
        (Duration::from_secs(86_400), Duration::from_secs(86_400)),
        (
            Duration::from_secs(86_400 * 30),
            limits::CERTIFICATE_LIFETIME_MAX,
        ),
    ];
    for (asked, given) in cases {
        assert_eq!(sign(&ca, asked, now()).unwrap().not_after, now() + given);
    }
    // Nothing outlives what signs it.
    let short = Ca::create_root(&domain(), Duration::from_secs(600), now()).unwrap();
    let leaf = sign(&short, Duration::from_secs(3_600), now()).unwrap();
    assert_eq!(leaf.not_after, short.not_after());
    let late = sign(
        &short,
        Duration::from_secs(3_600),
        now() + Duration::from_secs(600),
    );
    assert!(matches!(late, Err(CaError::Expired)), "{late:?}");
}

#[test]
fn serial_numbers_differ() {
    let ca = root();
    let serials: std::collections::BTreeSet<Serial> = (0..20)
        .map(|_| sign(&ca, Duration::from_secs(600), now()).unwrap().serial)
        .collect();
    assert_eq!(serials.len(), 20);
}

#[test]
fn bad_requests_are_refused() {
    let ca = root();
    let lifetime = Duration::from_secs(600);
    let csr = KeyPair::generate().unwrap().csr_der(&id()).unwrap();
    let sign = |csr_der: &[u8]| {
        ca.sign(
            &LeafRequest {
                csr_der,
                id: &id(),
                lifetime,
            },
            now(),
        )
    };
    assert!(sign(&csr).is_ok(), "the control");
    assert!(matches!(sign(b""), Err(CaError::Request(_))));
    assert!(matches!(
        sign(&csr[..csr.len() / 2]),
        Err(CaError::Request(_))
    ));
    // One bit of the signature: the asker does not hold the key.
    let mut forged = csr.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(sign(&forged), Err(CaError::Request(_))));
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let p384 = CertificateParams::default()
        .serialize_request(&p384)
        .unwrap();
    assert!(matches!(sign(p384.der()), Err(CaError::KeyType)));

    let stranger: SpiffeId = "spiffe://other.domain/ns/a/sa/b".parse().unwrap();
    let request = LeafRequest {
        csr_der: &csr,
        id: &stranger,
        lifetime,
    };
    assert!(matches!(
        ca.sign(&request, now()),
        Err(CaError::TrustDomain { .. })
    ));
}

#[test]
fn a_stored_authority_signs_on() {
    let root = root();
    let issuer = root.create_issuer(ISSUER_LIFETIME, now()).unwrap();
    for ca in [&root, &issuer] {
        let loaded = Ca::from_pem(&domain(), &ca.to_pem()).unwrap();
        assert_eq!(loaded.to_pem(), ca.to_pem());
        assert_eq!(loaded.trust_bundle(), root.trust_bundle());
        assert_eq!(loaded.not_after(), ca.not_after());
        assert!(sign(&loaded, Duration::from_secs(600), now()).is_ok());
    }
    assert_eq!(
        sign(&root, Duration::from_secs(600), now())
            .unwrap()
            .chain_der
            .len(),
        1
    );
    assert_eq!(
        sign(&issuer, Duration::from_secs(600), now())
            .unwrap()
            .chain_der
            .len(),
        2
    );
}

#[test]
fn a_damaged_store_is_refused() {
    let (a, b) = (root().to_pem(), root().to_pem());
    let cases = [
        CaPem {
            chain: String::new(),
            key: a.key.clone(),
        },
        CaPem {
            chain: "hello".to_owned(),
            key: a.key.clone(),
        },
        CaPem {
            chain: a.chain.clone(),
            key: String::new(),
        },
        CaPem {
            chain: a.chain.clone(),
            key: b.key,
        },
    ];
    for pem in cases {
        let loaded = Ca::from_pem(&domain(), &pem);
        assert!(matches!(loaded, Err(CaError::Stored(_))), "{loaded:?}");
    }
    assert!(Ca::from_pem(&domain(), &a).is_ok(), "the control");
    assert!(
        !format!("{a:?}").contains("PRIVATE"),
        "a key must not reach a log"
    );
}
