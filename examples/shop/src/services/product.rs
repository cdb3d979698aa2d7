//! product-service, version 1: names and prices. Version 2 is `python/product_service.py`, with the
//! same paths and richer replies.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;

use crate::app::App;
use crate::catalogue::{self, Product};
use crate::extract::Id;
use crate::fault::Fault;
use crate::money::{CURRENCY, Cents};

/// A product as version 1 tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: u32,
    name: &'static str,
    price_cents: Cents,
    currency: &'static str,
}

#[derive(Serialize)]
struct List {
    products: Vec<View>,
}

impl From<&'static Product> for View {
    fn from(product: &'static Product) -> Self {
        Self {
            id: product.id,
            name: &product.name,
            price_cents: product.price,
            currency: CURRENCY,
        }
    }
}

pub(super) fn routes(app: &Arc<App>) -> Router {
    Router::new()
        .route("/products", get(list))
        .route("/products/{id}", get(show))
        .with_state(Arc::clone(app))
}

async fn list(State(app): State<Arc<App>>) -> Response {
    let products = catalogue::all().iter().map(View::from).collect();
    app.answer(StatusCode::OK, List { products })
}

async fn show(State(app): State<Arc<App>>, Id(id): Id<u32>) -> Result<Response, Fault> {
    let product = catalogue::find(id).ok_or_else(|| Fault::NotFound(format!("product {id}")))?;
    Ok(app.answer(StatusCode::OK, View::from(product)))
}
