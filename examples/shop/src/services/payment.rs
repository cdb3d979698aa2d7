//! payment-service: `POST /api/payments/{id}` takes the money for order `id`, `GET` shows it.
//!
//! A payment that comes again (a retry of the mesh, or of a caller) is answered as the first time
//! and charged once. Version 2 is the same program with a risk score in its reply; each version keeps
//! its own file.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::extract::{Id, JsonBody};
use crate::fault::Fault;
use crate::money::{CURRENCY, Cents};
use crate::store::{Store, StoreError};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS payments (
    order_id INTEGER PRIMARY KEY,
    amount_cents INTEGER NOT NULL)";
/// What no card of a customer of this shop carries.
const MAX_AMOUNT: Cents = Cents(500_000);
/// The oldest payments make room for new ones.
const KEPT: i64 = 20_000;
/// How often, in payments, room is made.
const PRUNE_EVERY: i64 = 500;
/// The version from which on replies carry a risk score.
const SCORING_VERSION: &str = "v2";

struct Payments {
    app: Arc<App>,
    ledger: Ledger,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Charge {
    amount_cents: Cents,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Paid {
    payment_id: String,
    order_id: i64,
    amount_cents: Cents,
    currency: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<u64>,
}

pub(super) fn routes(app: &Arc<App>) -> Result<Router, StoreError> {
    let name = format!("{}-{}", app.me.service, app.me.version);
    let ledger = Ledger::open(app.config.data_dir.as_deref(), &name)?;
    let payments = Arc::new(Payments {
        app: Arc::clone(app),
        ledger,
    });
    Ok(Router::new()
        .route("/api/payments/{id}", post(pay).get(show))
        .with_state(payments))
}

async fn pay(
    State(payments): State<Arc<Payments>>,
    Id(order): Id<i64>,
    JsonBody(Charge { amount_cents }): JsonBody<Charge>,
) -> Result<Response, Fault> {
    if amount_cents == Cents(0) || amount_cents > MAX_AMOUNT {
        let Cents(limit) = MAX_AMOUNT;
        let why = format!("{} cents are not between 1 and {limit}", amount_cents.0);
        return Err(Fault::PaymentDeclined(why));
    }
    let fresh = payments.ledger.charge(order, amount_cents)?;
    let status = if fresh {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(payments
        .app
        .answer(status, payments.paid(order, amount_cents)))
}

async fn show(
    State(payments): State<Arc<Payments>>,
    Id(order): Id<i64>,
) -> Result<Response, Fault> {
    let amount = payments.ledger.charged(order)?;
    let amount = amount.ok_or_else(|| Fault::NotFound(format!("payment for order {order}")))?;
    Ok(payments
        .app
        .answer(StatusCode::OK, payments.paid(order, amount)))
}

impl Payments {
    fn paid(&self, order_id: i64, amount_cents: Cents) -> Paid {
        let scores = self.app.me.version == SCORING_VERSION;
        Paid {
            payment_id: format!("pay-{order_id}"),
            order_id,
            amount_cents,
            currency: CURRENCY,
            status: "PAID",
            risk: scores.then_some(amount_cents.0.saturating_mul(100) / MAX_AMOUNT.0),
        }
    }
}

/// What was paid for each order.
struct Ledger(Store);

impl Ledger {
    fn open(folder: Option<&Path>, name: &str) -> Result<Self, StoreError> {
        Store::open(folder, name, SCHEMA).map(Self)
    }

    /// Takes the money once. Returns whether it was taken now.
    fn charge(&self, order: i64, Cents(amount): Cents) -> Result<bool, Fault> {
        let added = self.0.lock().execute(
            "INSERT OR IGNORE INTO payments (order_id, amount_cents) VALUES (?1, ?2)",
            params![order, amount],
        )?;
        if added == 0 {
            let earlier = self.charged(order)?;
            if earlier != Some(Cents(amount)) {
                let what = format!("order {order} was paid with another amount");
                return Err(Fault::Conflict(what));
            }
        } else if order % PRUNE_EVERY == 0 {
            self.0.lock().execute(
                "DELETE FROM payments WHERE order_id <
                 (SELECT order_id FROM payments ORDER BY order_id DESC LIMIT 1 OFFSET ?1)",
                params![KEPT],
            )?;
        }
        Ok(added > 0)
    }

    fn charged(&self, order: i64) -> Result<Option<Cents>, Fault> {
        let sql = "SELECT amount_cents FROM payments WHERE order_id = ?1";
        let row = self
            .0
            .lock()
            .query_row(sql, params![order], |row| row.get(0));
        Ok(row.optional()?.map(Cents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_once() {
        let ledger = Ledger::open(None, "payments").unwrap();
        assert!(ledger.charge(7, Cents(100)).unwrap());
        assert!(!ledger.charge(7, Cents(100)).unwrap());
        assert!(matches!(
            ledger.charge(7, Cents(200)),
            Err(Fault::Conflict(_))
        ));
        assert_eq!(ledger.charged(7).unwrap(), Some(Cents(100)));
        assert_eq!(ledger.charged(8).unwrap(), None);
    }

    #[test]
    fn keeps_the_newest() {
        let ledger = Ledger::open(None, "payments").unwrap();
        let last = 2 * KEPT;
        ledger.0.lock().execute_batch("BEGIN").unwrap();
        for order in 1..=last {
            ledger.charge(order, Cents(1)).unwrap();
        }
        ledger.0.lock().execute_batch("COMMIT").unwrap();
        assert_eq!(ledger.charged(1).unwrap(), None);
        assert_eq!(ledger.charged(last).unwrap(), Some(Cents(1)));
        let sql = "SELECT count(*) FROM payments";
        let rows: i64 = ledger
            .0
            .lock()
            .query_row(sql, [], |row| row.get(0))
            .unwrap();
        assert!((KEPT..=KEPT + PRUNE_EVERY).contains(&rows), "{rows}");
    }
}
