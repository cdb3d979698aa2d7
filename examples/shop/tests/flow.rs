//! The flows of the shop over real sockets: an order, the dashboard, what is refused and what fails.

mod common;

use common::Shop;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use weft_shop::service::Service;

fn order(user: i32) -> Value {
    json!({"userId": user, "items": [{"productId": 1, "quantity": 2}, {"productId": 2, "quantity": 1}]})
}

fn edges(reply: &Value) -> Vec<(String, String)> {
    let text = |hop: &Value, key: &str| hop[key].as_str().unwrap_or_default().to_owned();
    let hops = reply["hops"].as_array().cloned().unwrap_or_default();
    hops.iter()
        .map(|hop| (text(hop, "from"), text(hop, "to")))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
        .collect()
}

#[tokio::test]
async fn an_order_goes_through_all_services_and_lists_its_hops() {
    let shop = Shop::whole().await;
    let placed = shop
        .http
        .post(&shop.url(Service::WebBff, "/api/orders"), &order(1))
        .await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    assert_eq!(placed.json["status"], "CONFIRMED");
    assert_eq!(placed.json["totalCents"], 4190);
    assert_eq!(placed.json["service"], "web-bff");
    assert_eq!(placed.json["payment"]["version"], "v1");
    let expected = pairs(&[
        ("web-bff", "order-service"),
        ("order-service", "user-service"),
        ("order-service", "inventory-service"),
        ("order-service", "pricing-service"),
        ("order-service", "payment-service"),
    ]);
    assert_eq!(edges(&placed.json), expected);
    for hop in placed.json["hops"].as_array().unwrap() {
        assert!(hop["ms"].as_f64().unwrap() > 0.0, "{hop}");
        assert!(matches!(hop["status"].as_u64(), Some(200 | 201)), "{hop}");
        assert_eq!(hop["version"], "v1");
        assert_eq!(
            hop["instance"],
            format!("{}-0", hop["to"].as_str().unwrap())
        );
        assert_eq!(hop["identity"], Value::Null, "no mesh, no identity: {hop}");
    }

    let id = placed.json["id"].as_i64().unwrap();
    let kept = shop
        .http
        .get(&shop.url(Service::Order, &format!("/orders/{id}")))
        .await;
    assert_eq!(
        (kept.status, &kept.json["userId"]),
        (StatusCode::OK, &json!(1))
    );
    let paid = shop
        .http
        .get(&shop.url(Service::Payment, &format!("/api/payments/{id}")))
        .await;
    assert_eq!(
        (paid.status, &paid.json["amountCents"]),
        (StatusCode::OK, &json!(4190))
    );
    let listed = shop
        .http
        .get(&shop.url(Service::Order, "/orders?userId=1"))
        .await;
    assert_eq!(listed.json["orders"][0]["id"], id);
    let others = shop
        .http
        .get(&shop.url(Service::Order, "/orders?userId=2"))
        .await;
    assert_eq!(others.json["orders"], json!([]));
}

#[tokio::test]
async fn the_dashboard_gathers_users_by_grpc_and_the_rest_as_json() {
    let shop = Shop::whole().await;
    for _ in 0..7 {
        shop.http
            .post(&shop.url(Service::WebBff, "/api/orders"), &order(3))
            .await;
    }
    let dashboard = shop
        .http
        .get(&shop.url(Service::WebBff, "/api/dashboard/3"))
        .await;
    assert_eq!(dashboard.status, StatusCode::OK, "{dashboard:?}");
    assert_eq!(dashboard.json["user"]["username"], "carol");
    assert_eq!(dashboard.json["recentOrders"].as_array().unwrap().len(), 5);
    assert_eq!(
        dashboard.json["recommendations"].as_array().unwrap().len(),
        4
    );
    assert_eq!(dashboard.json["degraded"], json!([]));
    let hops = dashboard.json["hops"].as_array().unwrap();
    let grpc = hops.iter().find(|hop| hop["protocol"] == "grpc").unwrap();
    assert_eq!(grpc["to"], "user-service");
    assert_eq!(
        (&grpc["instance"], &grpc["status"]),
        (&json!("user-service-0"), &json!(200))
    );

    let nobody = shop
        .http
        .get(&shop.url(Service::WebBff, "/api/dashboard/999"))
        .await;
    assert_eq!(
        (nobody.status, &nobody.json["error"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
}

#[tokio::test]
async fn a_dashboard_without_recommendations_says_so() {
    let mut shop = Shop::new();
    for service in [Service::User, Service::Order] {
        shop.start(service, &[]).await;
    }
    let nowhere = ("PRODUCT_SERVICE_URL", "http://127.0.0.1:1");
    shop.start(Service::WebBff, &[nowhere]).await;
    let dashboard = shop
        .http
        .get(&shop.url(Service::WebBff, "/api/dashboard/1"))
        .await;
    assert_eq!(dashboard.status, StatusCode::OK);
    assert_eq!(dashboard.json["degraded"], json!(["recommendations"]));
    assert_eq!(dashboard.json["user"]["username"], "alice");
}

#[tokio::test]
async fn orders_are_refused_for_a_reason() {
    let shop = Shop::whole().await;
    let check = async |body: Value, status: u16, code: &str, hops: usize| {
        let reply = shop
            .http
            .post(&shop.url(Service::WebBff, "/api/orders"), &body)
            .await;
        assert_eq!(reply.status.as_u16(), status, "{body} {reply:?}");
        let direct = shop
            .http
            .post(&shop.url(Service::Order, "/orders"), &body)
            .await;
        assert_eq!(direct.json["error"], code, "{body} {direct:?}");
        assert_eq!(direct.json["service"], "order-service");
        assert_eq!(edges(&direct.json).len(), hops, "{body} {direct:?}");
    };
    let of = |product: u32, quantity: u32| json!({"userId": 1, "items": [{"productId": product, "quantity": quantity}]});
    check(order(999), 404, "not_found", 1).await;
    check(order(10), 409, "user_inactive", 1).await;
    check(of(8, 1), 409, "items_unavailable", 2).await;
    check(of(77, 1), 404, "not_found", 2).await;
    check(of(4, 99), 402, "payment_declined", 4).await;
    check(of(1, 0), 400, "invalid_request", 0).await;
    check(json!({"userId": 1}), 400, "invalid_request", 0).await;
}

#[tokio::test]
async fn an_upstream_that_fails_is_named() {
    let mut shop = Shop::new();
    for service in [
        Service::User,
        Service::Inventory,
        Service::Pricing,
        Service::Payment,
    ] {
        shop.start(service, &[]).await;
    }
    shop.start(Service::Order, &[("CALL_TIMEOUT_MS", "100")])
        .await;
    let place = || async {
        shop.http
            .post(&shop.url(Service::Order, "/orders"), &order(1))
            .await
    };
    let chaos = async |service, knobs: Value| {
        let reply = shop.http.post(&shop.url(service, "/chaos"), &knobs).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    };

    assert_eq!(place().await.status, StatusCode::CREATED);
    chaos(Service::Pricing, json!({"error_rate": 1})).await;
    let failed = place().await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY);
    assert_eq!(failed.json["error"], "upstream_failed");
    assert_eq!(failed.json["upstream"], "pricing-service");
    assert_eq!(failed.json["service"], "order-service");
    let hops = failed.json["hops"].as_array().unwrap();
    assert_eq!(
        hops.last().map(|hop| hop["status"].clone()),
        Some(json!(500))
    );

    chaos(
        Service::Pricing,
        json!({"error_rate": 0, "latency_ms": 5000}),
    )
    .await;
    let late = place().await;
    assert_eq!(late.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(late.json["error"], "upstream_timeout");
    assert_eq!(late.json["hops"][2]["status"], Value::Null);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_named() {
    let mut shop = Shop::new();
    shop.start(
        Service::Order,
        &[("USER_SERVICE_URL", "http://127.0.0.1:1")],
    )
    .await;
    let failed = shop
        .http
        .post(&shop.url(Service::Order, "/orders"), &order(1))
        .await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY);
    assert_eq!(failed.json["error"], "upstream_unreachable");
    assert_eq!(failed.json["upstream"], "user-service");
    assert!(
        failed.json["detail"].as_str().unwrap().contains("refused"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn every_error_is_json_and_signed() {
    let shop = Shop::whole().await;
    let check = async |method: Method, path: &str, status: u16, code: &str| {
        let reply = shop
            .http
            .send(method, &shop.url(Service::User, path), &[], "")
            .await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["error"]),
            (status, &json!(code)),
            "{path}"
        );
        assert_eq!(reply.header("x-shop-instance"), Some("user-service-0"));
        assert_eq!(reply.json["instance"], "user-service-0");
    };
    check(Method::GET, "/nothing", 404, "not_found").await;
    check(Method::DELETE, "/users", 405, "method_not_allowed").await;
    check(Method::GET, "/users/one", 400, "invalid_request").await;
    check(Method::GET, "/users?limit=many", 400, "invalid_request").await;
    check(Method::GET, "/users/999", 404, "not_found").await;
    check(Method::POST, "/users", 400, "invalid_request").await;
    let long = format!("{{\"username\":\"{}\"}}", "x".repeat(100_000));
    let reply = shop
        .http
        .send(Method::POST, &shop.url(Service::User, "/users"), &[], &long)
        .await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["error"]),
        (413, &json!("too_large"))
    );
}

#[tokio::test]
async fn users_register_and_are_seen_by_both_protocols() {
    let shop = Shop::whole().await;
    let new = json!({"username": "zoe", "email": "zoe@example.org"});
    let added = shop
        .http
        .post(&shop.url(Service::User, "/users"), &new)
        .await;
    assert_eq!(added.status, StatusCode::CREATED);
    let again = shop
        .http
        .post(&shop.url(Service::User, "/users"), &new)
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let id = added.json["id"].as_i64().unwrap();
    let seen = shop
        .http
        .get(&shop.url(Service::WebBff, &format!("/api/users/{id}")))
        .await;
    assert_eq!(seen.json["user"]["email"], "zoe@example.org");
    let listed = shop
        .http
        .get(&shop.url(Service::User, "/users?limit=2&after=1"))
        .await;
    let names: Vec<_> = listed.json["users"].as_array().unwrap().iter().collect();
    assert_eq!((names.len(), &names[0]["username"]), (2, &json!("bob")));
}

#[tokio::test]
async fn the_storefront_is_one_page() {
    let shop = Shop::whole().await;
    let page = shop.http.get(&shop.url(Service::WebBff, "/")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    let products = shop
        .http
        .get(&shop.url(Service::WebBff, "/api/products"))
        .await;
    assert_eq!(products.json["products"].as_array().unwrap().len(), 8);
    assert_eq!(
        edges(&products.json),
        pairs(&[("web-bff", "product-service")])
    );
}
