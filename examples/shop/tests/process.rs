//! Real processes: the binary's end by signal, its settings, and the Python service.

mod common;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use common::Http;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

const BINARY: &str = env!("CARGO_BIN_EXE_weft-shop");
/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service as a process of its own. Killed when it is dropped.
struct Process {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    http: Http,
    url: String,
}

#[expect(clippy::unwrap_used, reason = "a helper of tests fails like a test")]
impl Process {
    /// Starts the command and reads the port from the line that it logs.
    async fn start(mut command: Command, settings: &[(&str, &str)]) -> Self {
        command
            .env("PORT", "0")
            .env("GRPC_PORT", "0")
            .envs(settings.iter().copied());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, log.next_line())
            .await
            .unwrap()
            .unwrap();
        let line = line.unwrap_or_default();
        let (_, rest) = line.split_once("127.0.0.1:").unwrap_or(("", &line));
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        assert!(!port.is_empty(), "no port in {line:?}");
        Self {
            child,
            log,
            http: Http::new(),
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    /// The next line of the log that has `text`.
    async fn logged(&mut self, text: &str) {
        let found = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                if line.contains(text) {
                    return true;
                }
            }
            false
        };
        assert!(
            tokio::time::timeout(PATIENCE, found).await.unwrap(),
            "no {text:?}"
        );
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .await
                .unwrap()
                .success()
        );
    }

    async fn exit_code(&mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .unwrap()
            .unwrap()
            .code()
    }

    async fn get(&self, path: &str) -> common::Reply {
        self.http.get(&format!("{}{path}", self.url)).await
    }
}

fn shop(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).env_clear();
    command
}

#[tokio::test]
async fn sigterm_drains_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let temp = folder.path().to_str().unwrap();
    let settings = [
        ("DRAIN_SECONDS", "20"),
        ("TMPDIR", temp),
        ("POD_NAME", "user-0"),
    ];
    let mut process = Process::start(shop(&["user-service"]), &settings).await;
    assert_eq!(process.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(
        std::fs::read_dir(temp).unwrap().count(),
        1,
        "the file of this process"
    );

    process.signal("-TERM").await;
    process.logged("draining").await;
    let user = process.get("/users/1").await;
    assert_eq!(
        (user.status, user.header("connection")),
        (StatusCode::OK, Some("close"))
    );
    assert_eq!(user.json["instance"], "user-0");
    assert_eq!(
        process.get("/healthz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );

    process.signal("-TERM").await;
    assert_eq!(process.exit_code().await, Some(0));
    assert_eq!(std::fs::read_dir(temp).unwrap().count(), 0);
}

#[tokio::test]
async fn sigint_ends_without_a_drain() {
    let mut process = Process::start(shop(&["pricing-service"]), &[("DRAIN_SECONDS", "20")]).await;
    process.signal("-INT").await;
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn wrong_settings_are_all_named_and_end_with_the_status_for_it() {
    let output = shop(&["user-service"])
        .envs([("PORT", "x"), ("CHAOS_ERROR_RATE", "7")])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("PORT") && said.contains("CHAOS"), "{said}");
    let unknown = shop(&["cart-service"]).output().await.unwrap();
    assert_eq!(unknown.status.code(), Some(64));
    let help = shop(&["--help"]).output().await.unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("order-service"));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = shop(&["pricing-service"])
        .env("PORT", &port)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&port) && said.contains("in use"), "{said}");
}

#[tokio::test]
async fn the_load_command_reports_as_json() {
    let process = Process::start(shop(&["web-bff"]), &[("CALL_TIMEOUT_MS", "50")]).await;
    let args = [
        "load",
        "--rate",
        "50",
        "--duration",
        "0.2",
        "--json",
        "--target",
        &process.url,
    ];
    let output = shop(&args).output().await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["requests"], &report["failed"]),
        (&json!(10), &json!(10)),
        "{report}"
    );
    assert_eq!(
        output.status.code(),
        Some(1),
        "failed requests are a failure"
    );
}

/// The Python service, or `None` where there is no python3: said aloud, and not allowed where
/// `WEFT_REQUIRE` names python.
#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
#[expect(
    clippy::disallowed_methods,
    reason = "the test's own switch, not a setting of the shop"
)]
#[expect(clippy::panic, reason = "a helper of tests fails like a test")]
async fn python(settings: &[(&str, &str)]) -> Option<Process> {
    let found = Command::new("python3").arg("--version").output().await;
    if !found.is_ok_and(|output| output.status.success()) {
        let required = std::env::var("WEFT_REQUIRE").unwrap_or_default();
        if required.split(',').any(|tier| tier == "python") {
            panic!("python3 is required and not there");
        }
        eprintln!("SKIP: no python3");
        return None;
    }
    let manifests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let mut command = Command::new("python3");
    // As the manifest's laptop command does: relative to the folder of the manifests.
    command
        .args(["-u", "python/product_service.py"])
        .current_dir(manifests);
    Some(Process::start(command, settings).await)
}

#[tokio::test]
async fn the_python_service_has_the_paths_of_version_1_and_richer_replies() {
    let Some(process) = python(&[("POD_NAME", "product-v2-0")]).await else {
        return;
    };
    let rust = Process::start(shop(&["product-service"]), &[]).await;
    for path in [
        "/products",
        "/products/3",
        "/products/999",
        "/products/x",
        "/nothing",
    ] {
        let (v1, v2) = (rust.get(path).await, process.get(path).await);
        assert_eq!(
            (v1.status, &v1.json["error"]),
            (v2.status, &v2.json["error"]),
            "{path}"
        );
        assert_eq!(v2.header("x-shop-version"), Some("v2"));
        assert_eq!(v2.header("x-shop-instance"), Some("product-v2-0"));
    }
    let (v1, v2) = (
        rust.get("/products/3").await.json,
        process.get("/products/3").await.json,
    );
    for (key, value) in v1.as_object().unwrap() {
        if !["version", "instance"].contains(&key.as_str()) {
            assert_eq!(&v2[key], value, "{key}");
        }
    }
    assert!(v1["description"].is_null() && v2["description"].is_string());

    let spiffe = "spiffe://cluster.local/ns/production/sa/web-bff";
    let cert = format!("Subject=\"CN=\\\"x,;\";URI={spiffe}");
    let url = format!("{}/products", process.url);
    let headers = [("x-forwarded-client-cert", cert.as_str())];
    let reply = process.http.send(Method::GET, &url, &headers, "").await;
    assert_eq!(reply.header("x-shop-caller"), Some(spiffe));
    let posted = process.http.send(Method::POST, &url, &[], "{}").await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_python_service_has_the_same_knobs() {
    let Some(process) = python(&[("CHAOS_LATENCY_MS", "5")]).await else {
        return;
    };
    let chaos = format!("{}/chaos", process.url);
    assert_eq!(process.get("/chaos").await.json["latency_ms"], 5);
    let turned = process
        .http
        .post(&chaos, &json!({"error_rate": 1, "error_status": 503}))
        .await;
    assert_eq!(
        (turned.status, &turned.json["latency_ms"]),
        (StatusCode::OK, &json!(5))
    );
    let struck = process.get("/products").await;
    assert_eq!(
        (struck.status.as_u16(), &struck.json["error"]),
        (503, &json!("chaos"))
    );
    assert_eq!(process.get("/healthz").await.status, StatusCode::OK);
    for wrong in [
        json!({"error_rate": 2}),
        json!({"latency_ms": -1}),
        json!({"x": 1}),
        json!([]),
    ] {
        assert_eq!(
            process.http.post(&chaos, &wrong).await.status,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
    process.http.send(Method::DELETE, &chaos, &[], "").await;
    assert_eq!(process.get("/products").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_python_service_drains_and_finishes_what_is_in_flight() {
    let settings = [("DRAIN_SECONDS", "20"), ("CHAOS_LATENCY_MS", "1500")];
    let Some(mut process) = python(&settings).await else {
        return;
    };
    let (client, url) = (Http::new(), format!("{}/products", process.url));
    let ((), reply) = tokio::join!(
        async {
            process.signal("-TERM").await;
            while process.get("/healthz").await.status == StatusCode::OK {}
            process.signal("-TERM").await;
        },
        client.get(&url),
    );
    assert_eq!(
        (reply.status, reply.header("connection")),
        (StatusCode::OK, Some("close"))
    );
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn the_python_service_says_what_is_wrong_with_its_settings() {
    if python(&[]).await.is_none() {
        return;
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python/product_service.py");
    let output = Command::new("python3")
        .arg(script)
        .env("PORT", "x")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("PORT='x'"));
}
