//! pricing-service: `POST /calculate` adds up what items cost.

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
use crate::money::{CURRENCY, Cents};

/// From so many of one item on it is cheaper.
const BULK_FROM: u32 = 10;
/// By so much.
const BULK_PERCENT: u64 = 5;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(flatten)]
    item: Item,
    unit_cents: Cents,
    discount_cents: Cents,
    line_cents: Cents,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calculation {
    total_cents: Cents,
    currency: &'static str,
    lines: Vec<Line>,
}

pub(super) fn routes(app: &Arc<App>) -> Router {
    Router::new()
        .route("/calculate", post(calculate))
        .with_state(Arc::clone(app))
}

async fn calculate(
    State(app): State<Arc<App>>,
    JsonBody(Items { items }): JsonBody<Items>,
) -> Result<Response, Fault> {
    Ok(app.answer(StatusCode::OK, calculation(&items)?))
}

fn calculation(items: &[Item]) -> Result<Calculation, Fault> {
    items::check(items)?;
    let lines = items.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    let total_cents = lines
        .iter()
        .fold(Cents(0), |sum, line| sum.plus(line.line_cents));
    Ok(Calculation {
        total_cents,
        currency: CURRENCY,
        lines,
    })
}

fn line(item: &Item) -> Result<Line, Fault> {
    let unit_cents = item.product()?.price;
    let full = unit_cents.times(item.quantity);
    let percent = if item.quantity >= BULK_FROM {
        BULK_PERCENT
    } else {
        0
    };
    let discount_cents = full.percent(percent);
    Ok(Line {
        item: *item,
        unit_cents,
        discount_cents,
        line_cents: full.less(discount_cents),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(items: &[(u32, u32)], expected: Option<u64>) {
        let items: Vec<_> = items
            .iter()
            .map(|(product_id, quantity)| Item {
                product_id: *product_id,
                quantity: *quantity,
            })
            .collect();
        let total = calculation(&items)
            .ok()
            .map(|calculation| calculation.total_cents.0);
        assert_eq!(total, expected, "{items:?}");
    }

    #[test]
    fn totals() {
        check(&[(1, 1)], Some(1450));
        check(&[(1, 2), (2, 1)], Some(4190));
        check(&[(1, 9)], Some(13050));
        check(&[(1, 10)], Some(13775));
        check(&[(999, 1)], None);
        check(&[], None);
    }
}
