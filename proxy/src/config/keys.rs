//! The names of the settings, for this binary and for who starts it.

/// The instance, `<namespace>/<pod>`.
pub const WORKLOAD: &str = "WEFT_WORKLOAD";
/// Host and port of the control plane.
pub const CONTROLLER: &str = "WEFT_CONTROLLER";
/// Path of the token that proves the workload.
pub const TOKEN_FILE: &str = "WEFT_TOKEN_FILE";
/// Path of the trust anchors to start with.
pub const ROOT_FILE: &str = "WEFT_ROOT_FILE";
/// The control plane's trust domain.
pub const TRUST_DOMAIN: &str = "WEFT_TRUST_DOMAIN";
/// `listen=container port=app`, comma separated.
pub const INBOUND: &str = "WEFT_INBOUND";
/// One listener for redirected inbound connections.
pub const INBOUND_REDIRECT: &str = "WEFT_INBOUND_REDIRECT";
/// The explicit HTTP proxy.
pub const OUTBOUND: &str = "WEFT_OUTBOUND";
/// One listener for redirected outbound connections.
pub const OUTBOUND_REDIRECT: &str = "WEFT_OUTBOUND_REDIRECT";
/// `listen=host:port`, comma separated.
pub const SERVICES: &str = "WEFT_SERVICES";
/// The admin port.
pub const ADMIN: &str = "WEFT_ADMIN";
/// Threads that serve traffic.
pub const SHARDS: &str = "WEFT_SHARDS";
/// Time in-flight work has after SIGTERM.
pub const DRAIN: &str = "WEFT_DRAIN";
/// `text` or `json`.
pub const LOG_FORMAT: &str = "WEFT_LOG_FORMAT";

pub use weft_runtime::config::LOG;
