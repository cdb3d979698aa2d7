//! What goes along with a request: the context that is forwarded, the caller that the mesh tells, and
//! the proxy on the way.

mod common;

use std::sync::{Arc, Mutex};

use common::Shop;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use weft_shop::service::Service;

fn order(user: i32) -> Value {
    json!({"userId": user, "items": [{"productId": 1, "quantity": 2}, {"productId": 2, "quantity": 1}]})
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
