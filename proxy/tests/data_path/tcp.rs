//! Opaque bytes through a pair, and protocols that are not declared.

use crate::pair::{Pair, Plan};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use weft_model::{inbound::MtlsMode, protocol::Protocol};
use weft_testkit::{
    backend::{http::HttpBackend, tcp::TcpBackend},
    client::Client,
    wait::until,
};

async fn echoes(socket: &mut TcpStream, message: &[u8]) {
    socket.write_all(message).await.unwrap();
    let mut echo = vec![0; message.len()];
    socket.read_exact(&mut echo).await.unwrap();
    assert_eq!(echo, message);
}

async fn closed(pair: &Pair) {
    until(Duration::from_secs(5), "both sides to close", || {
        [&pair.web, &pair.shop]
            .iter()
            .all(|side| side.scrape().sum("istio_tcp_connections_closed_total", &[]) > 0.0)
    })
    .await;
}

#[tokio::test]
async fn declared_bytes_pass_and_are_counted() {
    let app = TcpBackend::echo().await;
    let pair = Plan::speaking(Protocol::Opaque).start(app.addr()).await;
    let mut socket = TcpStream::connect(pair.service).await.unwrap();
    echoes(&mut socket, b"hello").await;
    echoes(&mut socket, &vec![7; 300_000]).await;
    socket.shutdown().await.unwrap();
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    closed(&pair).await;
    for (side, security) in [(&pair.web, "unknown"), (&pair.shop, "mutual_tls")] {
        let scrape = side.scrape();
        let labels = [
            ("request_protocol", "tcp"),
            ("connection_security_policy", security),
        ];
        assert_eq!(
            scrape.sum("istio_tcp_connections_opened_total", &labels),
            1.0
        );
        assert_eq!(scrape.sum("istio_tcp_sent_bytes_total", &labels), 300_005.0);
        assert_eq!(
            scrape.sum("istio_tcp_received_bytes_total", &labels),
            300_005.0
        );
    }
}

#[tokio::test]
async fn an_undeclared_port_is_detected() {
    for (inbound, mtls) in [
        (Protocol::Detect, MtlsMode::Strict),
        (Protocol::Detect, MtlsMode::Disable),
        (Protocol::Http1, MtlsMode::Disable),
    ] {
        let app = HttpBackend::start("shop").await;
        let plan = Plan {
            protocol: Protocol::Detect,
            inbound_protocol: inbound,
            mtls,
            ..Plan::default()
        };
        let pair = plan.start(app.addr()).await;
        assert_eq!(
            pair.h1().await.get("/").await.unwrap().status,
            200,
            "{inbound:?} {mtls:?}"
        );
        assert_eq!(
            pair.h2().await.get("/").await.unwrap().status,
            200,
            "{inbound:?} {mtls:?}"
        );
    }
}

#[tokio::test]
async fn an_undeclared_client_first_protocol_passes() {
    for mtls in [MtlsMode::Strict, MtlsMode::Disable] {
        let app = TcpBackend::echo().await;
        let plan = Plan {
            mtls,
            ..Plan::speaking(Protocol::Detect)
        };
        let pair = plan.start(app.addr()).await;
        let mut socket = TcpStream::connect(pair.service).await.unwrap();
        echoes(&mut socket, b"*1\r\n$4\r\nPING\r\n").await;
        // The application's own TLS is bytes like any other.
        let mut socket = TcpStream::connect(pair.service).await.unwrap();
        echoes(&mut socket, b"\x16\x03\x01\x00\x05hello").await;
        // So is a client that thinks before it speaks.
        let mut socket = TcpStream::connect(pair.service).await.unwrap();
        until(Duration::from_secs(5), "the speculative connection", || {
            app.open() > 2
        })
        .await;
        echoes(&mut socket, b"*1\r\n$4\r\nPING\r\n").await;
    }
}

#[tokio::test]
async fn an_undeclared_server_first_protocol_gets_its_first_byte_in_time() {
    for mtls in [MtlsMode::Strict, MtlsMode::Disable] {
        let app = TcpBackend::server_first(b"220 ready\r\n").await;
        let plan = Plan {
            mtls,
            ..Plan::speaking(Protocol::Detect)
        };
        let pair = plan.start(app.addr()).await;
        let mut socket = TcpStream::connect(pair.service).await.unwrap();
        let mut greeting = [0; 11];
        socket.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"220 ready\r\n");
        echoes(&mut socket, b"EHLO example.org\r\n").await;
    }
}

#[tokio::test]
async fn a_plaintext_client_of_a_server_first_protocol_waits_less_than_a_tenth_of_a_second() {
    let app = TcpBackend::server_first(b"220 ready\r\n").await;
    let plan = Plan {
        mtls: MtlsMode::Permissive,
        ..Plan::speaking(Protocol::Detect)
    };
    let pair = plan.start(app.addr()).await;
    let mut waits = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let mut socket = TcpStream::connect(pair.inbound).await.unwrap();
        let mut greeting = [0; 11];
        socket.read_exact(&mut greeting).await.unwrap();
        waits.push(start.elapsed());
    }
    waits.sort();
    assert!(waits[2] < Duration::from_millis(100), "{waits:?}");
}

#[tokio::test]
async fn a_silent_http_client_is_served_once_it_speaks() {
    let app = HttpBackend::start("shop").await;
    let plan = Plan {
        mtls: MtlsMode::Permissive,
        ..Plan::speaking(Protocol::Detect)
    };
    let pair = plan.start(app.addr()).await;
    for address in [pair.service, pair.inbound] {
        let before = app.connections();
        let socket = TcpStream::connect(address).await.unwrap();
        until(Duration::from_secs(5), "the speculative connection", || {
            app.connections() > before
        })
        .await;
        let mut client = Client::h1_on(socket, "shop").await.unwrap();
        assert_eq!(client.get("/").await.unwrap().status, 200, "{address}");
    }
}

#[tokio::test]
async fn a_client_is_reset_when_nobody_listens_behind() {
    let plan = Plan::speaking(Protocol::Opaque);
    let nowhere = { TcpBackend::echo().await.addr() };
    let pair = plan.start(nowhere).await;
    let mut socket = TcpStream::connect(pair.service).await.unwrap();
    let mut buffer = [0; 1];
    assert!(!matches!(socket.read(&mut buffer).await, Ok(1..)));
    until(Duration::from_secs(5), "the refusal to be counted", || {
        pair.shop.scrape().sum(
            "weft_inbound_refused_total",
            &[("reason", "app-unreachable")],
        ) >= 1.0
    })
    .await;
}
