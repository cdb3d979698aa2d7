//! The flows of the shop over real sockets: an order, the dashboard, what is refused, what fails, and
//! what is forwarded on the way.

mod common;

use std::sync::{Arc, Mutex};

use common::Shop;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
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
async fn the_caller_that_the_mesh_tells_is_reported_and_never_forwarded() {
    let shop = Shop::whole().await;
    let spiffe = "spiffe://cluster.local/ns/production/sa/order-service";
    let cert = format!("By=spiffe://cluster.local/ns/production/sa/user-service;URI={spiffe}");
    let headers = [("x-forwarded-client-cert", cert.as_str())];
    let url = shop.url(Service::User, "/users/1");
    let reply = shop.http.send(Method::GET, &url, &headers, "").await;
    assert_eq!(reply.header("x-shop-caller"), Some(spiffe));

    let url = shop.url(Service::Order, "/orders");
    let placed = shop
        .http
        .send(Method::POST, &url, &headers, &order(1).to_string())
        .await;
    assert_eq!(placed.header("x-shop-caller"), Some(spiffe));
    for hop in placed.json["hops"].as_array().unwrap() {
        assert_eq!(hop["identity"], Value::Null, "{hop}");
    }
}

/// An upstream that keeps the heads of the requests it gets and answers each the same, as a sidecar
/// would pass it on: with the identity that it saw.
#[expect(clippy::unwrap_used, reason = "a helper of tests fails like a test")]
async fn recorder(tasks: &mut JoinSet<()>, seen: Arc<Mutex<Vec<String>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            seen.lock().unwrap().push(String::from_utf8(head).unwrap());
            let body = r#"{"active":false}"#;
            let reply = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\
                 x-shop-service: user-service\r\nx-shop-version: v9\r\n\
                 x-shop-caller: spiffe://cluster.local/ns/production/sa/order-service\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

const CONTEXT: [(&str, &str); 10] = [
    (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    ("tracestate", "a=1"),
    ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"),
    ("x-b3-traceid", "1"),
    ("x-b3-spanid", "2"),
    ("x-b3-parentspanid", "3"),
    ("x-b3-sampled", "1"),
    ("x-b3-flags", "0"),
    ("x-request-id", "r-1"),
    ("user-type", "beta"),
];

#[tokio::test]
async fn the_context_is_forwarded_and_other_headers_are_not() {
    let (mut tasks, seen) = (JoinSet::new(), Arc::default());
    let url = recorder(&mut tasks, Arc::clone(&seen)).await;
    let mut shop = Shop::new();
    shop.start(Service::Order, &[("USER_SERVICE_URL", &url)])
        .await;
    let mut headers = CONTEXT.to_vec();
    headers.extend([("authorization", "secret"), ("x-other", "1")]);
    let url = shop.url(Service::Order, "/orders");
    let reply = shop
        .http
        .send(Method::POST, &url, &headers, &order(1).to_string())
        .await;
    assert_eq!(reply.json["error"], "user_inactive");
    let hop = &reply.json["hops"][0];
    assert_eq!(hop["version"], "v9");
    assert_eq!(
        hop["identity"],
        "spiffe://cluster.local/ns/production/sa/order-service"
    );
    let head = seen.lock().unwrap().concat();
    for (name, value) in CONTEXT {
        assert!(
            head.contains(&format!("{name}: {value}\r\n")),
            "{name} in {head}"
        );
    }
    assert!(
        !head.contains("secret") && !head.contains("x-other"),
        "{head}"
    );
}

#[tokio::test]
async fn requests_go_through_the_proxy_in_absolute_form_with_bare_names() {
    let (mut tasks, seen) = (JoinSet::new(), Arc::default());
    let proxy = recorder(&mut tasks, Arc::clone(&seen)).await;
    let mut shop = Shop::new();
    let settings = [
        ("http_proxy", proxy.as_str()),
        ("no_proxy", "localhost,127.0.0.1,::1"),
    ];
    shop.start(Service::Order, &settings).await;
    shop.http
        .post(&shop.url(Service::Order, "/orders"), &order(1))
        .await;
    let head = seen.lock().unwrap().concat();
    assert!(
        head.starts_with("GET http://user-service/users/1 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("host: user-service\r\n"), "{head}");
}

#[tokio::test]
async fn the_context_is_forwarded_by_grpc_too() {
    let mut shop = Shop::new();
    shop.start(Service::User, &[]).await;
    // The server of the client is an h2 one here, that keeps the head of the one request it gets.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port().to_string();
    let settings = [
        ("USER_SERVICE_SERVICE_HOST", "127.0.0.1"),
        ("USER_SERVICE_SERVICE_PORT_GRPC", port.as_str()),
        ("CALL_TIMEOUT_MS", "5000"),
    ];
    shop.start(Service::WebBff, &settings).await;
    let mut tasks: JoinSet<()> = JoinSet::new();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<(String, HeaderMap)>(1);
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |request: http::Request<_>| {
            let (head, _): (_, hyper::body::Incoming) = request.into_parts();
            let authority = head.uri.authority().unwrap().to_string();
            sender.try_send((authority, head.headers)).unwrap();
            let reply = http::Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "5")
                .header("x-shop-service", "user-service")
                .body(http_body_util::Empty::<bytes::Bytes>::new());
            async move { reply }
        });
        let _ = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
            .await;
    });
    let url = shop.url(Service::WebBff, "/api/users/1");
    let reply = shop.http.send(Method::GET, &url, &CONTEXT, "").await;
    assert_eq!(reply.json["error"], "not_found", "{reply:?}");
    let (authority, headers) = receiver.recv().await.unwrap();
    assert_eq!(authority, "user-service:50051");
    for (name, value) in CONTEXT {
        assert_eq!(
            headers.get(name).map(|value| value.as_bytes()),
            Some(value.as_bytes()),
            "{name}"
        );
    }
    assert!(headers.contains_key("grpc-timeout"));
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
