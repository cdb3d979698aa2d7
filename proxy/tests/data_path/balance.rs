//! Splits and endpoints as the policy says, over real connections.

use crate::pair::{Pair, Plan, cluster, cluster_name, endpoint};
use std::{num::NonZeroU32, sync::Arc};
use weft_model::{
    cluster::LoadBalance,
    inbound::MtlsMode,
    route::{Backend, RouteAction, WeightedBackend},
};
use weft_proxy::balance::ClusterHandle;
use weft_testkit::backend::http::HttpBackend;

/// Two applications without sidecars, as subsets `v1` and `v2`.
async fn split(weights: [u32; 2]) -> (Pair, [HttpBackend; 2]) {
    let apps = [
        HttpBackend::start("v1").await,
        HttpBackend::start("v2").await,
    ];
    let plan = Plan {
        mtls: MtlsMode::Disable,
        ..Plan::default()
    };
    let pair = plan.start(apps[0].addr()).await;
    pair.web.edit(|snapshot| {
        for (number, (name, app)) in [("v1", &apps[0]), ("v2", &apps[1])].into_iter().enumerate() {
            let cluster = cluster(&pair.plan, Some(name));
            let endpoints = [endpoint(number as u64, app.addr(), None)];
            let handle = Arc::new(ClusterHandle::new(cluster, &endpoints));
            snapshot.clusters.insert(cluster_name(Some(name)), handle);
        }
    });
    pair.edit_policy(|policy| {
        let backend = |name, weight| WeightedBackend {
            backend: Backend::Cluster(cluster_name(Some(name))),
            weight: NonZeroU32::new(weight).unwrap(),
        };
        policy.http[0].action =
            RouteAction::Forward(vec![backend("v1", weights[0]), backend("v2", weights[1])]);
    });
    (pair, apps)
}

#[tokio::test]
async fn shares_follow_the_weights() {
    let (pair, [_large, small]) = split([90, 10]).await;
    let mut client = pair.h1().await;
    for _ in 0..1_000 {
        let reply = client.get("/").await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    // Five standard deviations of the binomial distribution.
    assert!(
        (52..=148).contains(&small.requests()),
        "{}",
        small.requests()
    );
}

#[tokio::test]
async fn round_robin_takes_turns_and_a_draining_endpoint_gets_nothing() {
    let apps = [HttpBackend::start("a").await, HttpBackend::start("b").await];
    let plan = Plan {
        mtls: MtlsMode::Disable,
        load_balance: LoadBalance::RoundRobin,
        ..Plan::default()
    };
    let pair = plan.start(apps[0].addr()).await;
    let mut endpoints: Vec<_> = (0..2)
        .map(|n| endpoint(n as u64, apps[n].addr(), None))
        .collect();
    pair.endpoints(&endpoints);
    let mut client = pair.h1().await;
    for _ in 0..10 {
        client.get("/").await.unwrap();
    }
    assert_eq!((apps[0].requests(), apps[1].requests()), (5, 5));
    endpoints[1].draining = true;
    pair.endpoints(&endpoints);
    for _ in 0..4 {
        client.get("/").await.unwrap();
    }
    assert_eq!((apps[0].requests(), apps[1].requests()), (9, 5));
}
