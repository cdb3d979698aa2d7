//! Whether one block of conditions holds for a request, and if not, which condition failed first.
//!
//! Both questions are one function, [`why_not`], so an explanation cannot disagree with the decision. Meaning: Istio's
//! `HTTPMatchRequest` as Envoy carries it out. All given conditions must hold; text is compared byte by byte and
//! case-sensitively, except a path under `ignoreUriCase`; a prefix is a plain string prefix; a regular expression must
//! match the whole value; a header that is absent fails every condition on it.

use crate::request::Request;
use serde::Serialize;
use std::fmt;
use weft_model::matching::{HeaderMatch, HeaderValueMatch, HttpMatch, StringMatch, UriMatch};

/// A condition that a request does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmet<'p> {
    /// The path.
    Uri(&'p UriMatch),
    /// The method.
    Method(&'p StringMatch),
    /// The authority.
    Authority(&'p StringMatch),
    /// A header that is absent.
    HeaderAbsent(&'p HeaderMatch),
    /// A header that is there with another value.
    HeaderValue(&'p HeaderMatch),
}

/// Whether every condition of `block` holds.
#[must_use]
pub fn holds(block: &HttpMatch, request: &Request<'_>) -> bool {
    why_not(block, request).is_none()
}

/// The first condition of `block` that does not hold; none if all do. The order is path, method, authority, headers.
#[must_use]
pub fn why_not<'p>(block: &'p HttpMatch, request: &Request<'_>) -> Option<Unmet<'p>> {
    if let Some(uri) = &block.uri
        && !uri_holds(uri, request.path)
    {
        return Some(Unmet::Uri(uri));
    }
    if let Some(method) = &block.method
        && !text_holds(method, request.method.as_bytes())
    {
        return Some(Unmet::Method(method));
    }
    if let Some(authority) = &block.authority
        && !text_holds(authority, request.authority.as_bytes())
    {
        return Some(Unmet::Authority(authority));
    }
    block
        .headers
        .iter()
        .find_map(|header| header_fails(header, request))
}

fn uri_holds(uri: &UriMatch, path: &str) -> bool {
    match &uri.path {
        StringMatch::Exact(exact) if uri.ignore_case => path.eq_ignore_ascii_case(exact),
        StringMatch::Prefix(prefix) if uri.ignore_case => path
            .as_bytes()
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes())),
        other => text_holds(other, path.as_bytes()),
    }
}

fn text_holds(condition: &StringMatch, value: &[u8]) -> bool {
    match condition {
        StringMatch::Exact(exact) => value == exact.as_bytes(),
        StringMatch::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
        StringMatch::Regex(pattern) => pattern.matches(value),
    }
}

fn header_fails<'p>(header: &'p HeaderMatch, request: &Request<'_>) -> Option<Unmet<'p>> {
    let Some(value) = request.header(&header.name) else {
        return Some(Unmet::HeaderAbsent(header));
    };
    match &header.value {
        HeaderValueMatch::Present => None,
        HeaderValueMatch::Value(condition) if text_holds(condition, &value) => None,
        HeaderValueMatch::Value(_) => Some(Unmet::HeaderValue(header)),
    }
}

impl Unmet<'_> {
    /// What the request has in the place that the condition asks about; none for an absent header.
    #[must_use]
    pub fn actual(&self, request: &Request<'_>) -> Option<String> {
        match self {
            Self::Uri(_) => Some(request.path.to_owned()),
            Self::Method(_) => Some(request.method.to_owned()),
            Self::Authority(_) => Some(request.authority.to_owned()),
            Self::HeaderAbsent(header) | Self::HeaderValue(header) => request
                .header(&header.name)
                .map(|value| String::from_utf8_lossy(&value).into_owned()),
        }
    }
}

impl fmt::Display for Unmet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => {
                write!(f, "uri {}", Failed(&uri.path))?;
                let regex = matches!(uri.path, StringMatch::Regex(_));
                f.write_str(if uri.ignore_case && !regex {
                    " (ignoring case)"
                } else {
                    ""
                })
            }
            Self::Method(method) => write!(f, "method {}", Failed(method)),
            Self::Authority(authority) => write!(f, "authority {}", Failed(authority)),
            Self::HeaderAbsent(header) => write!(f, "header {} is absent", header.name),
            Self::HeaderValue(header) => match &header.value {
                HeaderValueMatch::Present => write!(f, "header {} is absent", header.name),
                HeaderValueMatch::Value(value) => {
                    write!(f, "header {} {}", header.name, Failed(value))
                }
            },
        }
    }
}

/// A condition on text, said of a value that does not meet it.
struct Failed<'a>(&'a StringMatch);

impl fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            StringMatch::Exact(exact) => write!(f, "is not `{exact}`"),
            StringMatch::Prefix(prefix) => write!(f, "does not start with `{prefix}`"),
            StringMatch::Regex(pattern) => {
                write!(
                    f,
                    "does not match the regular expression `{}`",
                    pattern.as_str()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
