//! Batches become snapshots; what is wrong is refused by name and leaves the rest unharmed.

use super::{apply as apply_wanted, *};
use std::{num::NonZeroU32, time::Duration};
use weft_model::{
    Labels,
    cluster::{LoadBalance, UpstreamTls},
    endpoint::EndpointId,
    matching::Matches,
    protocol::Protocol,
    resource::Name,
    route::{HttpRoute, WeightedBackend},
};

fn apply(previous: &Snapshot, batch: &pb::ServerMsg) -> Applied {
    apply_wanted(previous, batch, |_| true)
}

fn host() -> Host {
    "pay.shop.svc.cluster.local".parse().unwrap()
}

fn cluster_name(subset: Option<&str>) -> ClusterName {
    ClusterName {
        host: host(),
        port: 80,
        subset: subset.map(str::to_owned),
    }
}

fn policy(subsets: &[Option<&str>]) -> Resource {
    let backends = subsets
        .iter()
        .map(|subset| WeightedBackend {
            backend: Backend::Cluster(cluster_name(*subset)),
            weight: NonZeroU32::MIN,
        })
        .collect::<Vec<_>>();
    Resource::Outbound(OutboundPolicy {
        host: host(),
        service: "pay".to_owned(),
        namespace: "shop".to_owned(),
        port: 80,
        protocol: Protocol::Http1,
        http: vec![HttpRoute {
            name: None,
            matches: Matches::Any,
            action: RouteAction::Forward(backends.clone()),
            timeout: None,
            source: None,
        }],
        tcp: backends,
        sources: Vec::new(),
    })
}

fn cluster(subset: Option<&str>) -> Resource {
    let labels = subset.map(|it| Labels::from([("version".to_owned(), it.to_owned())]));
    Resource::Cluster(Cluster {
        name: cluster_name(subset),
        labels: labels.unwrap_or_default(),
        load_balance: LoadBalance::Ewma,
        tls: UpstreamTls::Auto,
        connect_timeout: Duration::from_secs(10),
        sources: Vec::new(),
    })
}

fn endpoint(id: u64, version: &str) -> Endpoint {
    Endpoint {
        id: EndpointId(id),
        address: format!("127.0.0.1:{}", 4000 + id).parse().unwrap(),
        weight: 1,
        identity: None,
        instance: format!("pay-{id}"),
        workload: "pay".to_owned(),
        namespace: "shop".to_owned(),
        labels: Labels::from([("version".to_owned(), version.to_owned())]),
        protocol: Protocol::Http1,
        draining: false,
    }
}

fn endpoints(list: Vec<Endpoint>) -> Endpoints {
    Endpoints {
        host: host(),
        port: 80,
        endpoints: list,
        sources: Vec::new(),
    }
}

fn name() -> Name {
    Name::Authority {
        host: "pay".to_owned(),
        port: 80,
    }
}

fn answer(resource: &str) -> pb::Answer {
    pb::Answer {
        name: Some(names::encode(&name())),
        resource: resource.to_owned(),
    }
}

fn batch(resources: &[Resource], answers: Vec<pb::Answer>) -> pb::ServerMsg {
    pb::ServerMsg {
        upsert: resources
            .iter()
            .map(|it| encode::resource(it).bytes)
            .collect(),
        answers,
        ..Default::default()
    }
}

const POLICY: &str = "outbound/pay.shop.svc.cluster.local:80";

fn start() -> Snapshot {
    let resources = [
        Resource::Endpoints(endpoints(vec![endpoint(1, "v1"), endpoint(2, "v2")])),
        cluster(Some("v1")),
        cluster(None),
        policy(&[Some("v1"), None]),
    ];
    let applied = apply(
        &Snapshot::default(),
        &batch(&resources, vec![answer(POLICY)]),
    );
    assert!(applied.rejects.is_empty(), "{:?}", applied.rejects);
    applied.snapshot
}

fn members(snapshot: &Snapshot, subset: Option<&str>) -> usize {
    snapshot.clusters.get(&cluster_name(subset)).unwrap().len()
}

#[test]
fn a_closure_is_in_force_as_a_whole_and_subsets_select_by_label() {
    let snapshot = start();
    assert_eq!(members(&snapshot, Some("v1")), 1);
    assert_eq!(members(&snapshot, None), 2);
    assert_eq!(snapshot.versions.len(), 4);
}

#[test]
fn what_does_not_decode_is_refused_by_name_and_keeps_its_last_version() {
    let before = start();
    let mut wrong = batch(&[policy(&[None])], Vec::new());
    let bad = pb::Resource {
        name: "cluster/nonsense".to_owned(),
        ..Default::default()
    };
    wrong.upsert.push(prost_bytes(&bad));
    let applied = apply(&before, &wrong);
    assert_eq!(applied.rejects.len(), 1);
    assert_eq!(applied.rejects.first().unwrap().name, "cluster/nonsense");
    // The rest of the batch is in force: v1 is not named any more and is forgotten.
    assert!(
        !applied
            .snapshot
            .clusters
            .contains_key(&cluster_name(Some("v1")))
    );
    assert_eq!(members(&applied.snapshot, None), 2);
}

fn prost_bytes(message: &pb::Resource) -> bytes::Bytes {
    use prost::Message;
    message.encode_to_vec().into()
}

fn delta(
    before: &Endpoints,
    after: &Endpoints,
    changed: &[Endpoint],
    gone: Vec<u64>,
) -> pb::EndpointDelta {
    let version = |set: &Endpoints| {
        bytes::Bytes::copy_from_slice(&encode::version(&Resource::Endpoints(set.clone())).0)
    };
    pb::EndpointDelta {
        name: "endpoints/pay.shop.svc.cluster.local:80".to_owned(),
        base: version(before),
        version: version(after),
        upsert: changed.iter().map(encode::endpoint).collect(),
        remove: gone,
        sources: Vec::new(),
    }
}

#[test]
fn a_delta_changes_the_set_and_the_clusters_over_it() {
    let snapshot = start();
    let before = endpoints(vec![endpoint(1, "v1"), endpoint(2, "v2")]);
    let after = endpoints(vec![
        endpoint(2, "v2"),
        endpoint(3, "v1"),
        endpoint(4, "v1"),
    ]);
    let change = delta(
        &before,
        &after,
        &[endpoint(3, "v1"), endpoint(4, "v1")],
        vec![1],
    );
    let message = pb::ServerMsg {
        endpoints: vec![change],
        ..Default::default()
    };
    let applied = apply(&snapshot, &message);
    assert!(applied.rejects.is_empty(), "{:?}", applied.rejects);
    assert_eq!(members(&applied.snapshot, Some("v1")), 2);
    assert_eq!(members(&applied.snapshot, None), 3);
}

#[test]
fn a_delta_on_another_base_or_with_another_result_is_refused() {
    let snapshot = start();
    let held = endpoints(vec![endpoint(1, "v1"), endpoint(2, "v2")]);
    let other = endpoints(vec![endpoint(9, "v1")]);
    for change in [
        delta(&other, &other, &[], Vec::new()),
        delta(&held, &other, &[], vec![1]),
    ] {
        let message = pb::ServerMsg {
            endpoints: vec![change],
            ..Default::default()
        };
        let applied = apply(&snapshot, &message);
        assert_eq!(applied.rejects.len(), 1);
        assert_eq!(members(&applied.snapshot, None), 2);
    }
}

#[test]
fn not_found_is_kept_and_what_it_led_to_is_forgotten() {
    let snapshot = start();
    let applied = apply(&snapshot, &batch(&[], vec![answer("")]));
    let entry = applied.snapshot.names.get(&name()).unwrap();
    assert_eq!(entry.answer, Answer::NotFound);
    assert!(applied.snapshot.outbound.is_empty() && applied.snapshot.clusters.is_empty());
    assert!(applied.snapshot.versions.is_empty());
}

#[test]
fn a_name_given_up_takes_along_what_only_it_led_to() {
    let snapshot = forget(&start(), &[name()]);
    assert!(snapshot.names.is_empty() && snapshot.endpoints.is_empty());
}

#[test]
fn an_answer_to_a_name_that_was_given_up_meanwhile_is_dropped() {
    let late = batch(&[], vec![answer("")]);
    let applied = apply_wanted(&Snapshot::default(), &late, |_| false);
    assert!(applied.snapshot.names.is_empty());
    // The same answer to a name that is wanted is kept.
    assert_eq!(apply(&Snapshot::default(), &late).snapshot.names.len(), 1);
}
