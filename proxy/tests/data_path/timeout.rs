//! The route's timeout: never early, soon after, and on the whole request.

use crate::pair::Plan;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use weft_testkit::{
    backend::{http::HttpBackend, tcp::TcpBackend},
    client::{empty, request},
    wait::until,
};

const TIMEOUT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn the_reply_comes_at_the_timeout_and_not_before() {
    let app = HttpBackend::start("shop").await;
    let plan = Plan {
        timeout: Some(TIMEOUT),
        ..Plan::default()
    };
    let pair = plan.start(app.addr()).await;
    let mut client = pair.h1().await;
    assert_eq!(client.get("/delay/10").await.unwrap().status, 200);
    let mut late = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let reply = client.get("/delay/5000").await.unwrap();
        let took = start.elapsed();
        assert_eq!(
            (reply.status, reply.header("weft-error")),
            (504, "request-timeout")
        );
        assert!(took >= TIMEOUT, "{took:?}");
        late.push(took - TIMEOUT);
    }
    late.sort();
    assert!(late[2] < Duration::from_millis(50), "{late:?}");
    let labels = [("response_code", "504"), ("response_flags", "UT")];
    assert_eq!(pair.web.scrape().sum("istio_requests_total", &labels), 5.0);
    // The server's side saw its client leave.
    let labels = [("response_code", "0"), ("response_flags", "DC")];
    until(Duration::from_secs(5), "the server's side to count", || {
        pair.shop.scrape().sum("istio_requests_total", &labels) == 5.0
    })
    .await;
    assert_eq!(app.in_flight(), 0, "the application's work was called off");
}

#[tokio::test]
async fn it_covers_the_body_too() {
    // An application that stops in the middle of its response and stays.
    let app = TcpBackend::start(|mut stream| async move {
        let mut head = [0; 4096];
        if stream.read(&mut head).await.is_ok() {
            let part = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this";
            let _ = stream.write_all(part).await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    })
    .await;
    let plan = Plan {
        timeout: Some(TIMEOUT),
        ..Plan::default()
    };
    let pair = plan.start(app.addr()).await;
    let start = Instant::now();
    let mut client = pair.h1().await;
    let response = client
        .start(request(http::Method::GET, "/", empty()))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(weft_testkit::client::read(response).await.is_err());
    assert!(start.elapsed() >= TIMEOUT);
    let labels = [("response_code", "200"), ("response_flags", "UT")];
    assert_eq!(pair.web.scrape().sum("istio_requests_total", &labels), 1.0);
}
