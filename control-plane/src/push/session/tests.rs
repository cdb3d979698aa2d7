//! Whatever the order of subscriptions, changes, deliveries and acknowledgements: in the end the proxy has what the mesh
//! says, and nothing else.
//!
//! Long because: a model of the proxy and a model of the mesh stand beside the cases.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use weft_model::{
    cluster::{Cluster, ClusterName, LoadBalance, UpstreamTls},
    endpoint::Endpoints,
    host::Host,
    matching::Matches,
    protocol::Protocol,
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
    trust::TrustBundle,
};

const SERVICES: usize = 4;

fn host(service: usize) -> Host {
    format!("s{service}.shop.svc.cluster.local")
        .parse()
        .unwrap()
}

fn name(service: usize) -> Name {
    Name::Authority {
        host: format!("s{service}"),
        port: 80,
    }
}

/// A mesh of a few Services, each of which may route to another one.
#[derive(Debug, Default, Clone)]
struct World {
    /// Service -> (whom it routes to, number that changes its cluster).
    services: BTreeMap<usize, (usize, u32)>,
    /// Service -> endpoint numbers.
    endpoints: BTreeMap<usize, BTreeSet<u16>>,
}

impl World {
    fn resource(&self, name: &ResourceName) -> Option<Resource> {
        let number = |host: &Host| {
            self.services
                .keys()
                .copied()
                .find(|service| *host == super::tests::host(*service))
        };
        Some(match name {
            ResourceName::Outbound(host, 80) => {
                let (to, _) = self.services.get(&number(host)?)?;
                let cluster = ClusterName {
                    host: super::tests::host(*to),
                    port: 80,
                    subset: None,
                };
                let backend = WeightedBackend {
                    backend: Backend::Cluster(cluster),
                    weight: std::num::NonZeroU32::MIN,
                };
                Resource::Outbound(OutboundPolicy {
                    host: host.clone(),
                    service: "s".to_owned(),
                    namespace: "shop".to_owned(),
                    port: 80,
                    protocol: Protocol::Http1,
                    http: vec![HttpRoute {
                        name: None,
                        matches: Matches::Any,
                        action: RouteAction::Forward(vec![backend.clone()]),
                        timeout: None,
                        source: None,
                    }],
                    tcp: vec![backend],
                    sources: Vec::new(),
                })
            }
            ResourceName::Cluster(name) => {
                let (_, generation) = self.services.get(&number(&name.host)?)?;
                Resource::Cluster(Cluster {
                    name: name.clone(),
                    labels: BTreeMap::from([("generation".to_owned(), generation.to_string())]),
                    load_balance: LoadBalance::Ewma,
                    tls: UpstreamTls::Auto,
                    connect_timeout: std::time::Duration::from_secs(1),
                    sources: Vec::new(),
                })
            }
            ResourceName::Endpoints(host, 80) => {
                let service = number(host)?;
                let ports = self.endpoints.get(&service).cloned().unwrap_or_default();
                Resource::Endpoints(Endpoints {
                    host: host.clone(),
                    port: 80,
                    endpoints: ports.into_iter().map(endpoint).collect(),
                    sources: Vec::new(),
                })
            }
            ResourceName::Trust => Resource::Trust(TrustBundle {
                trust_domain: "cluster.local".parse().unwrap(),
                anchors_der: vec![vec![1]],
            }),
            ResourceName::Outbound(..)
            | ResourceName::Endpoints(..)
            | ResourceName::Inbound(_)
            | ResourceName::Workload => return None,
        })
    }
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        id: EndpointId(u64::from(port)),
        address: std::net::SocketAddr::from(([127, 0, 0, 1], port)),
        weight: 1,
        identity: None,
        instance: format!("i-{port}"),
        workload: "i".to_owned(),
        namespace: "shop".to_owned(),
        labels: BTreeMap::new(),
        protocol: Protocol::Http1,
        draining: false,
    }
}

impl View for World {
    fn answer(&mut self, name: &Name) -> Option<ResourceName> {
        let resource = match name {
            Name::Authority { host, port } => {
                let host = format!("{host}.shop.svc.cluster.local").parse().unwrap();
                ResourceName::Outbound(host, *port)
            }
            Name::Trust => ResourceName::Trust,
            Name::Outbound(_) | Name::Inbound(_) | Name::Workload => return None,
        };
        self.resource(&resource).map(|_| resource)
    }

    fn closure(&mut self, name: &ResourceName) -> Vec<Arc<Published>> {
        let Some(resource) = self.resource(name) else {
            return Vec::new();
        };
        let mut names = Vec::new();
        if let Resource::Outbound(policy) = &resource {
            for weighted in &policy.tcp {
                if let Backend::Cluster(cluster) = &weighted.backend {
                    names.push(ResourceName::Endpoints(cluster.host.clone(), cluster.port));
                    names.push(ResourceName::Cluster(cluster.clone()));
                }
            }
        }
        let named = names.iter().filter_map(|name| self.resource(name));
        named
            .chain([resource.clone()])
            .map(|it| Arc::new(Published::new(it)))
            .collect()
    }
}

/// A proxy as the protocol describes it, checking what it is sent.
#[derive(Debug, Default)]
struct Proxy {
    resources: BTreeMap<ResourceName, Resource>,
    names: BTreeMap<Name, Option<ResourceName>>,
    subscribed: BTreeSet<Name>,
}

impl Proxy {
    fn apply(&mut self, batch: &Batch, lost: &BTreeSet<ResourceName>) -> Vec<Rejection> {
        let mut rejections = Vec::new();
        for published in &batch.upsert {
            if let Resource::Outbound(policy) = &published.resource {
                for weighted in &policy.tcp {
                    if let Backend::Cluster(cluster) = &weighted.backend {
                        let needed = ResourceName::Cluster(cluster.clone());
                        let set = ResourceName::Endpoints(cluster.host.clone(), cluster.port);
                        for name in [needed, set] {
                            assert!(
                                self.resources.contains_key(&name),
                                "{name} after its policy"
                            );
                        }
                    }
                }
            }
            self.resources
                .insert(published.name().clone(), published.resource.clone());
        }
        for delta in &batch.deltas {
            let old = self.resources.get(&delta.name).cloned();
            let held = old.as_ref().map(weft_api::encode::version);
            if held != Some(delta.base) || lost.contains(&delta.name) {
                rejections.push(Rejection {
                    name: delta.name.to_string(),
                    field: "base".to_owned(),
                    reason: "is not held".to_owned(),
                });
                continue;
            }
            let Some(Resource::Endpoints(mut set)) = old else {
                panic!("{}", delta.name)
            };
            set.endpoints.retain(|it| !delta.remove.contains(&it.id));
            set.endpoints
                .retain(|it| !delta.upsert.iter().any(|new| new.id == it.id));
            set.endpoints.extend(delta.upsert.iter().cloned());
            set.endpoints.sort_by_key(|it| it.id);
            set.sources = delta.sources.clone();
            let resource = Resource::Endpoints(set);
            assert_eq!(weft_api::encode::version(&resource), delta.version);
            self.resources.insert(delta.name.clone(), resource);
        }
        for name in &batch.removed {
            self.resources.remove(name);
        }
        for (name, answer) in &batch.answers {
            if self.subscribed.contains(name) {
                self.names.insert(name.clone(), answer.clone());
            }
        }
        rejections
    }
}

#[derive(Debug, Clone)]
enum Step {
    Subscribe(usize),
    Unsubscribe(usize),
    Service(usize, usize, u32),
    NoService(usize),
    Endpoint(usize, u16),
    NoEndpoint(usize, u16),
    Deliver,
    Acknowledge,
    RejectDeltas,
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    let service = 0..SERVICES;
    prop_oneof![
        3 => service.clone().prop_map(Step::Subscribe),
        1 => service.clone().prop_map(Step::Unsubscribe),
        3 => (service.clone(), service.clone(), 0_u32..3).prop_map(|(a, b, c)| Step::Service(a, b, c)),
        1 => service.clone().prop_map(Step::NoService),
        3 => (service.clone(), 1_u16..9).prop_map(|(a, b)| Step::Endpoint(a, b)),
        1 => (service, 1_u16..9).prop_map(|(a, b)| Step::NoEndpoint(a, b)),
        6 => Just(Step::Deliver),
        6 => Just(Step::Acknowledge),
        1 => Just(Step::RejectDeltas),
        1 => Just(Step::Reconnect),
    ]
}

struct Run {
    world: World,
    session: Session,
    proxy: Proxy,
    /// Sent, not yet applied.
    wire: VecDeque<Batch>,
    /// Applied, not yet acknowledged.
    acks: VecDeque<(u64, Vec<Rejection>)>,
    lose_deltas: bool,
}

impl Run {
    fn new() -> Self {
        Self {
            world: World::default(),
            session: Session::default(),
            proxy: Proxy::default(),
            wire: VecDeque::new(),
            acks: VecDeque::new(),
            lose_deltas: false,
        }
    }

    fn change(&mut self) {
        self.session.changed();
    }

    fn deliver(&mut self) {
        if let Some(batch) = self.wire.pop_front() {
            let lost = if std::mem::take(&mut self.lose_deltas) {
                batch.deltas.iter().map(|it| it.name.clone()).collect()
            } else {
                BTreeSet::new()
            };
            let rejections = self.proxy.apply(&batch, &lost);
            self.acks.push_back((batch.nonce, rejections));
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Subscribe(service) => {
                self.proxy.subscribed.insert(name(*service));
                self.session.subscribe(&[name(*service)], 0).unwrap();
            }
            Step::Unsubscribe(service) => {
                self.proxy.subscribed.remove(&name(*service));
                self.proxy.names.remove(&name(*service));
                self.session.unsubscribe(&[name(*service)]);
            }
            Step::Service(service, to, generation) => {
                // A route to a Service that is not there would be invalid; the snapshot sees to that.
                let to = if self.world.services.contains_key(to) {
                    *to
                } else {
                    *service
                };
                self.world.services.insert(*service, (to, *generation));
                self.change();
            }
            Step::NoService(service) => {
                self.world.services.remove(service);
                for (own, (to, _)) in &mut self.world.services {
                    if to == service {
                        *to = *own;
                    }
                }
                self.change();
            }
            Step::Endpoint(service, port) => {
                self.world
                    .endpoints
                    .entry(*service)
                    .or_default()
                    .insert(*port);
                self.change();
            }
            Step::NoEndpoint(service, port) => {
                self.world
                    .endpoints
                    .entry(*service)
                    .or_default()
                    .remove(port);
                self.change();
            }
            Step::Deliver => self.deliver(),
            Step::Acknowledge => {
                if let Some((nonce, rejections)) = self.acks.pop_front() {
                    self.session.acknowledge(nonce, &rejections);
                }
            }
            Step::RejectDeltas => self.lose_deltas = true,
            Step::Reconnect => self.reconnect(),
        }
        if let Some(batch) = self.session.next(&mut self.world) {
            self.wire.push_back(batch);
        }
        assert!(
            self.wire.len() + self.acks.len() <= 1,
            "one batch in flight"
        );
        assert!(
            self.session.held.len() <= 3 * SERVICES + 1,
            "memory follows subscriptions"
        );
    }

    /// The stream breaks; what was on the wire is lost.
    fn reconnect(&mut self) {
        self.wire.clear();
        self.acks.clear();
        let known = self
            .proxy
            .resources
            .iter()
            .map(|(name, resource)| (name.clone(), weft_api::encode::version(resource)))
            .collect();
        self.session = Session::new(known);
        let names: Vec<Name> = self.proxy.subscribed.iter().cloned().collect();
        self.session.subscribe(&names, 7).unwrap();
    }

    fn settle(&mut self) {
        self.session.drop_unclaimed();
        for _ in 0..100 {
            self.take(&Step::Deliver);
            self.take(&Step::Acknowledge);
        }
        assert!(
            self.session.in_flight.is_none() && self.wire.is_empty(),
            "it settles"
        );
    }
}

proptest! {
    #[test]
    fn every_interleaving_converges_to_the_snapshot(steps in proptest::collection::vec(step(), 0..120)) {
        let mut run = Run::new();
        for step in &steps {
            run.take(step);
        }
        run.settle();
        let mut expected = BTreeMap::new();
        for name in run.proxy.subscribed.clone() {
            let answer = run.world.answer(&name);
            prop_assert_eq!(run.proxy.names.get(&name), Some(&answer), "answer of {:?}", name);
            for published in answer.map(|it| run.world.closure(&it)).unwrap_or_default() {
                expected.insert(published.name().clone(), published.resource.clone());
            }
        }
        prop_assert_eq!(&run.proxy.resources, &expected);
        let enforced: BTreeMap<ResourceName, Version> =
            run.session.enforced().map(|(name, version)| (name.clone(), version)).collect();
        let wanted = expected.iter().map(|(n, r)| (n.clone(), weft_api::encode::version(r))).collect();
        prop_assert_eq!(enforced, wanted);
    }
}

fn world(services: &[usize]) -> World {
    let mut world = World::default();
    for service in services {
        world.services.insert(*service, (*service, 0));
        world.endpoints.insert(*service, (1..9).collect());
    }
    world
}

#[test]
fn a_subscribe_is_answered_with_its_closure_and_its_number() {
    let mut world = world(&[0]);
    let mut session = Session::default();
    session.subscribe(&[name(0), name(1)], 5).unwrap();
    let batch = session.next(&mut world).unwrap();
    let names: Vec<String> = batch
        .upsert
        .iter()
        .map(|it| it.name().to_string())
        .collect();
    let host = host(0);
    assert_eq!(
        names,
        [
            format!("endpoints/{host}:80"),
            format!("cluster/{host}:80"),
            format!("outbound/{host}:80")
        ]
    );
    assert_eq!(batch.done, [5]);
    let answers: Vec<bool> = batch.answers.iter().map(|(_, it)| it.is_some()).collect();
    assert_eq!(answers, [true, false], "not found is an answer");
    assert!(session.next(&mut world).is_none(), "one batch in flight");
    session.acknowledge(batch.nonce, &[]);
    session.changed();
    assert!(
        session.next(&mut world).is_none(),
        "equal content is silent"
    );
}

#[test]
fn the_latest_wins_while_the_proxy_is_busy() {
    let mut world = world(&[0]);
    let mut session = Session::default();
    session.subscribe(&[name(0)], 0).unwrap();
    let first = session.next(&mut world).unwrap();
    for generation in 1..=50 {
        world.services.insert(0, (0, generation));
        session.changed();
        assert!(session.next(&mut world).is_none());
    }
    session.acknowledge(first.nonce, &[]);
    let second = session.next(&mut world).unwrap();
    assert_eq!(second.upsert.len(), 1);
    let Resource::Cluster(cluster) = &second.upsert[0].resource else {
        panic!("a cluster")
    };
    assert_eq!(cluster.labels["generation"], "50");
    assert!(second.answers.is_empty());
}

#[test]
fn one_endpoint_more_is_a_delta_and_a_refused_delta_is_sent_whole() {
    let mut world = world(&[0]);
    let mut session = Session::default();
    session.subscribe(&[name(0)], 0).unwrap();
    let first = session.next(&mut world).unwrap();
    session.acknowledge(first.nonce, &[]);
    world.endpoints.get_mut(&0).unwrap().insert(100);
    session.changed();
    let second = session.next(&mut world).unwrap();
    assert!(second.upsert.is_empty());
    assert_eq!(second.deltas[0].upsert, [endpoint(100)]);
    let rejection = Rejection {
        name: second.deltas[0].name.to_string(),
        field: "base".to_owned(),
        reason: "is not held".to_owned(),
    };
    assert!(session.acknowledge(second.nonce, &[rejection]).is_empty());
    let third = session.next(&mut world).unwrap();
    assert_eq!((third.upsert.len(), third.deltas.len()), (1, 0));
}

#[test]
fn a_rejected_version_is_not_sent_again() {
    let mut world = world(&[0]);
    let mut session = Session::default();
    session.subscribe(&[name(0)], 0).unwrap();
    let first = session.next(&mut world).unwrap();
    let rejection = Rejection {
        name: format!("outbound/{}:80", host(0)),
        field: "outbound.http[0]".to_owned(),
        reason: "is not known here".to_owned(),
    };
    let refused = session.acknowledge(first.nonce, &[rejection]);
    assert_eq!(refused.len(), 1);
    assert_eq!(session.rejected().count(), 1);
    assert_eq!(session.enforced().count(), 2);
    session.changed();
    assert!(session.next(&mut world).is_none());
}

#[test]
fn what_is_known_from_before_is_not_sent_and_what_is_not_asked_for_goes() {
    let mut world = world(&[0, 1]);
    let known = [0, 1]
        .into_iter()
        .flat_map(|service| world.closure(&ResourceName::Outbound(host(service), 80)))
        .map(|it| (it.name().clone(), it.version()))
        .collect();
    let mut session = Session::new(known);
    session.subscribe(&[name(0)], 3).unwrap();
    let first = session.next(&mut world).unwrap();
    assert!(first.upsert.is_empty() && first.removed.is_empty());
    assert_eq!((first.answers.len(), &first.done[..]), (1, &[3][..]));
    session.acknowledge(first.nonce, &[]);
    assert!(session.has_unclaimed());
    session.drop_unclaimed();
    assert_eq!(session.next(&mut world).unwrap().removed.len(), 3);
}

#[test]
fn too_many_names_are_refused() {
    let mut session = Session::default();
    let names: Vec<Name> = (0..=MAX_NAMES)
        .map(|it| Name::Authority {
            host: format!("s{it}"),
            port: 80,
        })
        .collect();
    assert_eq!(session.subscribe(&names, 0), Err(TooManyNames));
}
