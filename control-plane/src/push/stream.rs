//! One proxy's stream: moves the session's messages, admits the proxy, ends in order.
//!
//! A proxy proves its ServiceAccount by its certificate and says which instance it stands beside; the instance must run
//! under that ServiceAccount. One that is not known yet is held: nothing is sent, and the proxy says that it waits.

use super::{
    listen::Peer,
    session::{Session, TooManyNames},
    wire,
};
use crate::{
    hub::{Admission, Hub},
    metrics::{Metrics, ReasonLabels, StreamLabels},
    status::proxies::StreamId,
};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weft_api::{SCHEMA, pb, pb::client_msg::Msg, pb::discovery_server::Discovery};
use weft_model::{identity::SpiffeId, workload::WorkloadName};
use weft_runtime::{drain::DrainWatch, task};

/// Time for the first message.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Resources that a reconnecting proxy brought along and has not asked for again after this are removed.
const CLAIM_WITHIN: Duration = Duration::from_secs(10);
/// A proxy that is told to go comes back within this time, at a moment of its own choice.
const RECONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Messages that may wait for the transport: one batch is in flight at most, and a farewell.
const OUTGOING: usize = 4;

/// The service.
#[derive(Debug, Clone)]
pub struct DiscoveryService {
    /// What is pushed.
    pub hub: Arc<Hub>,
    /// What is counted.
    pub metrics: Metrics,
    /// Ends every stream in order.
    pub drain: DrainWatch,
}

#[tonic::async_trait]
impl Discovery for DiscoveryService {
    type StreamStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<pb::ServerMsg, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<Streaming<pb::ClientMsg>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let identity = request
            .extensions()
            .get::<Peer>()
            .and_then(|it| it.identity.clone());
        let Some(identity) = identity else {
            self.refuse("no_certificate");
            return Err(Status::unauthenticated(
                "Discovery needs a certificate of the mesh",
            ));
        };
        let (send, receive) = mpsc::channel(OUTGOING);
        let service = self.clone();
        task::spawn("discovery-stream", async move {
            let guard = service.drain.guard();
            if let Err(status) = service.serve(identity, request.into_inner(), &send).await {
                // The proxy may be gone already.
                let _ = send.send(Err(status)).await;
            }
            drop(guard);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receive))))
    }
}

/// How a stream's loop goes on.
enum Turn {
    Continue,
    End,
}

impl DiscoveryService {
    fn refuse(&self, reason: &'static str) {
        self.metrics
            .streams_refused
            .get_or_create(&ReasonLabels { reason })
            .inc();
    }

    async fn serve(
        &self,
        identity: SpiffeId,
        mut incoming: Streaming<pb::ClientMsg>,
        send: &mpsc::Sender<Result<pb::ServerMsg, Status>>,
    ) -> Result<(), Status> {
        let (workload, session) = self.hello(&mut incoming).await?;
        let mut stream = ProxyStream {
            service: self,
            identity,
            workload,
            session,
            id: None,
            claim_until: Instant::now() + CLAIM_WITHIN,
            gauge: Gauge::default(),
        };
        let result = stream.run(incoming, send).await;
        stream.end();
        result
    }

    async fn hello(
        &self,
        incoming: &mut Streaming<pb::ClientMsg>,
    ) -> Result<(WorkloadName, Session), Status> {
        let first = tokio::time::timeout(HELLO_WITHIN, incoming.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no Hello"))??;
        let Some(Msg::Hello(hello)) = first.and_then(|it| it.msg) else {
            self.refuse("no_hello");
            return Err(Status::invalid_argument("the first message must be Hello"));
        };
        if hello.schema != SCHEMA {
            self.refuse("schema");
            return Err(Status::failed_precondition(format!(
                "schema {} is not spoken here, only {SCHEMA}",
                hello.schema
            )));
        }
        let workload =
            hello
                .workload
                .parse()
                .map_err(|error: weft_model::workload::WorkloadNameError| {
                    self.refuse("no_workload");
                    Status::invalid_argument(error.to_string())
                })?;
        Ok((workload, Session::new(wire::known(&hello.known))))
    }
}

/// Counts a stream while it is there.
#[derive(Debug, Default)]
struct Gauge(Option<(Metrics, &'static str)>);

impl Gauge {
    fn set(&mut self, metrics: &Metrics, state: &'static str) {
        if self.0.as_ref().is_some_and(|(_, it)| *it == state) {
            return;
        }
        *self = Self(Some((metrics.clone(), state)));
        metrics.streams.get_or_create(&StreamLabels { state }).inc();
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        if let Some((metrics, state)) = self.0.take() {
            metrics.streams.get_or_create(&StreamLabels { state }).dec();
        }
    }
}

struct ProxyStream<'a> {
    service: &'a DiscoveryService,
    identity: SpiffeId,
    workload: WorkloadName,
    session: Session,
    /// None while the workload is not known.
    id: Option<StreamId>,
    claim_until: Instant,
    gauge: Gauge,
}

impl ProxyStream<'_> {
    async fn run(
        &mut self,
        mut incoming: Streaming<pb::ClientMsg>,
        send: &mpsc::Sender<Result<pb::ServerMsg, Status>>,
    ) -> Result<(), Status> {
        let mut changes = self.service.hub.changes();
        self.admit()?;
        loop {
            if let Some(id) = self.id
                && !self.service.hub.is_current(&self.workload, id)
            {
                return Err(Status::aborted("a newer stream of this workload is open"));
            }
            self.push(send).await?;
            let turn = tokio::select! {
                message = incoming.message() => match message? {
                    Some(message) => self.receive(message)?,
                    None => Turn::End,
                },
                changed = changes.changed() => {
                    if changed.is_err() { return Ok(()) }
                    self.admit()?;
                    self.session.changed();
                    Turn::Continue
                }
                () = tokio::time::sleep_until(self.claim_until), if self.session.has_unclaimed() => {
                    self.session.drop_unclaimed();
                    Turn::Continue
                }
                () = self.service.drain.signaled() => {
                    let farewell = wire::go_away("the controller ends", RECONNECT_WITHIN);
                    // The proxy may be gone already.
                    let _ = send.send(Ok(farewell)).await;
                    Turn::End
                }
            };
            if matches!(turn, Turn::End) {
                return Ok(());
            }
        }
    }

    /// Is the workload known, and does it run under the caller's ServiceAccount?
    fn admit(&mut self) -> Result<(), Status> {
        let service = self.service;
        match service.hub.admit(&self.workload, &self.identity) {
            Admission::Admitted => {
                if self.id.is_none() {
                    self.id = Some(service.hub.connect(&self.workload));
                    self.gauge.set(&service.metrics, "serving");
                    tracing::info!(workload = %self.workload, "proxy connected");
                }
                Ok(())
            }
            Admission::Unknown => {
                if self.id.take().is_none() {
                    tracing::info!(workload = %self.workload, "proxy waits: its workload is not known yet");
                }
                self.gauge.set(&service.metrics, "held");
                Ok(())
            }
            Admission::Refused => {
                service.refuse("identity");
                tracing::warn!(
                    workload = %self.workload,
                    identity = %self.identity,
                    "stream refused: the workload does not run under this identity"
                );
                Err(Status::permission_denied(format!(
                    "{} does not run under {}",
                    self.workload, self.identity
                )))
            }
        }
    }

    async fn push(
        &mut self,
        send: &mpsc::Sender<Result<pb::ServerMsg, Status>>,
    ) -> Result<(), Status> {
        let Some(id) = self.id else { return Ok(()) };
        let hub = &self.service.hub;
        if let Some((batch, snapshot)) = hub.next(&self.workload, &mut self.session) {
            let metrics = &self.service.metrics;
            let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
            metrics.batches.inc();
            metrics
                .resources
                .inc_by(count(batch.upsert.len() + batch.deltas.len()));
            metrics.resource_bytes.inc_by(count(
                batch.upsert.iter().map(|it| it.encoded.bytes.len()).sum(),
            ));
            if send.send(Ok(wire::batch(&batch, snapshot))).await.is_err() {
                return Err(Status::cancelled("the proxy is gone"));
            }
        }
        hub.report(&self.workload, id, &self.session);
        Ok(())
    }

    fn receive(&mut self, message: pb::ClientMsg) -> Result<Turn, Status> {
        match message.msg {
            Some(Msg::Subscribe(it)) => {
                let names = wire::subscribed(&it.names);
                self.session
                    .subscribe(&names, it.corr)
                    .map_err(|error: TooManyNames| Status::resource_exhausted(error.to_string()))?;
            }
            Some(Msg::Unsubscribe(it)) => self.session.unsubscribe(&wire::subscribed(&it.names)),
            Some(Msg::Ack(ack)) => {
                for (name, rejected) in self
                    .session
                    .acknowledge(ack.nonce, &wire::rejections(&ack.rejects))
                {
                    self.service.metrics.rejections.inc();
                    tracing::warn!(
                        workload = %self.workload,
                        resource = %name,
                        field = rejected.field,
                        reason = rejected.reason,
                        "the proxy refuses a resource and keeps what it had"
                    );
                }
            }
            Some(Msg::Hello(_)) => return Err(Status::invalid_argument("Hello was said already")),
            // A message of a newer schema that asks for nothing known here.
            None => {}
        }
        Ok(Turn::Continue)
    }

    fn end(&mut self) {
        if let Some(id) = self.id.take() {
            self.service.hub.disconnect(&self.workload, id);
            tracing::info!(workload = %self.workload, "proxy disconnected");
        }
    }
}
