//! Real handshakes between two stores over an in-memory stream: what is accepted, what is refused,
//! and that both sides can say why. Each refusal stands beside the same handshake that passes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its parts has failed"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use weft_identity::alpn::Alpn;
use weft_identity::ca::{Ca, ROOT_LIFETIME};
use weft_identity::handshake::{Accepted, Dialled, accept, connect};
use weft_identity::refusal::{HandshakeFailure, Refusal};
use weft_identity::store::{ClientAuth, IdentityStore};
use weft_identity::trust::TrustRoots;
use weft_model::identity::SpiffeId;

const LIFETIME: Duration = Duration::from_secs(3_600);

fn id(name: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/production/sa/{name}")
        .parse()
        .unwrap()
}

fn ca() -> Ca {
    ca_of("cluster.local")
}

fn ca_of(trust_domain: &str) -> Ca {
    Ca::create_root(
        &trust_domain.parse().unwrap(),
        ROOT_LIFETIME,
        SystemTime::now(),
    )
    .unwrap()
}

/// Trusts `trusted`, holds a leaf for `name` that `signer` made at `made`.
fn store(trusted: &Ca, signer: &Ca, name: &SpiffeId, made: SystemTime) -> IdentityStore {
    let store = IdentityStore::new();
    store.set_trust(TrustRoots::new([&trusted.trust_bundle()]).unwrap());
    store.set_leaf(signer.issue(name, LIFETIME, made).unwrap());
    store
}

type Outcome = (
    Result<Dialled<DuplexStream>, HandshakeFailure>,
    Result<Accepted<DuplexStream>, HandshakeFailure>,
);

/// Both sides at once.
async fn meet(client: Arc<rustls::ClientConfig>, server: Arc<rustls::ServerConfig>) -> Outcome {
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::join!(connect(client, near), accept(server, far))
}

async fn meet_stores(client: &IdentityStore, server: &IdentityStore, auth: ClientAuth) -> Outcome {
    meet(
        client.client_config(&id("server"), Alpn::MeshH2).unwrap(),
        server.server_config(Alpn::MESH, auth).unwrap(),
    )
    .await
}

/// What a client sees when the server refuses it: its own handshake is over, its first read fails.
async fn first_read(outcome: Result<Dialled<DuplexStream>, HandshakeFailure>) -> HandshakeFailure {
    let error = outcome.unwrap().stream.read_u8().await.unwrap_err();
    HandshakeFailure::find(&error).unwrap()
}

#[tokio::test]
async fn two_workloads_of_one_mesh_meet() {
    let (ca, now) = (ca(), SystemTime::now());
    let client = store(&ca, &ca, &id("client"), now);
    let server = store(&ca, &ca, &id("server"), now);
    for (alpn, auth) in [
        (Alpn::MeshH2, ClientAuth::Required),
        (Alpn::MeshH1, ClientAuth::Optional),
        (Alpn::MeshTcp, ClientAuth::Required),
    ] {
        let (dialled, accepted) = meet(
            client.client_config(&id("server"), alpn).unwrap(),
            server.server_config(Alpn::MESH, auth).unwrap(),
        )
        .await;
        let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!(dialled.peer.id, id("server"));
        assert_eq!(&dialled.peer.serial, server.leaf().unwrap().serial());
        let peer = accepted.peer.unwrap();
        assert_eq!(peer.id, id("client"));
        assert_eq!(&peer.serial, client.leaf().unwrap().serial());
        assert_eq!(accepted.alpn, Some(alpn));
        let (_, state) = dialled.stream.get_ref();
        assert_eq!(state.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(
            state.negotiated_key_exchange_group().unwrap().name(),
            NamedGroup::X25519MLKEM768
        );
        assert_eq!(
            state.negotiated_cipher_suite().unwrap().suite(),
            rustls::CipherSuite::TLS13_AES_128_GCM_SHA256
        );
        dialled.stream.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        accepted.stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"hello");
    }
}

#[tokio::test]
async fn nothing_is_resumed() {
    let (ca, now) = (ca(), SystemTime::now());
    let client = store(&ca, &ca, &id("client"), now);
    let server = store(&ca, &ca, &id("server"), now);
    for _ in 0..3 {
        let (dialled, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
        let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
        // A ticket would come with the first bytes.
        accepted.stream.write_all(b"x").await.unwrap();
        dialled.stream.read_u8().await.unwrap();
        let (_, state) = dialled.stream.get_ref();
        assert_eq!(state.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(state.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn an_issuer_below_the_root_is_followed() {
    let (root, now) = (ca(), SystemTime::now());
    let issuer = root.create_issuer(ROOT_LIFETIME, now).unwrap();
    let client = store(&root, &issuer, &id("client"), now);
    let server = store(&root, &issuer, &id("server"), now);
    let (dialled, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
    assert_eq!(dialled.unwrap().peer.id, id("server"));
    assert_eq!(accepted.unwrap().peer.unwrap().id, id("client"));
}

#[tokio::test]
async fn outbound_refuses_a_server_that_it_did_not_mean() {
    let (ours, other, now) = (ca(), ca(), SystemTime::now());
    let past = now - LIFETIME - Duration::from_secs(60);
    let future = now + LIFETIME;
    let client = store(&ours, &ours, &id("client"), now);
    let check = async |server: IdentityStore, label: &str| {
        let (dialled, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
        let failure = dialled.err();
        assert_eq!(
            failure.as_ref().map_or("none", HandshakeFailure::label),
            label
        );
        if label != "none" {
            let seen = accepted.unwrap_err();
            assert!(
                matches!(seen, HandshakeFailure::RefusedByPeer(_)),
                "{label}: {seen:?}"
            );
        }
        failure.and_then(|failure| failure.refusal().cloned())
    };
    check(store(&ours, &ours, &id("server"), now), "none").await;
    check(
        store(&ours, &other, &id("server"), now),
        "unknown_authority",
    )
    .await;
    let expired = check(store(&ours, &ours, &id("server"), past), "expired").await;
    assert!(matches!(expired, Some(Refusal::Expired { not_after: Some(at) }) if at < now));
    check(store(&ours, &ours, &id("server"), future), "not_yet_valid").await;
    let wrong = check(store(&ours, &ours, &id("impostor"), now), "wrong_identity").await;
    assert_eq!(
        wrong,
        Some(Refusal::WrongIdentity {
            expected: id("server"),
            presented: id("impostor")
        })
    );
}

#[tokio::test]
async fn inbound_refuses_a_client_that_it_does_not_know() {
    let (ours, other, now) = (ca(), ca(), SystemTime::now());
    let past = now - LIFETIME - Duration::from_secs(60);
    let server = store(&ours, &ours, &id("server"), now);
    let check = async |client: IdentityStore, label: &str| {
        let (dialled, accepted) = meet_stores(&client, &server, ClientAuth::Optional).await;
        let failure = accepted.err();
        assert_eq!(
            failure.as_ref().map_or("none", HandshakeFailure::label),
            label
        );
        if label != "none" {
            let seen = first_read(dialled).await;
            assert!(
                matches!(seen, HandshakeFailure::RefusedByPeer(_)),
                "{label}: {seen:?}"
            );
        }
    };
    check(store(&ours, &ours, &id("client"), now), "none").await;
    check(
        store(&ours, &other, &id("client"), now),
        "unknown_authority",
    )
    .await;
    check(store(&ours, &ours, &id("client"), past), "expired").await;
}

#[tokio::test]
async fn a_client_without_a_certificate_passes_only_where_that_is_optional() {
    let (ca, now) = (ca(), SystemTime::now());
    let client = IdentityStore::new();
    client.set_trust(TrustRoots::new([&ca.trust_bundle()]).unwrap());
    let server = store(&ca, &ca, &id("server"), now);
    let anonymous = client
        .anonymous_client_config(&id("server"), Alpn::Control)
        .unwrap();

    let optional = server
        .server_config(Alpn::CONTROL, ClientAuth::Optional)
        .unwrap();
    let (dialled, accepted) = meet(Arc::clone(&anonymous), optional).await;
    assert_eq!(accepted.unwrap().peer, None);
    assert_eq!(dialled.unwrap().peer.id, id("server"));

    let required = server
        .server_config(Alpn::CONTROL, ClientAuth::Required)
        .unwrap();
    let (dialled, accepted) = meet(anonymous, required).await;
    assert_eq!(
        accepted.unwrap_err(),
        HandshakeFailure::Refused(Refusal::NoCertificate)
    );
    let seen = first_read(dialled).await;
    assert_eq!(
        seen,
        HandshakeFailure::RefusedByPeer(rustls::AlertDescription::CertificateRequired)
    );
}

#[tokio::test]
async fn an_authority_speaks_for_its_own_domain_only() {
    let (ours, theirs, now) = (ca(), ca_of("partner.example"), SystemTime::now());
    let partner: SpiffeId = "spiffe://partner.example/ns/a/sa/b".parse().unwrap();
    let server = store(&ours, &ours, &id("server"), now);
    let both = |store: &IdentityStore| {
        let roots = [ours.trust_bundle(), theirs.trust_bundle()];
        store.set_trust(TrustRoots::new(&roots).unwrap());
    };
    let client = store(&ours, &theirs, &partner, now);
    let (_, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
    assert_eq!(
        accepted.unwrap_err(),
        HandshakeFailure::Refused(Refusal::UnknownTrustDomain("partner.example".to_owned()))
    );
    both(&server);
    let (_, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
    assert_eq!(accepted.unwrap().peer.unwrap().id, partner);
    // The partner's authority signs a name of ours; `ca_of` lets it, a real one would have to be
    // broken into.
    let forger = Ca::from_pem(&"cluster.local".parse().unwrap(), &theirs.to_pem()).unwrap();
    let client = store(&ours, &forger, &id("client"), now);
    let (_, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
    assert_eq!(
        accepted.unwrap_err(),
        HandshakeFailure::Refused(Refusal::UnknownAuthority)
    );
}

#[tokio::test]
async fn a_peer_of_another_protocol_is_named() {
    let (ca, now) = (ca(), SystemTime::now());
    let client = store(&ca, &ca, &id("client"), now);
    let server = store(&ca, &ca, &id("server"), now);
    let control = server
        .server_config(Alpn::CONTROL, ClientAuth::Required)
        .unwrap();
    let mesh = client.client_config(&id("server"), Alpn::MeshH2).unwrap();
    let (dialled, accepted) = meet(Arc::clone(&mesh), control).await;
    assert_eq!(dialled.unwrap_err(), HandshakeFailure::NoCommonProtocol);
    assert_eq!(accepted.unwrap_err(), HandshakeFailure::NoCommonProtocol);

    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let speak_http = async {
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    };
    let (dialled, ()) = tokio::join!(connect(Arc::clone(&mesh), near), speak_http);
    assert_eq!(dialled.unwrap_err(), HandshakeFailure::NotTls);

    let (near, far) = tokio::io::duplex(64 * 1024);
    drop(far);
    let failure = connect(mesh, near).await.unwrap_err();
    assert_eq!(failure.label(), "connection", "{failure:?}");
}

#[tokio::test]
async fn a_swap_shows_on_the_next_connection_and_spares_the_open_one() {
    let (ca, now) = (ca(), SystemTime::now());
    let client = store(&ca, &ca, &id("client"), now);
    let server = store(&ca, &ca, &id("server"), now);
    let (dialled, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
    let (mut old_dialled, mut old_accepted) = (dialled.unwrap(), accepted.unwrap());

    let version = server.version();
    server.set_leaf(ca.issue(&id("server"), LIFETIME, now).unwrap());
    client.set_leaf(ca.issue(&id("client"), LIFETIME, now).unwrap());
    assert!(server.version() > version);
    let (dialled, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_ne!(dialled.peer.serial, old_dialled.peer.serial);
    assert_ne!(
        accepted.peer.unwrap().serial,
        old_accepted.peer.unwrap().serial
    );

    old_dialled.stream.write_all(b"on").await.unwrap();
    let mut read = [0; 2];
    old_accepted.stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"on");
}

#[tokio::test]
async fn two_anchors_carry_a_rotation() {
    let (old, new, now) = (ca(), ca(), SystemTime::now());
    let client = store(&old, &old, &id("client"), now);
    let server = store(&old, &old, &id("server"), now);
    let bundle = [old.trust_bundle(), new.trust_bundle()];
    let meets = async || {
        let (dialled, accepted) = meet_stores(&client, &server, ClientAuth::Required).await;
        dialled.is_ok() && accepted.is_ok()
    };
    for store in [&client, &server] {
        store.set_trust(TrustRoots::new(&bundle).unwrap());
        assert!(meets().await, "staged");
    }
    server.set_leaf(new.issue(&id("server"), LIFETIME, now).unwrap());
    assert!(meets().await, "one side activated");
    client.set_leaf(new.issue(&id("client"), LIFETIME, now).unwrap());
    for store in [&client, &server] {
        store.set_trust(TrustRoots::new([&new.trust_bundle()]).unwrap());
        assert!(meets().await, "retired");
    }
    client.set_leaf(old.issue(&id("client"), LIFETIME, now).unwrap());
    assert!(
        !meets().await,
        "the retired authority is not trusted any more"
    );
}
