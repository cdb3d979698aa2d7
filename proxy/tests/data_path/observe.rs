//! Metrics and access log of a pair.

use crate::pair::{Plan, with_headers};
use http::Method;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_model::{mesh::AccessLog, protocol::Protocol};
use weft_testkit::{
    backend::{http::HttpBackend, tcp::TcpBackend},
    client::{Client, empty},
    wait::until,
};

#[tokio::test]
async fn each_side_counts_a_request_once_with_istios_labels() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut client = pair.h1().await;
    for _ in 0..3 {
        client.get("/").await.unwrap();
    }
    client.get("/status/500").await.unwrap();
    let web = "spiffe://cluster.local/ns/production/sa/web";
    let shop = "spiffe://cluster.local/ns/production/sa/shop";
    for (side, reporter, security) in [
        (&pair.web, "source", "unknown"),
        (&pair.shop, "destination", "mutual_tls"),
    ] {
        let labels = [
            ("reporter", reporter),
            ("source_workload", "web"),
            ("source_workload_namespace", "production"),
            ("source_principal", web),
            ("source_app", "web"),
            ("source_version", "v1"),
            ("source_canonical_service", "web"),
            ("source_canonical_revision", "v1"),
            ("source_cluster", "Kubernetes"),
            ("destination_workload", "shop"),
            ("destination_workload_namespace", "production"),
            ("destination_principal", shop),
            ("destination_app", "shop"),
            ("destination_version", "v1"),
            ("destination_service", "shop.production.svc.cluster.local"),
            ("destination_service_name", "shop"),
            ("destination_service_namespace", "production"),
            ("destination_canonical_service", "shop"),
            ("destination_canonical_revision", "v1"),
            ("destination_cluster", "Kubernetes"),
            ("request_protocol", "http"),
            ("response_code", "200"),
            ("response_flags", "-"),
            ("grpc_response_status", ""),
            ("connection_security_policy", security),
        ];
        let scrape = side.scrape();
        let found: Vec<_> = scrape
            .find("istio_requests_total", &[])
            .map(|it| {
                (
                    it.label("response_code"),
                    it.label("response_flags"),
                    it.value,
                )
            })
            .collect();
        assert_eq!(found.len(), 2, "{reporter} {found:?}");
        assert_eq!(
            scrape.value("istio_requests_total", &labels),
            Some(3.0),
            "{reporter}"
        );
        let count = "istio_request_duration_milliseconds_count";
        assert_eq!(scrape.value(count, &labels), Some(3.0), "{reporter}");
        let mut infinite = labels.to_vec();
        infinite.push(("le", "+Inf"));
        let bucket = "istio_request_duration_milliseconds_bucket";
        assert_eq!(scrape.value(bucket, &infinite), Some(3.0), "{reporter}");
        assert_eq!(
            scrape.sum("istio_requests_total", &[("response_code", "500")]),
            1.0
        );
    }
}

#[tokio::test]
async fn the_access_log_names_who_decided() {
    for mode in [AccessLog::Off, AccessLog::Text, AccessLog::Json] {
        let app = HttpBackend::start("shop").await;
        let pair = Plan {
            access_log: mode,
            ..Plan::default()
        }
        .start(app.addr())
        .await;
        let mut client = Client::h1(pair.explicit).await.unwrap();
        let request = with_headers(Method::GET, "http://shop/a?b=c", &[], empty());
        client.send(request).await.unwrap();
        pair.edit_policy(|policy| policy.http.clear());
        client.get("http://shop/gone").await.unwrap();
        let (out, inn) = (pair.web.log(), pair.shop.log());
        match mode {
            AccessLog::Off => assert_eq!((out.as_str(), inn.as_str()), ("", "")),
            AccessLog::Text => {
                let lines: Vec<_> = out.lines().collect();
                assert_eq!(lines.len(), 2, "{out}");
                for part in [
                    "\"GET /a?b=c HTTP/1.1\" 200 -",
                    "route=all",
                    "cluster=shop.production.svc.cluster.local:80",
                    "instance=shop-1",
                    "peer=spiffe://cluster.local/ns/production/sa/shop",
                    "VirtualService production/shop[0], DestinationRule production/shop",
                ] {
                    assert!(lines[0].contains(part), "{part} in {}", lines[0]);
                }
                assert!(lines[1].contains("404 NR"), "{}", lines[1]);
                assert!(lines[1].contains("error=route-not-found"), "{}", lines[1]);
                assert!(
                    inn.contains("peer=spiffe://cluster.local/ns/production/sa/web"),
                    "{inn}"
                );
            }
            AccessLog::Json => {
                let lines: Vec<serde_json::Value> = out
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect();
                assert_eq!(lines[0]["response_code"], 200);
                assert_eq!(lines[0]["route"], "all");
                assert_eq!(lines[0]["sources"][0], "VirtualService production/shop[0]");
                assert_eq!(lines[1]["response_flags"], "NR");
                assert_eq!(lines[1]["error_code"], "route-not-found");
                let inbound: serde_json::Value =
                    serde_json::from_str(inn.lines().next().unwrap()).unwrap();
                assert_eq!(inbound["side"], "inbound");
                assert_eq!(inbound["version"], "HTTP/1.1");
            }
        }
    }
}

#[tokio::test]
async fn an_opaque_connection_is_logged_when_it_ends() {
    let app = TcpBackend::echo().await;
    let plan = Plan {
        access_log: AccessLog::Text,
        ..Plan::speaking(Protocol::Opaque)
    };
    let pair = plan.start(app.addr()).await;
    let mut socket = TcpStream::connect(pair.service).await.unwrap();
    socket.write_all(b"hello").await.unwrap();
    socket.shutdown().await.unwrap();
    let mut echo = Vec::new();
    socket.read_to_end(&mut echo).await.unwrap();
    assert_eq!(echo, b"hello");
    for side in [&pair.web, &pair.shop] {
        until(Duration::from_secs(5), "the line", || {
            side.log().contains("received=5 sent=5")
        })
        .await;
        assert!(side.log().contains("\"- - TCP\""), "{}", side.log());
    }
    assert!(
        pair.web.log().contains("instance=shop-1"),
        "{}",
        pair.web.log()
    );
}
