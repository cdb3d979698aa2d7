//! Real peers through a pair of sidecars: curl, h2load, grpcio, websockets, plain TCP.

use crate::fixture::{client, pay, peer_authentication, service, workload};
use std::path::PathBuf;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_e2e::mesh::Mesh;
use weft_testkit::tier;

/// The interpreter of the environment that has the Python peers' libraries.
#[expect(clippy::disallowed_methods, reason = "how the gate tells its tests")]
fn python() -> Result<PathBuf, String> {
    std::env::var("WEFT_PYTHON")
        .map(PathBuf::from)
        .map_err(|_| "WEFT_PYTHON is not set: run the tests with `cargo xtask test`".to_owned())
}

fn peer(script: &str) -> String {
    format!("{}/peers/{script}", env!("CARGO_MANIFEST_DIR"))
}

async fn counted(mesh: &Mesh, instances: &[&str], labels: &[(&str, &str)]) -> f64 {
    let mut sum = 0.0;
    for name in instances {
        let scrape = mesh.metrics(name).await.unwrap();
        let mut all = vec![
            ("reporter", "destination"),
            ("connection_security_policy", "mutual_tls"),
        ];
        all.extend(labels);
        sum += scrape.sum("istio_requests_total", &all);
    }
    sum
}

const PAY: [&str; 2] = ["pay-v1-0", "pay-v2-0"];

#[tokio::test]
async fn curl_and_h2load_pass_and_each_request_is_counted_once() {
    tier!(
        "e2e",
        tier::binary("weft"),
        tier::program("curl"),
        tier::program("h2load")
    );
    let mesh = Mesh::up(&[
        ("pay.yaml", &pay()),
        ("mtls.yaml", &peer_authentication("STRICT")),
    ])
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    let status = [
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{http_version}",
    ];
    let curl = |words: &[&'static str]| {
        let words: Vec<&str> = ["curl"]
            .iter()
            .chain(&status)
            .chain(words)
            .copied()
            .collect();
        let mesh = &mesh;
        async move { mesh.exec("client", &words).await.unwrap() }
    };
    assert_eq!(curl(&["http://pay/"]).await, "200 1.1");
    assert_eq!(
        curl(&["http://pay.production.svc.cluster.local/?status=418"]).await,
        "418 1.1"
    );
    assert_eq!(
        curl(&["-d", "@/etc/hostname", "http://pay.production/"]).await,
        "200 1.1"
    );
    assert_eq!(
        curl(&["-H", "Expect: 100-continue", "-d", "x", "http://pay/"]).await,
        "200 1.1"
    );
    assert_eq!(
        curl(&["-H", "Transfer-Encoding: chunked", "-d", "x", "http://pay/"]).await,
        "200 1.1"
    );
    // A tunnel whose payload is HTTP is HTTP.
    assert_eq!(curl(&["-p", "http://pay:80/"]).await, "200 1.1");
    let codes = [("200", 5.0), ("418", 1.0)];
    for (code, expected) in codes {
        let labels = [("response_code", code), ("request_protocol", "http")];
        assert_eq!(counted(&mesh, &PAY, &labels).await, expected, "{code}");
    }

    let env = mesh.instance("client-0").unwrap().env;
    let value = |key: &str| env[key].as_str().unwrap().to_owned();
    let url = format!(
        "http://{}:{}/",
        value("PAY_SERVICE_HOST"),
        value("PAY_SERVICE_PORT")
    );
    let out = mesh
        .exec(
            "client",
            &["h2load", "-n", "200", "-c", "2", "-m", "10", &url],
        )
        .await
        .unwrap();
    assert!(out.contains("200 succeeded, 0 failed"), "{out}");
    let out = mesh
        .exec("client", &["h2load", "--h1", "-n", "200", "-c", "2", &url])
        .await
        .unwrap();
    assert!(out.contains("200 succeeded, 0 failed"), "{out}");
    assert_eq!(
        counted(&mesh, &PAY, &[("response_code", "200")]).await,
        405.0
    );
}

#[tokio::test]
async fn tcp_passes_also_where_the_server_speaks_first() {
    tier!("e2e", tier::binary("weft"));
    let mesh = Mesh::up(&[
        ("pay.yaml", &pay()),
        ("mtls.yaml", &peer_authentication("STRICT")),
    ])
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    let env = mesh.instance("client-0").unwrap().env;
    let address = |port: &str| {
        let host = env["PAY_SERVICE_HOST"].as_str().unwrap();
        format!("{host}:{}", env[port].as_str().unwrap())
    };
    let mut echo = TcpStream::connect(address("PAY_SERVICE_PORT_TCP_ECHO"))
        .await
        .unwrap();
    echo.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    echo.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");

    let mut banner = TcpStream::connect(address("PAY_SERVICE_PORT_BANNER"))
        .await
        .unwrap();
    let mut ready = [0; 6];
    banner.read_exact(&mut ready).await.unwrap();
    assert_eq!(&ready, b"READY\n");
    banner.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    banner.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
    let mut opened = 0.0;
    for name in PAY {
        opened += mesh.metrics(name).await.unwrap().sum(
            "istio_tcp_connections_opened_total",
            &[("reporter", "destination")],
        );
    }
    assert_eq!(opened, 2.0);
}

#[tokio::test]
async fn grpcio_passes_with_every_kind_of_call_and_its_status_is_counted() {
    tier!("e2e", tier::binary("weft"), python());
    let python = python().unwrap();
    let python = python.to_str().unwrap();
    let command = format!(
        "[\"{python}\", \"-u\", \"{}\", \"serve\"]",
        peer("grpc_peer.py")
    );
    let files = [
        client(),
        service("echo").replace("name: http, port", "name: grpc, port"),
        workload("echo", "echo", "v1", &command, 1),
    ]
    .concat();
    let mesh = Mesh::up(&[
        ("echo.yaml", &files),
        ("mtls.yaml", &peer_authentication("STRICT")),
    ])
    .await
    .expect("the mesh starts");
    let env = mesh.instance("client-0").unwrap().env;
    let target = format!(
        "{}:{}",
        env["ECHO_SERVICE_HOST"].as_str().unwrap(),
        env["ECHO_SERVICE_PORT"].as_str().unwrap()
    );
    let out = mesh
        .exec("client", &[python, &peer("grpc_peer.py"), "call", &target])
        .await
        .unwrap();
    let seen: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected = serde_json::json!({
        "unary": "hello",
        "client_stream": "abc",
        "server_stream": ["n0", "n1", "n2", "n3", "n4"],
        "bidirectional": ["ba", "dc"],
        "failure": "FAILED_PRECONDITION",
    });
    assert_eq!(seen, expected);
    for (status, expected) in [("0", 4.0), ("9", 1.0)] {
        let labels = [
            ("request_protocol", "grpc"),
            ("response_code", "200"),
            ("grpc_response_status", status),
        ];
        assert_eq!(
            counted(&mesh, &["echo-0"], &labels).await,
            expected,
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_websocket_passes_and_is_counted_once() {
    tier!("e2e", tier::binary("weft"), python());
    let python = python().unwrap();
    let python = python.to_str().unwrap();
    let command = format!(
        "[\"{python}\", \"-u\", \"{}\", \"serve\"]",
        peer("ws_peer.py")
    );
    let files = [
        client(),
        service("chat"),
        workload("chat", "chat", "v1", &command, 1),
    ]
    .concat();
    let mesh = Mesh::up(&[
        ("chat.yaml", &files),
        ("mtls.yaml", &peer_authentication("STRICT")),
    ])
    .await
    .expect("the mesh starts");
    let env = mesh.instance("client-0").unwrap().env;
    let url = format!(
        "ws://{}:{}/",
        env["CHAT_SERVICE_HOST"].as_str().unwrap(),
        env["CHAT_SERVICE_PORT"].as_str().unwrap()
    );
    let out = mesh
        .exec("client", &[python, &peer("ws_peer.py"), "call", &url, "20"])
        .await
        .unwrap();
    assert_eq!(out, "20");
    assert_eq!(
        counted(&mesh, &["chat-0"], &[("response_code", "101")]).await,
        1.0
    );
}
