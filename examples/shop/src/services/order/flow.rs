//! How an order comes about: is the user active, are the items there, what do they cost, keep the
//! order, have it paid. One after the other, so that each step has its hop and its failure.

use serde::{Deserialize, Serialize};

use super::table::{Order, Status};
use super::{NewOrder, OrderState};
use crate::app::Answer;
use crate::fault::Fault;
use crate::hops::Trail;
use crate::money::Cents;
use crate::service::Service;
use crate::services::items::{self, Items};

/// What the flow needs to know of a user.
#[derive(Deserialize)]
struct User {
    active: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Availability {
    all_available: bool,
    items: Vec<Stock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stock {
    product_id: u32,
    available: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pricing {
    total_cents: Cents,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Charge {
    amount_cents: Cents,
}

/// The payment of an order, as payment-service answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    payment_id: String,
    status: String,
    /// Which version of payment-service took the money.
    version: String,
    /// Which process of it.
    instance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    risk: Option<u64>,
}

/// Places the order. What is refused before payment leaves nothing behind; an order whose payment
/// fails stays, and says so.
pub(super) async fn create_order(
    state: &OrderState,
    trail: &Trail,
    new: &NewOrder,
) -> Result<(Order, Payment), Fault> {
    items::check(&new.items)?;
    let app = &state.app;

    let path = format!("/users/{}", new.user_id);
    let user: User = agreed(app.get(trail, Service::User, &path).await?)?;
    if !user.active {
        return Err(Fault::UserInactive(new.user_id));
    }

    let items = Items {
        items: new.items.clone(),
    };
    let stock: Availability = agreed(
        app.post(trail, Service::Inventory, "/check", &items)
            .await?,
    )?;
    if !stock.all_available {
        return Err(Fault::ItemsUnavailable(missing(&stock.items)));
    }

    let pricing: Pricing = agreed(
        app.post(trail, Service::Pricing, "/calculate", &items)
            .await?,
    )?;

    let id = state
        .orders
        .add(new.user_id, &new.items, pricing.total_cents)?;
    let charge = Charge {
        amount_cents: pricing.total_cents,
    };
    let path = format!("/api/payments/{id}");
    let paid = match app
        .post::<Payment>(trail, Service::Payment, &path, &charge)
        .await
    {
        Ok(Answer::Value(payment)) => Ok(payment),
        Ok(Answer::Refusal(_, words)) => Err(Fault::PaymentDeclined(words)),
        Err(fault) => Err(fault),
    };
    let status = if paid.is_ok() {
        Status::Confirmed
    } else {
        Status::PaymentFailed
    };
    let order = state.orders.settle(id, status)?;
    paid.map(|payment| (order, payment))
}

/// The value, or the refusal as one of ours: the customer asked for something that is not there.
fn agreed<T>(answer: Answer<T>) -> Result<T, Fault> {
    match answer {
        Answer::Value(value) => Ok(value),
        Answer::Refusal(http::StatusCode::NOT_FOUND, words) => {
            let what = words.strip_prefix("there is no ").unwrap_or(&words);
            Err(Fault::NotFound(what.to_owned()))
        }
        Answer::Refusal(_, words) => Err(Fault::Invalid(words)),
    }
}

fn missing(items: &[Stock]) -> String {
    let products = items.iter().filter(|stock| !stock.available);
    products
        .map(|stock| format!("product {}", stock.product_id))
        .collect::<Vec<_>>()
        .join(", ")
}
