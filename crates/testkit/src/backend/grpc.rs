//! A gRPC server with a method in each of the four shapes. See `proto/echo.proto`.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};
use weft_runtime::task::{self, AbortOnDrop};

use crate::ANY_PORT;

/// The generated messages, client and server.
#[allow(
    missing_docs,
    unreachable_pub,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::use_self,
    reason = "generated from proto/echo.proto, which documents itself"
)]
pub mod pb {
    tonic::include_proto!("weft.testkit");
}

use pb::Payload;
use pb::echo_server::{Echo, EchoServer};

/// The service's full name, the first half of its paths.
pub const SERVICE: &str = "weft.testkit.Echo";

/// Messages in flight of a stream.
const STREAM_BUFFER: usize = 16;

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicUsize,
    messages: AtomicUsize,
}

/// A server on loopback. Ends when dropped.
#[derive(Debug)]
pub struct GrpcBackend {
    addr: SocketAddr,
    counters: Arc<Counters>,
    _serving: AbortOnDrop<()>,
}

impl GrpcBackend {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.expect("a loopback port");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let counters = Arc::new(Counters::default());
        let service = EchoServer::new(Service {
            counters: Arc::clone(&counters),
        })
        .max_decoding_message_size(64 * 1024 * 1024);
        let serving = task::spawn("test-grpc-backend", async move {
            let incoming = TcpListenerStream::new(listener);
            // It ends by being dropped.
            let _ = tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming)
                .await;
        });
        Self {
            addr,
            counters,
            _serving: serving.abort_on_drop(),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.counters.calls.load(Ordering::Acquire)
    }

    /// Messages received so far.
    pub fn messages(&self) -> usize {
        self.counters.messages.load(Ordering::Acquire)
    }
}

struct Service {
    counters: Arc<Counters>,
}

impl Service {
    fn call(&self) {
        self.counters.calls.fetch_add(1, Ordering::AcqRel);
    }
}

/// Counts a message; fails if it says so.
fn take(counters: &Counters, payload: Payload) -> Result<Payload, Status> {
    counters.messages.fetch_add(1, Ordering::AcqRel);
    match payload.fail_with {
        0 => Ok(payload),
        code => Err(Status::new(Code::from_i32(code), "told to fail")),
    }
}

#[tonic::async_trait]
impl Echo for Service {
    async fn unary(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        self.call();
        Ok(Response::new(take(&self.counters, request.into_inner())?))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Payload>, Status> {
        self.call();
        let mut requests = request.into_inner();
        let mut data = Vec::new();
        while let Some(payload) = requests.message().await? {
            data.extend_from_slice(&take(&self.counters, payload)?.data);
        }
        Ok(Response::new(Payload {
            data: data.into(),
            ..Payload::default()
        }))
    }

    type ServerStreamStream = Pin<Box<dyn Stream<Item = Result<Payload, Status>> + Send>>;

    async fn server_stream(
        &self,
        request: Request<Payload>,
    ) -> Result<Response<Self::ServerStreamStream>, Status> {
        self.call();
        let payload = take(&self.counters, request.into_inner())?;
        let repeat = usize::try_from(payload.repeat).unwrap_or(usize::MAX);
        let replies = tokio_stream::iter(std::iter::repeat_n(payload, repeat).map(Ok));
        Ok(Response::new(Box::pin(replies)))
    }

    type BidiStreamStream = ReceiverStream<Result<Payload, Status>>;

    async fn bidi_stream(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Self::BidiStreamStream>, Status> {
        self.call();
        let mut requests = request.into_inner();
        let counters = Arc::clone(&self.counters);
        let (replies, receiver) = tokio::sync::mpsc::channel(STREAM_BUFFER);
        task::spawn("test-grpc-stream", async move {
            while let Some(request) = requests.next().await {
                let reply = request.and_then(|payload| take(&counters, payload));
                let failed = reply.is_err();
                if replies.send(reply).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pb::echo_client::EchoClient;

    fn payload(data: &'static str) -> Payload {
        Payload {
            data: data.as_bytes().into(),
            ..Payload::default()
        }
    }

    #[tokio::test]
    async fn the_four_shapes_answer() {
        let backend = GrpcBackend::start().await;
        let mut client = EchoClient::connect(format!("http://{}", backend.addr()))
            .await
            .unwrap();
        let reply = client.unary(payload("a")).await.unwrap().into_inner();
        assert_eq!(reply.data, "a");
        let requests = tokio_stream::iter([payload("a"), payload("b")]);
        let reply = client.client_stream(requests).await.unwrap().into_inner();
        assert_eq!(reply.data, "ab");
        let request = Payload {
            repeat: 3,
            ..payload("c")
        };
        let replies = client.server_stream(request).await.unwrap().into_inner();
        assert_eq!(replies.collect::<Vec<_>>().await.len(), 3);
        let requests = tokio_stream::iter([payload("d"), payload("e")]);
        let replies = client.bidi_stream(requests).await.unwrap().into_inner();
        assert_eq!(replies.collect::<Vec<_>>().await.len(), 2);
        let failing = Payload {
            fail_with: Code::NotFound as i32,
            ..payload("f")
        };
        assert_eq!(
            client.unary(failing).await.unwrap_err().code(),
            Code::NotFound
        );
        assert_eq!((backend.calls(), backend.messages()), (5, 7));
    }
}
