//! Mutual TLS modes, and who is refused: each with its positive control.

use crate::pair::{PORT, Pair, Plan, endpoint, inbound_policy, shop_id, web_id};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_identity::{alpn::Alpn, handshake, store::IdentityStore};
use weft_model::{inbound::MtlsMode, protocol::Protocol};
use weft_testkit::{
    backend::{http::HttpBackend, tcp::TcpBackend},
    capture::Capture,
    client::Client,
    mesh::{TestCa, id},
    wait::until,
};

const WAIT: Duration = Duration::from_secs(5);

fn refused(pair: &Pair, reason: &str) -> f64 {
    pair.shop
        .scrape()
        .sum("weft_inbound_refused_total", &[("reason", reason)])
}

async fn plaintext(pair: &Pair) -> Result<u16, hyper::Error> {
    let mut client = Client::h1(pair.inbound).await.unwrap();
    client.get("/").await.map(|reply| reply.status)
}

#[tokio::test]
async fn strict_resets_plaintext_and_permissive_does_not() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    assert!(plaintext(&pair).await.is_err());
    assert_eq!(refused(&pair, "plaintext"), 1.0);
    assert_eq!(
        app.connections(),
        0,
        "nothing is dialled before policy has spoken"
    );
    // TLS that is not the mesh's is plaintext as far as STRICT is concerned.
    let mut socket = TcpStream::connect(pair.inbound).await.unwrap();
    socket
        .write_all(b"\x16\x03\x01\x00\x05hello")
        .await
        .unwrap();
    assert!(!matches!(socket.read(&mut [0; 1]).await, Ok(1..)));
    assert_eq!(refused(&pair, "foreign_tls"), 1.0);

    pair.edit_inbound(|policy| policy.mtls = MtlsMode::Permissive);
    assert_eq!(plaintext(&pair).await.unwrap(), 200);
    assert_eq!(pair.h1().await.get("/").await.unwrap().status, 200);
    let scrape = pair.shop.scrape();
    for security in ["none", "mutual_tls"] {
        let labels = [("connection_security_policy", security)];
        assert_eq!(
            scrape.sum("istio_requests_total", &labels),
            1.0,
            "{security}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_open_ends_when_the_mode_becomes_strict() {
    let app = HttpBackend::start("shop").await;
    let plan = Plan {
        mtls: MtlsMode::Permissive,
        ..Plan::default()
    };
    let pair = plan.start(app.addr()).await;
    let mut client = Client::h1(pair.inbound).await.unwrap();
    assert_eq!(client.get("/").await.unwrap().status, 200);
    pair.edit_inbound(|policy| policy.mtls = MtlsMode::Strict);
    assert!(client.get("/").await.is_err());

    let app = TcpBackend::echo().await;
    let plan = Plan {
        mtls: MtlsMode::Permissive,
        ..Plan::speaking(Protocol::Opaque)
    };
    let pair = plan.start(app.addr()).await;
    let mut bare = TcpStream::connect(pair.inbound).await.unwrap();
    let mut meshed = TcpStream::connect(pair.service).await.unwrap();
    for socket in [&mut bare, &mut meshed] {
        socket.write_all(b"x").await.unwrap();
        socket.read_exact(&mut [0; 1]).await.unwrap();
    }
    pair.edit_inbound(|policy| policy.mtls = MtlsMode::Strict);
    assert!(!matches!(bare.read(&mut [0; 1]).await, Ok(1..)));
    meshed.write_all(b"y").await.unwrap();
    meshed.read_exact(&mut [0; 1]).await.unwrap();
}

#[tokio::test]
async fn what_is_between_two_proxies_cannot_be_read() {
    for (mtls, readable) in [(MtlsMode::Strict, false), (MtlsMode::Disable, true)] {
        let app = HttpBackend::start("shop").await;
        let pair = Plan {
            mtls,
            ..Plan::default()
        }
        .start(app.addr())
        .await;
        let wire = Capture::start(pair.inbound).await;
        let meshed = (mtls == MtlsMode::Strict).then(shop_id);
        pair.endpoints(&[endpoint(2, wire.addr(), meshed)]);
        let reply = pair
            .h1()
            .await
            .post("/echo", "a-marker-in-the-body")
            .await
            .unwrap();
        assert_eq!(reply.text(), "a-marker-in-the-body");
        assert!(!wire.is_empty());
        assert_eq!(wire.contains(b"a-marker-in-the-body"), readable, "{mtls:?}");
    }
}

/// Dials the inbound as `store` says and asks for a page.
async fn as_client(pair: &Pair, store: &IdentityStore) -> anyhow::Result<u16> {
    let config = store.client_config(&shop_id(), Alpn::MeshH2)?;
    let stream = TcpStream::connect(pair.inbound).await?;
    let dialled = handshake::connect(config, stream).await?;
    let mut client = Client::h2_on(dialled.stream, "shop").await?;
    Ok(client.get("/").await?.status)
}

#[tokio::test]
async fn the_inbound_refuses_clients_without_a_right_certificate() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let right = pair.ca.store(&web_id());
    assert_eq!(as_client(&pair, &right).await.unwrap(), 200);

    let foreign = pair.ca.store_with(TestCa::new().leaf(&web_id()));
    assert!(as_client(&pair, &foreign).await.is_err());
    let expired = pair.ca.store_with(pair.ca.expired_leaf(&web_id()));
    assert!(as_client(&pair, &expired).await.is_err());
    let anonymous = right
        .anonymous_client_config(&shop_id(), Alpn::MeshH2)
        .unwrap();
    let stream = TcpStream::connect(pair.inbound).await.unwrap();
    let refusal = async {
        let dialled = handshake::connect(anonymous, stream).await?;
        let mut client = Client::h2_on(dialled.stream, "shop").await?;
        anyhow::Ok(client.get("/").await?.status)
    };
    assert!(refusal.await.is_err());
    for reason in ["unknown_authority", "expired", "no_certificate"] {
        until(WAIT, reason, || refused(&pair, reason) == 1.0).await;
    }
    assert_eq!(app.requests(), 1);
}

#[tokio::test]
async fn the_outbound_refuses_servers_of_another_identity() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let check = async |reason: &str| {
        let reply = pair.h1().await.get("/").await.unwrap();
        assert_eq!(
            (reply.status, reply.header("weft-error")),
            (503, "peer-rejected"),
            "{reason}"
        );
        let labels = [("reason", reason)];
        assert_eq!(
            pair.web
                .scrape()
                .sum("weft_outbound_refused_total", &labels),
            1.0,
            "{reason}"
        );
    };
    // The server is the shop; the endpoint is said to be somebody else.
    pair.endpoints(&[endpoint(1, pair.inbound, Some(id("production", "other")))]);
    check("wrong_identity").await;
    // The right name from another authority, then expired.
    pair.endpoints(&[endpoint(1, pair.inbound, Some(shop_id()))]);
    let other = TestCa::new();
    pair.shop.proxy.identity.set_leaf(other.leaf(&shop_id()));
    check("unknown_authority").await;
    pair.shop
        .proxy
        .identity
        .set_leaf(pair.ca.expired_leaf(&shop_id()));
    check("expired").await;
    // And as it should be.
    pair.shop.proxy.identity.set_leaf(pair.ca.leaf(&shop_id()));
    assert_eq!(pair.h1().await.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_by_the_next_connection_and_costs_no_request() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut client = pair.h1().await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    for _ in 0..3 {
        pair.web.proxy.identity.set_leaf(pair.ca.leaf(&web_id()));
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    let handshakes = pair
        .web
        .scrape()
        .sum("weft_handshakes_total", &[("side", "outbound")]);
    assert_eq!(handshakes, 4.0);
}

#[tokio::test]
async fn without_a_policy_nothing_is_admitted() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan {
        mtls: MtlsMode::Permissive,
        ..Plan::default()
    }
    .start(app.addr())
    .await;
    pair.shop.edit(|snapshot| {
        snapshot.inbound.clear();
    });
    assert!(plaintext(&pair).await.is_err());
    assert_eq!(refused(&pair, "no_policy"), 1.0);
    pair.shop.edit(|snapshot| {
        snapshot
            .inbound
            .insert(PORT, Arc::new(inbound_policy(&pair.plan)));
    });
    assert_eq!(plaintext(&pair).await.unwrap(), 200);
}
