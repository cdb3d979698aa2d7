//! The chaos knobs and the end of a service, over real sockets.

mod common;

use common::Shop;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use weft_shop::drain::Phase;
use weft_shop::service::Service;

#[tokio::test]
async fn errors_are_in_effect_at_once_and_health_is_never_touched() {
    let shop = Shop::whole().await;
    for service in Service::ALL {
        let path = match service {
            Service::User => "/users/1",
            Service::Product => "/products",
            Service::Inventory => "POST /check",
            Service::Pricing => "POST /calculate",
            Service::Order => "/orders",
            Service::Payment => "/api/payments/1",
            Service::WebBff => "/",
        };
        let chaos = shop.url(service, "/chaos");
        let ask = async |what: &str| {
            let (method, path) = what.split_once(' ').unwrap_or(("GET", what));
            let method = method.parse().unwrap();
            shop.http
                .send(method, &shop.url(service, path), &[], "")
                .await
        };
        let status = async |what: &str| ask(what).await.status;
        assert_ne!(
            status(path).await,
            StatusCode::SERVICE_UNAVAILABLE,
            "{service}"
        );

        let knobs = json!({"error_rate": 1.0, "error_status": 503});
        assert_eq!(shop.http.post(&chaos, &knobs).await.status, StatusCode::OK);
        let struck = ask(path).await;
        assert_eq!(struck.status, StatusCode::SERVICE_UNAVAILABLE, "{service}");
        assert_eq!(struck.json["error"], "chaos");
        assert_eq!(status("/healthz").await, StatusCode::OK, "{service}");

        let reset = shop.http.send(Method::DELETE, &chaos, &[], "").await;
        assert_eq!(reset.json["error_rate"], 0.0);
        assert_ne!(
            status(path).await,
            StatusCode::SERVICE_UNAVAILABLE,
            "{service}"
        );
    }
}

#[tokio::test]
async fn latency_is_added_and_knobs_left_out_stay() {
    let shop = Shop::whole().await;
    let chaos = shop.url(Service::Product, "/chaos");
    shop.http.post(&chaos, &json!({"latency_ms": 600})).await;
    shop.http.post(&chaos, &json!({"error_rate": 0.0})).await;
    let knobs = shop.http.get(&chaos).await.json;
    assert_eq!(
        (&knobs["latency_ms"], &knobs["error_status"]),
        (&json!(600), &json!(500))
    );
    let began = Instant::now();
    shop.http
        .get(&shop.url(Service::Product, "/products/1"))
        .await;
    assert!(began.elapsed().as_millis() >= 600);
    let began = Instant::now();
    shop.http.get(&shop.url(Service::Product, "/healthz")).await;
    assert!(
        began.elapsed().as_millis() < 600,
        "health waits for nothing"
    );
}

#[tokio::test]
async fn nonsense_is_refused_and_changes_nothing() {
    let shop = Shop::whole().await;
    let chaos = shop.url(Service::Pricing, "/chaos");
    for body in [
        json!({"error_rate": 2}),
        json!({"error_rate": "often"}),
        json!({"latency_ms": -1}),
        json!({"latency_ms": 3_600_000}),
        json!({"error_status": 200}),
        json!({"latencyms": 5}),
        json!([]),
    ] {
        let reply = shop.http.post(&chaos, &body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(shop.http.get(&chaos).await.json["error_rate"], 0.0);
}

#[tokio::test]
async fn errors_strike_grpc_as_well() {
    let shop = Shop::whole().await;
    shop.http
        .post(
            &shop.url(Service::User, "/chaos"),
            &json!({"error_rate": 1}),
        )
        .await;
    let failed = shop
        .http
        .get(&shop.url(Service::WebBff, "/api/users/1"))
        .await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY);
    assert_eq!(failed.json["upstream"], "user-service");
    assert!(
        failed.json["detail"].as_str().unwrap().contains("Internal"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn settings_at_the_start_are_the_first_knobs() {
    let mut shop = Shop::new();
    let settings = [("CHAOS_LATENCY_MS", "7"), ("CHAOS_ERROR_RATE", "0.25")];
    shop.start(Service::Pricing, &settings).await;
    let knobs = shop
        .http
        .get(&shop.url(Service::Pricing, "/chaos"))
        .await
        .json;
    assert_eq!(
        (&knobs["latency_ms"], &knobs["error_rate"]),
        (&json!(7), &json!(0.25))
    );
}

#[tokio::test]
async fn a_draining_service_still_serves_and_asks_clients_to_leave() {
    let shop = Shop::whole().await;
    let url = shop.url(Service::Product, "/products");
    let before = shop.http.get(&url).await;
    assert_eq!(
        (before.status, before.header("connection")),
        (StatusCode::OK, None)
    );
    shop.drain(Service::Product).advance(Phase::Draining);
    let during = shop.http.get(&url).await;
    assert_eq!(
        (during.status, during.header("connection")),
        (StatusCode::OK, Some("close"))
    );
    let health = shop.http.get(&shop.url(Service::Product, "/healthz")).await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_stopping_service_finishes_what_is_in_flight_and_ends() {
    let mut shop = Shop::new();
    shop.start(Service::User, &[]).await;
    shop.http
        .post(
            &shop.url(Service::User, "/chaos"),
            &json!({"latency_ms": 300}),
        )
        .await;
    let url = shop.url(Service::User, "/users/1");
    let began = Instant::now();
    let (reply, ()) = tokio::join!(shop.http.get(&url), async {
        // The request is in flight once the service has read it; its latency leaves time for that.
        while began.elapsed().as_millis() < 100 {
            tokio::task::yield_now().await;
        }
        shop.drain(Service::User).advance(Phase::Stopping);
    });
    assert_eq!(
        (reply.status, &reply.json["username"]),
        (StatusCode::OK, &json!("alice"))
    );
    let address = shop.address(Service::User);
    shop.ended().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert_ne!(reply.json, Value::Null);
}
