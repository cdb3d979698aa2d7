//! What every service of the shop has in common: who it is, its knobs, its way to call the others,
//! and the layer that signs each reply.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::caller;
use crate::chaos::Chaos;
use crate::client::{CallError, HttpClient};
use crate::config::Config;
use crate::drain::{DrainWatch, Phase};
use crate::fault::{Failure, FailureBody, Fault};
use crate::hops::{Hop, Trail, milliseconds, operation, said};
use crate::names::{CALLER, INSTANCE, SERVICE, VERSION};
use crate::service::{Identity, Service};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// How much of an upstream's unreadable reply is quoted in an error.
const MAX_QUOTE: usize = 300;

/// One running service.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) me: Identity,
    pub(crate) chaos: Chaos,
    pub(crate) drain: DrainWatch,
    client: HttpClient,
}

/// A body, signed with who wrote it.
#[derive(Serialize)]
struct Signed<'a, T> {
    #[serde(flatten)]
    me: &'a Identity,
    #[serde(flatten)]
    body: T,
}

/// An answer of another service that is not a failure of it.
pub(crate) enum Answer<T> {
    /// What was asked for.
    Value(T),
    /// The service itself said no: a 4xx with its own words.
    Refusal(StatusCode, String),
}

impl App {
    pub(crate) fn new(config: Config, drain: DrainWatch) -> Arc<Self> {
        let me = Identity {
            service: config.service.name(),
            version: config.version.clone(),
            instance: config.instance.clone(),
        };
        let client = HttpClient::new(config.proxy.clone());
        Arc::new(Self {
            me,
            chaos: Chaos::new(config.chaos),
            drain,
            client,
            config,
        })
    }

    /// A JSON reply. `body` must serialize to an object.
    pub(crate) fn answer(&self, status: StatusCode, body: impl Serialize) -> Response {
        match serde_json::to_vec(&Signed { me: &self.me, body }) {
            Ok(json) => (status, [(CONTENT_TYPE, JSON)], json).into_response(),
            Err(error) => {
                tracing::error!(%error, "a reply that is no JSON object");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// The headers that sign every reply, gRPC's too. `incoming` are those of the request.
    pub(crate) fn sign(&self, incoming: &HeaderMap, outgoing: &mut HeaderMap) {
        let mut put = |name: HeaderName, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                outgoing.insert(name, value);
            }
        };
        put(SERVICE, self.me.service);
        put(VERSION, &self.me.version);
        put(INSTANCE, &self.me.instance);
        if let Some(peer) = caller::peer(incoming) {
            put(CALLER, &peer);
        }
    }

    /// `GET` of a path of another service.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        trail: &Trail,
        to: Service,
        path: &str,
    ) -> Result<Answer<T>, Fault> {
        self.call(trail, to, Method::GET, path, Bytes::new()).await
    }

    /// `POST` of JSON to a path of another service.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        trail: &Trail,
        to: Service,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer<T>, Fault> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Fault::UpstreamFailed(to, format!("not asked: {error}")))?;
        self.call(trail, to, Method::POST, path, body.into()).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        trail: &Trail,
        to: Service,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer<T>, Fault> {
        let operation = operation(&method, path);
        let has_body = !body.is_empty();
        let mut request = self
            .config
            .upstreams
            .uri(to, path)
            .and_then(|uri| {
                http::Request::builder()
                    .method(method)
                    .uri(uri)
                    .body(Full::new(body))
            })
            .map_err(|error| Fault::UpstreamUnreachable(to, error.to_string()))?;
        *request.headers_mut() = trail.forwarded().clone();
        if has_body {
            request.headers_mut().insert(CONTENT_TYPE, JSON);
        }

        let began = Instant::now();
        let start_ms = trail.elapsed_ms(began);
        let result = self.client.send(request, self.config.call_timeout).await;
        let ms = milliseconds(began.elapsed());
        let nothing = HeaderMap::new();
        let (status, headers) = match &result {
            Ok(reply) => (Some(reply.status()), reply.headers()),
            Err(_) => (None, &nothing),
        };
        let itself = headers.contains_key(SERVICE);
        let hop = Hop {
            from: self.me.service.to_owned(),
            to: to.name().to_owned(),
            protocol: "http".to_owned(),
            operation,
            start_ms,
            ms,
            status: status.map(|status| status.as_u16()),
            version: said(headers, VERSION),
            instance: said(headers, INSTANCE),
            identity: said(headers, CALLER),
        };
        let reply = match result {
            Ok(reply) => reply,
            Err(error) => {
                trail.add(hop, Vec::new());
                return Err(match error {
                    CallError::Timeout(after) => Fault::UpstreamTimeout(to, after.as_millis()),
                    CallError::Transport(_) => Fault::UpstreamUnreachable(to, error.to_string()),
                    CallError::Body(_) => Fault::UpstreamFailed(to, error.to_string()),
                });
            }
        };
        let mut json: Option<serde_json::Value> = serde_json::from_slice(reply.body()).ok();
        let listed = json
            .as_mut()
            .and_then(|json| json.get_mut("hops"))
            .map(|hops| hops.take());
        let listed = listed
            .and_then(|hops| serde_json::from_value(hops).ok())
            .unwrap_or_default();
        trail.add(hop, listed);
        classify(to, reply.status(), itself, json, reply.body())
    }
}

/// What a reply means. `itself` tells whether the service wrote it, or something on the way, whose
/// 4xx is a failure to reach the service.
fn classify<T: DeserializeOwned>(
    to: Service,
    status: StatusCode,
    itself: bool,
    json: Option<serde_json::Value>,
    body: &[u8],
) -> Result<Answer<T>, Fault> {
    if status.is_success() {
        let value = json.ok_or_else(|| "no JSON".to_owned());
        return value
            .and_then(|json| serde_json::from_value(json).map_err(|error| error.to_string()))
            .map(Answer::Value)
            .map_err(|why| {
                Fault::UpstreamFailed(to, format!("a reply that makes no sense: {why}"))
            });
    }
    let text = |key| json.as_ref().and_then(|json| json.get(key)?.as_str());
    let words = match (text("upstream"), text("detail")) {
        (Some(culprit), Some(detail)) => format!("{culprit}: {detail}"),
        (None, Some(detail)) => detail.to_owned(),
        (_, None) => String::from_utf8_lossy(body)
            .chars()
            .take(MAX_QUOTE)
            .collect(),
    };
    let words = words.trim().to_owned();
    if status.is_client_error() && itself {
        Ok(Answer::Refusal(status, words))
    } else if status == StatusCode::GATEWAY_TIMEOUT {
        Err(Fault::UpstreamTimedOut(to, quoted(status, &words)))
    } else {
        Err(Fault::UpstreamFailed(to, quoted(status, &words)))
    }
}

/// The status of an upstream, and its words if it had any.
fn quoted(status: StatusCode, words: &str) -> String {
    if words.is_empty() {
        format!("answered {status}")
    } else {
        format!("answered {status}: {words}")
    }
}

/// The outermost layer: signs each reply, writes the body of a failure, and while draining asks the
/// client to take its next request elsewhere.
pub(crate) async fn annotate(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let incoming = request.headers().clone();
    let version = request.version();
    let mut response = next.run(request).await;
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        response = app.answer(response.status(), FailureBody::from(failure));
    }
    app.sign(&incoming, response.headers_mut());
    if app.drain.phase() != Phase::Serving && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, itself: bool, body: &str, expected: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        let json = serde_json::from_str(body).ok();
        let result = classify::<u32>(Service::Payment, status, itself, json, body.as_bytes());
        let got = match result {
            Ok(Answer::Value(value)) => format!("value {value}"),
            Ok(Answer::Refusal(status, words)) => format!("refusal {} {words}", status.as_u16()),
            Err(fault) => format!("{} {} {fault}", fault.status().as_u16(), fault.code()),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn tells_a_refusal_from_a_failure() {
        check(200, true, "7", "value 7");
        check(
            404,
            true,
            r#"{"detail":"there is no user 9"}"#,
            "refusal 404 there is no user 9",
        );
        let no_route = "502 upstream_failed answered 404 Not Found: no route";
        check(404, false, "no route", no_route);
        check(403, false, "", "502 upstream_failed answered 403 Forbidden");
        check(
            500,
            true,
            "{}",
            "502 upstream_failed answered 500 Internal Server Error: {}",
        );
        check(
            502,
            true,
            r#"{"upstream":"user-service","detail":"no reply"}"#,
            "502 upstream_failed answered 502 Bad Gateway: user-service: no reply",
        );
        check(
            504,
            false,
            "late",
            "504 upstream_timeout answered 504 Gateway Timeout: late",
        );
        let nonsense = "502 upstream_failed a reply that makes no sense: no JSON";
        check(200, true, "<html>", nonsense);
    }
}
