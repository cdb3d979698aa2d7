//! Names on the wire that more than one module of the shop uses. Nothing else lives here.

use http::HeaderName;

/// Which service answered.
pub(crate) const SERVICE: HeaderName = HeaderName::from_static("x-shop-service");
/// Which version of it.
pub(crate) const VERSION: HeaderName = HeaderName::from_static("x-shop-version");
/// Which process of it.
pub(crate) const INSTANCE: HeaderName = HeaderName::from_static("x-shop-instance");
/// The SPIFFE id of the caller, as the mesh told the service that answered.
pub(crate) const CALLER: HeaderName = HeaderName::from_static("x-shop-caller");
/// Where the mesh tells a service who calls it, in Envoy's syntax.
pub(crate) const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// What a service copies from the request it serves to the requests it makes for it: the context of
/// the trace (W3C and both forms of B3), the request's id, and the header by which canaries route.
pub(crate) const FORWARDED: [HeaderName; 10] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("b3"),
    HeaderName::from_static("x-b3-traceid"),
    HeaderName::from_static("x-b3-spanid"),
    HeaderName::from_static("x-b3-parentspanid"),
    HeaderName::from_static("x-b3-sampled"),
    HeaderName::from_static("x-b3-flags"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("user-type"),
];
