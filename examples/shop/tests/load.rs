//! The load generator against a real shop, and against one that fails or stalls.

mod common;

use std::time::Duration;

use common::Shop;
use http::{HeaderName, Uri};
use serde_json::json;
use tokio::net::TcpListener;
use weft_shop::load::{Kind, Load, LoadConfig};
use weft_shop::service::Service;
use weft_shop::{ProxyRules, load};

#[expect(clippy::unwrap_used, reason = "a helper of tests fails like a test")]
fn config(target: &str, rate: f64, seconds: f64) -> LoadConfig {
    LoadConfig {
        rate,
        duration: Duration::from_secs_f64(seconds),
        ..LoadConfig::new(target.parse::<Uri>().unwrap())
    }
}

#[tokio::test]
async fn counts_every_request_of_a_shop_that_works() {
    let shop = Shop::whole().await;
    let url = format!("http://{}", shop.address(Service::WebBff));
    let load = Load::start(config(&url, 100.0, 1.0)).unwrap();
    let report = load.finished().await;
    assert_eq!(
        (report.requests, report.failed, report.missed),
        (100, 0, 0),
        "{report:?}"
    );
    assert_eq!((report.refused, report.in_flight), (0, 0), "{report:?}");
    let kinds: u64 = report.kinds.values().map(|kind| kind.counts.requests).sum();
    assert_eq!(kinds, 100);
    assert!(
        Kind::ALL
            .iter()
            .all(|kind| report.kinds[kind].counts.requests > 0)
    );
    let latency = report.latency;
    assert!(latency.p50_ms > 0.0 && latency.p50_ms <= latency.p90_ms);
    assert!(latency.p90_ms <= latency.p99_ms && latency.p99_ms <= latency.max_ms);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json["requests"], &json["failed"]),
        (&json!(100), &json!(0))
    );
    assert_eq!(
        serde_json::from_value::<load::Report>(json).unwrap(),
        report
    );
}

#[tokio::test]
async fn failures_are_5xx_and_missing_replies_and_injected_ones_are_apart() {
    let shop = Shop::whole().await;
    let knobs = json!({"error_rate": 1, "error_status": 503});
    shop.http
        .post(&shop.url(Service::WebBff, "/chaos"), &knobs)
        .await;
    let url = format!("http://{}", shop.address(Service::WebBff));
    let report = Load::start(config(&url, 50.0, 0.2))
        .unwrap()
        .finished()
        .await;
    assert_eq!(
        (report.requests, report.failed, report.server_errors),
        (10, 10, 10)
    );
    assert!(
        report.last_failure.as_ref().unwrap().contains("503"),
        "{report:?}"
    );

    let mut with_header = config(&url, 50.0, 0.2);
    with_header.injected = Some(HeaderName::from_static("x-shop-service"));
    let report = Load::start(with_header).unwrap().finished().await;
    assert_eq!(
        (report.requests, report.failed, report.injected),
        (10, 0, 10)
    );

    let report = Load::start(config("http://127.0.0.1:1", 50.0, 0.2))
        .unwrap()
        .finished()
        .await;
    assert_eq!(
        (report.requests, report.failed, report.transport_errors),
        (10, 10, 10)
    );
    assert!(
        report.last_failure.as_ref().unwrap().contains("refused"),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_target_that_stalls_cannot_hide_it_and_nothing_grows() {
    // A listener that never answers.
    let stalled = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(
        &format!("http://{}", stalled.local_addr().unwrap()),
        100.0,
        2.0,
    );
    config.concurrency = 4;
    config.timeout = Duration::from_millis(1500);
    let load = Load::start(config).unwrap();
    let report = load.finished().await;
    assert_eq!(report.requests + report.missed, 200, "{report:?}");
    assert_eq!((report.failed, report.in_flight), (report.requests, 0));
    assert!(report.requests <= 12 && report.missed >= 188, "{report:?}");
}

#[tokio::test]
async fn it_stops_when_told_and_shows_where_it_is() {
    let shop = Shop::whole().await;
    let url = format!("http://{}", shop.address(Service::WebBff));
    let load = Load::start(config(&url, 200.0, 3600.0)).unwrap();
    while load.snapshot().requests < 20 {
        tokio::task::yield_now().await;
    }
    load.cancel();
    let report = load.finished().await;
    assert!(report.requests >= 20 && report.failed == 0, "{report:?}");
    assert!(report.duration_s < 60.0);
}

#[tokio::test]
async fn it_sends_through_the_proxy_it_was_given() {
    let shop = Shop::whole().await;
    // web-bff itself stands in for the proxy: it sees the absolute form of a foreign name.
    let proxy = format!("http://{}", shop.address(Service::WebBff));
    let mut config = config("http://web-bff", 50.0, 0.2);
    config.proxy = ProxyRules::parse(&proxy, "").unwrap();
    let report = Load::start(config).unwrap().finished().await;
    assert_eq!((report.requests, report.failed), (10, 0), "{report:?}");
}
