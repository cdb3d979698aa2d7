//! What can go wrong with a request, and how the reply says so.
//!
//! A [`Fault`] names whose fault it is: the caller's (4xx), an upstream's (502, 504) or ours (500).
//! The reply is rendered by [`crate::app::annotate`], which knows who we are:
//! `{"error","service","version","instance","upstream","detail","hops"}`.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::hops::{Hop, Trail};
use crate::service::Service;

/// Why a request got no good answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Invalid(String),
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    #[error("there is no {0}")]
    NotFound(String),
    #[error("this path takes another method")]
    MethodNotAllowed,
    #[error("{0}")]
    Conflict(String),
    #[error("user {0} is not active")]
    UserInactive(i32),
    #[error("not in stock as asked: {0}")]
    ItemsUnavailable(String),
    #[error("{0}")]
    PaymentDeclined(String),
    #[error("no reply within {0} ms")]
    UpstreamTimeout(Service, u128),
    #[error("{1}")]
    UpstreamUnreachable(Service, String),
    #[error("{1}")]
    UpstreamTimedOut(Service, String),
    #[error("{1}")]
    UpstreamFailed(Service, String),
    #[error("the storage failed: {0}")]
    Storage(String),
    #[error("the chaos knob struck")]
    Chaos(StatusCode),
}

impl Fault {
    /// The status of the reply.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) | Self::UserInactive(_) | Self::ItemsUnavailable(_) => {
                StatusCode::CONFLICT
            }
            Self::PaymentDeclined(_) => StatusCode::PAYMENT_REQUIRED,
            Self::UpstreamTimeout(..) | Self::UpstreamTimedOut(..) => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamUnreachable(..) | Self::UpstreamFailed(..) => StatusCode::BAD_GATEWAY,
            Self::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Chaos(status) => *status,
        }
    }

    /// The stable name of the fault.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_request",
            Self::TooLarge(_) => "too_large",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict(_) => "conflict",
            Self::UserInactive(_) => "user_inactive",
            Self::ItemsUnavailable(_) => "items_unavailable",
            Self::PaymentDeclined(_) => "payment_declined",
            Self::UpstreamTimeout(..) | Self::UpstreamTimedOut(..) => "upstream_timeout",
            Self::UpstreamUnreachable(..) => "upstream_unreachable",
            Self::UpstreamFailed(..) => "upstream_failed",
            Self::Storage(_) => "storage_failed",
            Self::Chaos(_) => "chaos",
        }
    }

    /// Which service failed us.
    pub(crate) const fn upstream(&self) -> Option<Service> {
        match self {
            Self::UpstreamTimeout(service, _)
            | Self::UpstreamUnreachable(service, _)
            | Self::UpstreamTimedOut(service, _)
            | Self::UpstreamFailed(service, _) => Some(*service),
            Self::Invalid(_)
            | Self::TooLarge(_)
            | Self::NotFound(_)
            | Self::MethodNotAllowed
            | Self::Conflict(_)
            | Self::UserInactive(_)
            | Self::ItemsUnavailable(_)
            | Self::PaymentDeclined(_)
            | Self::Storage(_)
            | Self::Chaos(_) => None,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        tracing::warn!(%error, "storage");
        Self::Storage(error.to_string())
    }
}

/// A fault, with the hops that were made before it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) hops: Vec<Hop>,
}

impl Failure {
    /// The fault at the end of a trail.
    pub(crate) fn after(trail: Trail, fault: Fault) -> Self {
        Self {
            fault,
            hops: trail.into_hops(),
        }
    }
}

impl<F: Into<Fault>> From<F> for Failure {
    fn from(fault: F) -> Self {
        Self {
            fault: fault.into(),
            hops: Vec::new(),
        }
    }
}

/// The JSON of a failure, but for who we are.
#[derive(Debug, Serialize)]
pub(crate) struct FailureBody {
    error: &'static str,
    upstream: Option<&'static str>,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hops: Vec<Hop>,
}

impl From<Failure> for FailureBody {
    fn from(Failure { fault, hops }: Failure) -> Self {
        let upstream = fault.upstream().map(Service::name);
        Self {
            error: fault.code(),
            upstream,
            detail: fault.to_string(),
            hops,
        }
    }
}

impl IntoResponse for Failure {
    /// Status and the failure itself as an extension: the outermost layer writes the body.
    fn into_response(self) -> Response {
        let mut response = self.fault.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        Failure::from(self).into_response()
    }
}
