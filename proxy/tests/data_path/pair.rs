//! Two sidecars in one process: `web` calls the Service `shop`, whose one instance (or several) is behind the other.
//!
//! Long because: one builder; cut in two, neither half could be read alone.

use http::{HeaderMap, Method, Request};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::SocketAddr,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use weft_identity::store::IdentityStore;
use weft_model::{
    Labels,
    cluster::{Cluster, ClusterName, LoadBalance, UpstreamTls},
    endpoint::{Endpoint, EndpointId},
    host::Host,
    identity::SpiffeId,
    inbound::{InboundPolicy, MtlsMode},
    limits,
    matching::Matches,
    mesh::AccessLog,
    protocol::Protocol,
    resource::Name,
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
    source::{ObjectRef, SourceRef},
    workload::{WorkloadConfig, WorkloadName},
};
use weft_proxy::{
    accept::{Acceptor, InboundAcceptor},
    balance::ClusterHandle,
    config::InboundListener,
    inbound,
    observe::{Observe, access_log},
    outbound,
    shard::{Proxy, Shard},
    tables::{Answer, NameEntry, Snapshot, Tables},
};
use weft_runtime::{
    drain::Drain,
    metrics::{Exposition, TextFormat},
    task,
};
use weft_testkit::{
    ANY_PORT,
    client::{Body, Client},
    mesh::{TestCa, id},
    prometheus::Scrape,
};

/// The container port of the application, as policy calls it.
pub(crate) const PORT: u16 = 8080;

/// How long a lookup waits for an answer that never comes.
const LOOKUP_WAIT: Duration = Duration::from_millis(200);

/// Where the access log goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One sidecar.
pub(crate) struct Side {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) shard: Arc<Shard>,
    pub(crate) drain: Drain,
    exposition: Exposition,
    sink: Sink,
}

impl Side {
    fn new(identity: Arc<IdentityStore>, own_listeners: Vec<SocketAddr>) -> Self {
        let (tables, interest) = Tables::with_wait(LOOKUP_WAIT);
        // Nobody answers what is asked beyond what the test says; the questions must not be an error either.
        std::mem::forget(interest);
        let mut registry = Registry::default();
        let sink = Sink::default();
        let log = access_log::AccessLog::to(sink.clone()).unwrap();
        let observe = Observe::with_access_log(&mut registry, log);
        let proxy = Arc::new(Proxy {
            tables,
            identity,
            observe,
            own_listeners,
        });
        let shard = Shard::new(Arc::clone(&proxy));
        let (drain, watch) = Drain::new();
        task::spawn("test-pools", Arc::clone(&shard).maintain(watch));
        Self {
            proxy,
            shard,
            drain,
            exposition: Exposition::new(registry),
            sink,
        }
    }

    /// Puts another snapshot in force.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.proxy.tables.snapshot());
        change(&mut snapshot);
        self.proxy.tables.store(snapshot);
    }

    /// What `/metrics` says.
    pub(crate) fn scrape(&self) -> Scrape {
        Scrape::parse(&self.exposition.encode(TextFormat::Classic)).unwrap()
    }

    /// What the access log says.
    pub(crate) fn log(&self) -> String {
        self.proxy.observe.access.flush();
        String::from_utf8(self.sink.0.lock().clone()).unwrap()
    }
}

/// What a test wants of its pair.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) protocol: Protocol,
    pub(crate) inbound_protocol: Protocol,
    pub(crate) mtls: MtlsMode,
    pub(crate) tls: UpstreamTls,
    pub(crate) access_log: AccessLog,
    pub(crate) timeout: Option<Duration>,
    pub(crate) load_balance: LoadBalance,
    /// Whether the client's proxy has its certificate from the start.
    pub(crate) certified: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            protocol: Protocol::Http1,
            inbound_protocol: Protocol::Http1,
            mtls: MtlsMode::Strict,
            tls: UpstreamTls::Auto,
            access_log: AccessLog::Off,
            timeout: None,
            load_balance: LoadBalance::Ewma,
            certified: true,
        }
    }
}

impl Plan {
    /// Both sides are declared to speak this.
    pub(crate) fn speaking(protocol: Protocol) -> Self {
        Self {
            protocol,
            inbound_protocol: protocol,
            ..Self::default()
        }
    }

    /// Starts both proxies before `app`.
    pub(crate) async fn start(self, app: SocketAddr) -> Pair {
        Pair::start(self, app).await
    }
}

/// See the module.
pub(crate) struct Pair {
    pub(crate) ca: TestCa,
    pub(crate) web: Side,
    pub(crate) shop: Side,
    /// The explicit proxy of `web`.
    pub(crate) explicit: SocketAddr,
    /// The listener of `web` for the Service.
    pub(crate) service: SocketAddr,
    /// Where peers of `shop` connect.
    pub(crate) inbound: SocketAddr,
    pub(crate) plan: Plan,
}

/// The Service's full name.
pub(crate) fn shop_host() -> Host {
    "shop.production.svc.cluster.local".parse().unwrap()
}

/// The client's identity.
pub(crate) fn web_id() -> SpiffeId {
    id("production", "web")
}

/// The server's identity.
pub(crate) fn shop_id() -> SpiffeId {
    id("production", "shop")
}

/// Labels from pairs.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect::<BTreeMap<_, _>>()
}

/// An object of the tests.
pub(crate) fn source(kind: &str, name: &str) -> SourceRef {
    SourceRef::whole(ObjectRef::new(kind, "production", name), 1)
}

fn workload(name: &str, identity: SpiffeId, access_log: AccessLog) -> Arc<WorkloadConfig> {
    Arc::new(WorkloadConfig {
        name: WorkloadName {
            namespace: "production".to_owned(),
            name: format!("{name}-0"),
        },
        workload: name.to_owned(),
        identity,
        labels: labels(&[("app", name), ("version", "v1")]),
        ports: vec![PORT],
        access_log,
        certificate_lifetime: limits::CERTIFICATE_LIFETIME,
        sources: Vec::new(),
    })
}

/// A cluster's name.
pub(crate) fn cluster_name(subset: Option<&str>) -> ClusterName {
    ClusterName {
        host: shop_host(),
        port: 80,
        subset: subset.map(str::to_owned),
    }
}

/// A cluster as the plan wants it.
pub(crate) fn cluster(plan: &Plan, subset: Option<&str>) -> Cluster {
    Cluster {
        name: cluster_name(subset),
        labels: Labels::new(),
        load_balance: plan.load_balance,
        tls: plan.tls,
        connect_timeout: Duration::from_secs(2),
        sources: vec![source("DestinationRule", "shop")],
    }
}

/// An endpoint of the Service.
pub(crate) fn endpoint(number: u64, address: SocketAddr, identity: Option<SpiffeId>) -> Endpoint {
    Endpoint {
        id: EndpointId(number),
        address,
        weight: 1,
        identity,
        instance: format!("shop-{number}"),
        workload: "shop".to_owned(),
        namespace: "production".to_owned(),
        labels: labels(&[("app", "shop"), ("version", "v1")]),
        protocol: Protocol::Http1,
        draining: false,
    }
}

/// One destination that gets everything.
pub(crate) fn to(backend: Backend) -> Vec<WeightedBackend> {
    vec![WeightedBackend {
        backend,
        weight: NonZeroU32::MIN,
    }]
}

/// The policy as the plan wants it.
pub(crate) fn policy(plan: &Plan) -> OutboundPolicy {
    let backends = to(Backend::Cluster(cluster_name(None)));
    OutboundPolicy {
        host: shop_host(),
        service: "shop".to_owned(),
        namespace: "production".to_owned(),
        port: 80,
        protocol: plan.protocol,
        http: vec![HttpRoute {
            name: Some("all".to_owned()),
            matches: Matches::Any,
            action: RouteAction::Forward(backends.clone()),
            timeout: plan.timeout,
            source: Some(source("VirtualService", "shop").at_rule(0)),
        }],
        tcp: backends,
        sources: vec![source("VirtualService", "shop")],
    }
}

impl Pair {
    async fn start(plan: Plan, app: SocketAddr) -> Self {
        let ca = TestCa::new();
        let bind = || async { TcpListener::bind(ANY_PORT).await.unwrap() };
        let (explicit, service, inbound) = (bind().await, bind().await, bind().await);
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let (explicit_at, service_at, inbound_at) =
            (address(&explicit), address(&service), address(&inbound));

        let identity = match plan.certified {
            true => ca.store(&web_id()),
            false => ca.store_without_leaf(),
        };
        let web = Side::new(identity, vec![explicit_at, service_at]);
        let shop = Side::new(ca.store(&shop_id()), Vec::new());
        let meshed = (plan.mtls != MtlsMode::Disable).then(shop_id);
        web.edit(|snapshot| {
            snapshot.workload = Some(workload("web", web_id(), plan.access_log));
            for host in ["shop", "shop.production.svc.cluster.local"] {
                let name = Name::Authority {
                    host: host.to_owned(),
                    port: 80,
                };
                snapshot
                    .names
                    .insert(name, NameEntry::new(Answer::Outbound(shop_host(), 80)));
            }
            snapshot
                .outbound
                .insert((shop_host(), 80), Arc::new(policy(&plan)));
            let handle =
                ClusterHandle::new(cluster(&plan, None), &[endpoint(1, inbound_at, meshed)]);
            snapshot
                .clusters
                .insert(cluster_name(None), Arc::new(handle));
        });
        shop.edit(|snapshot| {
            snapshot.workload = Some(workload("shop", shop_id(), plan.access_log));
            snapshot
                .inbound
                .insert(PORT, Arc::new(inbound_policy(&plan)));
        });

        let listen = InboundListener {
            listen: inbound_at,
            port: PORT,
            app,
        };
        let acceptor = Acceptor::Service {
            host: shop_host(),
            port: 80,
        };
        for (listener, acceptor) in [(explicit, Acceptor::Explicit), (service, acceptor)] {
            let serving = outbound::serve(
                listener,
                acceptor,
                Arc::clone(&web.shard),
                web.drain.watch(),
            );
            task::spawn("test-outbound", serving);
        }
        let serving = inbound::serve(
            inbound,
            InboundAcceptor::Port(listen),
            Arc::clone(&shop.shard),
            shop.drain.watch(),
        );
        task::spawn("test-inbound", serving);
        Self {
            ca,
            web,
            shop,
            explicit: explicit_at,
            service: service_at,
            inbound: inbound_at,
            plan,
        }
    }

    /// A client of the Service's listener that speaks HTTP/1.
    pub(crate) async fn h1(&self) -> Client {
        Client::h1(self.service).await.unwrap().authority("shop")
    }

    /// A client of the Service's listener that speaks HTTP/2.
    pub(crate) async fn h2(&self) -> Client {
        Client::h2(self.service).await.unwrap().authority("shop")
    }

    /// Changes the policy towards the Service.
    pub(crate) fn edit_policy(&self, change: impl FnOnce(&mut OutboundPolicy)) {
        self.web.edit(|snapshot| {
            let mut policy = OutboundPolicy::clone(&snapshot.outbound[&(shop_host(), 80)]);
            change(&mut policy);
            snapshot
                .outbound
                .insert((shop_host(), 80), Arc::new(policy));
        });
    }

    /// Changes the endpoints of the Service.
    pub(crate) fn endpoints(&self, endpoints: &[Endpoint]) {
        self.web.edit(|snapshot| {
            let previous = &snapshot.clusters[&cluster_name(None)];
            let next = ClusterHandle::updated(previous, previous.cluster.clone(), endpoints);
            snapshot.clusters.insert(cluster_name(None), Arc::new(next));
        });
    }

    /// Changes the policy of the application's port.
    pub(crate) fn edit_inbound(&self, change: impl FnOnce(&mut InboundPolicy)) {
        self.shop.edit(|snapshot| {
            let mut policy = InboundPolicy::clone(&snapshot.inbound[&PORT]);
            change(&mut policy);
            snapshot.inbound.insert(PORT, Arc::new(policy));
        });
    }
}

/// The policy of the application's port.
pub(crate) fn inbound_policy(plan: &Plan) -> InboundPolicy {
    InboundPolicy {
        port: PORT,
        protocol: plan.inbound_protocol,
        mtls: plan.mtls,
        refuse: None,
        sources: Vec::new(),
    }
}

/// A request with headers.
pub(crate) fn with_headers(
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Request<Body> {
    let mut request = weft_testkit::client::request(method, uri, body);
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
