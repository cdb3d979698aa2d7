//! The gRPC client of UserService.
//!
//! gRPC does not go through `http_proxy`. The address comes from the variables that Kubernetes sets
//! for a Service; the authority of the requests stays the name of the service.

use std::time::Duration;

use http::uri::Authority;
use http::{HeaderMap, Uri};
use serde::Serialize;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::app::App;
use crate::fault::Fault;
use crate::hops::{Hop, Trail, milliseconds, said};
use crate::names::{CALLER, INSTANCE, SERVICE, VERSION};
use crate::proto;
use crate::proto::user_service_client::UserServiceClient;
use crate::service::Service;

/// The name by which the mesh routes, whatever the address.
const ORIGIN: &str = "http://user-service:50051";
const OPERATION: &str = "UserService/GetUser";

/// A user as the page sees her.
#[derive(Debug, Serialize)]
pub(super) struct User {
    id: i32,
    username: String,
    email: String,
    active: bool,
}

/// A client with one connection, made at the first call and made again when it breaks.
#[derive(Debug)]
pub(super) struct Users {
    client: UserServiceClient<Channel>,
    timeout: Duration,
}

impl Users {
    pub(super) fn new(address: &Authority, timeout: Duration) -> Self {
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(http::uri::Scheme::HTTP);
        uri.authority = Some(address.clone());
        uri.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        let uri = Uri::from_parts(uri).unwrap_or_else(|_| Uri::from_static(ORIGIN));
        let channel = Endpoint::from(uri)
            .origin(Uri::from_static(ORIGIN))
            .connect_timeout(timeout)
            .tcp_nodelay(true)
            .connect_lazy();
        Self {
            client: UserServiceClient::new(channel),
            timeout,
        }
    }

    /// The user of this id.
    pub(super) async fn find(&self, app: &App, trail: &Trail, id: i32) -> Result<User, Fault> {
        let mut request = Request::new(proto::GetUserRequest { id });
        *request.metadata_mut() = MetadataMap::from_headers(trail.forwarded().clone());
        request.set_timeout(self.timeout);

        let began = Instant::now();
        let mut client = self.client.clone();
        let calling = tokio::time::timeout(self.timeout, client.get_user(request)).await;
        let reply = calling.unwrap_or_else(|_| Err(Status::deadline_exceeded("no reply in time")));

        let (code, headers) = match &reply {
            Ok(reply) => (Code::Ok, reply.metadata().clone().into_headers()),
            Err(status) => (status.code(), status.metadata().clone().into_headers()),
        };
        trail.add(hop(app, trail, began, code, &headers), Vec::new());
        match reply.map(Response::into_inner) {
            Ok(proto::User {
                id,
                username,
                email,
                active,
            }) => Ok(User {
                id,
                username,
                email,
                active,
            }),
            Err(status) => Err(fault(&status, id, headers.contains_key(SERVICE))),
        }
    }
}

fn hop(app: &App, trail: &Trail, began: Instant, code: Code, headers: &HeaderMap) -> Hop {
    Hop {
        from: app.me.service.to_owned(),
        to: Service::User.name().to_owned(),
        protocol: "grpc".to_owned(),
        operation: OPERATION.to_owned(),
        start_ms: trail.elapsed_ms(began),
        ms: milliseconds(began.elapsed()),
        status: Some(http_status(code)),
        version: said(headers, VERSION),
        instance: said(headers, INSTANCE),
        identity: said(headers, CALLER),
    }
}

/// The HTTP status of the same meaning, for the drawing.
const fn http_status(code: Code) -> u16 {
    match code {
        Code::Ok => 200,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted => 429,
        Code::Cancelled => 499,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
    }
}

/// `itself` tells whether the service wrote the status, or something on the way.
fn fault(status: &Status, id: i32, itself: bool) -> Fault {
    let words = || format!("answered {:?}: {}", status.code(), status.message());
    match status.code() {
        Code::NotFound if itself => Fault::NotFound(format!("user {id}")),
        Code::DeadlineExceeded => Fault::UpstreamTimedOut(Service::User, words()),
        Code::Unavailable if !itself => Fault::UpstreamUnreachable(Service::User, words()),
        _ => Fault::UpstreamFailed(Service::User, words()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: &Status, itself: bool, expected: &str) {
        assert_eq!(
            fault(status, 9, itself).code(),
            expected,
            "{status:?} {itself}"
        );
    }

    #[test]
    fn tells_a_refusal_from_a_failure() {
        check(&Status::not_found(""), true, "not_found");
        check(&Status::not_found(""), false, "upstream_failed");
        check(&Status::unavailable(""), false, "upstream_unreachable");
        check(&Status::deadline_exceeded(""), false, "upstream_timeout");
        check(&Status::internal(""), true, "upstream_failed");
        check(&Status::permission_denied(""), false, "upstream_failed");
    }
}
