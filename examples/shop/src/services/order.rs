//! order-service: places orders by asking user-, inventory-, pricing- and payment-service in turn,
//! and keeps them. Every reply to `POST /orders` lists the hops, a failed one as well.

mod flow;
mod table;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use self::table::{Order, Orders};
use super::items::Item;
use crate::app::App;
use crate::extract::{Id, JsonBody, Params};
use crate::fault::{Failure, Fault};
use crate::hops::{Hop, Trail};
use crate::store::StoreError;

/// The longest list of orders.
const MAX_LIST: u32 = 50;
/// The list that one gets without asking.
const LIST: u32 = 20;

struct OrderState {
    app: Arc<App>,
    orders: Orders,
}

/// What a customer wants.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    user_id: i32,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Placed {
    #[serde(flatten)]
    order: Order,
    payment: flow::Payment,
    hops: Vec<Hop>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListParams {
    user_id: Option<i32>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct List {
    orders: Vec<Order>,
}

pub(super) fn routes(app: &Arc<App>) -> Result<Router, StoreError> {
    let orders = Orders::open(app.config.data_dir.as_deref(), app.me.service)?;
    let state = Arc::new(OrderState {
        app: Arc::clone(app),
        orders,
    });
    Ok(Router::new()
        .route("/orders", post(place).get(list))
        .route("/orders/{id}", get(show))
        .with_state(state))
}

async fn place(
    State(state): State<Arc<OrderState>>,
    trail: Trail,
    JsonBody(new): JsonBody<NewOrder>,
) -> Result<Response, Failure> {
    match flow::create_order(&state, &trail, &new).await {
        Ok((order, payment)) => {
            let placed = Placed {
                order,
                payment,
                hops: trail.into_hops(),
            };
            Ok(state.app.answer(StatusCode::CREATED, placed))
        }
        Err(fault) => Err(Failure::after(trail, fault)),
    }
}

async fn list(
    State(state): State<Arc<OrderState>>,
    Params(params): Params<ListParams>,
) -> Result<Response, Fault> {
    let limit = params.limit.unwrap_or(LIST).min(MAX_LIST);
    let orders = state.orders.newest(params.user_id, limit)?;
    Ok(state.app.answer(StatusCode::OK, List { orders }))
}

async fn show(State(state): State<Arc<OrderState>>, Id(id): Id<i64>) -> Result<Response, Fault> {
    let order = state.orders.find(id)?;
    let order = order.ok_or_else(|| Fault::NotFound(format!("order {id}")))?;
    Ok(state.app.answer(StatusCode::OK, order))
}
