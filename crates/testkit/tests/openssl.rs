//! OpenSSL at the other end of our handshakes: another library must agree on what we speak.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its parts has failed"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weft_identity::alpn::Alpn;
use weft_identity::ca::LeafRequest;
use weft_identity::handshake::{accept, connect};
use weft_identity::refusal::{HandshakeFailure, Refusal};
use weft_identity::store::{ClientAuth, IdentityStore};
use weft_identity::trust::bundle_to_pem;
use weft_model::trust::TrustBundle;
use weft_runtime::task;
use weft_testkit::mesh::{LEAF_LIFETIME, TestCa, id};
use weft_testkit::process::{Process, free_port};
use weft_testkit::tier;
use weft_testkit::wait::eventually;

const SOON: Duration = Duration::from_secs(20);

/// OpenSSL's files: a key and a request made by itself, signed by our authority.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn new(ca: &TestCa, service_account: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = Self { dir };
        let made = openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=ignored",
            "-outform",
            "DER",
            "-keyout",
        ])
        .arg(files.path("key.pem"))
        .arg("-out")
        .arg(files.path("csr.der"))
        .output()
        .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let csr_der = std::fs::read(files.path("csr.der")).unwrap();
        let id = id("production", service_account);
        let request = LeafRequest {
            csr_der: &csr_der,
            id: &id,
            lifetime: LEAF_LIFETIME,
        };
        let signed = ca.ca().sign(&request, SystemTime::now()).unwrap();
        let chain = TrustBundle {
            anchors_der: signed.chain_der,
            ..ca.bundle()
        };
        std::fs::write(files.path("chain.pem"), bundle_to_pem(&chain)).unwrap();
        ca.write_root(files.dir.path());
        files
    }
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}

/// Whether this OpenSSL knows the hybrid key exchange (3.5 and newer do).
fn knows_mlkem() -> bool {
    let listed = openssl(&["list", "-kem-algorithms"]).output();
    listed.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("X25519MLKEM768"))
}

/// Runs `openssl s_client`; it ends with its input.
async fn s_client(addr: SocketAddr, arguments: Vec<String>) -> Output {
    let run = move || {
        openssl(&["s_client", "-connect", &addr.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    task::blocking("test-s-client", run).await.unwrap()
}

fn mutual(files: &Files) -> Vec<String> {
    let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
    let mut all: Vec<String> = ["-alpn", "weft-h2/1", "-verify_return_error", "-verify", "3"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    for (option, file) in [
        ("-cert", "chain.pem"),
        ("-key", "key.pem"),
        ("-CAfile", "root.pem"),
    ] {
        all.extend([option.to_owned(), path(file)]);
    }
    all
}

/// Accepts one connection and gives its outcome beside that of `openssl s_client`.
async fn meet_s_client(
    store: &IdentityStore,
    arguments: Vec<String>,
) -> (
    Result<(Option<String>, Option<Alpn>), HandshakeFailure>,
    String,
) {
    let listener = TcpListener::bind(weft_testkit::ANY_PORT).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let config = store
        .server_config(Alpn::MESH, ClientAuth::Required)
        .unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let accepted = accept(config, stream).await;
        match accepted {
            Ok(mut accepted) => {
                accepted
                    .stream
                    .write_all(b"hello from weft\n")
                    .await
                    .unwrap();
                accepted.stream.shutdown().await.unwrap();
                Ok((accepted.peer.map(|peer| peer.id.to_string()), accepted.alpn))
            }
            Err(failure) => Err(failure),
        }
    };
    let (served, client) = tokio::join!(serve, s_client(addr, arguments));
    let said = [client.stdout, client.stderr].concat();
    (served, String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn openssl_as_a_client_agrees() {
    tier!("direct", tier::program("openssl"));
    let ca = TestCa::new();
    let files = Files::new(&ca, "client");
    let store = ca.store(&id("production", "server"));
    let (served, said) = meet_s_client(&store, mutual(&files)).await;
    let (peer, alpn) = served.unwrap();
    assert_eq!(peer.as_deref(), Some(id("production", "client").as_str()));
    assert_eq!(alpn, Some(Alpn::MeshH2));
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    assert!(said.contains("TLS_AES_128_GCM_SHA256"), "{said}");
    assert!(said.contains("ALPN protocol: weft-h2/1"), "{said}");
    assert!(
        !said.contains("Post-Handshake New Session Ticket"),
        "{said}"
    );
    if knows_mlkem() {
        assert!(said.contains("X25519MLKEM768"), "{said}");
    } else {
        assert!(said.contains("X25519"), "{said}");
    }
}

#[tokio::test]
async fn openssl_without_what_we_ask_for_is_refused() {
    tier!("direct", tier::program("openssl"));
    let ca = TestCa::new();
    let files = Files::new(&ca, "client");
    let store = ca.store(&id("production", "server"));
    let no_certificate = vec!["-alpn".to_owned(), "weft-h2/1".to_owned()];
    let (served, said) = meet_s_client(&store, no_certificate).await;
    assert_eq!(
        served,
        Err(HandshakeFailure::Refused(Refusal::NoCertificate)),
        "{said}"
    );

    let old = [mutual(&files), vec!["-tls1_2".to_owned()]].concat();
    let (served, said) = meet_s_client(&store, old).await;
    assert_eq!(
        served.as_ref().map_err(HandshakeFailure::label),
        Err("not_tls"),
        "{said}"
    );
    assert!(said.contains("alert protocol version"), "{said}");

    let stranger = Files::new(&TestCa::new(), "client");
    let (served, said) = meet_s_client(&store, mutual(&stranger)).await;
    assert!(served.is_err(), "{said}");
    let mut trusting = mutual(&stranger);
    trusting.retain(|argument| argument != "-verify_return_error");
    let (served, said) = meet_s_client(&store, trusting).await;
    assert_eq!(
        served,
        Err(HandshakeFailure::Refused(Refusal::UnknownAuthority)),
        "{said}"
    );
    // Whether the client still reads when our alert comes is a race of its own; it has no part in the refusal.
}

/// `openssl s_server` that serves one page.
async fn s_server(files: &Files) -> (Process, SocketAddr) {
    let addr = SocketAddr::new(weft_testkit::ANY_PORT.ip(), free_port());
    let mut command = openssl(&["s_server", "-accept", &addr.to_string(), "-www"]);
    command.args(["-alpn", "weft-h2/1", "-Verify", "3", "-verify_return_error"]);
    for (option, name) in [
        ("-cert", "chain.pem"),
        ("-key", "key.pem"),
        ("-CAfile", "root.pem"),
    ] {
        command.arg(option).arg(files.path(name));
    }
    let process = Process::spawn("openssl s_server", &mut command);
    eventually(SOON, "openssl s_server to listen", || {
        TcpStream::connect(addr)
    })
    .await;
    (process, addr)
}

#[tokio::test]
async fn openssl_as_a_server_is_who_it_is() {
    tier!("direct", tier::program("openssl"));
    let ca = TestCa::new();
    let files = Files::new(&ca, "server");
    let (_process, addr) = s_server(&files).await;
    let store: Arc<IdentityStore> = ca.store(&id("production", "client"));
    let dial = async |expected: &str| {
        let config = store
            .client_config(&id("production", expected), Alpn::MeshH2)
            .unwrap();
        let dialling = connect(config, TcpStream::connect(addr).await.unwrap());
        tokio::time::timeout(SOON, dialling).await.unwrap()
    };
    let mut dialled = dial("server").await.unwrap();
    assert_eq!(dialled.peer.id, id("production", "server"));
    dialled
        .stream
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut page = String::new();
    // s_server closes without a close_notify.
    let _ = dialled.stream.read_to_string(&mut page).await;
    assert!(page.contains("TLSv1.3"), "{page}");
    // s_server serves one connection after the other.
    drop(dialled);

    let wrong = dial("other").await.map(|dialled| dialled.peer);
    assert_eq!(
        wrong,
        Err(HandshakeFailure::Refused(Refusal::WrongIdentity {
            expected: id("production", "other"),
            presented: id("production", "server"),
        }))
    );
}
