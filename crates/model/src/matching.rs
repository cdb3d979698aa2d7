//! What a rule asks of a request. The comparison itself is `weft-traffic`'s; these are the values it compares with.
//!
//! Source: Istio `StringMatch` and `HTTPMatchRequest`.

use crate::pattern::Pattern;
use serde::Serialize;

/// A condition on one text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StringMatch {
    /// The whole value, case-sensitive.
    Exact(String),
    /// A plain string prefix: `/foo` covers `/foobar`.
    Prefix(String),
    /// RE2, the whole value.
    Regex(Pattern),
}

/// A condition on a request's path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct UriMatch {
    /// Compared with the path without its query.
    pub path: StringMatch,
    /// Ignore ASCII case; only for exact and prefix.
    pub ignore_case: bool,
}

/// A condition on a header. Several values of one header are joined with `,` before the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct HeaderMatch {
    /// Name, lower case.
    pub name: String,
    /// What its value must be.
    pub value: HeaderValueMatch,
}

/// See [`HeaderMatch`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderValueMatch {
    /// The header is there, whatever its value.
    Present,
    /// Its value compares.
    Value(StringMatch),
}

/// One block of conditions: all that are given must hold. A block without any covers every request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct HttpMatch {
    /// The user's name for the block, logged beside the route's.
    pub name: Option<String>,
    /// Path.
    pub uri: Option<UriMatch>,
    /// Method, case-sensitive.
    pub method: Option<StringMatch>,
    /// Authority as the client sent it (Host header or `:authority`), port included.
    pub authority: Option<StringMatch>,
    /// Headers.
    pub headers: Vec<HeaderMatch>,
}

/// When a rule applies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Matches<M> {
    /// Always.
    Any,
    /// When one block holds. An empty list never holds: that is a rule all of whose blocks ask for something that is not
    /// enforced, and such a rule must not turn into a catch-all.
    OneOf(Vec<M>),
}
