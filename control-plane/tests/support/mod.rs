//! A controller in this process over real folders, and a proxy's side of its port.
//!
//! Long because: the mesh's side and the proxy's side of every conversation are here.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};
use weft_api::{
    SCHEMA, decode, names,
    pb::{self, discovery_client::DiscoveryClient, identity_client::IdentityClient},
};
use weft_controller::{app::Controller, config::Config, run_folder::Addresses};
use weft_identity::{
    alpn::Alpn,
    handshake,
    leaf::{KeyPair, Leaf},
    store::IdentityStore,
    trust::{TrustRoots, bundle_from_pem},
};
use weft_model::{
    identity::SpiffeId,
    resource::{Name, Resource, ResourceName, Version},
};
use weft_runtime::drain::Drain;
use weft_testkit::{ANY_PORT, mesh::control_plane_id, wait};

/// Bound on anything that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Services `pay` and `cart` in `shop`.
pub(crate) const SERVICES: &str = "\
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec:
  selector: {app: pay}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: http}]
";

/// The subsets of `pay`.
pub(crate) const RULE: &str = "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pay, namespace: shop}
spec:
  host: pay
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
";

/// A split of `pay` over its subsets.
pub(crate) fn split(v1: u32, v2: u32) -> String {
    format!(
        "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: pay, namespace: shop}}
spec:
  hosts: [pay]
  http:
    - route:
        - {{destination: {{host: pay, subset: v1}}, weight: {v1}}}
        - {{destination: {{host: pay, subset: v2}}, weight: {v2}}}
"
    )
}

/// An instance as the supervisor registers it. Its token is its name.
pub(crate) fn instance(name: &str, app: &str, version: &str, port: u16) -> serde_json::Value {
    serde_json::json!({
        "namespace": "shop", "name": name, "workload": format!("{app}-{version}"),
        "labels": {"app": app, "version": version}, "service_account": app,
        "ready": true, "draining": false, "meshed": true,
        "token_sha256": hex::encode(Sha256::digest(name)),
        "ports": [{"name": "http", "container_port": 8080, "app_protocol": null,
                   "address": format!("127.0.0.1:{port}")}]
    })
}

/// Two instances of each Service.
pub(crate) fn instances() -> Vec<serde_json::Value> {
    vec![
        instance("pay-v1-0", "pay", "v1", 41001),
        instance("pay-v2-0", "pay", "v2", 41002),
        instance("cart-v1-0", "cart", "v1", 41003),
        instance("cart-v1-1", "cart", "v1", 41004),
    ]
}

/// A controller and its folders.
pub(crate) struct Mesh {
    pub(crate) folder: TempDir,
    pub(crate) run: TempDir,
    pub(crate) lines: Arc<Mutex<Vec<String>>>,
    running: Option<(Controller, Drain)>,
}

impl Mesh {
    /// The shop, with its controller running.
    pub(crate) async fn start() -> Self {
        let mut mesh = Self::stopped();
        mesh.write("services.yaml", SERVICES);
        mesh.register(&instances());
        mesh.restart().await;
        mesh
    }

    /// Folders without a controller.
    pub(crate) fn stopped() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            run: tempfile::tempdir().unwrap(),
            lines: Arc::default(),
            running: None,
        }
    }

    /// Ends the controller, if one runs, and starts one.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let config = Config {
            listen: ANY_PORT,
            admin: ANY_PORT,
            source: self.folder.path().to_owned(),
            namespace: "shop".to_owned(),
            run: self.run.path().to_owned(),
            log: "info".to_owned(),
        };
        let (drain, watch) = Drain::new();
        let lines = Arc::clone(&self.lines);
        let say = move |text: &str| lines.lock().push(text.to_owned());
        self.running = Some((Controller::start(config, watch, say).await.unwrap(), drain));
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((_, drain)) = self.running.take() {
            drain.run(SOON, std::future::pending()).await;
        }
    }

    pub(crate) fn addresses(&self) -> Addresses {
        self.running.as_ref().unwrap().0.addresses
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Writes the registry as the supervisor does.
    pub(crate) fn register(&self, instances: &[serde_json::Value]) {
        let text = serde_json::json!({ "workloads": instances }).to_string();
        let path = self.run.path().join("registry.json");
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// Waits for a line with all these parts.
    pub(crate) async fn line(&self, parts: &[&str]) -> String {
        let has = |line: &&String| parts.iter().all(|part| line.contains(part));
        let look = || {
            let lines = self.lines.lock();
            std::future::ready(lines.iter().find(has).cloned().ok_or_else(|| lines.clone()))
        };
        wait::eventually(SOON, &format!("a line with {parts:?}"), look).await
    }

    /// A proxy that trusts the mesh and has no certificate yet.
    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::new(self.run.path(), self.addresses())
    }

    /// GET of an admin page.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addresses().admin).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    pub(crate) async fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.page(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// A proxy's identity and its way to the port.
pub(crate) struct Proxy {
    pub(crate) store: IdentityStore,
    addresses: Addresses,
}

impl Proxy {
    fn new(run: &Path, addresses: Addresses) -> Self {
        let store = IdentityStore::new();
        let pem = std::fs::read(run.join("root.pem")).unwrap();
        let bundle = bundle_from_pem("cluster.local".parse().unwrap(), &pem).unwrap();
        store.set_trust(TrustRoots::new([&bundle]).unwrap());
        Self { store, addresses }
    }

    async fn channel(&self, present: bool) -> Channel {
        let expected = control_plane_id();
        let tls = if present {
            self.store.client_config(&expected, Alpn::Control).unwrap()
        } else {
            self.store
                .anonymous_client_config(&expected, Alpn::Control)
                .unwrap()
        };
        let address = self.addresses.grpc;
        let dial = tower::service_fn(move |_| {
            let tls = Arc::clone(&tls);
            async move {
                let stream = TcpStream::connect(address).await?;
                let dialled = handshake::connect(tls, stream)
                    .await
                    .map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(TokioIo::new(dialled.stream))
            }
        });
        Endpoint::from_static("http://controller")
            .connect_with_connector(dial)
            .await
            .unwrap()
    }

    /// Asks for a certificate, in the name of whoever it likes.
    pub(crate) async fn certify(
        &self,
        token: &str,
        asking: &str,
        ttl: u64,
    ) -> Result<Leaf, Status> {
        let key = KeyPair::generate().unwrap();
        let asking: SpiffeId = asking.parse().unwrap();
        let request = pb::CertifyRequest {
            token: token.to_owned().into(),
            csr_der: key.csr_der(&asking).unwrap().into(),
            ttl: Some(weft_api::encode::duration(Duration::from_secs(ttl))),
        };
        let answer = IdentityClient::new(self.channel(false).await)
            .certify(request)
            .await?
            .into_inner();
        let chain = answer.chain_der.iter().map(|der| der.to_vec()).collect();
        let leaf = Leaf::new(chain, &key).unwrap();
        let seconds = leaf
            .not_after()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert_eq!(u64::try_from(answer.not_after_unix).unwrap(), seconds);
        Ok(leaf)
    }

    /// Obtains the certificate of an instance.
    pub(crate) async fn join(&self, instance: &str) {
        let leaf = self
            .certify(instance, "spiffe://cluster.local/ns/any/sa/one", 0)
            .await
            .unwrap();
        self.store.set_leaf(leaf);
    }

    /// Opens a stream, with or without the certificate.
    pub(crate) async fn open(
        &self,
        present: bool,
        workload: &str,
        known: BTreeMap<ResourceName, Version>,
    ) -> Result<Talk, Status> {
        let (send, outgoing) = mpsc::channel(64);
        let known = known
            .into_iter()
            .map(|(name, it)| (name.to_string(), it.0.to_vec().into()));
        let hello = pb::Hello {
            workload: workload.to_owned(),
            proxy_version: "test".to_owned(),
            schema: SCHEMA,
            features: Vec::new(),
            known: known.collect(),
        };
        let hello = pb::ClientMsg {
            msg: Some(pb::client_msg::Msg::Hello(hello)),
        };
        send.send(hello).await.unwrap();
        let channel = self.channel(present).await;
        let incoming = DiscoveryClient::new(channel)
            .stream(ReceiverStream::new(outgoing))
            .await?;
        Ok(Talk {
            send,
            incoming: incoming.into_inner(),
            resources: BTreeMap::new(),
            answers: BTreeMap::new(),
            synced: false,
        })
    }
}

/// One stream, with what it has brought.
pub(crate) struct Talk {
    send: mpsc::Sender<pb::ClientMsg>,
    incoming: Streaming<pb::ServerMsg>,
    pub(crate) resources: BTreeMap<ResourceName, (Version, Resource)>,
    pub(crate) answers: BTreeMap<Name, String>,
    pub(crate) synced: bool,
}

impl Talk {
    pub(crate) async fn say(&self, msg: pb::client_msg::Msg) {
        self.send
            .send(pb::ClientMsg { msg: Some(msg) })
            .await
            .unwrap();
    }

    pub(crate) async fn subscribe(&self, wanted: &[Name], corr: u64) {
        let names = wanted.iter().map(names::encode).collect();
        self.say(pb::client_msg::Msg::Subscribe(pb::Subscribe {
            names,
            corr,
        }))
        .await;
    }

    /// The next batch, applied and not acknowledged.
    pub(crate) async fn receive(&mut self) -> Result<pb::ServerMsg, Status> {
        let batch = tokio::time::timeout(SOON, self.incoming.message())
            .await
            .expect("a batch soon")?
            .ok_or_else(|| Status::cancelled("the stream ended"))?;
        for bytes in &batch.upsert {
            let decoded = decode::resource(bytes).unwrap();
            self.resources
                .insert(decoded.name, (decoded.version, decoded.resource));
        }
        for removed in &batch.removed {
            self.resources.remove(&removed.parse().unwrap());
        }
        for answer in &batch.answers {
            let name = names::decode(answer.name.as_ref().unwrap()).unwrap();
            self.answers.insert(name, answer.resource.clone());
        }
        self.synced |= batch.initial_sync_done;
        Ok(batch)
    }

    pub(crate) async fn acknowledge(&self, batch: &pb::ServerMsg, rejects: Vec<pb::Reject>) {
        self.say(pb::client_msg::Msg::Ack(pb::Ack {
            nonce: batch.nonce,
            rejects,
        }))
        .await;
    }

    /// The next batch, applied and acknowledged.
    pub(crate) async fn take(&mut self) -> pb::ServerMsg {
        let batch = self.receive().await.unwrap();
        self.acknowledge(&batch, Vec::new()).await;
        batch
    }

    /// Takes batches until `done` says so.
    pub(crate) async fn take_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        while !done(self) {
            self.take().await;
        }
    }

    pub(crate) fn versions(&self) -> BTreeMap<ResourceName, Version> {
        self.resources
            .iter()
            .map(|(name, (version, _))| (name.clone(), *version))
            .collect()
    }

    /// Weights of the first route towards `pay`.
    pub(crate) fn weights(&self) -> Vec<u32> {
        let name = "outbound/pay.shop.svc.cluster.local:80".parse().unwrap();
        match self.resources.get(&name) {
            Some((_, Resource::Outbound(policy))) => {
                let weft_model::route::RouteAction::Forward(backends) = &policy.http[0].action;
                backends.iter().map(|it| it.weight.get()).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The names that every proxy subscribes first.
pub(crate) fn own() -> Vec<Name> {
    vec![Name::Trust, Name::Workload, Name::Inbound(8080)]
}

/// The Service `pay` as an application addresses it.
pub(crate) fn pay() -> Name {
    Name::Authority {
        host: "pay".to_owned(),
        port: 80,
    }
}
