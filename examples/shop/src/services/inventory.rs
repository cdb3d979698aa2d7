//! inventory-service: `POST /check` says whether items are in stock. Nothing is reserved, so that
//! three replicas need no common state.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use serde::Serialize;

use super::items::{self, Item, Items};
use crate::app::App;
use crate::extract::JsonBody;
use crate::fault::Fault;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(flatten)]
    item: Item,
    in_stock: u32,
    available: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Availability {
    all_available: bool,
    items: Vec<Line>,
}

pub(super) fn routes(app: &Arc<App>) -> Router {
    Router::new()
        .route("/check", post(check))
        .with_state(Arc::clone(app))
}

async fn check(
    State(app): State<Arc<App>>,
    JsonBody(Items { items }): JsonBody<Items>,
) -> Result<Response, Fault> {
    Ok(app.answer(StatusCode::OK, availability(&items)?))
}

fn availability(items: &[Item]) -> Result<Availability, Fault> {
    items::check(items)?;
    let line = |item: &Item| {
        let in_stock = item.product()?.stock;
        Ok(Line {
            item: *item,
            in_stock,
            available: item.quantity <= in_stock,
        })
    };
    let items = items.iter().map(line).collect::<Result<Vec<_>, Fault>>()?;
    Ok(Availability {
        all_available: items.iter().all(|line| line.available),
        items,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(items: &[(u32, u32)], expected: Option<bool>) {
        let items: Vec<_> = items
            .iter()
            .map(|(product_id, quantity)| Item {
                product_id: *product_id,
                quantity: *quantity,
            })
            .collect();
        let all = availability(&items)
            .ok()
            .map(|availability| availability.all_available);
        assert_eq!(all, expected, "{items:?}");
    }

    #[test]
    fn all_or_not() {
        check(&[(1, 1)], Some(true));
        check(&[(1, 1), (2, 99)], Some(true));
        check(&[(1, 1), (8, 1)], Some(false));
        check(&[(999, 1)], None);
        check(&[], None);
    }
}
