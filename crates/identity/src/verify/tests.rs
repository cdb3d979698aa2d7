//! Certificates that no authority of ours would make, against the verifier.

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer, KeyPair,
    SanType,
};
use std::time::{Duration, SystemTime};
use weft_model::trust::TrustBundle;

const ID: &str = "spiffe://cluster.local/ns/production/sa/order";

/// An authority by hand.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: TrustRoots,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let bundle = TrustBundle {
        trust_domain: "cluster.local".parse().unwrap(),
        anchors_der: vec![root.der().to_vec()],
    };
    Authority {
        issuer: Issuer::new(params, key),
        roots: TrustRoots::new([&bundle]).unwrap(),
    }
}

/// Makes a leaf, changed by `change`, and verifies it as a server's.
fn check(change: impl FnOnce(&mut CertificateParams)) -> Result<String, &'static str> {
    let authority = authority();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(ID)];
    params.extended_key_usages = vec![Purpose::ServerAuth, Purpose::ClientAuth];
    change(&mut params);
    let leaf = params
        .signed_by(&KeyPair::generate().unwrap(), &authority.issuer)
        .unwrap();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    verdict(&authority.roots, leaf.der(), now)
}

fn verdict(
    roots: &TrustRoots,
    leaf: &CertificateDer<'_>,
    now: Duration,
) -> Result<String, &'static str> {
    let now = UnixTime::since_unix_epoch(now);
    check_chain(roots, leaf, &[], now, KeyUsage::server_auth())
        .map(|id| id.to_string())
        .map_err(|error| crate::refusal::HandshakeFailure::from_tls(&error).label())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

#[test]
fn exactly_one_spiffe_identity_is_asked_for() {
    let names = |names: Vec<SanType>| check(|params| params.subject_alt_names = names);
    assert_eq!(names(vec![uri(ID)]), Ok(ID.to_owned()));
    assert_eq!(
        names(vec![dns("order.production"), uri(ID)]),
        Ok(ID.to_owned())
    );
    assert_eq!(names(vec![]), Err("no_identity"));
    assert_eq!(names(vec![dns("order.production")]), Err("no_identity"));
    assert_eq!(
        names(vec![uri("https://cluster.local/ns/a/sa/b")]),
        Err("no_identity")
    );
    assert_eq!(
        names(vec![uri("spiffe://cluster.local/workload")]),
        Err("no_identity")
    );
    assert_eq!(names(vec![uri(ID), uri(ID)]), Err("many_identities"));
    assert_eq!(
        names(vec![uri(ID), uri("spiffe://cluster.local/ns/a/sa/admin")]),
        Err("many_identities")
    );
    assert_eq!(
        names(vec![uri("spiffe://other/ns/a/sa/b")]),
        Err("unknown_trust_domain")
    );
}

#[test]
fn a_named_purpose_is_binding() {
    let purposes = |purposes: Vec<Purpose>| check(|params| params.extended_key_usages = purposes);
    assert_eq!(purposes(vec![Purpose::ServerAuth]), Ok(ID.to_owned()));
    assert_eq!(purposes(vec![]), Ok(ID.to_owned()));
    assert_eq!(purposes(vec![Purpose::ClientAuth]), Err("wrong_purpose"));
}

#[test]
fn an_authority_is_no_peer() {
    let ca = check(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(ca, Err("unusable"));
}

#[test]
fn time_is_checked() {
    let at = |year: i32, until: i32| {
        check(|params| {
            params.not_before = rcgen::date_time_ymd(year, 1, 1);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
        })
    };
    assert_eq!(at(2020, 4000), Ok(ID.to_owned()));
    assert_eq!(at(2020, 2021), Err("expired"));
    assert_eq!(at(3999, 4000), Err("not_yet_valid"));
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let authority = authority();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(ID)];
    let leaf = params
        .signed_by(&KeyPair::generate().unwrap(), &authority.issuer)
        .unwrap();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let good = leaf.der().to_vec();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        // Never accepted as anybody, whichever byte is wrong.
        let verdict = verdict(&authority.roots, &bad.into(), now);
        assert!(verdict.is_err(), "byte {at}: {verdict:?}");
    }
    for length in 0..good.len() {
        assert!(verdict(&authority.roots, &good[..length].to_vec().into(), now).is_err());
    }
}
