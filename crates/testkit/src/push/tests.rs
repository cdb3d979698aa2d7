//! The scripted control plane, against a proxy's side written by hand.

use super::*;
use hyper_util::rt::TokioIo;
use pb::client_msg::Msg;
use pb::discovery_client::DiscoveryClient;
use pb::identity_client::IdentityClient;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use weft_identity::alpn::Alpn;
use weft_identity::handshake::connect;
use weft_identity::leaf::{KeyPair, Leaf};
use weft_identity::store::IdentityStore;

use crate::mesh::id;

const TOKEN: &[u8] = b"32 random bytes";

/// Presents the store's leaf, or nothing while it has none.
async fn channel(server: &PushServer, store: &Arc<IdentityStore>) -> Channel {
    let addr = server.addr();
    let store = Arc::clone(store);
    let connector = tower::service_fn(move |_: http::Uri| {
        let store = Arc::clone(&store);
        async move {
            let expected = control_plane_id();
            let config = match store.leaf() {
                Some(_) => store.client_config(&expected, Alpn::Control),
                None => store.anonymous_client_config(&expected, Alpn::Control),
            };
            let stream = TcpStream::connect(addr).await?;
            let dialled = connect(config.map_err(std::io::Error::other)?, stream).await?;
            std::io::Result::Ok(TokioIo::new(dialled.stream))
        }
    });
    let endpoint = Endpoint::from_static("http://control.invalid");
    endpoint.connect_with_connector(connector).await.unwrap()
}

async fn certify(
    server: &PushServer,
    store: &Arc<IdentityStore>,
    token: &'static [u8],
) -> Result<Leaf, Status> {
    let key = KeyPair::generate().unwrap();
    let request = pb::CertifyRequest {
        token: token.into(),
        csr_der: key.csr_der(&id("ns", "any")).unwrap().into(),
        ttl: None,
    };
    let mut client = IdentityClient::new(channel(server, store).await);
    let reply = client.certify(request).await?.into_inner();
    let chain = reply.chain_der.iter().map(|der| der.to_vec()).collect();
    Ok(Leaf::new(chain, &key).unwrap())
}

#[tokio::test]
async fn certificates_are_for_those_who_are_known() {
    let ca = Arc::new(TestCa::new());
    let server = PushServer::start(Arc::clone(&ca)).await;
    let store = ca.store_without_leaf();
    assert_eq!(
        certify(&server, &store, TOKEN).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    server.admit(TOKEN, &id("production", "order"));
    server.leaf_lifetime(Duration::from_secs(60));
    let leaf = certify(&server, &store, TOKEN).await.unwrap();
    assert_eq!(leaf.id(), &id("production", "order"));
    assert!(leaf.not_after() <= SystemTime::now() + Duration::from_secs(60));
    server.refuse_certificates(Some(Status::unavailable("a test")));
    assert_eq!(
        certify(&server, &store, TOKEN).await.unwrap_err().code(),
        Code::Unavailable
    );
    assert_eq!(server.certify_calls(), 3);
}

#[tokio::test]
async fn a_stream_needs_a_certificate() {
    let ca = Arc::new(TestCa::new());
    let server = PushServer::start(Arc::clone(&ca)).await;
    let mut client = DiscoveryClient::new(channel(&server, &ca.store_without_leaf()).await);
    let status = client.stream(tokio_stream::iter([])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_test_plays_the_other_side() {
    let ca = Arc::new(TestCa::new());
    let mut server = PushServer::start(Arc::clone(&ca)).await;
    let store = ca.store(&id("production", "order"));
    let mut client = DiscoveryClient::new(channel(&server, &store).await);

    let (send, receive) = mpsc::channel(8);
    let say = async |msg| send.send(pb::ClientMsg { msg: Some(msg) }).await.unwrap();
    say(Msg::Hello(pb::Hello {
        workload: "production/order-0".to_owned(),
        ..Default::default()
    }))
    .await;
    let opening = client.stream(ReceiverStream::new(receive));
    let (mut stream, mut replies) = {
        let (stream, replies) = tokio::join!(server.accept(), opening);
        (stream, replies.unwrap().into_inner())
    };
    assert_eq!(stream.hello.workload, "production/order-0");
    assert_eq!(stream.peer.id, id("production", "order"));

    // An Ack that comes before the Subscribe waits for its turn.
    say(Msg::Ack(pb::Ack {
        nonce: 1,
        rejects: Vec::new(),
    }))
    .await;
    let names = vec![weft_api::names::encode(&Name::Trust)];
    say(Msg::Subscribe(pb::Subscribe { names, corr: 7 })).await;
    assert_eq!(stream.subscribe().await, (vec![Name::Trust], 7));
    stream
        .push_acked(Batch {
            upsert: vec![Resource::Trust(ca.bundle())],
            answers: vec![
                (Name::Trust, Some(ResourceName::Trust)),
                (Name::Inbound(1), None),
            ],
            done: vec![7],
            initial_sync_done: true,
            ..Batch::default()
        })
        .await;
    let message = replies.message().await.unwrap().unwrap();
    assert_eq!((message.nonce, message.done), (1, vec![7]));
    assert_eq!(message.upsert.len(), 1);
    assert_eq!(message.answers.last().unwrap().resource, "");

    stream.go_away(Duration::from_secs(1)).await;
    assert!(replies.message().await.unwrap().unwrap().go_away.is_some());
    stream.fail(Status::aborted("over")).await;
    assert_eq!(replies.message().await.unwrap_err().code(), Code::Aborted);
}
