//! For tests: a mesh made from YAML texts and instances, read as a proxy would be told.

use crate::{
    index::{Accepted, Index, Outcome},
    snapshot::{Snapshot, View},
    source::{
        Membership, Workload, WorkloadPort,
        folder::{FileProblem, Memory, Text},
        laptop::Reading,
        registry::{Instance, Registry, State},
    },
};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};
use weft_model::{
    cluster::Cluster,
    endpoint::Endpoints,
    inbound::InboundPolicy,
    problem::Problem,
    protocol::Protocol,
    resource::{Name, Resource, ResourceName},
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction},
    source::ObjectRef,
    trust::TrustBundle,
    workload::WorkloadName,
};

/// A Service `name` in `shop` that picks `app: name`, with port 80 (`http`) to 8080.
pub(crate) fn service(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  selector: {{app: {name}}}\n  ports: [{{name: http, port: 80, targetPort: 8080}}]\n"
    )
}

/// An object of `kind` with its spec in YAML flow style.
pub(crate) fn object(kind: &str, name: &str, spec: &str) -> String {
    let api = match kind {
        "VirtualService" | "DestinationRule" => "networking.istio.io/v1beta1",
        "MeshConfig" => "weft.dev/v1",
        _ => "security.istio.io/v1beta1",
    };
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    format!(
        "---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

pub(crate) struct Mesh {
    reading: Reading,
    pub(crate) index: Index,
    pub(crate) snapshot: Snapshot,
    files: BTreeMap<PathBuf, Text>,
    registry: Registry,
    pub(crate) problems: Vec<FileProblem>,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        Self::after(Memory::default())
    }

    pub(crate) fn after(memory: Memory) -> Self {
        let trust = TrustBundle {
            trust_domain: "cluster.local".parse().unwrap(),
            anchors_der: vec![vec![1]],
        };
        Self {
            reading: Reading::new("shop".to_owned(), memory),
            index: Index::new("cluster.local".parse().unwrap()),
            snapshot: Snapshot::new(trust),
            files: BTreeMap::new(),
            registry: Registry::default(),
            problems: Vec::new(),
        }
    }

    /// A shop with Services `cart` and `pay` and two instances of each, one of v1 and one of v2.
    pub(crate) fn shop() -> Self {
        let mut mesh = Self::new();
        mesh.write("services.yaml", &(service("cart") + &service("pay")));
        for app in ["cart", "pay"] {
            for version in ["v1", "v2"] {
                mesh.start(&format!("shop/{app}-{version}-0"), app, version);
            }
        }
        mesh
    }

    pub(crate) fn write(&mut self, file: &str, text: &str) -> Outcome {
        self.files
            .insert(PathBuf::from(file), Text::Read(text.to_owned()));
        self.update()
    }

    pub(crate) fn remove(&mut self, file: &str) -> Outcome {
        self.files.remove(&PathBuf::from(file));
        self.update()
    }

    pub(crate) fn start(&mut self, name: &str, app: &str, version: &str) -> Outcome {
        let name: WorkloadName = name.parse().unwrap();
        let number = u16::try_from(self.registry.instances.len()).unwrap();
        let labels = [("app", app), ("version", version)];
        let workload = Workload {
            name: name.clone(),
            owner: format!("{app}-{version}"),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            service_account: app.to_owned(),
            membership: Membership::Meshed,
            token_sha256: None,
            ports: vec![WorkloadPort {
                name: "http".to_owned(),
                number: 8080,
                protocol: Protocol::Http1,
                address: SocketAddr::from(([127, 0, 0, 1], 41_000 + number)),
            }],
        };
        self.registry.instances.insert(
            name,
            Instance {
                workload,
                state: State::Ready,
            },
        );
        self.update()
    }

    pub(crate) fn state(&mut self, name: &str, state: State) -> Outcome {
        self.registry
            .instances
            .get_mut(&name.parse().unwrap())
            .unwrap()
            .state = state;
        self.update()
    }

    pub(crate) fn instance(&mut self, name: &str) -> &mut Workload {
        &mut self
            .registry
            .instances
            .get_mut(&name.parse().unwrap())
            .unwrap()
            .workload
    }

    pub(crate) fn update(&mut self) -> Outcome {
        let Some(news) = self
            .reading
            .next(Some(self.files.clone()), Some(self.registry.clone()))
        else {
            return Outcome::default();
        };
        self.problems = news.problems;
        let outcome = self.index.apply(news.changes);
        self.snapshot.invalidate(&outcome.affected);
        outcome
    }

    /// The same folder read by a controller that starts again with what the last one kept.
    pub(crate) fn restart(&self) -> Self {
        let accepted: BTreeMap<ObjectRef, Accepted> = self
            .index
            .objects()
            .filter_map(|(object, entry)| {
                let kept = entry.in_force.as_ref()?;
                let meta = kept.policy.meta();
                let back =
                    crate::source::folder::restore(&kept.manifest, meta.generation, meta.created)?;
                let policy = back.translated.value?;
                Some((
                    object.clone(),
                    Accepted {
                        policy,
                        manifest: kept.manifest.clone(),
                    },
                ))
            })
            .collect();
        let mut mesh = Self::after(self.reading.memory().clone());
        mesh.files = self.files.clone();
        mesh.registry = self.registry.clone();
        let news = mesh
            .reading
            .next(Some(mesh.files.clone()), Some(mesh.registry.clone()))
            .unwrap();
        mesh.problems = news.problems;
        mesh.index.reset(news.changes, accepted);
        mesh
    }

    fn resource(&mut self, client: &str, name: &Name) -> Option<Resource> {
        let client: WorkloadName = client.parse().unwrap();
        let mut view = self.snapshot.view(&self.index, &client);
        let resource = view.answer(name)?;
        view.closure(&resource).pop().map(|it| it.resource.clone())
    }

    /// What `client` is told about an authority at port 80.
    pub(crate) fn outbound(&mut self, client: &str, host: &str) -> Option<OutboundPolicy> {
        self.outbound_at(client, host, 80)
    }

    pub(crate) fn outbound_at(
        &mut self,
        client: &str,
        host: &str,
        port: u16,
    ) -> Option<OutboundPolicy> {
        match self.resource(
            client,
            &Name::Authority {
                host: host.to_owned(),
                port,
            },
        )? {
            Resource::Outbound(policy) => Some(policy),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn closure(&mut self, client: &str, host: &str) -> Vec<ResourceName> {
        let client: WorkloadName = client.parse().unwrap();
        let mut view = self.snapshot.view(&self.index, &client);
        let name = Name::Authority {
            host: host.to_owned(),
            port: 80,
        };
        let Some(resource) = view.answer(&name) else {
            return Vec::new();
        };
        view.closure(&resource)
            .iter()
            .map(|it| it.name().clone())
            .collect()
    }

    pub(crate) fn cluster(&mut self, client: &str, host: &str, cluster: &str) -> Option<Cluster> {
        let client: WorkloadName = client.parse().unwrap();
        let mut view = self.snapshot.view(&self.index, &client);
        let resource = view.answer(&Name::Authority {
            host: host.to_owned(),
            port: 80,
        })?;
        view.closure(&resource)
            .iter()
            .find_map(|it| match &it.resource {
                Resource::Cluster(it) if it.name.to_string() == cluster => Some(it.clone()),
                _ => None,
            })
    }

    pub(crate) fn endpoints(&mut self, host: &str) -> Option<Endpoints> {
        let client: WorkloadName = "shop/web-0".parse().unwrap();
        let mut view = self.snapshot.view(&self.index, &client);
        let resource = view.answer(&Name::Authority {
            host: host.to_owned(),
            port: 80,
        })?;
        let host = format!("{host}.shop.svc.cluster.local");
        view.closure(&resource)
            .iter()
            .find_map(|it| match &it.resource {
                Resource::Endpoints(it) if it.host.as_str() == host => Some(it.clone()),
                _ => None,
            })
    }

    pub(crate) fn inbound(&mut self, workload: &str) -> Option<InboundPolicy> {
        match self.resource(workload, &Name::Inbound(8080))? {
            Resource::Inbound(policy) => Some(policy),
            other => panic!("{other:?}"),
        }
    }

    /// The routes towards `host`, in short: `<backend>=<weight>,... [if n blocks] [timeout]`.
    pub(crate) fn routes(&mut self, client: &str, host: &str) -> Vec<String> {
        let policy = self.outbound(client, host).unwrap();
        policy.http.iter().map(route).collect()
    }

    pub(crate) fn codes(&self, kind: &str, name: &str) -> Vec<String> {
        self.problems_of(kind, name)
            .iter()
            .map(|it| it.code.to_owned())
            .collect()
    }

    pub(crate) fn problems_of(&self, kind: &str, name: &str) -> Vec<Problem> {
        let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
        self.index.problems(&ObjectRef::new(kind, namespace, name))
    }

    /// Generation in force, and whether it is the latest.
    pub(crate) fn in_force(&self, kind: &str, name: &str) -> Option<(i64, bool)> {
        let entry = self.index.object(&ObjectRef::new(kind, "shop", name))?;
        Some((entry.in_force.as_ref()?.generation(), entry.is_current()))
    }
}

fn route(route: &HttpRoute) -> String {
    let RouteAction::Forward(backends) = &route.action;
    let backends: Vec<String> = backends
        .iter()
        .map(|weighted| {
            let name = match &weighted.backend {
                Backend::Cluster(name) => name
                    .to_string()
                    .replace(".shop.svc.cluster.local", "")
                    .replace(".svc.cluster.local", ""),
                Backend::Invalid(reason) => format!("invalid({reason})"),
            };
            format!("{name}={}", weighted.weight)
        })
        .collect();
    let mut text = backends.join(",");
    if let weft_model::matching::Matches::OneOf(blocks) = &route.matches {
        text.push_str(&format!(" if {}", blocks.len()));
    }
    if let Some(timeout) = route.timeout {
        text.push_str(&format!(" within {timeout:?}"));
    }
    text
}
