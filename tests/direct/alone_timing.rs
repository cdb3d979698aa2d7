//! What asserts a time: alone on the machine, medians.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[allow(dead_code, reason = "not every fixture is used by every program")]
mod fixture;

use fixture::{backend, client, service};
use std::time::Duration;
use weft_e2e::{
    load::{Load, Until},
    mesh::Mesh,
};
use weft_testkit::tier;

fn balanced(algorithm: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: pay
spec:
  host: pay
  trafficPolicy:
    loadBalancer:
      simple: {algorithm}
"
    )
}

#[tokio::test]
async fn a_timeout_is_never_early_and_at_most_50_ms_late() {
    tier!("e2e", tier::binary("weft"));
    let timeout = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: pay
spec:
  hosts: [pay]
  http:
    - timeout: 500ms
      route:
        - destination: { host: pay }
";
    let files = [client(), service("pay"), backend("pay", "pay", "v1", "")].concat();
    let mesh = Mesh::up(&[("pay.yaml", &files), ("timeout.yaml", timeout)])
        .await
        .expect("the mesh starts");
    mesh.reaches("pay", 1).await;
    mesh.enforced("VirtualService", "pay").await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let fast = Load::new(proxy, "http://pay/?delay=300", 1);
    assert_eq!(fast.once().await.unwrap().0, 200);
    let slow = Load::new(proxy, "http://pay/?delay=5000", 1);
    let report = slow.run(Until::Count(5)).await;
    assert_eq!(report.statuses.get(&504), Some(&5), "{:?}", report.statuses);
    let earliest = report.latencies.iter().min().unwrap();
    assert!(*earliest >= Duration::from_millis(500), "{earliest:?}");
    let median = report.quantile(0.5);
    assert!(median <= Duration::from_millis(550), "{median:?}");
}

#[tokio::test]
async fn ewma_avoids_the_slow_one_of_two_and_least_request_does_not() {
    tier!("e2e", tier::binary("weft"));
    let files = [
        client(),
        service("pay"),
        backend("fast", "pay", "v1", "--delay-ms 10"),
        backend("slow", "pay", "v2", "--delay-ms 100"),
    ]
    .concat();
    for (algorithm, least, most) in [("UNSPECIFIED", 0.0, 0.05), ("LEAST_REQUEST", 0.07, 0.5)] {
        let mesh = Mesh::up(&[("pay.yaml", &files), ("rule.yaml", &balanced(algorithm))])
            .await
            .expect("the mesh starts");
        mesh.reaches("pay", 2).await;
        mesh.enforced("DestinationRule", "pay").await;
        let load = Load::new(
            mesh.instance("client-0").unwrap().outbound,
            "http://pay/",
            16,
        );
        load.run(Until::Elapsed(Duration::from_secs(5))).await;
        let report = load.run(Until::Elapsed(Duration::from_secs(20))).await;
        assert_eq!(report.failed(), 0, "{:?}", report.failures);
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let share = report.of("slow") as f64 / report.total() as f64;
        println!(
            "{algorithm}: the slow one got {:.1} % of {}",
            share * 100.0,
            report.total()
        );
        assert!((least..most).contains(&share), "{algorithm}: {share}");
    }
}
