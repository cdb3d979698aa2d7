//! A control plane that says exactly what a test tells it to, over the real contract and real TLS.
//!
//! Place: a proxy under test connects to [`PushServer`]; the test takes the stream with
//! [`PushServer::accept`] and plays the other side by hand: it sees every message and decides every
//! answer. Certificates are signed by the test's authority for whoever shows a known token.

mod tls;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weft_api::pb;
use weft_api::pb::discovery_server::{Discovery, DiscoveryServer};
use weft_api::pb::identity_server::{Identity, IdentityServer};
use weft_identity::ca::LeafRequest;
use weft_identity::peer::PeerIdentity;
use weft_model::identity::SpiffeId;
use weft_model::resource::{Name, Resource, ResourceName};
use weft_runtime::task::{self, AbortOnDrop};

use crate::mesh::{LEAF_LIFETIME, TestCa, control_plane_id};

/// How long the test waits for the proxy to say something.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Messages in flight of a stream.
const STREAM_BUFFER: usize = 64;

/// What the identity service does.
#[derive(Debug)]
struct Certify {
    ca: Arc<TestCa>,
    /// Token to identity.
    known: Mutex<BTreeMap<Vec<u8>, SpiffeId>>,
    lifetime: Mutex<Duration>,
    refuse: Mutex<Option<Status>>,
    calls: AtomicUsize,
}

/// A scripted control plane on loopback. Ends, with its streams, when dropped.
#[derive(Debug)]
pub struct PushServer {
    addr: SocketAddr,
    certify: Arc<Certify>,
    streams: mpsc::Receiver<PushStream>,
    _serving: AbortOnDrop<()>,
}

impl PushServer {
    /// Starts one on a port of the kernel's choice.
    pub async fn start(ca: Arc<TestCa>) -> Self {
        Self::start_at(crate::ANY_PORT, ca).await
    }

    /// Starts one where another has been before, to let a proxy find it again.
    pub async fn start_at(addr: SocketAddr, ca: Arc<TestCa>) -> Self {
        let store = ca.store(&control_plane_id());
        let (addr, incoming) = tls::listen(addr, store).await;
        let certify = Arc::new(Certify {
            ca,
            known: Mutex::default(),
            lifetime: Mutex::new(LEAF_LIFETIME),
            refuse: Mutex::default(),
            calls: AtomicUsize::new(0),
        });
        let (opened, streams) = mpsc::channel(STREAM_BUFFER);
        let identity = IdentityServer::new(IdentityService(Arc::clone(&certify)));
        let discovery = DiscoveryServer::new(DiscoveryService { opened });
        let serving = task::spawn("test-push-server", async move {
            // It ends by being dropped.
            let _ = tonic::transport::Server::builder()
                .add_service(identity)
                .add_service(discovery)
                .serve_with_incoming(incoming)
                .await;
        });
        Self {
            addr,
            certify,
            streams,
            _serving: serving.abort_on_drop(),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Signs for `id` whoever shows `token`.
    pub fn admit(&self, token: &[u8], id: &SpiffeId) {
        self.certify.known.lock().insert(token.to_vec(), id.clone());
    }

    /// How long the next leaves live, whatever is asked for.
    pub fn leaf_lifetime(&self, lifetime: Duration) {
        *self.certify.lifetime.lock() = lifetime;
    }

    /// Refuses the next requests for certificates; `None` signs again.
    pub fn refuse_certificates(&self, with: Option<Status>) {
        *self.certify.refuse.lock() = with;
    }

    /// Requests for certificates so far, refused ones too.
    pub fn certify_calls(&self) -> usize {
        self.certify.calls.load(Ordering::Acquire)
    }

    /// The next proxy's stream, with its Hello read.
    pub async fn accept(&mut self) -> PushStream {
        let mut stream = tokio::time::timeout(PATIENCE, self.streams.recv())
            .await
            .expect("a proxy opens a stream in time")
            .expect("the server runs");
        match stream.next().await {
            pb::client_msg::Msg::Hello(hello) => stream.hello = hello,
            other => panic!("the first message is a Hello, not {other:?}"),
        }
        stream
    }
}

/// What one push carries. `Batch::default()` is an empty one.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Resources, new or changed.
    pub upsert: Vec<Resource>,
    /// Resources by their encoded bytes, for what a resource cannot say.
    pub raw: Vec<Bytes>,
    /// Changes of endpoints.
    pub endpoints: Vec<pb::EndpointDelta>,
    /// Resources no longer needed.
    pub removed: Vec<ResourceName>,
    /// What names mean; `None`: there is no such thing.
    pub answers: Vec<(Name, Option<ResourceName>)>,
    /// Subscriptions that are now answered in full.
    pub done: Vec<u64>,
    /// Says that the initial sync is over.
    pub initial_sync_done: bool,
}

/// One proxy's stream, played by the test.
#[derive(Debug)]
pub struct PushStream {
    /// What the proxy said first.
    pub hello: pb::Hello,
    /// Who it is, by its certificate.
    pub peer: PeerIdentity,
    requests: Streaming<pb::ClientMsg>,
    replies: mpsc::Sender<Result<pb::ServerMsg, Status>>,
    nonce: u64,
    /// Messages that were read while another kind was waited for.
    waiting: VecDeque<pb::client_msg::Msg>,
}

impl PushStream {
    /// The next message.
    ///
    /// # Panics
    /// When there is none within [`PATIENCE`], or the stream has ended.
    pub async fn next(&mut self) -> pb::client_msg::Msg {
        match self.waiting.pop_front() {
            Some(message) => message,
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> pb::client_msg::Msg {
        tokio::time::timeout(PATIENCE, self.requests.message())
            .await
            .expect("the proxy says something in time")
            .expect("the stream holds")
            .expect("the proxy keeps the stream open")
            .msg
            .expect("a message says something")
    }

    /// The next Subscribe; others wait.
    pub async fn subscribe(&mut self) -> (Vec<Name>, u64) {
        let is =
            |message: &pb::client_msg::Msg| matches!(message, pb::client_msg::Msg::Subscribe(_));
        match self.next_where(is).await {
            pb::client_msg::Msg::Subscribe(subscribe) => {
                let names = subscribe.names.iter();
                let names = names.map(|name| weft_api::names::decode(name).expect("a name"));
                (names.collect(), subscribe.corr)
            }
            other => panic!("not a Subscribe: {other:?}"),
        }
    }

    /// The next Unsubscribe; others wait.
    pub async fn unsubscribe(&mut self) -> Vec<Name> {
        let is =
            |message: &pb::client_msg::Msg| matches!(message, pb::client_msg::Msg::Unsubscribe(_));
        match self.next_where(is).await {
            pb::client_msg::Msg::Unsubscribe(unsubscribe) => {
                let names = unsubscribe.names.iter();
                names
                    .map(|name| weft_api::names::decode(name).expect("a name"))
                    .collect()
            }
            other => panic!("not an Unsubscribe: {other:?}"),
        }
    }

    /// The acknowledgement of a push, with what was refused of it; others wait.
    pub async fn ack(&mut self, nonce: u64) -> Vec<pb::Reject> {
        let is = move |message: &pb::client_msg::Msg| matches!(message, pb::client_msg::Msg::Ack(ack) if ack.nonce == nonce);
        match self.next_where(is).await {
            pb::client_msg::Msg::Ack(ack) => ack.rejects,
            other => panic!("not an Ack: {other:?}"),
        }
    }

    async fn next_where(
        &mut self,
        is: impl Fn(&pb::client_msg::Msg) -> bool,
    ) -> pb::client_msg::Msg {
        if let Some(at) = self.waiting.iter().position(&is) {
            return self.waiting.remove(at).expect("found there");
        }
        loop {
            let message = self.read().await;
            if is(&message) {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    /// Sends a batch and gives its nonce.
    pub async fn push(&mut self, batch: Batch) -> u64 {
        self.nonce += 1;
        let encoded = batch
            .upsert
            .iter()
            .map(|resource| weft_api::encode::resource(resource).bytes);
        let message = pb::ServerMsg {
            nonce: self.nonce,
            snapshot: self.nonce,
            upsert: encoded.chain(batch.raw).collect(),
            endpoints: batch.endpoints,
            removed: batch.removed.iter().map(ToString::to_string).collect(),
            answers: batch
                .answers
                .iter()
                .map(|(name, resource)| pb::Answer {
                    name: Some(weft_api::names::encode(name)),
                    resource: resource
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                })
                .collect(),
            done: batch.done,
            initial_sync_done: batch.initial_sync_done,
            go_away: None,
        };
        self.send(message).await;
        self.nonce
    }

    /// Sends a batch and waits until all of it is in force.
    ///
    /// # Panics
    /// When the proxy refuses a part.
    pub async fn push_acked(&mut self, batch: Batch) {
        let nonce = self.push(batch).await;
        let rejects = self.ack(nonce).await;
        assert!(rejects.is_empty(), "the proxy refused: {rejects:?}");
    }

    /// Asks the proxy to come back elsewhere.
    pub async fn go_away(&mut self, reconnect_within: Duration) {
        let go_away = pb::GoAway {
            reconnect_within: Some(weft_api::encode::duration(reconnect_within)),
            reason: "a test".to_owned(),
        };
        self.send(pb::ServerMsg {
            go_away: Some(go_away),
            ..pb::ServerMsg::default()
        })
        .await;
    }

    /// Sends any message.
    pub async fn send(&self, message: pb::ServerMsg) {
        self.replies
            .send(Ok(message))
            .await
            .expect("the proxy keeps the stream open");
    }

    /// Ends the stream with a status.
    pub async fn fail(self, status: Status) {
        // A proxy that is gone has nothing to be told.
        let _ = self.replies.send(Err(status)).await;
    }
}

struct IdentityService(Arc<Certify>);

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn certify(
        &self,
        request: Request<pb::CertifyRequest>,
    ) -> Result<Response<pb::CertifyResponse>, Status> {
        let certify = &self.0;
        certify.calls.fetch_add(1, Ordering::AcqRel);
        if let Some(status) = certify.refuse.lock().clone() {
            return Err(status);
        }
        let request = request.into_inner();
        let id = certify.known.lock().get(&request.token[..]).cloned();
        let id = id.ok_or_else(|| Status::unauthenticated("the token is not known"))?;
        let lifetime = *certify.lifetime.lock();
        let leaf = LeafRequest {
            csr_der: &request.csr_der,
            id: &id,
            lifetime,
        };
        let ca = certify.ca.ca();
        let signed = ca
            .sign(&leaf, SystemTime::now())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let not_after = signed
            .not_after
            .duration_since(UNIX_EPOCH)
            .expect("after the epoch");
        Ok(Response::new(pb::CertifyResponse {
            chain_der: signed.chain_der.into_iter().map(Bytes::from).collect(),
            not_after_unix: i64::try_from(not_after.as_secs()).expect("a time of this age"),
            trust: Some(weft_api::encode::trust(&ca.trust_bundle())),
        }))
    }
}

struct DiscoveryService {
    opened: mpsc::Sender<PushStream>,
}

#[tonic::async_trait]
impl Discovery for DiscoveryService {
    type StreamStream = ReceiverStream<Result<pb::ServerMsg, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<pb::ClientMsg>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let peer = request
            .extensions()
            .get::<tls::Peer>()
            .and_then(|peer| peer.0.clone());
        let peer = peer.ok_or_else(|| Status::unauthenticated("a certificate is required"))?;
        let (replies, receiver) = mpsc::channel(STREAM_BUFFER);
        let stream = PushStream {
            hello: pb::Hello::default(),
            peer,
            requests: request.into_inner(),
            replies,
            nonce: 0,
            waiting: VecDeque::new(),
        };
        let opened = self.opened.send(stream).await;
        opened.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[cfg(test)]
mod tests;
