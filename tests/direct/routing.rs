//! VirtualService and DestinationRule decide where requests go.

use crate::fixture::{canary, pay, peer_authentication, subsets};
use weft_e2e::{
    load::{Load, Until},
    mesh::Mesh,
};
use weft_testkit::tier;

async fn mesh() -> Mesh {
    let mesh = Mesh::up(&[
        ("pay.yaml", &pay()),
        ("mtls.yaml", &peer_authentication("STRICT")),
        ("subsets.yaml", &subsets("pay")),
        ("canary.yaml", &canary("pay", 90, 10)),
    ])
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    mesh.enforced("VirtualService", "pay").await;
    mesh
}

#[tokio::test]
async fn a_split_of_90_to_10_gives_the_small_side_9_to_11_percent_and_a_header_all() {
    tier!("e2e", tier::binary("weft"));
    let mesh = mesh().await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let report = Load::new(proxy, "http://pay/", 16)
        .run(Until::Count(10_000))
        .await;
    assert_eq!(report.failed(), 0, "{:?}", report.failures);
    assert_eq!(report.total(), 10_000);
    let small = report.of("pay-v2");
    assert!((900..=1_100).contains(&small), "v2 got {small} of 10,000");

    let beta = Load::new(proxy, "http://pay/", 4).header("user-type", "beta");
    assert_eq!(beta.run(Until::Count(200)).await.of("pay-v2"), 200);
    // Its positive control: another value is split like everybody.
    let other = Load::new(proxy, "http://pay/", 4).header("user-type", "alpha");
    assert!(other.run(Until::Count(200)).await.of("pay-v1") > 100);
}

#[tokio::test]
async fn matches_decide_in_order_and_no_match_is_404_with_flag_nr() {
    tier!("e2e", tier::binary("weft"));
    let rules = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: pay
spec:
  hosts: [pay.production.svc.cluster.local]
  http:
    - match:
        - uri: { exact: /EXACT }
          ignoreUriCase: true
        - uri: { prefix: /v2/ }
          method: { exact: GET }
        - headers:
            user-agent: { regex: '.*Mobile.*' }
      route:
        - destination: { host: pay, subset: v2 }
    - match:
        - uri: { prefix: /v1 }
      route:
        - destination: { host: pay, subset: v1 }
";
    let log = "apiVersion: weft.dev/v1
kind: MeshConfig
metadata:
  name: default
spec:
  accessLog:
    mode: json
";
    let mesh = Mesh::start(
        &[
            ("pay.yaml", &pay()),
            ("subsets.yaml", &subsets("pay")),
            ("rules.yaml", rules),
            ("mesh.yaml", log),
        ],
        &["--verbose"],
    )
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    mesh.enforced("VirtualService", "pay").await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Headers<'_>, &str); 6] = [
        ("/exact", &[], "pay-v2"),
        ("/v2/x", &[], "pay-v2"),
        ("/v1", &[], "pay-v1"),
        ("/v1x?y", &[], "pay-v1"),
        ("/v1", &[("user-agent", "A Mobile B")], "pay-v2"),
        ("/v1", &[("user-agent", "mobile")], "pay-v1"),
    ];
    for (path, headers, expected) in cases {
        let mut load = Load::new(proxy, format!("http://pay{path}"), 1);
        for (name, value) in headers {
            load = load.header(name, value);
        }
        let (status, reply, _) = load.once().await.unwrap();
        assert_eq!(status, 200, "{path}");
        assert_eq!(reply["x-backend"], expected, "{path} {headers:?}");
    }
    let (status, reply, body) = Load::new(proxy, "http://pay/none", 1).once().await.unwrap();
    assert_eq!(status, 404);
    assert!(reply.contains_key("weft-error"), "{reply:?}");
    assert!(
        String::from_utf8_lossy(&body).contains("VirtualService"),
        "{body:?}"
    );
    let mut mesh = mesh;
    let line = mesh
        .supervisor
        .line(std::time::Duration::from_secs(10), "\"NR\"")
        .await;
    assert!(line.contains("404"), "{line}");
}
