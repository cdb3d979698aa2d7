//! Mutual TLS between real sidecars: who is refused, and what the inbound saw.

use crate::fixture::{client, pay, peer_authentication, service, workload};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_e2e::{
    load::{Load, Until},
    mesh::{Mesh, get},
};
use weft_identity::{alpn::Alpn, handshake};
use weft_model::identity::SpiffeId;
use weft_testkit::{mesh::TestCa, tier, wait::eventually};

async fn strict() -> Mesh {
    let mesh = Mesh::up(&[
        ("pay.yaml", &pay()),
        ("mtls.yaml", &peer_authentication("STRICT")),
    ])
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    mesh
}

fn inbound(mesh: &Mesh, name: &str) -> SocketAddr {
    let instance = mesh.instance(name).unwrap();
    instance
        .inbound
        .iter()
        .find(|(port, ..)| *port == 8080)
        .unwrap()
        .1
}

async fn refused(mesh: &Mesh, reason: &str) -> f64 {
    let scrape = mesh.metrics("pay-v1-0").await.unwrap();
    scrape.sum("weft_inbound_refused_total", &[("reason", reason)])
}

/// Dials the inbound of `pay-v1-0` with a certificate of `ca` and sends a request over it.
async fn dial(mesh: &Mesh, ca: &TestCa, expired: bool) -> Result<String, String> {
    let id: SpiffeId = "spiffe://cluster.local/ns/production/sa/client"
        .parse()
        .unwrap();
    let leaf = if expired {
        ca.expired_leaf(&id)
    } else {
        ca.leaf(&id)
    };
    let store = ca.store_with(leaf);
    // The client must get as far as showing its certificate: it trusts the mesh's root.
    let pem = std::fs::read(mesh.run().join("root.pem")).unwrap();
    let bundle =
        weft_identity::trust::bundle_from_pem("cluster.local".parse().unwrap(), &pem).unwrap();
    store.set_trust(weft_identity::trust::TrustRoots::new([&bundle]).unwrap());
    let server: SpiffeId = "spiffe://cluster.local/ns/production/sa/pay"
        .parse()
        .unwrap();
    let config = store.client_config(&server, Alpn::MeshTcp).unwrap();
    let stream = TcpStream::connect(inbound(mesh, "pay-v1-0"))
        .await
        .map_err(|e| e.to_string())?;
    let mut dialled = handshake::connect(config, stream)
        .await
        .map_err(|error| error.to_string())?;
    let request = b"GET / HTTP/1.1\r\nhost: pay\r\nconnection: close\r\n\r\n";
    dialled
        .stream
        .write_all(request)
        .await
        .map_err(|error| error.to_string())?;
    let mut reply = String::new();
    dialled
        .stream
        .read_to_string(&mut reply)
        .await
        .map_err(|error| error.to_string())?;
    Ok(reply)
}

#[tokio::test]
async fn under_strict_plaintext_another_authority_and_an_expired_certificate_are_refused() {
    tier!("e2e", tier::binary("weft"));
    let mesh = strict().await;
    mesh.enforced("PeerAuthentication", "default").await;

    // No certificate: a reset, counted.
    assert!(get(inbound(&mesh, "pay-v1-0"), "/").await.is_err());
    eventually(
        Duration::from_secs(5),
        "the refusal to be counted",
        || async {
            match refused(&mesh, "plaintext").await {
                count if count >= 1.0 => Ok(()),
                _ => Err(mesh
                    .metrics("pay-v1-0")
                    .await
                    .map(|it| format!("{:?}", it.samples()))),
            }
        },
    )
    .await;

    // Another authority's certificate, and an expired one of the mesh's own authority.
    assert!(dial(&mesh, &TestCa::new(), false).await.is_err());
    let own = mesh_ca(&mesh);
    assert!(dial(&mesh, &own, true).await.is_err());
    for reason in ["unknown_authority", "expired"] {
        eventually(Duration::from_secs(5), reason, || async {
            if refused(&mesh, reason).await >= 1.0 {
                Ok(())
            } else {
                Err("not counted")
            }
        })
        .await;
    }
    // The positive control: the same dial with a valid certificate of the mesh's authority.
    let reply = dial(&mesh, &own, false).await.expect("admitted");
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");

    // And under PERMISSIVE the same plaintext is served.
    mesh.apply(
        "mtls.yaml",
        &peer_authentication("PERMISSIVE"),
        "PeerAuthentication",
        "default",
    )
    .await;
    let (status, _) = get(inbound(&mesh, "pay-v1-0"), "/").await.expect("served");
    assert_eq!(status, 200);
}

fn mesh_ca(mesh: &Mesh) -> TestCa {
    let read = |name: &str| std::fs::read_to_string(mesh.run().join(name)).unwrap();
    TestCa::load(&read("ca.pem"), &read("ca-key.pem"))
}

#[tokio::test]
async fn what_an_edge_says_of_mutual_tls_is_what_the_inbound_saw() {
    tier!("e2e", tier::binary("weft"));
    let mesh = strict().await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let seen = |policy: &'static str| {
        let mesh = &mesh;
        async move {
            let mut sum = 0.0;
            for name in ["pay-v1-0", "pay-v2-0"] {
                sum += mesh.metrics(name).await.unwrap().sum(
                    "istio_requests_total",
                    &[
                        ("reporter", "destination"),
                        ("response_code", "200"),
                        ("source_workload", "client"),
                        ("connection_security_policy", policy),
                    ],
                );
            }
            sum
        }
    };
    let load = Load::new(proxy, "http://pay/", 2);
    assert_eq!(load.run(Until::Count(50)).await.failed(), 0);
    assert_eq!((seen("mutual_tls").await, seen("none").await), (50.0, 0.0));
    mesh.apply(
        "mtls.yaml",
        &peer_authentication("DISABLE"),
        "PeerAuthentication",
        "default",
    )
    .await;
    assert_eq!(load.run(Until::Count(50)).await.failed(), 0);
    assert_eq!(seen("mutual_tls").await, 50.0);
    // Plaintext proves no client: its name is not believed.
    let mut plain = 0.0;
    for name in ["pay-v1-0", "pay-v2-0"] {
        plain += mesh.metrics(name).await.unwrap().sum(
            "istio_requests_total",
            &[
                ("reporter", "destination"),
                ("response_code", "200"),
                ("connection_security_policy", "none"),
            ],
        );
    }
    assert_eq!(plain, 50.0);
}

#[tokio::test]
async fn the_application_is_told_who_calls_and_a_forged_caller_is_not_believed() {
    tier!("e2e", tier::binary("weft"));
    let mesh = Mesh::up(&[("pay.yaml", &pay())])
        .await
        .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    let forged = "URI=spiffe://cluster.local/ns/production/sa/admin";
    let told = |body: &[u8]| {
        let seen: serde_json::Value = serde_json::from_slice(body).unwrap();
        seen["headers"]["x-forwarded-client-cert"].clone()
    };
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let load = Load::new(proxy, "http://pay/", 1).header("x-forwarded-client-cert", forged);
    let (_, _, body) = load.once().await.unwrap();
    assert_eq!(
        told(&body),
        "URI=spiffe://cluster.local/ns/production/sa/client"
    );
    // A client without a certificate is nobody, whatever it says.
    let direct = Load::new(inbound(&mesh, "pay-v1-0"), "http://pay/", 1);
    let (_, _, body) = direct
        .header("x-forwarded-client-cert", forged)
        .once()
        .await
        .unwrap();
    assert_eq!(told(&body), serde_json::Value::Null);
}

#[tokio::test]
async fn a_sidecar_without_a_controller_waits_and_says_why() {
    tier!("e2e", tier::binary("weft-proxy"));
    let folder = tempfile::tempdir().unwrap();
    let ca = TestCa::new();
    let root = ca.write_root(folder.path());
    let token = folder.path().join("token");
    std::fs::write(&token, "token").unwrap();
    let admin = SocketAddr::from(([127, 0, 0, 1], weft_testkit::process::free_port()));
    let nobody = weft_testkit::process::free_port();
    let mut command = std::process::Command::new(tier::binary("weft-proxy").unwrap());
    command
        .env("WEFT_WORKLOAD", "production/lonely-0")
        .env("WEFT_CONTROLLER", format!("127.0.0.1:{nobody}"))
        .env("WEFT_TOKEN_FILE", &token)
        .env("WEFT_ROOT_FILE", &root)
        .env("WEFT_ADMIN", admin.to_string());
    let _proxy = weft_testkit::process::Process::spawn("weft-proxy", &mut command);
    let reason = eventually(Duration::from_secs(10), "a reason", || async {
        match get(admin, "/ready").await {
            Ok((503, body)) => {
                let text = String::from_utf8_lossy(&body).into_owned();
                if text.contains("refused") {
                    Ok(text)
                } else {
                    Err(text)
                }
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(reason.contains("certificate"), "{reason}");
    assert!(reason.contains(&format!("127.0.0.1:{nobody}")), "{reason}");
}

#[tokio::test]
async fn a_workload_that_an_unenforced_access_policy_selects_is_refused_to_everyone() {
    tier!("e2e", tier::binary("weft"));
    let files = [
        client(),
        service("pay"),
        workload(
            "pay",
            "pay",
            "v1",
            &format!("[\"{}\"]", crate::fixture::BACKEND),
            1,
        ),
    ]
    .concat();
    let mesh = Mesh::up(&[("pay.yaml", &files)])
        .await
        .expect("the mesh starts");
    mesh.reaches("pay", 1).await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let load = Load::new(proxy, "http://pay/", 1);
    assert_eq!(load.once().await.unwrap().0, 200);
    let policy = "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: pay
spec:
  selector:
    matchLabels: { app: pay }
  rules:
    - {}
";
    mesh.write("authz.yaml", policy).unwrap();
    let reply = eventually(Duration::from_secs(10), "the refusal", || async {
        match load.once().await {
            Ok((403, headers, body)) => Ok((headers, body)),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(reply.0.contains_key("weft-error"), "{reply:?}");
    assert!(
        String::from_utf8_lossy(&reply.1).contains("AuthorizationPolicy"),
        "{reply:?}"
    );
    mesh.remove("authz.yaml").unwrap();
    eventually(Duration::from_secs(10), "access again", || async {
        match load.once().await {
            Ok((200, ..)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
