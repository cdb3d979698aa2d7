//! HTTP of every version through a pair.

use crate::pair::{Plan, text, with_headers};
use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weft_model::protocol::Protocol;
use weft_testkit::{
    backend::{http::HttpBackend, tcp::TcpBackend},
    client::{Body, BodyError, Client, empty, full, read},
};

#[tokio::test]
async fn a_get_through_the_explicit_proxy_reaches_the_application_over_mutual_tls() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut client = Client::h1(pair.explicit).await.unwrap();
    let reply = client.get("http://shop/hello?a=b").await.unwrap();
    assert_eq!((reply.status, reply.text().trim()), (200, "shop"));
    let seen = app.last();
    assert_eq!(seen.version, Version::HTTP_11);
    assert_eq!(seen.uri, "/hello?a=b");
    assert_eq!(seen.authority(), "shop");
    // What travels between proxies stays between them.
    for private in ["weft-peer", "weft-orig-proto"] {
        assert_eq!(seen.header(private), "", "{private}");
    }
    assert_eq!(
        pair.shop
            .scrape()
            .sum("weft_handshakes_total", &[("side", "inbound")]),
        1.0
    );
}

#[tokio::test]
async fn the_application_gets_the_version_that_its_client_speaks() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let reply = pair.h1().await.get("/").await.unwrap();
    assert_eq!(
        (reply.version, app.last().version),
        (Version::HTTP_11, Version::HTTP_11)
    );
    let reply = pair.h2().await.get("/").await.unwrap();
    assert_eq!(
        (reply.version, app.last().version),
        (Version::HTTP_2, Version::HTTP_2)
    );
    assert_eq!(app.last().authority(), "shop");
}

#[tokio::test]
async fn many_requests_share_one_connection_between_the_proxies() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    for _ in 0..3 {
        let mut client = pair.h1().await;
        for _ in 0..5 {
            assert_eq!(client.get("/").await.unwrap().status, 200);
        }
    }
    let handshakes = pair
        .web
        .scrape()
        .sum("weft_handshakes_total", &[("side", "outbound")]);
    assert_eq!(handshakes, 1.0);
    assert_eq!(
        app.connections(),
        1,
        "the application's connection is kept as well"
    );
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let big = Bytes::from(vec![b'x'; 3 << 20]);
    for mut client in [pair.h1().await, pair.h2().await] {
        let reply = client.post("/echo", big.clone()).await.unwrap();
        assert_eq!(reply.body.len(), big.len());
        let reply = client.get("/stream/7/1000").await.unwrap();
        assert_eq!(reply.body.len(), 7000);
    }
    // A body without a length, with trailers, in chunks.
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let frames = [
        Frame::data(Bytes::from_static(b"ab")),
        Frame::trailers(trailers),
    ];
    let frames = frames.into_iter().map(Ok::<_, BodyError>);
    let body: Body = StreamBody::new(tokio_stream::iter(frames)).boxed();
    let request = with_headers(
        Method::POST,
        "/trailers",
        &[("trailer", "x-sum"), ("te", "trailers")],
        body,
    );
    let reply = pair.h1().await.send(request).await.unwrap();
    assert_eq!(text(&app.last().trailers.unwrap(), "x-sum"), "7");
    assert!(!text(&reply.trailers.expect("the reply's trailers"), "x-trailer").is_empty());
}

#[tokio::test]
async fn head_and_empty_responses_keep_their_form() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let head = with_headers(Method::HEAD, "/bytes/10", &[], empty());
    let reply = pair.h1().await.send(head).await.unwrap();
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("content-length"), "10");
    for mut client in [pair.h1().await, pair.h2().await] {
        let reply = client.get("/status/204").await.unwrap();
        assert_eq!((reply.status, reply.body.len()), (204, 0));
        let reply = client.get("/status/404").await.unwrap();
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("weft-error"), "", "the application's own 404");
    }
}

#[tokio::test]
async fn an_expectation_is_met_before_the_body_is_sent() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut socket = TcpStream::connect(pair.service).await.unwrap();
    let head =
        "POST /echo HTTP/1.1\r\nhost: shop\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = [0; 1024];
    let count = socket.read(&mut buffer).await.unwrap();
    assert!(
        buffer[..count].starts_with(b"HTTP/1.1 100"),
        "{:?}",
        &buffer[..count]
    );
    socket.write_all(b"body").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"body") {
        assert!(socket.read_buf(&mut answer).await.unwrap() > 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut client = pair.h1().await;
    let upgrade = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "x"),
    ];
    let request = with_headers(Method::GET, "/upgrade", &upgrade, empty());
    let response = client.start(request).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(
        text(response.headers(), "connection").to_ascii_lowercase(),
        "upgrade"
    );
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    let mut tunnel = hyper_util::rt::TokioIo::new(upgraded);
    for message in [&b"one"[..], b"two two"] {
        tunnel.write_all(message).await.unwrap();
        let mut echo = vec![0; message.len()];
        tunnel.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, message);
    }
    for (side, reporter) in [(&pair.web, "source"), (&pair.shop, "destination")] {
        let labels = [("reporter", reporter), ("response_code", "101")];
        assert_eq!(side.scrape().sum("istio_requests_total", &labels), 1.0);
    }
    // An upgrade that the application declines is a response like any other.
    let request = with_headers(Method::GET, "/status/426", &upgrade, empty());
    let reply = pair.h1().await.send(request).await.unwrap();
    assert_eq!(reply.status, 426);
}

#[tokio::test]
async fn connect_carries_any_protocol() {
    let app = HttpBackend::start("shop").await;
    let plan = Plan {
        protocol: Protocol::Detect,
        ..Plan::default()
    };
    let pair = plan.start(app.addr()).await;
    let connect = || async {
        let mut socket = TcpStream::connect(pair.explicit).await.unwrap();
        socket
            .write_all(b"CONNECT shop:80 HTTP/1.1\r\nhost: shop:80\r\n\r\n")
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(socket.read_buf(&mut head).await.unwrap() > 0);
        }
        assert!(
            head.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&head)
        );
        socket
    };
    let mut h1 = Client::h1_on(connect().await, "shop").await.unwrap();
    assert_eq!(h1.get("/").await.unwrap().status, 200);
    let mut h2 = Client::h2_on(connect().await, "shop").await.unwrap();
    assert_eq!(h2.get("/").await.unwrap().status, 200);
    assert_eq!(app.last().version, Version::HTTP_2);
}

#[tokio::test]
async fn a_connection_that_its_application_has_closed_fails_no_request() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut client = pair.h1().await;
    for _ in 0..20 {
        assert_eq!(client.get("/close").await.unwrap().status, 200);
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn connect_reaches_a_place_outside_the_mesh() {
    let app = HttpBackend::start("shop").await;
    let outside = TcpBackend::echo().await;
    let pair = Plan::default().start(app.addr()).await;
    let address = outside.addr();
    let name = weft_model::resource::Name::Authority {
        host: "127.0.0.1".to_owned(),
        port: address.port(),
    };
    pair.web.edit(|snapshot| {
        let entry = weft_proxy::tables::NameEntry::new(weft_proxy::tables::Answer::NotFound);
        snapshot.names.insert(name, entry);
    });
    let mut socket = TcpStream::connect(pair.explicit).await.unwrap();
    let head = format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert!(socket.read_buf(&mut answer).await.unwrap() > 0);
    }
    // The first bytes of TLS: the place's own business.
    let hello = b"\x16\x03\x01\x00\x05hello";
    socket.write_all(hello).await.unwrap();
    let mut echo = [0; 10];
    socket.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, hello);
}

#[tokio::test]
async fn an_early_answer_is_not_lost() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let request = with_headers(Method::POST, "/early", &[], full(vec![0; 1 << 20]));
    let response = pair.h2().await.start(request).await.unwrap();
    assert_eq!(read(response).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_an_application_says_of_the_mesh_is_not_believed() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let lies = [("weft-peer", "w=admin;a=admin"), ("weft-orig-proto", "1")];
    let request = with_headers(Method::GET, "/", &lies, empty());
    pair.h2().await.send(request).await.unwrap();
    assert_eq!(app.last().version, Version::HTTP_2);
    // Nor can it take away what its proxy says.
    let lies = [("connection", "weft-peer, weft-orig-proto")];
    let request = with_headers(Method::GET, "/", &lies, empty());
    pair.h1().await.send(request).await.unwrap();
    assert_eq!(app.last().version, Version::HTTP_11);
    let scrape = pair.shop.scrape();
    assert_eq!(
        scrape.sum("istio_requests_total", &[("source_app", "admin")]),
        0.0
    );
    assert_eq!(
        scrape.sum("istio_requests_total", &[("source_app", "web")]),
        2.0
    );
}

#[tokio::test]
async fn a_place_outside_the_mesh_is_passed_through() {
    let app = HttpBackend::start("shop").await;
    let outside = HttpBackend::start("outside").await;
    let pair = Plan::default().start(app.addr()).await;
    let name = weft_model::resource::Name::Authority {
        host: "127.0.0.1".to_owned(),
        port: outside.addr().port(),
    };
    pair.web.edit(|snapshot| {
        let entry = weft_proxy::tables::NameEntry::new(weft_proxy::tables::Answer::NotFound);
        snapshot.names.insert(name, entry);
    });
    let mut client = Client::h1(pair.explicit).await.unwrap();
    for _ in 0..2 {
        let reply = client
            .get(&format!("http://{}/x", outside.addr()))
            .await
            .unwrap();
        assert_eq!(reply.text().trim(), "outside");
    }
    assert_eq!(outside.connections(), 1, "pooled like any other");
    let labels = [
        ("destination_service_name", "PassthroughCluster"),
        ("destination_service", "unknown"),
    ];
    assert_eq!(pair.web.scrape().sum("istio_requests_total", &labels), 2.0);
}
