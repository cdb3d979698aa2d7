//! The backend, by both versions of HTTP.

use super::*;
use crate::client::{self, Client, request};
use http::StatusCode;
use hyper_util::rt::TokioIo;

async fn both(backend: &HttpBackend) -> [Client; 2] {
    [
        Client::h1(backend.addr()).await.unwrap(),
        Client::h2(backend.addr()).await.unwrap(),
    ]
}

#[tokio::test]
async fn paths_do_what_they_say() {
    let backend = HttpBackend::start("one").await;
    for mut client in both(&backend).await {
        assert_eq!(client.get("/").await.unwrap().text(), "one\n");
        assert_eq!(client.post("/echo", "hello").await.unwrap().text(), "hello");
        assert_eq!(client.get("/status/418").await.unwrap().status, 418);
        assert_eq!(
            client.get("/bytes/100000").await.unwrap().body.len(),
            100_000
        );
        assert_eq!(client.get("/stream/3/10").await.unwrap().body.len(), 30);
        assert!(
            client
                .get("/headers")
                .await
                .unwrap()
                .text()
                .starts_with("GET ")
        );
        let mut with_trailers = request(Method::GET, "/trailers", client::empty());
        let te = http::HeaderValue::from_static("trailers");
        with_trailers.headers_mut().insert(http::header::TE, te);
        let reply = client.send(with_trailers).await.unwrap();
        assert_eq!(reply.trailers.unwrap().get("x-trailer").unwrap(), "done");
        assert_eq!(reply.headers.get("x-backend").unwrap(), "one");
    }
    assert_eq!(backend.connections(), 2);
    assert_eq!(backend.requests(), 14);
    assert_eq!(backend.last().authority(), backend.addr().to_string());
}

#[tokio::test]
async fn faults_happen_and_heal() {
    let backend = HttpBackend::start("one").await;
    let every = NonZeroUsize::new(2);
    backend.behave(Behavior {
        fault: Some(Fault::Status(503)),
        every,
        ..Behavior::default()
    });
    for mut client in both(&backend).await {
        assert_eq!(client.get("/").await.unwrap().status, 200);
        assert_eq!(client.get("/").await.unwrap().status, 503);
    }
    for fault in [Fault::NoReply, Fault::CutBody(10), Fault::RefuseStream] {
        backend.fail(fault);
        for mut client in both(&backend).await {
            assert!(client.get("/").await.is_err(), "{fault:?}");
        }
    }
    let mut client = Client::h2(backend.addr()).await.unwrap();
    let error = client.get("/").await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let reason = source
        .downcast_ref::<h2::Error>()
        .and_then(h2::Error::reason);
    assert_eq!(reason, Some(h2::Reason::REFUSED_STREAM));
    backend.heal();
    for mut client in both(&backend).await {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn an_upgrade_carries_bytes() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let backend = HttpBackend::start("one").await;
    let mut client = Client::h1(backend.addr()).await.unwrap();
    let mut upgrade = request(Method::GET, "/upgrade", client::empty());
    let headers = upgrade.headers_mut();
    headers.insert(
        http::header::CONNECTION,
        http::HeaderValue::from_static("upgrade"),
    );
    headers.insert(
        http::header::UPGRADE,
        http::HeaderValue::from_static("websocket"),
    );
    let response = client.start(upgrade).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"ping").await.unwrap();
    let mut read = [0; 4];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"ping");
}
