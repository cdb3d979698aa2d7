//! Extractors whose rejections are JSON like every other error of the shop.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::str::FromStr;

use crate::fault::Fault;

/// The longest body that a service of the shop reads.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// The JSON of a request. The content type is not asked for: the callers of the shop are its own.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let bytes =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection {
                    BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                        Fault::TooLarge(MAX_BODY)
                    }
                    other => Fault::Invalid(other.body_text()),
                })?;
        let value = serde_json::from_slice(&bytes);
        value
            .map(Self)
            .map_err(|error| Fault::Invalid(format!("the body is not right: {error}")))
    }
}

/// The last part of the path, `{id}`.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| Fault::Invalid(rejection.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|_| Fault::Invalid(format!("{text:?} is no id")))
    }
}

/// The query of a request.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let query = query.map_err(|rejection| Fault::Invalid(rejection.body_text()))?;
        Ok(Self(query.0))
    }
}
