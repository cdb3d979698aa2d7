//! One running service: its listeners, its routes, and its end.
//!
//! Bind first, serve later, so that a test (and a log line) knows the port before the first request.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

use crate::app::App;
use crate::config::{Candidates, Config};
use crate::drain::DrainWatch;
use crate::service::Service;
use crate::services::{self, Grpc};
pub use crate::store::StoreError;
use crate::task;

/// How long requests in flight may take once the process stops.
const FINISH: Duration = Duration::from_secs(10);

/// Why a service does not start, or no longer runs.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// None of the addresses can be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// No address was given.
    #[error("no address to listen on")]
    NoAddress,
    /// Its storage does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP server ended by itself.
    #[error("the HTTP server ended: {0}")]
    Http(#[source] std::io::Error),
    /// The gRPC server ended by itself.
    #[error("the gRPC server ended: {0}")]
    Grpc(#[source] tonic::transport::Error),
}

/// A service that listens and does not serve yet.
#[derive(Debug)]
pub struct Server {
    http: TcpListener,
    grpc: Option<(TcpListener, Grpc)>,
    router: Router,
    drain: DrainWatch,
}

impl Server {
    /// Opens listeners and storage.
    ///
    /// # Errors
    /// An address is taken, or the storage does not open.
    pub async fn bind(config: Config, drain: DrainWatch) -> Result<Self, ServerError> {
        let http = listen(&config.http).await?;
        let grpc_listener = match config.service {
            Service::User => Some(listen(&config.grpc).await?),
            Service::Product
            | Service::Inventory
            | Service::Pricing
            | Service::Order
            | Service::Payment
            | Service::WebBff => None,
        };
        let app = App::new(config, drain.clone());
        let (router, grpc) = services::build(&app)?;
        tracing::info!(
            service = app.me.service,
            version = %app.me.version,
            instance = %app.me.instance,
            http = ?http.local_addr().ok(),
            grpc = ?grpc_listener.as_ref().and_then(|listener| listener.local_addr().ok()),
            "listening"
        );
        Ok(Self {
            http,
            grpc: grpc_listener.zip(grpc),
            router,
            drain,
        })
    }

    /// Where the HTTP listener is.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn http_address(&self) -> std::io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// Where the gRPC listener is, if there is one.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc
            .as_ref()
            .and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Serves until the drain watch says stop, then finishes what is in flight, in bounded time.
    ///
    /// # Errors
    /// A server ended by itself.
    pub async fn serve(self) -> Result<(), ServerError> {
        let Self {
            http,
            grpc,
            router,
            drain,
        } = self;
        let http = http.tap_io(|stream| {
            // Without it a small reply may wait for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
        });
        let web = axum::serve(http, router).with_graceful_shutdown(drain.clone().stopping());
        let web = task::spawn("http", async move { web.await.map_err(ServerError::Http) });
        let rpc = grpc.map(|(listener, service)| {
            let stopping = drain.clone().stopping();
            task::spawn("grpc", serve_grpc(listener, service, stopping))
        });
        let rpc = async {
            match rpc {
                Some(rpc) => flatten(rpc).await,
                None => Ok(()),
            }
        };
        let work = async { tokio::try_join!(flatten(web), rpc).map(|_| ()) };
        let deadline = async {
            drain.stopping().await;
            tokio::time::sleep(FINISH).await;
        };
        tokio::select! {
            result = work => result,
            () = deadline => {
                tracing::warn!(seconds = FINISH.as_secs(), "requests were still in flight");
                Ok(())
            }
        }
    }
}

async fn serve_grpc(
    listener: TcpListener,
    service: Grpc,
    stopping: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stopping,
        )
        .await
        .map_err(ServerError::Grpc)
}

/// The outcome of a task; one that panicked has logged it and ends like one that finished.
async fn flatten(
    task: tokio::task::JoinHandle<Result<(), ServerError>>,
) -> Result<(), ServerError> {
    task.await.unwrap_or(Ok(()))
}

/// Listens on the first address that the machine has.
async fn listen(candidates: &Candidates) -> Result<TcpListener, ServerError> {
    let mut failure = ServerError::NoAddress;
    for address in candidates {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = ServerError::Listen(*address, error),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(&vec![address]).await.unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }

    #[tokio::test]
    async fn the_first_address_that_works_is_taken() {
        let foreign = "192.0.2.1:0".parse().unwrap();
        let candidates = vec![foreign, "127.0.0.1:0".parse().unwrap()];
        let listener = listen(&candidates).await.unwrap();
        assert!(listener.local_addr().unwrap().ip().is_loopback());
    }
}
