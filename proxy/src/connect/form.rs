//! How a request is written for the connection it will go on, and what of a response belongs to the one it came on.

use super::send::Wire;
use crate::{
    error::ProxyError,
    headers::{self, Upgrade},
};
use bytes::Bytes;
use http::{
    HeaderValue, Uri, Version,
    header::HOST,
    request,
    uri::{Authority, PathAndQuery, Scheme},
};

/// The one authority that a request names: its target's own, which goes before the Host header (RFC 9112, 3.2.2). None: it
/// names none (HTTP/1.0).
///
/// # Errors
/// When it names several, or one that is none.
pub fn authority(parts: &request::Parts) -> Result<Option<Authority>, ProxyError> {
    let bad = |reason: &str| ProxyError::BadAuthority {
        reason: reason.to_owned(),
    };
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("it has several Host headers"));
    }
    if let Some(authority) = parts.uri.authority() {
        return Ok(Some(authority.clone()));
    }
    match host {
        None => Ok(None),
        Some(host) if host.is_empty() => Ok(None),
        Some(host) => Authority::from_maybe_shared(Bytes::copy_from_slice(host.as_bytes()))
            .map(Some)
            .map_err(|_| bad("its Host header is no host name")),
    }
}

/// Rewrites a request's head: target form, Host, version, and no header that belongs to the connection it came on.
///
/// # Errors
/// When target and authority make no URI.
pub fn for_wire(
    parts: &mut request::Parts,
    wire: Wire,
    authority: Authority,
    upgrade: Upgrade,
) -> Result<(), ProxyError> {
    headers::strip_hop_by_hop(&mut parts.headers, upgrade);
    let bad = |reason: String| ProxyError::BadAuthority { reason };
    let path = parts
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    match wire {
        Wire::Http1 => {
            if parts.headers.get(HOST).map(HeaderValue::as_bytes)
                != Some(authority.as_str().as_bytes())
            {
                let host = HeaderValue::from_str(authority.as_str())
                    .map_err(|error| bad(error.to_string()))?;
                parts.headers.insert(HOST, host);
            }
            parts.uri = Uri::from(path);
            parts.version = Version::HTTP_11;
        }
        Wire::Http2 => {
            parts.headers.remove(HOST);
            let mut uri = http::uri::Parts::default();
            uri.scheme = Some(Scheme::HTTP);
            uri.authority = Some(authority);
            uri.path_and_query = Some(path);
            parts.uri = Uri::from_parts(uri).map_err(|error| bad(error.to_string()))?;
            parts.version = Version::HTTP_2;
        }
    }
    Ok(())
}

/// Makes an upstream's response head one of this proxy's own connection.
pub fn response<B>(response: &mut http::Response<B>, upgrade: Upgrade) {
    let headers = response.headers_mut();
    headers::strip_hop_by_hop(headers, upgrade);
    headers::strip_private(headers);
    *response.version_mut() = Version::HTTP_11;
}
