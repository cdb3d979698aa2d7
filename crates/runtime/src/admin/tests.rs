//! The admin server over real sockets.

use super::*;
use crate::metrics;
use std::io::{Read, Write};

fn server(readiness: &Readiness) -> AdminServer {
    let exposition = Exposition::new(metrics::root("test", "0"));
    Admin::new(readiness, &exposition)
        .route("/echo", |request| {
            AdminReply::ok(
                "application/octet-stream",
                format!(
                    "{} {}",
                    request.method,
                    request.query_value("a").unwrap_or("-")
                )
                .into_bytes()
                .into_iter()
                .chain(request.body)
                .collect::<Vec<u8>>(),
            )
        })
        .route_async("/below/", |request| async move {
            AdminReply::text(StatusCode::OK, request.path)
        })
        .start(SocketAddr::from(([127, 0, 0, 1], 0)))
        .unwrap()
}

/// One request by hand, so that the test depends on no client.
fn send(server: &AdminServer, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(server.addr()).unwrap();
    let head = format!(
        "{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server may answer and close before it has read a body that it refuses.
    let _ = stream.write_all(body);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    let reply = String::from_utf8_lossy(&reply).into_owned();
    let status = reply
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    (status, reply)
}

#[test]
fn ready_says_why_not() {
    let readiness = Readiness::new();
    let condition = readiness.condition("certificate", "waiting for a certificate");
    let server = server(&readiness);
    let (status, text) = send(&server, "GET /ready HTTP/1.1", b"");
    assert_eq!(status, 503);
    assert!(
        text.ends_with("not ready\ncertificate: waiting for a certificate\n"),
        "{text}"
    );
    condition.met();
    assert_eq!(send(&server, "GET /ready HTTP/1.1", b"").0, 200);
    readiness.stop();
    let (status, text) = send(&server, "GET /ready HTTP/1.1", b"");
    assert_eq!(status, 503);
    assert!(text.contains(crate::ready::STOPPING), "{text}");
    assert_eq!(send(&server, "GET /live HTTP/1.1", b"").0, 200);
    server.stop();
}

#[test]
fn routes_are_found_by_path_and_prefix() {
    let server = server(&Readiness::new());
    let cases: [(&str, &[u8], u16, &str); 6] = [
        ("GET /echo?b=1&a=2 HTTP/1.1", b"", 200, "GET 2"),
        ("POST /echo HTTP/1.1", b"xyz", 200, "POST -xyz"),
        ("GET /below/deep/er HTTP/1.1", b"", 200, "/below/deep/er"),
        (
            "GET /below HTTP/1.1",
            b"",
            404,
            "not found; here are: /below/ /echo /live",
        ),
        ("GET /nothing HTTP/1.1", b"", 404, "not found"),
        ("POST /echo HTTP/1.1", &[b'x'; MAX_BODY_BYTES + 1], 413, ""),
    ];
    for (head, body, status, text) in cases {
        let (got, reply) = send(&server, head, body);
        assert_eq!(got, status, "{head}");
        assert!(reply.contains(text), "{head}: {reply}");
    }
    server.stop();
}

#[test]
fn metrics_follow_the_accept_header() {
    let server = server(&Readiness::new());
    let (status, classic) = send(&server, "GET /metrics HTTP/1.1", b"");
    assert_eq!(status, 200);
    assert!(
        classic.contains("content-type: text/plain; version=0.0.4"),
        "{classic}"
    );
    assert!(
        classic.contains("process_resident_memory_bytes "),
        "{classic}"
    );
    let head = "GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text";
    let (_, open) = send(&server, head, b"");
    assert!(
        open.contains("content-type: application/openmetrics-text"),
        "{open}"
    );
    assert!(open.ends_with("# EOF\n"), "{open}");
    server.stop();
}

#[test]
fn an_address_in_use_is_an_error_at_once() {
    let server = server(&Readiness::new());
    let exposition = Exposition::new(metrics::root("test", "0"));
    let second = Admin::new(&Readiness::new(), &exposition).start(server.addr());
    assert_eq!(
        second.map(|_| ()).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    server.stop();
}
