//! The requests of each kind, and what their replies mean.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use serde_json::json;

use super::mix::Kind;
use super::report::Outcome;
use crate::catalogue;
use crate::client::CallError;

/// Users who order; the ones after them are not active.
const USERS: std::ops::RangeInclusive<u32> = 1..=9;
/// How many of one product an order has at most.
const MAX_QUANTITY: u32 = 3;
/// How much of a failure's body is quoted.
const MAX_QUOTE: usize = 200;

/// A request of this kind, with drawn user and items.
pub(super) fn build(
    kind: Kind,
    target: &Uri,
    rng: &mut fastrand::Rng,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let user = rng.u32(USERS);
    let (method, path, body) = match kind {
        Kind::Browse => (Method::GET, "/api/products".to_owned(), Bytes::new()),
        Kind::Dashboard => (Method::GET, format!("/api/dashboard/{user}"), Bytes::new()),
        Kind::Order => (Method::POST, "/api/orders".to_owned(), order(user, rng)),
    };
    let authority = target
        .authority()
        .map_or("", |authority| authority.as_str());
    let uri = Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query(path)
        .build()?;
    let request = Request::builder().method(method).uri(uri);
    if body.is_empty() {
        request.body(Full::default())
    } else {
        let json = HeaderValue::from_static("application/json");
        request.header(CONTENT_TYPE, json).body(Full::new(body))
    }
}

fn order(user: u32, rng: &mut fastrand::Rng) -> Bytes {
    let in_stock = catalogue::all()
        .iter()
        .filter(|product| product.stock >= MAX_QUANTITY);
    let mut products: Vec<u32> = in_stock.map(|product| product.id).collect();
    rng.shuffle(&mut products);
    let count = rng.usize(1..=3);
    let items: Vec<_> = products
        .into_iter()
        .take(count)
        .map(|id| json!({"productId": id, "quantity": rng.u32(1..=MAX_QUANTITY)}))
        .collect();
    json!({"userId": user, "items": items}).to_string().into()
}

/// How a request ended, and in words if it failed.
pub(super) fn outcome(
    reply: &Result<Response<Bytes>, CallError>,
    injected: Option<&HeaderName>,
) -> (Outcome, Option<String>) {
    match reply {
        Err(error) => (Outcome::NoReply, Some(error.to_string())),
        Ok(reply) if injected.is_some_and(|name| reply.headers().contains_key(name)) => {
            (Outcome::Injected, None)
        }
        Ok(reply) if reply.status().is_server_error() => {
            let body = String::from_utf8_lossy(reply.body());
            let quote: String = body.trim().chars().take(MAX_QUOTE).collect();
            (
                Outcome::ServerError,
                Some(format!("{}: {quote}", reply.status())),
            )
        }
        Ok(reply) if reply.status().is_client_error() => (Outcome::Refused, None),
        Ok(_) => (Outcome::Succeeded, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, header: Option<&str>, expected: Outcome) {
        let mut reply = Response::builder().status(status);
        if let Some(header) = header {
            reply = reply.header(header, "1");
        }
        let name = HeaderName::from_static("x-injected");
        let reply = Ok(reply.body(Bytes::new()).unwrap());
        assert_eq!(
            outcome(&reply, Some(&name)).0,
            expected,
            "{status} {header:?}"
        );
    }

    #[test]
    fn outcomes() {
        check(200, None, Outcome::Succeeded);
        check(201, None, Outcome::Succeeded);
        check(404, None, Outcome::Refused);
        check(503, None, Outcome::ServerError);
        check(503, Some("x-injected"), Outcome::Injected);
    }

    #[test]
    fn orders_can_be_fulfilled() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            let order: serde_json::Value = serde_json::from_slice(&order(1, &mut rng)).unwrap();
            let items = order["items"].as_array().unwrap();
            assert!(!items.is_empty() && items.len() <= 3);
            for item in items {
                let product = catalogue::find(item["productId"].as_u64().unwrap() as u32).unwrap();
                assert!(product.stock >= item["quantity"].as_u64().unwrap() as u32);
            }
        }
    }
}
