//! web-bff: the storefront page and what it asks for. It keeps nothing and decides nothing; it
//! gathers replies of the others, users by gRPC and the rest as JSON.

mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use self::users::Users;
use crate::app::{Answer, App};
use crate::extract::{Id, JsonBody};
use crate::fault::{Failure, Fault};
use crate::hops::{Hop, Trail};
use crate::service::Service;

/// The page: one file, nothing loaded from elsewhere.
const PAGE: &str = include_str!("bff/page.html");
/// Which the browser is told to insist on.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src \
     'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// How many orders the dashboard shows.
const RECENT_ORDERS: usize = 5;
/// How many products it recommends.
const RECOMMENDED: usize = 4;

struct Bff {
    app: Arc<App>,
    users: Users,
}

/// A reply of another service, passed on with the hops that it took.
#[derive(Serialize)]
struct Passed {
    #[serde(flatten)]
    reply: Value,
    hops: Vec<Hop>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dashboard {
    user: users::User,
    recent_orders: Value,
    recommendations: Value,
    /// Parts that are left out because their service failed.
    degraded: Vec<&'static str>,
    hops: Vec<Hop>,
}

pub(super) fn routes(app: &Arc<App>) -> Router {
    let users = Users::new(&app.config.upstreams.user_grpc, app.config.call_timeout);
    let bff = Arc::new(Bff {
        app: Arc::clone(app),
        users,
    });
    Router::new()
        .route("/", get(page))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .route("/api/products", get(products))
        .route("/api/products/{id}", get(product))
        .route("/api/users/{id}", get(user))
        .route("/api/dashboard/{id}", get(dashboard))
        .route("/api/orders", post(place_order))
        .with_state(bff)
}

async fn page() -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(PAGE)).into_response()
}

async fn products(State(bff): State<Arc<Bff>>, trail: Trail) -> Result<Response, Failure> {
    let reply = bff.app.get(&trail, Service::Product, "/products").await;
    bff.pass(trail, StatusCode::OK, reply)
}

async fn product(
    State(bff): State<Arc<Bff>>,
    trail: Trail,
    Id(id): Id<u32>,
) -> Result<Response, Failure> {
    let reply = bff
        .app
        .get(&trail, Service::Product, &format!("/products/{id}"))
        .await;
    bff.pass(trail, StatusCode::OK, reply)
}

async fn place_order(
    State(bff): State<Arc<Bff>>,
    trail: Trail,
    JsonBody(order): JsonBody<Value>,
) -> Result<Response, Failure> {
    let reply = bff
        .app
        .post(&trail, Service::Order, "/orders", &order)
        .await;
    bff.pass(trail, StatusCode::CREATED, reply)
}

#[derive(Serialize)]
struct UserReply {
    user: users::User,
    hops: Vec<Hop>,
}

async fn user(
    State(bff): State<Arc<Bff>>,
    trail: Trail,
    Id(id): Id<i32>,
) -> Result<Response, Failure> {
    match bff.users.find(&bff.app, &trail, id).await {
        Ok(user) => Ok(bff.app.answer(
            StatusCode::OK,
            UserReply {
                user,
                hops: trail.into_hops(),
            },
        )),
        Err(fault) => Err(Failure::after(trail, fault)),
    }
}

/// All calls at once. The customer and her orders are the dashboard; recommendations may be missing.
async fn dashboard(
    State(bff): State<Arc<Bff>>,
    trail: Trail,
    Id(id): Id<i32>,
) -> Result<Response, Failure> {
    let app = &bff.app;
    let path = format!("/orders?userId={id}&limit={RECENT_ORDERS}");
    let (user, orders, products) = tokio::join!(
        bff.users.find(app, &trail, id),
        app.get::<Value>(&trail, Service::Order, &path),
        app.get::<Value>(&trail, Service::Product, "/products"),
    );
    let gathered = user.and_then(|user| Ok((user, accepted(orders?)?)));
    let (user, orders) = match gathered {
        Ok(gathered) => gathered,
        Err(fault) => return Err(Failure::after(trail, fault)),
    };
    let products = products.and_then(accepted);
    let degraded = if products.is_ok() {
        Vec::new()
    } else {
        vec!["recommendations"]
    };
    let dashboard = Dashboard {
        user,
        recent_orders: first(orders, "orders", RECENT_ORDERS),
        recommendations: first(products.unwrap_or_default(), "products", RECOMMENDED),
        degraded,
        hops: trail.into_hops(),
    };
    Ok(app.answer(StatusCode::OK, dashboard))
}

/// The first elements of the list in a reply.
fn first(mut reply: Value, key: &str, count: usize) -> Value {
    let list = reply
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .map(std::mem::take);
    Value::Array(list.unwrap_or_default().into_iter().take(count).collect())
}

/// The value; a refusal becomes ours with the same words.
fn accepted(answer: Answer<Value>) -> Result<Value, Fault> {
    match answer {
        Answer::Value(value) => Ok(value),
        Answer::Refusal(status, words) => Err(match status {
            StatusCode::NOT_FOUND => {
                let what = words.strip_prefix("there is no ").unwrap_or(&words);
                Fault::NotFound(what.to_owned())
            }
            StatusCode::CONFLICT => Fault::Conflict(words),
            StatusCode::PAYMENT_REQUIRED => Fault::PaymentDeclined(words),
            _ => Fault::Invalid(words),
        }),
    }
}

impl Bff {
    /// Passes a reply on under our own signature, which replaces that of the service that wrote it:
    /// the first hop still names it.
    fn pass(
        &self,
        trail: Trail,
        status: StatusCode,
        answer: Result<Answer<Value>, Fault>,
    ) -> Result<Response, Failure> {
        let mut reply = match answer.and_then(accepted) {
            Ok(reply) => reply,
            Err(fault) => return Err(Failure::after(trail, fault)),
        };
        if let Some(object) = reply.as_object_mut() {
            for signature in ["service", "version", "instance", "hops"] {
                object.remove(signature);
            }
        }
        Ok(self.app.answer(
            status,
            Passed {
                reply,
                hops: trail.into_hops(),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_the_first_of_a_list() {
        assert_eq!(first(json!({"a": [1, 2, 3]}), "a", 2), json!([1, 2]));
        assert_eq!(first(json!({"a": [1]}), "b", 2), json!([]));
        assert_eq!(first(Value::Null, "a", 2), json!([]));
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        for forbidden in ["http://", "https://", "//cdn", "@import", "src=\""] {
            let found = PAGE.match_indices(forbidden).filter(|(at, _)| {
                // The namespace of SVG is a name, not an address.
                !PAGE
                    .get(*at..)
                    .is_some_and(|rest| rest.starts_with("http://www.w3.org/2000/svg"))
            });
            assert_eq!(found.count(), 0, "{forbidden}");
        }
    }
}
