//! Logging of a whole process: set up once, changed through the admin port, panics as events.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its parts has failed"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use weft_runtime::admin::Admin;
use weft_runtime::log::{self, Format, LogError};
use weft_runtime::metrics::{self, Exposition};
use weft_runtime::ready::Readiness;

fn send(addr: SocketAddr, method: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} /log HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn the_filter_is_shown_and_changed() {
    let log = Arc::new(log::init(Format::Json, "warn").unwrap());
    assert!(matches!(
        log::init(Format::Json, "warn"),
        Err(LogError::AlreadySet)
    ));
    let exposition = Exposition::new(metrics::root("test", "0"));
    let admin = Admin::new(&Readiness::new(), &exposition).log_route(Arc::clone(&log));
    let server = admin.start(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    assert!(!tracing::enabled!(tracing::Level::DEBUG));
    assert!(send(server.addr(), "GET", "").ends_with("warn\n"));
    assert!(send(server.addr(), "PUT", "info,logging=debug\n").starts_with("HTTP/1.1 200"));
    assert!(tracing::enabled!(target: "logging", tracing::Level::DEBUG));
    let refused = send(server.addr(), "PUT", "logging=noisy");
    assert!(
        refused.starts_with("HTTP/1.1 400") && refused.contains("an example"),
        "{refused}"
    );
    assert!(
        tracing::enabled!(target: "logging", tracing::Level::DEBUG),
        "the old one stays"
    );
    assert!(send(server.addr(), "DELETE", "").starts_with("HTTP/1.1 405"));
    server.stop();
}
