//! Every row of the table of replies, provoked through a pair: status, code, flag, and that the remedy is there.

use crate::pair::{Pair, Plan, cluster, cluster_name, endpoint, shop_id, source, to, web_id};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_model::{
    cluster::UpstreamTls,
    inbound::{MtlsMode, Refusal, RefusalReason},
    resource::Name,
    route::{Backend, RouteAction},
};
use weft_proxy::{
    balance::ClusterHandle,
    tables::{Answer, NameEntry},
};
use weft_testkit::{
    backend::{
        http::{Fault, HttpBackend},
        tcp::TcpBackend,
    },
    client::{Client, Reply},
};

/// Sends one GET through `pair` and compares what came.
async fn check(pair: &Pair, status: u16, code: &str, flag: &str) -> Reply {
    let reply = pair.h1().await.get("/").await.unwrap();
    compare(&reply, status, code);
    counted(pair, status, flag);
    reply
}

fn compare(reply: &Reply, status: u16, code: &str) {
    let text = reply.text();
    assert_eq!(
        (reply.status, reply.header("weft-error")),
        (status, code),
        "{text}"
    );
    assert!(text.contains(&format!("code: {code}\n")), "{text}");
    assert!(text.contains("remedy: "), "{text}");
}

#[track_caller]
fn counted(pair: &Pair, status: u16, flag: &str) {
    let status = status.to_string();
    let labels = [("response_code", status.as_str()), ("response_flags", flag)];
    assert_eq!(
        pair.web.scrape().sum("istio_requests_total", &labels),
        1.0,
        "{status} {flag}"
    );
}

async fn pair() -> (HttpBackend, Pair) {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    (app, pair)
}

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn no_rule_matches() {
    let (_app, pair) = pair().await;
    pair.edit_policy(|policy| policy.http.clear());
    check(&pair, 404, "route-not-found", "NR").await;
}

#[tokio::test]
async fn a_broken_subset_a_missing_cluster_and_an_empty_one() {
    let (_app, pair) = self::pair().await;
    let route = |backend: Backend| {
        pair.edit_policy(|policy| policy.http[0].action = RouteAction::Forward(to(backend)));
    };
    route(Backend::Invalid("subset v9 is gone".to_owned()));
    let reply = check(&pair, 503, "backend-invalid", "NC").await;
    assert!(reply.text().contains("subset v9 is gone"));
    let (_app, pair) = self::pair().await;
    pair.edit_policy(|policy| {
        let missing = Backend::Cluster(cluster_name(Some("v9")));
        policy.http[0].action = RouteAction::Forward(to(missing));
    });
    check(&pair, 503, "cluster-missing", "NC").await;
    let (_app, pair) = self::pair().await;
    pair.endpoints(&[]);
    check(&pair, 503, "no-endpoints", "UH").await;
}

#[tokio::test]
async fn mutual_tls_is_demanded_and_cannot_be() {
    let (app, pair) = pair().await;
    let plan = Plan {
        tls: UpstreamTls::Mutual,
        ..Plan::default()
    };
    pair.web.edit(|snapshot| {
        let handle = ClusterHandle::new(cluster(&plan, None), &[endpoint(1, app.addr(), None)]);
        snapshot
            .clusters
            .insert(cluster_name(None), Arc::new(handle));
    });
    check(&pair, 503, "identity-missing", "UF").await;
}

#[tokio::test]
async fn the_proxy_has_no_certificate() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan {
        certified: false,
        ..Plan::default()
    }
    .start(app.addr())
    .await;
    check(&pair, 503, "not-certified", "UF").await;
    pair.web.proxy.identity.set_leaf(pair.ca.leaf(&web_id()));
    assert_eq!(pair.h1().await.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn nobody_listens_or_another_answers() {
    let (_app, pair) = self::pair().await;
    pair.endpoints(&[endpoint(1, free_port(), Some(shop_id()))]);
    check(&pair, 503, "connect-failed", "UF").await;
    let (_app, pair) = self::pair().await;
    let other = weft_testkit::mesh::id("production", "other");
    pair.endpoints(&[endpoint(1, pair.inbound, Some(other))]);
    let reply = check(&pair, 503, "peer-rejected", "UF").await;
    assert!(reply.text().contains("sa/other"), "{}", reply.text());
}

#[tokio::test]
async fn the_handshake_never_ends() {
    let (_app, pair) = pair().await;
    let silent = TcpBackend::silent().await;
    let mut plan_cluster = cluster(&pair.plan, None);
    plan_cluster.connect_timeout = Duration::from_millis(100);
    pair.web.edit(|snapshot| {
        let endpoints = [endpoint(1, silent.addr(), Some(shop_id()))];
        let handle = ClusterHandle::new(plan_cluster, &endpoints);
        snapshot
            .clusters
            .insert(cluster_name(None), Arc::new(handle));
    });
    check(&pair, 503, "connect-timeout", "UF").await;
}

#[tokio::test]
async fn an_endpoint_without_a_sidecar_breaks_off_or_speaks_something_else() {
    let app = HttpBackend::start("shop").await;
    let plan = Plan {
        mtls: MtlsMode::Disable,
        ..Plan::default()
    };
    let pair = plan.clone().start(app.addr()).await;
    app.fail(Fault::NoReply);
    pair.endpoints(&[endpoint(2, app.addr(), None)]);
    check(&pair, 503, "upstream-closed", "UC").await;
    let other = TcpBackend::fixed(b"SSH-2.0-something\r\n").await;
    let pair = plan.start(other.addr()).await;
    pair.endpoints(&[endpoint(3, other.addr(), None)]);
    check(&pair, 502, "upstream-invalid", "UPE").await;
}

#[tokio::test]
async fn the_application_is_away_or_breaks_off() {
    let pair = Plan::default().start(free_port()).await;
    let reply = pair.h1().await.get("/").await.unwrap();
    compare(&reply, 503, "app-unreachable");
    let labels = [("response_code", "503"), ("response_flags", "UF")];
    assert_eq!(pair.shop.scrape().sum("istio_requests_total", &labels), 1.0);
    let (app, pair) = self::pair().await;
    app.fail(Fault::NoReply);
    let reply = pair.h1().await.get("/").await.unwrap();
    compare(&reply, 503, "app-closed");
    let labels = [("response_code", "503"), ("response_flags", "UC")];
    assert_eq!(pair.shop.scrape().sum("istio_requests_total", &labels), 1.0);
}

#[tokio::test]
async fn the_timeout_passes() {
    let app = HttpBackend::start("shop").await;
    app.fail(Fault::Hang);
    let plan = Plan {
        timeout: Some(Duration::from_millis(50)),
        ..Plan::default()
    };
    let pair = plan.start(app.addr()).await;
    check(&pair, 504, "request-timeout", "UT").await;
}

#[tokio::test]
async fn the_control_plane_does_not_answer() {
    let (_app, pair) = pair().await;
    pair.web
        .proxy
        .tables
        .describe_link("the control plane at 127.0.0.1:1 is away");
    let mut client = Client::h1(pair.explicit).await.unwrap();
    let reply = client.get("http://never-heard-of/").await.unwrap();
    compare(&reply, 503, "config-unavailable");
    assert!(
        reply.text().contains("127.0.0.1:1 is away"),
        "{}",
        reply.text()
    );
    // A connection to a listener of its own is told as well.
    pair.web.edit(|snapshot| snapshot.names.clear());
    let reply = pair.h1().await.get("/").await.unwrap();
    compare(&reply, 503, "config-unavailable");
}

async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn raw_head(address: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        assert!(socket.read_buf(&mut answer).await.unwrap() > 0);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_that_cannot_be_understood() {
    let (_app, pair) = pair().await;
    let answer = raw_head(
        pair.service,
        b"GET / HTTP/1.1\r\nhost: shop\r\nhost: other\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("weft-error: bad-authority"),
        "{answer}"
    );
    let answer = raw_head(pair.explicit, b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains("weft-error: bad-authority"), "{answer}");
    let answer = raw_head(
        pair.service,
        b"CONNECT shop:80 HTTP/1.1\r\nhost: shop\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(
        answer.contains("weft-error: connect-unsupported"),
        "{answer}"
    );
    let answer = raw(pair.service, b"EHLO example.org\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("weft-error: protocol-mismatch"), "{answer}");
}

#[tokio::test]
async fn a_destination_that_is_the_proxy_itself_or_does_not_resolve() {
    let (_app, pair) = pair().await;
    let outside = |host: &str, port| Name::Authority {
        host: host.to_owned(),
        port,
    };
    pair.web.edit(|snapshot| {
        for name in [
            outside("127.0.0.1", pair.explicit.port()),
            outside("localhost", pair.service.port()),
            outside("no-such-name.invalid", 80),
        ] {
            snapshot
                .names
                .insert(name, NameEntry::new(Answer::NotFound));
        }
    });
    let mut client = Client::h1(pair.explicit).await.unwrap();
    for uri in [
        format!("http://{}/", pair.explicit),
        format!("http://localhost:{}/", pair.service.port()),
    ] {
        compare(&client.get(&uri).await.unwrap(), 508, "loop-detected");
    }
    compare(
        &client.get("http://no-such-name.invalid/").await.unwrap(),
        503,
        "name-unresolved",
    );
}

#[tokio::test]
async fn a_policy_that_is_not_enforced_refuses_everything() {
    for (reason, code, kind) in [
        (
            RefusalReason::AuthorizationNotEnforced,
            "authorization-not-enforced",
            "AuthorizationPolicy",
        ),
        (
            RefusalReason::RequestAuthenticationNotEnforced,
            "request-authentication-not-enforced",
            "RequestAuthentication",
        ),
    ] {
        let app = HttpBackend::start("shop").await;
        let plan = Plan {
            mtls: MtlsMode::Permissive,
            ..Plan::default()
        };
        let pair = plan.start(app.addr()).await;
        let refuse = Refusal {
            reason,
            source: source(kind, "deny"),
        };
        pair.edit_inbound(|policy| policy.refuse = Some(refuse));
        let known = pair.h1().await.get("/").await.unwrap();
        compare(&known, 403, code);
        assert!(
            known.text().contains(&format!("{kind} production/deny")),
            "{}",
            known.text()
        );
        // A stranger is told what to do, and nothing of the inside.
        let stranger = Client::h1(pair.inbound)
            .await
            .unwrap()
            .get("/")
            .await
            .unwrap();
        compare(&stranger, 403, code);
        assert!(
            !stranger.text().contains("production/deny"),
            "{}",
            stranger.text()
        );
        assert_eq!(app.requests(), 0);
        // The positive control.
        pair.edit_inbound(|policy| policy.refuse = None);
        assert_eq!(pair.h1().await.get("/").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn the_policy_of_a_port_is_taken_away() {
    let (_app, pair) = pair().await;
    let mut client = pair.h1().await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    pair.shop.edit(|snapshot| snapshot.inbound.clear());
    compare(
        &client.get("/").await.unwrap(),
        503,
        "inbound-policy-missing",
    );
}
