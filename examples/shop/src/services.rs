//! What each service does. A module per service; each builds its routes over one [`App`].

mod bff;
mod inventory;
mod items;
mod order;
mod payment;
mod pricing;
mod product;
mod user;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;

use crate::app::{App, annotate};
use crate::chaos;
use crate::drain::Phase;
use crate::extract::MAX_BODY;
use crate::fault::Fault;
use crate::proto::user_service_server::UserServiceServer;
use crate::service::Service;
use crate::store::StoreError;

/// The gRPC side of user-service.
pub(crate) type Grpc = UserServiceServer<user::grpc::Grpc>;

/// The routes of a service, and its gRPC if it has one.
pub(crate) fn build(app: &Arc<App>) -> Result<(Router, Option<Grpc>), StoreError> {
    let (own, grpc) = match app.config.service {
        Service::User => {
            let (routes, grpc) = user::build(app)?;
            (routes, Some(UserServiceServer::new(grpc)))
        }
        Service::Product => (product::routes(app), None),
        Service::Inventory => (inventory::routes(app), None),
        Service::Pricing => (pricing::routes(app), None),
        Service::Order => (order::routes(app)?, None),
        Service::Payment => (payment::routes(app)?, None),
        Service::WebBff => (bff::routes(app), None),
    };
    let common = Router::new()
        .route("/healthz", get(health))
        .route(
            "/chaos",
            get(chaos::show).post(chaos::turn).delete(chaos::reset),
        )
        .with_state(Arc::clone(app));
    // `own` has its layer before the merge, so chaos never reaches health or its own knobs.
    let router = own
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(app),
            chaos::layer,
        ))
        .merge(common)
        .fallback(|| async { Fault::NotFound("such path".to_owned()) })
        .method_not_allowed_fallback(|| async { Fault::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(app),
            annotate,
        ));
    Ok((router, grpc))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /healthz`: ready from the first request on, until the process was asked to end.
async fn health(State(app): State<Arc<App>>) -> Response {
    match app.drain.phase() {
        Phase::Serving => app.answer(StatusCode::OK, Health { status: "ok" }),
        Phase::Draining | Phase::Stopping => app.answer(
            StatusCode::SERVICE_UNAVAILABLE,
            Health { status: "draining" },
        ),
    }
}
