//! A change of the folder is in force within a second, and loses no request.

use crate::fixture::{canary, pay, subsets};
use std::time::Duration;
use tokio::time::Instant;
use weft_e2e::{
    load::{Load, Until},
    mesh::Mesh,
};
use weft_testkit::{tier, wait::eventually};

#[tokio::test]
async fn a_weight_changed_under_load_is_in_force_within_a_second_and_nothing_fails() {
    tier!("e2e", tier::binary("weft"));
    let mesh = Mesh::up(&[
        ("pay.yaml", &pay()),
        ("subsets.yaml", &subsets("pay")),
        ("canary.yaml", &canary("pay", 100, 0)),
    ])
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    mesh.enforced("VirtualService", "pay").await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let one = Load::new(proxy, "http://pay/", 1);
    assert_eq!(one.run(Until::Count(100)).await.of("pay-v1"), 100);
    let load = Load::new(proxy, "http://pay/", 8).start(Until::Elapsed(Duration::from_secs(60)));
    for round in 0..6 {
        let (v1, v2, expected) = if round % 2 == 0 {
            (0, 100, "pay-v2")
        } else {
            (100, 0, "pay-v1")
        };
        let written = Instant::now();
        mesh.write("canary.yaml", &canary("pay", v1, v2)).unwrap();
        eventually(Duration::from_secs(10), expected, || async {
            let (_, reply, _) = one.once().await.map_err(|error| error.to_string())?;
            if reply["x-backend"] == expected {
                Ok(())
            } else {
                Err("not yet".to_owned())
            }
        })
        .await;
        let took = written.elapsed();
        assert!(took < Duration::from_secs(1), "round {round} took {took:?}");
    }
    let report = load.stop().await;
    assert!(report.total() > 100);
    assert_eq!(report.failed(), 0, "{:?}", report.failures);
}

#[tokio::test]
async fn a_route_to_a_subset_that_is_not_defined_yet_waits_for_it_and_nothing_fails() {
    tier!("e2e", tier::binary("weft"));
    let mesh = Mesh::up(&[("pay.yaml", &pay())])
        .await
        .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let load = Load::new(proxy, "http://pay/", 8).start(Until::Elapsed(Duration::from_secs(60)));
    mesh.write("canary.yaml", &canary("pay", 0, 100)).unwrap();
    let held = eventually(
        Duration::from_secs(10),
        "the VirtualService to be held",
        || async {
            let policy = mesh
                .policy("VirtualService", "pay")
                .await
                .map_err(|error| error.to_string())?;
            if policy["accepted"] == false || policy.to_string().contains("SubsetNotFound") {
                Ok(policy)
            } else {
                Err(policy.to_string())
            }
        },
    )
    .await;
    assert!(
        held.to_string().contains("v1") || held.to_string().contains("v2"),
        "{held}"
    );
    // While it is held the default route is in force: both versions answer.
    let both = Load::new(proxy, "http://pay/", 2)
        .run(Until::Count(200))
        .await;
    assert!(
        both.of("pay-v1") > 0 && both.of("pay-v2") > 0,
        "{:?}",
        both.backends
    );
    mesh.write("subsets.yaml", &subsets("pay")).unwrap();
    mesh.enforced("VirtualService", "pay").await;
    let after = Load::new(proxy, "http://pay/", 2)
        .run(Until::Count(200))
        .await;
    assert_eq!(after.of("pay-v2"), 200, "{:?}", after.backends);
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{:?}", report.failures);
}
